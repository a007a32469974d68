"""Statements that run again and again, parsed once: of half a millisecond that a small one takes, that is a tenth."""

from __future__ import annotations

from typing import Any, Final

import duckdb

_MOST: Final = 1_000
_parsed: dict[str, duckdb.Statement] = {}


def execute(con: duckdb.DuckDBPyConnection, sql: str, parameters: Any = None) -> duckdb.DuckDBPyConnection:
    """Like `con.execute`, for one statement; what it names is looked up each time."""
    if not isinstance(con, duckdb.DuckDBPyConnection):  # it is parsed where it runs (`apart`)
        return con.execute(sql, parameters)
    statement = _parsed.get(sql)
    if statement is None:
        (statement,) = con.extract_statements(sql)
        if len(_parsed) < _MOST:
            _parsed[sql] = statement
    return con.execute(statement, parameters)
