"""Sessions made by hand, put as rows into a store in memory and attributed there; what came out, in words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any, Final, NamedTuple, TypeVar

import duckdb
import numpy as np
import pyarrow as pa

from conversations import START, Request, Session
from toolspend_ingest import schema
from toolspend_ingest.attribution import contexts as contexts_module
from toolspend_ingest.attribution import inputs, run
from toolspend_ingest.attribution.model import BLANK, LETTERS

Row = TypeVar("Row", bound=tuple[Any, ...])
TableRow = tuple[str, dict[str, Any]]
_EMPTY: Final = {"attributes": "{}", "resource_attributes": "{}", "events": "[]"}


class LedgerRow(NamedTuple):
    """A row of `context_ledger`; money in nano-dollars."""

    session_id: str
    request_id: str
    kind: str
    tool: str | None
    tool_version: str | None
    is_first_send: bool
    rate: str
    tokens: int
    cost_nano: int | None
    basis: str


class CallRow(NamedTuple):
    """What the attribution says of a row of `tool_calls`."""

    span_id: str | None
    tool_call_id: str | None
    tool: str
    argument_tokens: int | None
    result_tokens: int | None
    raw_result_tokens: int | None
    times_sent: int | None
    cost_nano: int | None


class CompressionRow(NamedTuple):
    """What the attribution says of a row of `compressions`."""

    span_id: str
    tokens_before: int | None
    tokens_after: int | None
    cost_nano: int | None
    saved_nano: int | None


class SelectionRow(NamedTuple):
    """What the attribution says of a row of `tool_selections`."""

    span_id: str
    offered_tokens: int | None
    avoided_tokens: int | None


class RequestRow(NamedTuple):
    """What the attribution says of a row of `llm_requests`."""

    session_id: str
    request_id: str
    cost_nano: int | None
    is_priced: bool


@dataclass(frozen=True)
class Attributed:
    """The rows of some sessions: the ledger in its order, the others by session and time."""

    ledger: list[LedgerRow]
    requests: list[RequestRow]
    calls: list[CallRow]
    compressions: list[CompressionRow]
    selections: list[SelectionRow]


class Prompt(NamedTuple):
    """A prompt as it was put together: the letters of its segments ("?" for what is not known), and their numbers."""

    kinds: str
    pieces: tuple[int, ...]
    base: str | None
    is_whole: bool


def attribute(*sessions: Session) -> Attributed:
    """Puts the sessions into an empty store and attributes them."""
    con = emptied()
    put(con, *sessions)
    run.attribute_sessions(con, [each.session_id for each in sessions])
    return attributed(con)


def ledger(*sessions: Session) -> list[LedgerRow]:
    """The ledger of the sessions."""
    return attribute(*sessions).ledger


def contexts_of(session: Session) -> contexts_module.Contexts:
    """The prompts of a session's requests as the attribution puts them together."""
    con = emptied()
    put(con, session)
    con.execute(run.query("create_prompts"), {"sessions": [session.session_id]})
    return contexts_module.read_contexts(inputs.read(con, run.query, [session.session_id]))


def prompts(session: Session) -> dict[str, Prompt]:
    """The prompts of a session's requests, read from a store."""
    contexts = contexts_of(session)
    names = contexts.inputs.names["request_id"].to_pylist()
    every = {}
    for place, name in enumerate(names):
        begin = int(contexts.start[place])
        pieces = contexts.pool[begin : begin + int(contexts.length[place])]
        base = int(contexts.lineage.base[place])
        every[name] = Prompt(
            "".join("?" if letter == BLANK else LETTERS[letter] for letter in contexts.pieces.letter[pieces]),
            tuple(np.asarray(pieces).tolist()),
            names[base] if base >= 0 else None,
            bool(contexts.is_whole[place]),
        )
    return every


def pick(rows: Iterable[Row], **wanted: object) -> list[Row]:
    """The rows with these values."""
    return [row for row in rows if all(getattr(row, name) == value for name, value in wanted.items())]


def tokens(rows: Iterable[LedgerRow], **wanted: object) -> int:
    """The tokens of the rows with these values."""
    return sum(row.tokens for row in pick(rows, **wanted))


def cost(rows: Iterable[LedgerRow], **wanted: object) -> int:
    """The nano-dollars of the rows with these values; what has no price counts as nothing."""
    return sum(row.cost_nano or 0 for row in pick(rows, **wanted))


def emptied() -> duckdb.DuckDBPyConnection:
    """The one store in memory, without rows but for prices."""
    con = _connection()
    for table in _tables():
        con.execute(f"delete from {table}")
    return con


def put(con: duckdb.DuckDBPyConnection, *sessions: Session) -> None:
    """Adds the rows of the sessions."""
    put_rows(con, [row for session in sessions for row in rows_of(session)])


def put_rows(con: duckdb.DuckDBPyConnection, rows: Iterable[TableRow]) -> None:
    """Adds rows by the names of their tables and columns."""
    by_table: dict[str, list[dict[str, Any]]] = {}
    for table, values in rows:
        by_table.setdefault(table, []).append(values)
    for table, listed in by_table.items():
        names = list(dict.fromkeys(name for values in listed for name in values))
        assert set(names) <= set(_columns(table)), table
        columns = {name: pa.array([values.get(name) for values in listed]) for name in names}
        con.register("put_rows", pa.table(columns))
        try:
            con.execute(f"insert into {table} by name select * from put_rows")
        finally:
            con.unregister("put_rows")


