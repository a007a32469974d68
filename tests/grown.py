"""Sessions made by hand that go on: what they got, as the pipeline would say it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import pairwise
from typing import Any, TypeVar

import duckdb
import msgspec

from attributed import TableRow, put_rows
from toolspend_ingest.attribution.growth import Growth
from toolspend_ingest.rows import Evidence, LlmRequest, ToolCall, ToolSelection

Made = TypeVar("Made", bound=msgspec.Struct)


def growth_of(rows: Iterable[TableRow]) -> Growth:
    """The rows as objects."""
    growth = Growth()
    for table, values in rows:
        match table:
            case "llm_requests":
                growth.requests.append(_made(LlmRequest, values))
            case "context_evidence":
                growth.evidence[values["request_id"]] = _made(Evidence, values)
            case "seen_calls":
                growth.calls.append(_made(ToolCall, values))
            case "tool_selections":
                growth.selections.append(_made(ToolSelection, values))
            case _:
                raise ValueError(table)
    return growth


def put_rest(con: duckdb.DuckDBPyConnection, rows: Iterable[TableRow]) -> None:
    """Adds the rows that the attribution does not insert itself."""
    put_rows(con, [row for row in rows if row[0] not in ("llm_requests", "context_evidence", "seen_calls")])


def loads(rows: Iterable[TableRow], first: int) -> list[list[TableRow]]:
    """Rows cut by time: those up to the `first` requests, then those of each further one."""
    listed = list(rows)
    started: list[datetime] = sorted(values["started_at"] for table, values in listed if table == "llm_requests")
    cuts = [datetime.min, *started[first:], datetime.max]
    return [
        [row for row in listed if begin <= row[1].get("started_at", datetime.min) < end]
        for begin, end in pairwise(cuts)
    ]


def _made(kind: type[Made], values: Mapping[str, Any]) -> Made:
    names = kind.__struct_fields__
    return kind(**{name: value for name, value in values.items() if name in names})
