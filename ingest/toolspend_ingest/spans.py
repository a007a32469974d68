"""Span rows on their way into the store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

import pyarrow as pa


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
_SCHEMA = pa.schema(
    [
        (name, pa.timestamp("us") if name in _TIMES else pa.float64() if name == "duration_ms" else pa.string())
        for name in SpanRow._fields
    ]
)


class SpanBatch:
    """Span rows that are stored together; a span may be in it twice."""

    def __init__(self, rows: Iterable[SpanRow] = ()) -> None:
        self.rows = list(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[SpanRow]:
        return iter(self.rows)

    def add(self, row: SpanRow) -> None:
        """Append one span."""
        self.rows.append(row)

    def extend(self, rows: Iterable[SpanRow]) -> None:
        """Append spans, in their order."""
        self.rows.extend(rows)

    def unique(self) -> SpanBatch:
        """The same spans, each id once: the latest and fullest of its copies, as the store keeps it."""
        by_id: dict[tuple[str, str], SpanRow] = {}
        for row in self.rows:
            key = (row.trace_id, row.span_id)
            other = by_id.get(key)
            if other is None or _fullness(row) > _fullness(other):
                by_id[key] = row
        return SpanBatch(by_id.values())

    def to_arrow(self) -> pa.Table:
        """The rows as a table of the columns of `spans`."""
        columns = list(zip(*self.rows, strict=True)) if self.rows else [()] * len(_SCHEMA)
        return pa.Table.from_arrays(
            [pa.array(column, type=field.type) for column, field in zip(columns, _SCHEMA, strict=True)], schema=_SCHEMA
        )
