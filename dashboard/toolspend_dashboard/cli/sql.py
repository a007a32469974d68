"""`toolspend sql`: one reading statement on a snapshot of the store."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from . import output
from ._common import Db, Verbose, fail, one_line_errors, store_to_read

MAX_ROWS = 100_000
MAX_BYTES = 128 * 1024 * 1024


class Format(StrEnum):
    """How rows are written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"
    PARQUET = "parquet"


@one_line_errors
def sql(
    query: Annotated[str, typer.Argument(help="One select, show, describe, summarize, explain or pivot; - for stdin.")],
    format_: Annotated[Format, typer.Option("--format", "-f", help="How rows are written.")] = Format.TABLE,
    to: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to a file instead of stdout.")
    ] = None,
    max_rows: Annotated[int, typer.Option("--max-rows", min=1, help="Stop after so many rows.")] = MAX_ROWS,
    timeout_s: Annotated[float, typer.Option("--timeout", min=0.1, help="Stop the query after so many seconds.")] = 30,
    db: Db = None,
    verbose: Verbose = False,
) -> None:
    """Ask the store a question in SQL; it can only be read.

    What the spool holds is loaded first. Works while `toolspend up` runs. The relations and their columns:
    `toolspend sql "show tables"`, `toolspend sql "describe tool_costs"`.

    Example: toolspend sql "select tool, total_cost_usd from tool_costs order by 2 desc limit 5" --format csv
    """
    from toolspend_dashboard import snapshot
    from toolspend_ingest import sandbox

    to = output.file_of(to)
    if format_ is Format.PARQUET and to is None and sys.stdout.isatty():
        fail("parquet is not text: redirect stdout, or give --output FILE")
    text = sys.stdin.read() if query == "-" else query
    with snapshot.for_command(store_to_read(db)) as path:
        result = sandbox.run(text, path, timeout_s=timeout_s, max_rows=max_rows, max_bytes=MAX_BYTES)
    if format_ is Format.PARQUET:
        output.write_bytes(output.parquet(result), to)
    else:
        is_terminal = to is None and sys.stdout.isatty()
        output.write_text(output.RENDERERS[format_.value](result, is_terminal), to)
    if result.is_truncated:
        typer.echo(f"only the first {len(result.rows):,} rows are shown: raise --max-rows, or add a filter", err=True)
