"""Rows of a query as text or Parquet. No value can control the terminal it is shown on."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from toolspend_dashboard.formats import UNSAFE, visible
from toolspend_ingest.sandbox import Result

_NUMERIC = re.compile(r"(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL.*|UTINYINT|USMALLINT|UINTEGER)$")
_DECIMAL = re.compile(r"DECIMAL\(\d+,\s*(\d+)\)$")


def cell(value: Any, kind: str = "") -> str:
    """A value of DuckDB type `kind` as text: nothing for null, JSON for what is nested, decimals with their digits."""
    if isinstance(value, float) and (scale := _DECIMAL.match(kind)) is not None:
        return f"{value:.{scale[1]}f}"
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case list() | dict():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return str(value)


def table(result: Result, is_terminal: bool) -> str:
    """The rows as an aligned table; on a terminal as wide as it, elsewhere as wide as the rows."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name, kind in zip(result.columns, result.types, strict=True):
        is_number = _NUMERIC.match(kind) is not None
        grid.add_column(Text(visible(name)), justify="right" if is_number else "left", overflow="fold")
    for row in result.rows:
        grid.add_row(*(Text(visible(cell(*each))) for each in zip(row, result.types, strict=True)))
    buffer = io.StringIO()
    width = None if is_terminal else 10_000
    console = Console(file=buffer, width=width, force_terminal=is_terminal, highlight=False, emoji=False, markup=False)
    console.print(grid)
    text = "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()).strip("\n")
    count = len(result.rows)
    return f"{text}\n{count:,} row{'' if count == 1 else 's'}\n"


def comma_separated(result: Result, is_terminal: bool) -> str:
    """The rows as CSV with a header line; null is empty."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    shown: Callable[[str], str] = visible if is_terminal else str
    writer.writerow([shown(name) for name in result.columns])
    writer.writerows([shown(cell(*each)) for each in zip(row, result.types, strict=True)] for row in result.rows)
    return buffer.getvalue()


def json_array(result: Result, is_terminal: bool) -> str:
    """The rows as a JSON array of objects, one to a line."""
    del is_terminal  # JSON has escapes of its own
    return "[" + ",\n ".join(_objects(result)) + "]\n"


def json_lines(result: Result, is_terminal: bool) -> str:
    """The rows as one JSON object a line."""
    del is_terminal
    return "".join(f"{line}\n" for line in _objects(result))


def _objects(result: Result) -> Iterable[str]:
    names = _unique(result.columns)
    for row in result.rows:
        text = json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False)
        yield UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _unique(names: Iterable[str]) -> list[str]:
    """The names, numbered where one comes twice, so that no column hides another."""
    seen: set[str] = set()
    unique = []
    for name in names:
        candidate, number = name, 1
        while candidate in seen:
            number += 1
            candidate = f"{name}_{number}"
        seen.add(candidate)
        unique.append(candidate)
    return unique


RENDERERS: dict[str, Callable[[Result, bool], str]] = {
    "table": table,
    "csv": comma_separated,
    "json": json_array,
    "jsonl": json_lines,
}


def parquet(result: Result) -> bytes:
    """The rows as a Parquet file with the types that the query had; intervals and enums are texts."""
    import duckdb
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [f"c{index}" for index in range(len(result.columns))]
    texts = [json.dumps(dict(zip(names, row, strict=True))) for row in result.rows]
    shape = json.dumps({name: _read_as(kind) for name, kind in zip(names, result.types, strict=True)})
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        con.register("texts", pa.table({"line": pa.array(texts, pa.string())}))
        typed = con.sql("select unnest(from_json(line, $shape)) from texts", params={"shape": shape}).to_arrow_table()
    for index, kind in enumerate(result.types):
        if kind == "BLOB":
            plain = [None if value is None else bytes.fromhex(value) for value in typed.column(index).to_pylist()]
            typed = typed.set_column(index, names[index], pa.array(plain, pa.binary()))
    buffer = io.BytesIO()
    pq.write_table(typed.rename_columns(_unique(result.columns)), buffer)
    return buffer.getvalue()


def _read_as(kind: str) -> str:
    """The type to read a JSON value as; what came as text and has no type of its own in Parquet stays text."""
    return "VARCHAR" if kind in ("JSON", "BLOB", "INTERVAL", '"NULL"', "NULL") or kind.startswith("ENUM(") else kind


def file_of(given: Path | None) -> Path | None:
    """The file that is meant: with -, none, which is stdout."""
    return None if given == Path("-") else given


def write_text(text: str, to: Path | None) -> None:
    """Write to the file, or to stdout."""
    if to is None:
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        to.write_text(text, encoding="utf-8")


def write_bytes(data: bytes, to: Path | None) -> None:
    """Write to the file, or to stdout."""
    if to is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        to.write_bytes(data)
