"""The edge to the database: the rows of sessions in, their ledger and what follows from it out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa

from . import model as m
from .calls import account
from .costs import Price, prices_at, request_cost_nano
from .evidence import read_list
from .ledger import Batch, attribute
from .model import Call, Compression, Evidence, RequestBill, Selection, Session

_REQUESTS_PER_BATCH: Final = 20_000


@cache
def query(name: str) -> str:
    """The text of one statement of the attribution, `queries/NAME.sql`."""
    return files("toolspend_ingest.attribution").joinpath("queries", f"{name}.sql").read_text(encoding="utf-8")


@cache
def queries() -> dict[str, str]:
    """Every statement of the attribution by name."""
    entries = (entry.name for entry in files("toolspend_ingest.attribution").joinpath("queries").iterdir())
    return {name[:-4]: query(name[:-4]) for name in sorted(entries) if name.endswith(".sql")}


def attribute_sessions(con: duckdb.DuckDBPyConnection, session_ids: Sequence[str]) -> None:
    """Make the ledger of these sessions again, and the tokens and costs of their requests, calls and compressions.

    Runs within the transaction that is open on `con`. The result depends on the rows of the sessions alone.
    """
    sessions = sorted(set(session_ids))
    if not sessions:
        return
    tools = {tool for (tool,) in _rows(con, "touched_tools", sessions)}
    con.execute(query("delete_ledger"), {"sessions": sessions})
    for some in _batches(con, sessions):
        batch = attribute(_read(con, some))
        _write(con, batch)
        tools.update(owner.tool for owner in batch.owners if owner.kind == m.DEFINITION)
    if tools:
        con.execute(query("update_definitions"), {"tools": sorted(tools)})


def _rows(con: duckdb.DuckDBPyConnection, name: str, sessions: Sequence[str]) -> list[tuple[Any, ...]]:
    return con.execute(query(name), {"sessions": list(sessions)}).fetchall()


def _batches(con: duckdb.DuckDBPyConnection, sessions: Sequence[str]) -> Iterator[list[str]]:
    counts = dict(_rows(con, "sessions", sessions))
    batch: list[str] = []
    requests = 0
    for session in sessions:
        if batch and requests + counts.get(session, 0) > _REQUESTS_PER_BATCH:
            yield batch
            batch, requests = [], 0
        batch.append(session)
        requests += counts.get(session, 0)
    yield batch


def _read(con: duckdb.DuckDBPyConnection, session_ids: Sequence[str]) -> list[Session]:
    sessions = {session: Session(session, []) for session in session_ids}
    prices: dict[str, list[Price]] = {}
    for name, *price in _rows(con, "prices", session_ids):
        prices.setdefault(name, []).append(Price(*price))
    iterations = dict(_rows(con, "iterations", session_ids))
    for session, *row in _rows(con, "requests", session_ids):
        sessions[session].requests.append(_bill(row, prices, iterations))
    for session, *row in _rows(con, "evidence", session_ids):
        sessions[session].evidence.append(Evidence(*row))
    for session, *row in _rows(con, "calls", session_ids):
        sessions[session].calls.append(Call(*row))
    for session, row_id, tool, call, before, after, requests in _rows(con, "compressions", session_ids):
        compression = Compression(row_id, tool, call, before, after, tuple(requests or ()))
        sessions[session].compressions.append(compression)
    for session, *row in _rows(con, "selections", session_ids):
        sessions[session].selections.append(Selection(*row))
    return [session for session in sessions.values() if session.requests or session.calls or session.selections]


def _bill(row: Sequence[Any], prices: dict[str, list[Price]], iterations: dict[str, str | None]) -> RequestBill:
    (
        row_id,
        request_id,
        trace_id,
        started_at,
        service,
        agent,
        model,
        price_model,
        input_tokens,
        uncached,
        read,
        write_1h,
        write_5m,
        output,
        thinking,
        searches,
        tools_offered,
        stop_reason,
        compressed_tool,
        is_usage_known,
    ) = row
    if uncached is None:
        uncached = 0 if input_tokens is None else input_tokens - sum(each or 0 for each in (read, write_1h, write_5m))
    prompt = (read or 0, write_1h or 0, write_5m or 0, uncached)
    usage = (*prompt, output or 0, searches or 0)
    return RequestBill(
        row=row_id,
        request_id=request_id,
        trace_id=trace_id,
        started_at=started_at,
        service=service,
        agent=agent,
        model=model,
        # A stream that was cut has a known prompt and an unknown output: what is known was billed, and is booked.
        is_usage_known=(is_usage_known or input_tokens is not None)
        and all(abs(each) <= m.MAX_TOKENS for each in usage),
        prompt=prompt,
        output=output,
        thinking=None if thinking is None or thinking < 0 else thinking,
        web_searches=searches or 0,
        tools_offered=tools_offered,
        stop_reason=stop_reason,
        compressed_tool=compressed_tool,
        prices=prices_at(prices.get(price_model, ()), started_at, sum(prompt)),
        compaction=_compaction(iterations.get(request_id), usage),
    )


def _compaction(text: str | None, usage: Sequence[int]) -> tuple[int, int, int, int, int]:
    """What of a request's usage its compaction iterations used, never more than was billed."""
    spent = [0] * 5
    for each in read_list(text) or ():
        if type(each) is not dict or each.get("type") != "compaction":
            continue
        writes = each.get("cache_creation")
        writes = writes if type(writes) is dict else {}
        found = (
            each.get("cache_read_input_tokens"),
            writes.get("ephemeral_1h_input_tokens"),
            writes.get("ephemeral_5m_input_tokens"),
            each.get("input_tokens"),
            each.get("output_tokens"),
        )
        for place, tokens in enumerate(found):
            spent[place] += tokens if type(tokens) is int and tokens > 0 else 0
    read, write_1h, write_5m, uncached, output = (
        min(tokens, max(billed, 0)) for tokens, billed in zip(spent, usage, strict=False)
    )
    return read, write_1h, write_5m, uncached, output


