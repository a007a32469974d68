"""What a store says that follows from its spans, however it is kept."""

from __future__ import annotations

from typing import Any, Final

import duckdb

from toolspend_ingest import Store

Rows = dict[str, list[tuple[Any, ...]]]
NOT_DERIVED: Final = {"prices", "ingest_log", "source_positions", "store_facts", "migrations"}
_TOGETHER: Final = {"seen_calls", "session_carries"}
"""Tables of which a view is made: how much lies in which hangs on the order of arrival."""


def tables(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The spans and every table that follows from them."""
    found = con.execute("select table_name from duckdb_tables() where not temporary").fetchall()
    return sorted({row[0] for row in found} - NOT_DERIVED)


def derived(store: Store) -> Rows:
    """All rows of the spans and of every relation that follows from them, in an order of their own."""
    cursor = store.cursor()
    names = sorted({*tables(cursor), "tool_calls"} - _TOGETHER)
    return {name: cursor.execute(f"select * from {name} order by all").fetchall() for name in names}
