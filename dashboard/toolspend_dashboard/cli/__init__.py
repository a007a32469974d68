"""The command line: one file a command, each a thin layer over what the packages do."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from . import audit, demo, doctor, ingest, reattribute, report, sql, up
from ._common import EXIT_ERROR, EXIT_INTERRUPTED

__all__ = ["app", "main"]

_NAME = "toolspend"

app = typer.Typer(
    name=_NAME,
    help="Which tools drive the context and the cost of an LLM agent: spans in, the bill by tool out.",
    epilog="Data lies in TOOLSPEND_HOME (default: your platform's user data folder). Nothing leaves this machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("up")(up.up)
app.command("demo")(demo.demo)
app.command("ingest")(ingest.ingest)
app.command("sql")(sql.sql)
app.command("report")(report.report)
app.command("audit")(audit.audit)
app.command("reattribute")(reattribute.reattribute)
app.command("doctor")(doctor.doctor)


def _version(is_wanted: bool) -> None:
    if is_wanted:
        from toolspend import __version__

        typer.echo(f"toolspend {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main() -> int:
    """Run the command line with the process's arguments: its exit code. What was typed wrongly is one line."""
    if len(sys.argv) < 2:
        app(prog_name=_NAME)
    try:
        ended = app(prog_name=_NAME, standalone_mode=False)
    except typer.Abort:
        return EXIT_INTERRUPTED
    except Exception as error:
        # Its class lies in click, or in what typer has of it.
        if (said := getattr(error, "format_message", None)) is None:
            raise
        message = " ".join(said().split()).rstrip(".")
        command = getattr(getattr(error, "ctx", None), "command_path", None) or _NAME
        typer.echo(f"toolspend: {message}: `{command} -h` says what it takes", err=True)
        return EXIT_ERROR
    return ended if isinstance(ended, int) else 0
