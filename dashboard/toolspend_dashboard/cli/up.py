"""`toolspend up`: the dashboard, the receiver and the spool's loader."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from ._common import Db, Retain, RetainContent, Verbose, keep, one_line_errors, store_at

Host = Annotated[
    str,
    typer.Option(
        "--host",
        metavar="ADDRESS",
        help="Address to listen on. Any but this machine's own needs TOOLSPEND_TOKEN to be set.",
    ),
]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="Port of the dashboard; 0 takes any free one.")]
OtlpPort = Annotated[
    int, typer.Option("--otlp-port", min=0, max=65535, help="Port that takes OTLP over HTTP; 0 takes any free one.")
]
GrpcPort = Annotated[
    int, typer.Option("--grpc-port", min=0, max=65535, help="Port that takes OTLP over gRPC; 0 takes any free one.")
]


@one_line_errors
def up(
    port: Port = 8501,
    otlp_port: OtlpPort = 4318,
    grpc_port: GrpcPort = 4317,
    host: Host = "127.0.0.1",
    db: Db = None,
    retain: Retain = None,
    retain_content: RetainContent = None,
    open_browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page.")] = False,
    verbose: Verbose = False,
) -> None:
    """Show the dashboard, take spans over OTLP, and load the spool as it grows.

    One process owns the store while it runs; `toolspend sql` and `report` ask it for a fresh snapshot.
    Spans are acknowledged once they are on disk. Send them with OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318,
    or let them lie in the spool, where an agent puts them without any setting.
    """
    from toolspend_dashboard import server
    from toolspend_dashboard.gate import is_loopback

    path, kept = store_at(db), keep(retain, retain_content)

    def ready(at: server.Addresses) -> None:
        typer.echo(f"dashboard  {at.page}   (Ctrl+C stops it)")
        typer.echo(f"OTLP/HTTP  {at.otlp}")
        typer.echo(f"OTLP/gRPC  {at.grpc}")
        typer.echo(f"store      {path}")
        if not is_loopback(host):
            typer.echo(
                "toolspend: other machines can reach this, unencrypted: open /?token=TOKEN once in a browser, "
                "send `Authorization: Bearer TOKEN` with spans",
                err=True,
            )
        if open_browser:
            typer.launch(at.page)

    options = server.Options(host, port, otlp_port, grpc_port, os.environ.get("TOOLSPEND_TOKEN") or None, kept)
    server.serve(path, options, on_ready=ready)
