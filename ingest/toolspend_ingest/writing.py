"""Rows into the tables that they name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Any, Final

import duckdb

from .arrow import registered
from .rows import to_arrow
from .statements import execute

Cells = Mapping[str, Sequence[Any]]
FEW: Final = 8
"""So few rows are inserted by value: with one of `llm_requests`, that takes half the time of a registered table."""


class Together:
    """Small changes of tables that one statement makes: five take 1.8 ms, and 2.9 one after the other.

    All of them see the tables as they were before: none may touch a row that another one changes or inserts.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self.con = con
        self._changes: list[str] = []
        self._values: list[Any] = []

    def change(self, sql: str, values: Sequence[Any]) -> None:
        """Adds a statement that changes a table, with a value for each `?` of it."""
        self._changes.append(sql)
        self._values.extend(values)

    def insert(self, kind: type[Any], rows: Sequence[Any], more: Cells = MappingProxyType({})) -> None:
        """Like `insert_rows`; many rows are inserted at once."""
        if 0 < len(rows) <= FEW:
            self.change(*_values(kind.table, _columns(kind, rows, more)))
        else:
            insert_rows(self.con, kind, rows, more)

    def insert_values(self, name: str, columns: Cells) -> None:
        """Adds a few rows of a table, given by column; what is null in all of them is left out."""
        self.change(*_values(name, columns))

    def run(self) -> None:
        """Makes the changes."""
        if len(self._changes) == 1:
            execute(self.con, self._changes[0], self._values)
        elif self._changes:
            parts = (f"change_{place} as (\n{sql}\nreturning 1\n)" for place, sql in enumerate(self._changes))
            execute(self.con, f"with\n{', '.join(parts)}\nselect 1", self._values).fetchall()
        self._changes, self._values = [], []


def insert_rows(
    con: duckdb.DuckDBPyConnection, kind: type[Any], rows: Sequence[Any], more: Cells = MappingProxyType({})
) -> None:
    """Inserts rows of one class; `more` has further columns, or others in place of theirs, by name."""
    if not rows:
        return
    if len(rows) <= FEW:
        execute(con, *_values(kind.table, _columns(kind, rows, more)))
        return
    table = to_arrow(kind, rows)
    for name, cells in more.items():
        place = table.schema.get_field_index(name)
        table = table.append_column(name, [cells]) if place < 0 else table.set_column(place, name, [cells])
    with registered(con, incoming=table):
        con.execute(f"insert into {kind.table} by name select * from incoming")  # noqa: S608


def _columns(kind: type[Any], rows: Sequence[Any], more: Cells) -> Cells:
    return {**{name: [getattr(row, name) for row in rows] for name in kind.__struct_fields__}, **more}


def _values(name: str, columns: Cells) -> tuple[str, list[Any]]:
    """The statement that inserts a few rows, given by column, and its values; what is null in all is left out."""
    said = {column: cells for column, cells in columns.items() if any(cell is not None for cell in cells)}
    rows = list(zip(*said.values(), strict=True))
    one = f"({', '.join('?' * len(said))})"
    sql = f"insert into {name} ({', '.join(said)}) values {', '.join([one] * len(rows))}"  # noqa: S608
    return sql, list(chain.from_iterable(rows))
