"""Rows of dataclasses into the tables that they name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from itertools import chain
from types import MappingProxyType
from typing import Any, Final

import duckdb

from .arrow import registered
from .rows import to_arrow

Cells = Mapping[str, Sequence[Any]]
FEW: Final = 8
"""So few rows are inserted by value: with one of `llm_requests`, that takes half the time of a registered table."""


def insert_rows(
    con: duckdb.DuckDBPyConnection, kind: type[Any], rows: Sequence[Any], more: Cells = MappingProxyType({})
) -> None:
    """Inserts rows of one dataclass; `more` has further columns, or others in place of theirs, by name."""
    if not rows:
        return
    if len(rows) <= FEW:
        columns = {each.name: [getattr(row, each.name) for row in rows] for each in fields(kind)}
        insert_values(con, kind.table, {**columns, **more})
        return
    table = to_arrow(kind, rows)
    for name, cells in more.items():
        place = table.schema.get_field_index(name)
        table = table.append_column(name, [cells]) if place < 0 else table.set_column(place, name, [cells])
    with registered(con, incoming=table):
        con.execute(f"insert into {kind.table} by name select * from incoming")  # noqa: S608


def insert_values(con: duckdb.DuckDBPyConnection, name: str, columns: Cells) -> None:
    """Inserts a few rows, given by column; what is null in all of them is left out."""
    said = {column: cells for column, cells in columns.items() if any(cell is not None for cell in cells)}
    rows = list(zip(*said.values(), strict=True))
    one = f"({', '.join('?' * len(said))})"
    con.execute(
        f"insert into {name} ({', '.join(said)}) values {', '.join([one] * len(rows))}",  # noqa: S608
        list(chain.from_iterable(rows)),
    )
