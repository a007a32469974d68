"""Everything that follows from spans: the derived rows of touched traces are deleted and made again whole.

A row may depend on spans of other traces of its session (the request that asked for a call, the result that came
back), and a response on its copies in other sessions. So the traces of those are made again too, and neither the order
nor the batches that spans arrive in can matter.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import duckdb

from . import schema, sessions
from .claude_code.once import tell_once
from .prices import PriceBook
from .rows import (
    Compression,
    Evidence,
    LlmRequest,
    SeenDefinition,
    Span,
    ToolBatch,
    ToolCall,
    ToolSelection,
    to_arrow,
)
from .sessions import SessionRows
from .traces import TraceRows, richness, trace_rows

_BY_TRACE = (LlmRequest, Evidence, ToolCall, ToolBatch, ToolSelection, Compression)


class Derived(NamedTuple):
    """The traces whose rows were made again, and the sessions that have, or had, any of those rows."""

    trace_ids: list[str]
    session_ids: list[str]


def derive(con: duckdb.DuckDBPyConnection, trace_ids: Sequence[str]) -> Derived:
    """Make the derived rows of these traces, and of those that they touch, again, inside the caller's transaction."""
    traces: dict[str, TraceRows] = {}
    session_ids: set[str] = set()
    pending = set(trace_ids)
    while pending:
        found = _load(con, sorted(pending))
        traces.update(found)
        touched = set(_column(con, "sessions_of_traces", sorted(pending)))
        touched |= set(chain.from_iterable(rows.sessions() for rows in found.values()))
        responses = {row.response_id for rows in found.values() for row in rows.requests if row.response_id}
        session_ids |= touched
        pending = set(_column(con, "traces_of_sessions", sorted(touched)))
        pending |= set(_column(con, "traces_of_responses", sorted(responses)))
        pending -= traces.keys()

    _bill_once(traces.values())
    tell_once(traces.values())
    joined = [sessions.join(rows) for rows in _by_session(traces.values())]
    book = PriceBook(con)
    for rows in joined:
        for request in rows.requests:
            request.price_model = book.price_model(request.provider, request.model, request.service_tier)
    _replace(con, sorted(traces), joined, list(traces.values()))
    return Derived(sorted(traces), sorted(session_ids))


def _load(con: duckdb.DuckDBPyConnection, trace_ids: Sequence[str]) -> dict[str, TraceRows]:
    by_trace: dict[str, list[Span]] = {trace_id: [] for trace_id in trace_ids}
    for row in con.execute(schema.query("spans_of_traces"), [list(trace_ids)]).fetchall():
        fields = [*row[:11], json.loads(row[11]), json.loads(row[12])]
        by_trace[row[0]].append(Span(*fields))
    return {trace_id: trace_rows(spans) for trace_id, spans in by_trace.items()}


def _bill_once(traces: Iterable[TraceRows]) -> None:
    """Of several requests with one response id, only the one that says most is billed; the earliest of equals."""
    copies: dict[str, list[tuple[LlmRequest, TraceRows]]] = defaultdict(list)
    for rows in traces:
        for request in rows.requests:
            if request.response_id:
                copies[request.response_id].append((request, rows))
    for group in copies.values():
        group.sort(key=lambda copy: (copy[0].started_at, copy[0].trace_id, copy[0].request_id))
        best = max(group, key=lambda copy: richness(copy[0], copy[1].evidence.get(copy[0].request_id)))
        for request, rows in group:
            if request is not best[0]:
                if request.session_id == best[0].session_id:
                    rows.drop_request(request.request_id)
                else:
                    rows.drop_copy(request.request_id)


def _by_session(traces: Iterable[TraceRows]) -> list[SessionRows]:
    by_id: dict[str, SessionRows] = defaultdict(lambda: SessionRows([], {}, [], []))
    for rows in traces:
        for request in rows.requests:
            by_id[request.session_id].requests.append(request)
        for row in rows.evidence.values():
            by_id[row.session_id].evidence[row.request_id] = row
        for call in rows.tool_calls:
            by_id[call.session_id].tool_calls.append(call)
        for batch in rows.batches:
            by_id[batch.session_id].batches.append(batch)
    return [by_id[session_id] for session_id in sorted(by_id)]


def _replace(
    con: duckdb.DuckDBPyConnection, trace_ids: list[str], joined: list[SessionRows], traces: list[TraceRows]
) -> None:
    for kind in _BY_TRACE:
        con.execute(f"delete from {kind.table} where trace_id in (select unnest(cast(? as varchar[])))", [trace_ids])  # noqa: S608
    _insert(con, LlmRequest, [row for rows in joined for row in rows.requests])
    _insert(con, Evidence, [row for rows in joined for row in rows.evidence.values()])
    _insert(con, ToolCall, [row for rows in joined for row in rows.tool_calls])
    _insert(con, ToolBatch, [row for rows in joined for row in rows.batches])
    _insert(con, ToolSelection, [row for rows in traces for row in rows.selections])
    _insert(con, Compression, [row for rows in traces for row in rows.compressions])
    _insert(con, SeenDefinition, [row for rows in traces for row in rows.definitions])


def _insert(con: duckdb.DuckDBPyConnection, kind: type[Any], rows: Sequence[Any]) -> None:
    if not rows:
        return
    con.register("incoming", to_arrow(kind, rows))
    try:
        if kind is SeenDefinition:
            con.execute(schema.query("merge_definitions"))
        else:
            con.execute(f"insert into {kind.table} by name select * from incoming")  # noqa: S608
    finally:
        con.unregister("incoming")


def _column(con: duckdb.DuckDBPyConnection, query: str, keys: list[str]) -> list[str]:
    return [row[0] for row in con.execute(schema.query(query), [keys]).fetchall()] if keys else []
