"""`toolspend demo`: the dashboard on the sample traces, in a store of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from toolspend._home import home

from ._common import Db, Verbose, fail, one_line_errors, store_at
from ._loading import load
from .up import GrpcPort, OtlpPort, Port, up


def sample_traces() -> Path | None:
    """The folder of the sample traces: packaged with the dashboard, or in the clone that it runs from."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "sample_traces", package.parents[1] / "sample_traces"):
        if folder.is_dir():
            return folder
    return None


@one_line_errors
def demo(
    port: Port = 8501,
    otlp_port: OtlpPort = 4318,
    grpc_port: GrpcPort = 4317,
    traces: Annotated[
        Path | None, typer.Option("--traces", metavar="DIR", help="Show these traces instead.", show_default=False)
    ] = None,
    open_browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page.")] = True,
    db: Db = None,
    verbose: Verbose = False,
) -> None:
    """Show the dashboard on sample traces, in a fresh store beside your own, or at --db.

    The traces were made by running real agent loops against a stand-in for the API. Your store and spool are not
    touched.
    """
    from toolspend_dashboard import address
    from toolspend_dashboard.errors import AlreadyRunning, SampleTracesMissing
    from toolspend_ingest import Store

    folder = traces or sample_traces()
    if folder is None:
        raise SampleTracesMissing
    os.environ["TOOLSPEND_HOME"] = str(home() / "demo")
    path = store_at(db)
    if db is not None and path.exists():
        fail(f"{path} exists, and the demo makes its store anew: give a --db PATH where nothing is yet")
    running = address.find(path)
    if running is not None:
        raise AlreadyRunning(path, running.url, running.pid)
    for old in (path, path.with_name(f"{path.name}.wal")):
        old.unlink(missing_ok=True)
    with Store.open(path) as store:
        # Beside the stories lie other files: of what they were made with, and agents that make more.
        paths = [folder] if traces else sorted(folder.glob("*.jsonl"))
        load(store, paths, show_progress=sys.stderr.isatty())
    up(port=port, otlp_port=otlp_port, grpc_port=grpc_port, db=path, open_browser=open_browser, verbose=verbose)