def rows_of(session: Session) -> Iterator[TableRow]:
    """The rows of a session, as the ingestion would write them."""
    trace_id = f"trace-{session.session_id}"
    common = {"trace_id": trace_id, "session_id": session.session_id}
    for request in session.requests:
        yield "llm_requests", {**_request(request), **common}
        if request.compaction is not None:
            yield "spans", _span(trace_id, request.request_id, None, _iterations(request.compaction))
    for evidence in session.evidence:
        said = {**vars(evidence), **common}
        said["base_request_id"] = said.pop("base")
        yield "context_evidence", said
    for call in session.calls:
        yield "seen_calls", {**vars(call), **common, "duration_ms": 1.0, "status": "ok"}
    for compression in session.compressions:
        made = {**vars(compression), **common, "started_at": START}
        del made["requests"]
        yield "compressions", made
        middle = f"below-{compression.span_id}"
        yield "spans", _span(trace_id, compression.span_id, None)
        yield "spans", _span(trace_id, middle, compression.span_id)
        for request_id in compression.requests:
            yield "spans", _span(trace_id, request_id, middle)
    for selection in session.selections:
        yield "tool_selections", {**vars(selection), **common, "started_at": START}


def attributed(con: duckdb.DuckDBPyConnection) -> Attributed:
    """All rows of a store that the attribution has written, in words."""
    return Attributed(
        _read(con, LedgerRow, "context_ledger", "rowid"),
        _read(con, RequestRow, "llm_requests", "session_id, started_at, request_id"),
        _read(con, CallRow, "tool_calls", "session_id, started_at, span_id, tool_call_id"),
        _read(con, CompressionRow, "compressions", "session_id, span_id"),
        _read(con, SelectionRow, "tool_selections", "session_id, span_id"),
    )


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect(":memory:", config={"threads": 1})
    con.execute("set enable_progress_bar = false")
    for migration in schema.migrations():
        con.execute(migration.sql)
    for statement in schema.views().values():
        con.execute(statement)
    return con


@cache
def _tables() -> tuple[str, ...]:
    found = _connection().execute("select table_name from duckdb_tables() where table_name <> 'prices'").fetchall()
    return tuple(row[0] for row in found)


@cache
def _columns(table: str) -> tuple[str, ...]:
    return tuple(_connection().table(table).columns)


def _read(con: duckdb.DuckDBPyConnection, kind: type[Row], table: str, order: str) -> list[Row]:
    names = [
        f"cast(cast({name.removesuffix('_nano')}_usd as decimal(38, 9)) * 1000000000 as bigint)"
        if name.endswith("_nano")
        else name
        for name in kind._fields  # type: ignore[attr-defined]
    ]
    found = con.execute(f"select {', '.join(names)} from {table} order by {order}").fetchall()
    return [kind(*row) for row in found]


def _request(request: Request) -> dict[str, Any]:
    row = {
        "request_id": request.request_id, "started_at": request.started_at, "service": request.service,
        "agent": request.agent, "model": request.model, "price_model": _price_model(request.prices),
        "duration_ms": 5.0, "thinking_tokens": request.thinking, "web_searches": request.web_searches,
        "tools_offered": request.tools_offered, "stop_reason": request.stop_reason, "status": "ok",
        "compressed_tool": request.compressed_tool, "is_priced": False,
        "is_usage_known": request.is_usage_known and not request.unsaid, **request.usage,
    }  # fmt: skip
    return row


def _price_model(prices: Mapping[str, int] | None) -> str | None:
    """The name of a price list; each distinct one has a model of its own."""
    return None if prices is None else _listed(tuple(sorted(prices.items())))


@cache
def _listed(prices: tuple[tuple[str, int], ...]) -> str:
    name = f"{_listed.cache_info().currsize}"
    rows = [["test", name, rate, Decimal(nano) / 10**9, 0, None, None, "test"] for rate, nano in prices]
    if rows:
        _connection().executemany("insert into prices values (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    return f"test/{name}"


def _iterations(compaction: tuple[int, int, int, int, int]) -> Mapping[str, Any]:
    read, write_1h, write_5m, uncached, output = compaction
    iteration = {
        "type": "compaction",
        "cache_read_input_tokens": read,
        "cache_creation": {"ephemeral_1h_input_tokens": write_1h, "ephemeral_5m_input_tokens": write_5m},
        "input_tokens": uncached,
        "output_tokens": output,
    }
    return {"toolspend.usage.iterations": json.dumps([iteration])}


def _span(
    trace_id: str, span_id: str, parent: str | None, attributes: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    return {
        "trace_id": trace_id, "span_id": span_id, "parent_span_id": parent, "name": "made", "kind": "internal",
        "started_at": START, "ended_at": START, "duration_ms": 0.0, "status": "ok", **_EMPTY,
        "attributes": json.dumps(attributes or {}),
    }  # fmt: skip