def _write(con: duckdb.DuckDBPyConnection, batch: Batch) -> None:
    calls, compressions, selections = account(batch)
    costs = [request_cost_nano(bill) for bill in batch.bills]
    _apply(con, "insert_ledger", "attributed_rows", _ledger_table(batch))
    requests = {
        "row_id": pa.array([bill.row for bill in batch.bills], pa.int64()),
        "cost_nano": pa.array(costs, pa.int64()),
        "is_priced": pa.array(batch.is_priced.tolist(), pa.bool_()),
    }
    _apply(con, "update_requests", "attributed_requests", pa.table(requests))
    _apply(con, "update_calls", "attributed_calls", _table(calls, m.CallRow._fields))
    if compressions:
        _apply(con, "update_compressions", "attributed_compressions", _table(compressions, compressions[0]._fields))
    if selections:
        _apply(con, "update_selections", "attributed_selections", _table(selections, selections[0]._fields))


def _table(rows: Sequence[tuple[int | None, ...]], names: Sequence[str]) -> pa.Table:
    columns = [[row[place] for row in rows] for place in range(len(names))]
    renamed = ["row_id" if name == "row" else name for name in names]
    return pa.table({name: pa.array(column, pa.int64()) for name, column in zip(renamed, columns, strict=True)})


def _ledger_table(batch: Batch) -> pa.Table:
    rows, bills = batch.rows, batch.bills

    def of_request(values: Sequence[Any], type_: pa.DataType) -> pa.Array:
        return pa.array(values, type_).take(pa.array(rows.request))

    def coded(codes: Any, values: Sequence[str | None]) -> pa.Array:
        return pa.array(values, pa.string()).take(pa.array(codes))

    kinds = np.array([owner.kind for owner in batch.owners], dtype=np.int64)
    sessions = [session.session_id for session in batch.sessions for _ in session.requests]
    return pa.table(
        {
            "request_id": of_request([bill.request_id for bill in bills], pa.string()),
            "trace_id": of_request([bill.trace_id for bill in bills], pa.string()),
            "session_id": of_request(sessions, pa.string()),
            "started_at": of_request([bill.started_at for bill in bills], pa.timestamp("us")),
            "service": of_request([bill.service for bill in bills], pa.string()),
            "model": of_request([bill.model for bill in bills], pa.string()),
            "kind": coded(kinds[rows.owner], m.KINDS),
            "tool": coded(rows.owner, [owner.tool for owner in batch.owners]),
            "tool_version": coded(rows.owner, [owner.version for owner in batch.owners]),
            "is_first_send": pa.array(rows.is_first),
            "rate": coded(rows.rate, m.RATES),
            "tokens": pa.array(rows.tokens),
            "cost_nano": pa.array(rows.cost, mask=~batch.is_priced[rows.request]),
            "basis": coded(rows.basis, m.BASES),
        }
    )


def _apply(con: duckdb.DuckDBPyConnection, name: str, relation: str, table: pa.Table) -> None:
    con.register(relation, table)
    try:
        con.execute(query(name))
    finally:
        con.unregister(relation)
