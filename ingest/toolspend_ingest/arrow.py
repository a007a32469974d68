"""Arrow's tables for DuckDB's statements, and its compute functions, which no type checker knows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.compute

pc: Final[Any] = pyarrow.compute
"""Made as pyarrow is imported."""


@contextlib.contextmanager
def registered(con: duckdb.DuckDBPyConnection, **relations: pa.Table) -> Iterator[None]:
    """Tables as relations of these names, for the statements within."""
    for name, table in relations.items():
        con.register(name, table)
    try:
        yield
    finally:
        for name in relations:
            con.unregister(name)


def rows_of(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    """A table's rows, as DuckDB fetches them."""
    return zip(*map(values_of, table.columns), strict=True)


def values_of(column: pa.ChunkedArray) -> list[Any]:
    """A column's values; Arrow itself takes thirty times as long for a time."""
    if pa.types.is_timestamp(column.type) and column.type.tz is None:
        times: list[Any] = column.to_numpy().astype("datetime64[us]").tolist()
        return times
    found: list[Any] = column.to_pylist()
    return found
