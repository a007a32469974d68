"""Everything that follows from spans: the derived rows of touched traces are deleted and made again whole.

A row may depend on spans of other traces of its session (the request that asked for a call, the result that came
back), and a response on its copies in other sessions. So the traces of those are made again too, and neither the order
nor the batches that spans arrive in can matter.
"""

from __future__ import annotations

import contextlib
import gc
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import duckdb
import pyarrow as pa

from . import copies, schema, sessions, stored, told_by_logs
from .arrow import registered
from .attribution.growth import Growth
from .claude_code import ONLY_BESIDE
from .claude_code.once import tell_once
from .continued import Changes, Continued, KnownSession, KnownTrace, NotContinued, Told
from .prices import PriceBook
from .rows import (
    Compression,
    Evidence,
    LlmRequest,
    RequestCopy,
    SeenDefinition,
    Span,
    ToolBatch,
    ToolCall,
    ToolSelection,
    to_arrow,
)
from .seen import Seen
from .sessions import Said, SessionRows
from .spans import SpanBatch
from .statements import execute
from .traces import TraceRows, trace_rows
from .trees import names_in
from .writing import insert_rows

_BY_TRACE = (LlmRequest, RequestCopy, Evidence, ToolCall, ToolBatch, ToolSelection, Compression)


class Derived(NamedTuple):
    """The traces whose rows were made again, and the sessions that have, or had, any of those rows.

    `growths` has the sessions whose other rows stayed, with what they got: its requests, evidence and calls are still
    to be inserted, with what the attribution finds of them.
    """

    trace_ids: list[str]
    session_ids: list[str]
    growths: dict[str, Growth]


class _Loaded(NamedTuple):
    """The spans of one trace, and what they told."""

    spans: list[Span]
    told: Told


class _Part(NamedTuple):
    """New spans of one trace, and their rows."""

    trace_id: str
    trace: KnownTrace
    spans: list[Span]
    rows: TraceRows
    told: Told


def derive(con: duckdb.DuckDBPyConnection, trace_ids: Sequence[str], memory: Continued | None = None) -> Derived:
    """Make the derived rows of these traces, and of those that they touch, again, inside the caller's transaction."""
    with _uncollected():
        return _derive(con, trace_ids, memory)


