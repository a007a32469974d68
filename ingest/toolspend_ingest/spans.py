"""Spans on their way into the store: rows where somebody looks at each, else columns."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeAlias

import pyarrow as pa

from . import arrow
from .arrow import pc


class SpanRow(NamedTuple):
    """One row of `spans`; ids are hex digits, times naive UTC, the last three JSON text."""

    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    kind: str
    service: str | None
    scope: str | None
    scope_version: str | None
    started_at: datetime
    ended_at: datetime
    duration_ms: float
    status: str
    status_message: str | None
    attributes: str
    resource_attributes: str
    events: str


def _fullness(row: SpanRow) -> tuple[datetime, int, str]:
    return row.ended_at, len(row.attributes.encode()), row.attributes


_TIMES = {"started_at", "ended_at"}
SCHEMA: Final = pa.schema(
    [
        (name, pa.timestamp("us") if name in _TIMES else pa.float64() if name == "duration_ms" else pa.string())
        for name in SpanRow._fields
    ]
)


class SpanColumns(NamedTuple):
    """Spans as a table of `SCHEMA`, and the places of those that may hold content (an array of integers)."""

    table: pa.Table
    suspects: Any


_Part: TypeAlias = SpanColumns | list[SpanRow]


class SpanBatch:
    """Spans that are stored together; a span may be in it twice."""

    def __init__(self, rows: Iterable[SpanRow] = ()) -> None:
        self._parts: list[_Part] = [list(rows)]

    @classmethod
    def of(cls, *parts: _Part) -> SpanBatch:
        """The spans of several parts, one after the other."""
        batch = cls()
        batch._parts = list(parts)
        return batch

    @classmethod
    def joined(cls, batches: Iterable[SpanBatch]) -> SpanBatch:
        """The spans of several batches."""
        return cls.of(*(part for batch in batches for part in batch._parts))

    def __len__(self) -> int:
        return sum(len(part) if isinstance(part, list) else part.table.num_rows for part in self._parts)

    def __iter__(self) -> Iterator[SpanRow]:
        for part in self._parts:
            yield from part if isinstance(part, list) else rows_of(part.table)

    @property
    def rows(self) -> list[SpanRow]:
        """The spans as rows."""
        return list(self)

    @property
    def attribute_bytes(self) -> int:
        """How long the attributes are as text."""
        return sum(
            sum(len(row.attributes) for row in part)
            if isinstance(part, list)
            else pc.sum(pc.binary_length(part.table["attributes"])).as_py() or 0
            for part in self._parts
        )

    @property
    def parts(self) -> tuple[_Part, ...]:
        """Rows and columns, in the order of the spans."""
        return tuple(self._parts)

    def add(self, row: SpanRow) -> None:
        """Append one span."""
        if not (self._parts and isinstance(self._parts[-1], list)):
            self._parts.append([])
        self._parts[-1].append(row)  # type: ignore[union-attr]

    def extend(self, spans: SpanBatch) -> None:
        """Append spans, in their order."""
        self._parts += spans._parts

    def unique(self) -> SpanBatch:
        """The same spans, each id once: the latest and fullest of its copies, as the store keeps it."""
        if not all(isinstance(part, list) for part in self._parts):
            table = self.to_arrow()
            ids = pc.binary_join_element_wise(table["trace_id"], table["span_id"], "")
            if pc.count_distinct(ids).as_py() == len(ids):
                return self
        by_id: dict[tuple[str, str], SpanRow] = {}
        for row in self:
            key = (row.trace_id, row.span_id)
            other = by_id.get(key)
            if other is None or _fullness(row) > _fullness(other):
                by_id[key] = row
        return SpanBatch(by_id.values())

    def trace_ids(self) -> set[str]:
        """The traces that the spans are of."""
        found: set[str] = set()
        for part in self._parts:
            if isinstance(part, list):
                found.update(row.trace_id for row in part)
            else:
                found.update(part.table["trace_id"].unique().to_pylist())
        return found

    def divided(self, trace_ids: Collection[str]) -> tuple[SpanBatch, SpanBatch]:
        """The spans of these traces, and all others."""
        table = self.to_arrow()
        is_within = pc.is_in(table["trace_id"], pa.array(trace_ids, pa.string()))
        within, others = table.filter(is_within), table.filter(pc.invert(is_within))
        return SpanBatch.of(SpanColumns(within, ())), SpanBatch.of(SpanColumns(others, ()))

    def to_arrow(self) -> pa.Table:
        """The rows as a table of the columns of `spans`."""
        tables = [_table(part) if isinstance(part, list) else part.table for part in self._parts if part]
        return pa.concat_tables(tables) if tables else _table([])


def rows_of(table: pa.Table) -> Iterator[SpanRow]:
    """A table of spans as rows."""
    return map(SpanRow._make, arrow.rows_of(table))


def _table(rows: list[SpanRow]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(SCHEMA)
    return pa.Table.from_arrays(
        [pa.array(column, type=field.type) for column, field in zip(columns, SCHEMA, strict=True)], schema=SCHEMA
    )
