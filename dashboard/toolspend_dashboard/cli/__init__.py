"""The command line: one file a command, each a thin layer over what the packages do."""

from __future__ import annotations

from typing import Annotated

import typer

from . import audit, demo, doctor, ingest, reattribute, report, sql, up

__all__ = ["app", "main"]

app = typer.Typer(
    name="toolspend",
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
    """Run the command line with the process's arguments; it ends the process with the exit code."""
    app()
    return 0