def _derive(con: duckdb.DuckDBPyConnection, trace_ids: Sequence[str], memory: Continued | None) -> Derived:
    traces: dict[str, TraceRows] = {}
    loaded: dict[str, _Loaded] = {}
    session_ids: set[str] = set()
    pending = set(trace_ids)
    while pending:
        if memory is not None and memory.stored is not None:
            memory.stored.add(pending)
        found: dict[str, TraceRows] = {}
        touched = set(_column(con, "sessions_of_traces", sorted(pending)))
        for trace_id, spans in _load(con, sorted(pending)).items():
            found[trace_id] = trace_rows(spans)
            if memory is None:
                touched |= found[trace_id].sessions()
            else:
                loaded[trace_id] = _Loaded(spans, Told.by(found[trace_id]))
                touched |= loaded[trace_id].told.sessions
        traces.update(found)
        responses = {row.response_id for rows in found.values() for row in rows.requests if row.response_id}
        session_ids |= touched
        pending = set(_column(con, "traces_of_sessions", sorted(touched)))
        pending |= set(_column(con, "traces_of_responses", sorted(responses)))
        pending |= set(_column(con, "traces_of_copies", sorted(found)))
        pending |= set(_traces_of_twins(con, found.values()))
        pending -= traces.keys()

    copies.bill_once(traces.values())
    tell_once(traces.values())
    copies.run_once(traces.values())
    joined = [sessions.join(rows) for rows in _by_session(traces.values())]
    _price(con, (request for rows, _ in joined for request in rows.requests), memory)
    _replace(con, sorted(traces), [rows for rows, _ in joined], list(traces.values()))
    if memory is not None:
        if memory.responses is not None:
            memory.responses.add(request.response_id for rows, _ in joined for request in rows.requests)
        if memory.emitters is not None:
            memory.emitters |= _emitters(request for rows, _ in joined for request in rows.requests)
        for session_id in session_ids:
            memory.forget(session_id)
        shared = {name for rows in traces.values() for copy in rows.copies for name in copy.traces}
        shared |= {name for name, rows in traces.items() if not ONLY_BESIDE.isdisjoint(rows.scopes.values())}
        for rows, said in joined:
            if shared.isdisjoint(row.trace_id for row in rows.requests) and KnownSession.can_be_kept(rows, said):
                _keep(con, memory, loaded, rows, said)
    return Derived(sorted(traces), sorted(session_ids), {})


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Without cycles being looked for: of what is made here all is kept, and looking takes a fifth of the time."""
    is_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if is_on:
            gc.enable()


def go_on(con: duckdb.DuckDBPyConnection, spans: SpanBatch, memory: Continued, changed: Iterable[str] = ()) -> Derived:
    """Make the derived rows that follow from spans that are new, inside the caller's transaction.

    Sessions that are known and only go on get the rows that are new; all others are derived as ever, and so are the
    traces that `changed` in another way.
    """
    by_trace: dict[str, list[Span]] = defaultdict(list)
    whole = set(changed)
    if not memory.sessions:
        whole |= spans.trace_ids()
    else:
        for row in spans:
            if row.trace_id not in whole:
                by_trace[row.trace_id].append(stored.span([*row[:12], row.attributes, row.events]))
    plans: dict[str, list[_Part]] = defaultdict(list)
    counts = {name: len(by_trace[name]) for name in by_trace.keys() - memory.traces.keys()}
    all_new = _without_earlier_spans(con, counts, memory)
    for trace_id, listed in by_trace.items():
        session_id, part = _part(memory, trace_id, listed, is_whole=trace_id in all_new)
        if part is None:
            whole.add(trace_id)
        elif session_id is not None:
            plans[session_id].append(part)
    responses = Counter(
        row.response_id for parts in plans.values() for part in parts for row in part.rows.requests if row.response_id
    )
    told = [part.rows for parts in plans.values() for part in parts]
    has_copies = any(count > 1 for count in responses.values()) or any(
        rows.links or not ONLY_BESIDE.isdisjoint(rows.scopes.values()) for rows in told
    )
    if has_copies or _have_requests(con, responses, memory) or _has_twins(con, told, memory):
        whole |= {part.trace_id for parts in plans.values() for part in parts}
        plans.clear()
    changes: dict[str, Changes] = {}
    known = {session_id: memory.sessions[session_id] for session_id in plans}
    for session_id, parts in plans.items():
        try:
            changes[session_id] = known[session_id].go_on([part.rows for part in parts])
        except NotContinued:
            memory.forget(session_id)
            whole |= {part.trace_id for part in parts}
    derived = derive(con, sorted(whole), memory) if whole else Derived([], [], {})
    if whole and _have_requests(con, responses, memory):
        late = list(changes)
    else:
        late = [each for each in changes if each in derived.session_ids]
    if late:
        again = derive(con, sorted(part.trace_id for each in late for part in plans[each]), memory)
        touched = sorted({*derived.session_ids, *again.session_ids})
        derived = Derived(sorted({*derived.trace_ids, *again.trace_ids}), touched, {})
    kept = {each: said for each, said in changes.items() if each not in derived.session_ids}
    _add(con, kept, memory)
    for session_id in kept:
        for part in plans[session_id]:
            part.trace.add(part.spans, part.told)
        memory.keep(session_id, known[session_id], ((part.trace_id, part.trace) for part in plans[session_id]))
    memory.steps += len(kept)
    growths = {session_id: each.growth for session_id, each in kept.items() if each.growth.has_any}
    return derived._replace(session_ids=sorted({*derived.session_ids, *growths}), growths=growths)


def _without_earlier_spans(con: duckdb.DuckDBPyConnection, new: Mapping[str, int], memory: Continued) -> set[str]:
    """Those of these traces, given with how many spans of each are new, of which nothing was stored before."""
    if not new or not memory.sessions:
        return set()
    if memory.stored is None:
        memory.stored = Seen(con, "numbers_of_traces")
    had = memory.stored.add(new)
    counts = dict(execute(con, schema.query("count_spans"), [sorted(had)]).fetchall()) if had else {}
    return {name for name, count in new.items() if counts.get(name, count) == count}


def _part(memory: Continued, trace_id: str, spans: list[Span], *, is_whole: bool) -> tuple[str | None, _Part | None]:
    """The known session that new spans of a trace go on with, if they do; without one nothing follows from them."""
    trace = memory.traces.get(trace_id)
    if trace is None:
        if not is_whole or not (_names(trace_id, spans) & memory.sessions.keys()):
            return None, None
        trace = KnownTrace()
    try:
        rows = trace.rows_of(spans)
    except NotContinued:
        return None, None
    owners = sorted(trace.sessions | rows.sessions())
    if (len(owners) == 1 and owners[0] in memory.sessions) or (not owners and not rows.definitions):
        return owners[0] if owners else None, _Part(trace_id, trace, spans, rows, Told.by(rows))
    return None, None


def _names(trace_id: str, spans: Sequence[Span]) -> set[str]:
    """The sessions that the rows of a whole trace may belong to."""
    return {trace_id}.union(*names_in(spans).values())


def _keep(
    con: duckdb.DuckDBPyConnection, memory: Continued, loaded: dict[str, _Loaded], rows: SessionRows, said: Said
) -> None:
    session_id = rows.requests[0].session_id
    own = {trace_id: each for trace_id, each in loaded.items() if session_id in each.told.sessions}
    if all(len(each.told.sessions) == 1 for each in own.values()):
        traces = {trace_id: KnownTrace() for trace_id in own}
        for trace_id, span_id in execute(con, schema.query("ids_of_traces"), [sorted(own)]).fetchall():
            traces[trace_id].unread.add(span_id)
        for trace_id, trace in traces.items():
            spans, told = own[trace_id]
            trace.add(sorted(spans, key=lambda span: span.started_at), told)
        memory.keep(session_id, KnownSession(rows, said), traces.items())


def _price(con: duckdb.DuckDBPyConnection, requests: Iterable[LlmRequest], memory: Continued | None) -> None:
    book = memory.book if memory is not None else None
    if book is None:
        book = PriceBook(con)
    if memory is not None:
        memory.book = book
    for request in requests:
        tier, geo = request.service_tier, request.inference_geo
        request.price_model = book.price_model(request.provider, request.model, tier, geo)


def _add(con: duckdb.DuckDBPyConnection, changes: dict[str, Changes], memory: Continued) -> None:
    every = list(changes.values())
    _price(con, (row for each in every for row in each.growth.requests), memory)
    if memory.responses is not None:
        memory.responses.add(row.response_id for each in every for row in each.growth.requests)
    for session_id, each in changes.items():
        if each.deleted_between is not None:
            execute(con, schema.query("delete_calls"), [session_id, each.deleted_calls, *each.deleted_between])
        if each.deleted_batches:
            con.execute(schema.query("delete_batches"), [session_id, each.deleted_batches])
    insert_rows(con, ToolBatch, [row for each in every for row in each.batches])
    insert_rows(con, ToolSelection, [row for each in every for row in each.growth.selections])
    _merge_definitions(con, [row for each in every for row in each.definitions])


def _load(con: duckdb.DuckDBPyConnection, trace_ids: Sequence[str]) -> dict[str, list[Span]]:
    return {trace_id: told_by_logs.folded(spans) for trace_id, spans in stored.of_traces(con, trace_ids).items()}


def _traces_of_twins(con: duckdb.DuckDBPyConnection, traces: Iterable[TraceRows]) -> list[str]:
    """Traces in which another emitter may have told of these requests, where an id does not say."""
    requests = [row for rows in traces for row in rows.requests if row.input_tokens]
    if not requests:
        return []
    told = {
        "trace_id": pa.array([row.trace_id for row in requests]),
        "service": pa.array([row.service for row in requests], pa.string()),
        "scope": pa.array([row.scope for row in requests], pa.string()),
        "input_tokens": pa.array([row.input_tokens for row in requests], pa.int64()),
        "is_identified": pa.array([row.response_id is not None for row in requests]),
        "started_at": pa.array([row.started_at for row in requests], pa.timestamp("us")),
        "ended_at": pa.array([row.ended_at for row in requests], pa.timestamp("us")),
    }
    with registered(con, incoming=pa.table(told)):
        return [row[0] for row in con.execute(schema.query("traces_of_twins")).fetchall()]


def _have_requests(con: duckdb.DuckDBPyConnection, responses: Iterable[str], memory: Continued) -> bool:
    """Whether earlier requests have any of these responses; nothing is asked where none can have."""
    if memory.responses is None:
        memory.responses = Seen(con, "numbers_of_responses")
    return memory.responses.may_have(responses) and bool(_column(con, "traces_of_responses", sorted(responses)))


def _has_twins(con: duckdb.DuckDBPyConnection, traces: Sequence[TraceRows], memory: Continued) -> bool:
    """Whether another emitter may have told of these requests; nothing is asked where no service has another."""
    if memory.emitters is None:
        memory.emitters = set(con.execute(schema.query("emitters")).fetchall())
    told = _emitters(row for rows in traces for row in rows.requests)
    memory.emitters |= told
    has_others = any(service == each and scope != other for service, scope in told for each, other in memory.emitters)
    return has_others and bool(_traces_of_twins(con, traces))


def _emitters(requests: Iterable[LlmRequest]) -> set[tuple[str | None, str | None]]:
    return {(request.service, request.scope) for request in requests}


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
    insert_rows(con, LlmRequest, [row for rows in joined for row in rows.requests])
    insert_rows(con, RequestCopy, [row for rows in traces for row in rows.copies])
    insert_rows(con, Evidence, [row for rows in joined for row in rows.evidence.values()])
    insert_rows(con, ToolCall, [row for rows in joined for row in rows.tool_calls])
    insert_rows(con, ToolBatch, [row for rows in joined for row in rows.batches])
    insert_rows(con, ToolSelection, [row for rows in traces for row in rows.selections])
    insert_rows(con, Compression, [row for rows in traces for row in rows.compressions])
    _merge_definitions(con, [row for rows in traces for row in rows.definitions])


def _merge_definitions(con: duckdb.DuckDBPyConnection, rows: Sequence[SeenDefinition]) -> None:
    if not rows:
        return
    with registered(con, incoming=to_arrow(SeenDefinition, rows)):
        con.execute(schema.query("merge_definitions"))


def _column(con: duckdb.DuckDBPyConnection, query: str, keys: list[str]) -> list[str]:
    return [row[0] for row in execute(con, schema.query(query), [keys]).fetchall()] if keys else []
