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
