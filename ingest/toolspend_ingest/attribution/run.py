"""The edge to the database: the rows of sessions in, their ledger and what follows from it out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa

from ..arrow import registered
from ..rows import LlmRequest, ToolCall
from ..writing import insert_rows
from . import model as m
from .breaks import Breaks, find_breaks
from .calls import UNKNOWN, CallColumns, CallTotals, account, definitions, densities, totals
from .causes import CAUSES
from .contexts import Contexts, read_contexts
from .densities import is_settled
from .growth import Growth
from .inputs import read
from .known import Step, can_go_on, go_on, keep
from .ledger import Ledger, keep_ledger
from .losses import suspects
from .memory import Memory
from .model import NotAlone
from .savings import CompressionRow, Savings, SelectionRow, cost_of
from .shares import share

_MOST_ALONE: Final = 4
_MOST_NANO: Final = 10**18
"""What the columns of dollars cannot hold any more."""
_REQUESTS_PER_BATCH: Final = 10_000
"""Bounds the memory: some 40 KB a request of 50 pieces."""


@cache
def query(name: str) -> str:
    """The text of one statement of the attribution, `queries/NAME.sql`."""
    return files("toolspend_ingest.attribution").joinpath("queries", f"{name}.sql").read_text(encoding="utf-8")


@cache
def queries() -> dict[str, str]:
    """Every statement of the attribution by name."""
    entries = (entry.name for entry in files("toolspend_ingest.attribution").joinpath("queries").iterdir())
    return {name[:-4]: query(name[:-4]) for name in sorted(entries) if name.endswith(".sql")}


def attribute_sessions(
    con: duckdb.DuckDBPyConnection, session_ids: Sequence[str], memory: Memory | None = None,
    growths: Mapping[str, Growth] = MappingProxyType({}),
) -> None:  # fmt: skip
    """Make the ledger of these sessions again, and the tokens and costs of their requests, calls and compressions.

    Runs within the transaction that is open on `con`. The result depends on the rows of the sessions alone. A session
    that is known, and of which `growths` says what it got since, is only added to where that comes to the same. The
    requests and calls of `growths` are inserted here, so that those of a session that goes on are written once.
    """
    memory = Memory(0) if memory is None else memory
    sessions = [each for each in sorted(set(session_ids)) if not _goes_on(con, each, memory, growths.get(each))]
    if not sessions:
        return
    con.execute(query("delete_ledger"), {"sessions": sessions})
    con.execute(query("delete_breaks"), {"sessions": sessions})
    for some in _batches(con, sessions, is_kept=memory.limit > 0):
        con.execute(query("create_prompts"), {"sessions": some})
        contexts = read_contexts(read(con, query, some))
        shares = share(contexts)
        ledger = keep_ledger(contexts, shares)
        pairs, billed = suspects(contexts)
        total, columns, savings = _write(con, ledger, some)
        _write_breaks(con, find_breaks(con, query, contexts, shares, pairs, billed), contexts)
        if len(some) == 1 and memory.limit and can_go_on(contexts.inputs):
            memory.keep(some[0], keep(contexts, shares, ledger, columns, total, savings))
            memory.find_edges(con, query("edges"), contexts.inputs.price_models)
    con.execute("drop table if exists attributed_prompts")


def _goes_on(con: duckdb.DuckDBPyConnection, session: str, memory: Memory, growth: Growth | None) -> bool:
    """Whether a session was known, and what it got could be worked out alone."""
    known = memory.take(session)
    if growth is None:
        return False
    try:
        step = None if known is None else go_on(known, growth, memory.edges)
    except NotAlone:
        step = None
    if step is None:
        insert_rows(con, LlmRequest, growth.requests)
        insert_rows(con, ToolCall, growth.calls)
        return False
    _write_step(con, session, growth, step)
    memory.keep(session, step.known)
    memory.steps += 1
    return True


def _batches(con: duckdb.DuckDBPyConnection, sessions: Sequence[str], *, is_kept: bool) -> Iterator[list[str]]:
    """Sessions to attribute together; a few long ones alone, so that they can be kept."""
    counts = dict(con.execute(query("sessions"), {"sessions": list(sessions)}).fetchall())
    long = [session for session in sessions if is_settled(counts.get(session, 0))]
    if is_kept and len(long) <= _MOST_ALONE:
        yield from ([session] for session in long)
        sessions = [session for session in sessions if session not in long]
        if not sessions:
            return
    batch: list[str] = []
    requests = 0
    for session in sessions:
        if batch and requests + counts.get(session, 0) > _REQUESTS_PER_BATCH:
            yield batch
            batch, requests = [], 0
        batch.append(session)
        requests += counts.get(session, 0)
    yield batch


def _write_step(con: duckdb.DuckDBPyConnection, session: str, growth: Growth, step: Step) -> None:
    """Adds what is new, and changes what has grown."""
    ledger, contexts = step.ledger, step.contexts
    inputs, columns = contexts.inputs, step.known.columns
    if len(ledger.rows.p):
        _write_ledger(con, ledger)
    new = slice(step.first_new, None)
    is_known = ledger.is_priced[new] & inputs.prompts.is_billed[new]
    costs = {"cost_usd": _dollars(ledger.cost[new], is_known).to_pylist()}
    insert_rows(con, LlmRequest, growth.requests, {**costs, "is_priced": ledger.is_priced[new].tolist()})
    first_new = len(inputs.calls) - len(growth.calls)
    said = _columns(columns, np.arange(first_new, len(inputs.calls))).drop_columns("row_id")
    insert_rows(con, ToolCall, growth.calls, said.to_pydict())
    grown = step.changed[step.changed < first_new]
    if len(grown):
        ids = pa.array([inputs.ids[id_] for id_ in inputs.calls.id[grown].tolist()], pa.string())
        table = _columns(columns, grown).append_column("tool_call_id", ids)
        _apply(con, "set_costs_of_calls", {"session": session}, attributed_calls=table)
    saved, chosen = step.savings
    if saved:
        table = _named(saved, CompressionRow._fields)
        _apply(con, "set_savings_of_compressions", {"session": session}, attributed_compressions=table)
    if chosen:
        table = _named(chosen, SelectionRow._fields)
        _apply(con, "set_tokens_of_selections", {"session": session}, attributed_selections=table)
    if len(step.pairs):
        names = inputs.names.append_column("p", pa.array(np.arange(len(inputs.prompts))))
        _apply(con, "create_last_prompts", last_prompts=names)
        _write_breaks(con, find_breaks(con, query, contexts, step.shares, step.pairs, step.billed), contexts)
        con.execute("drop table attributed_prompts")


def _dollars(nano: m.Ints, is_known: m.Flags) -> pa.Array:
    """Nano-dollars as columns of costs hold them; null where they are not known, or too many."""
    is_held = is_known & (np.abs(nano) < _MOST_NANO)
    wide = np.stack([nano, nano >> 63], axis=1)
    bits = np.packbits(is_held, bitorder="little")
    return pa.Array.from_buffers(pa.decimal128(18, 9), len(nano), [pa.py_buffer(bits), pa.py_buffer(wide)])


def _columns(columns: CallColumns, places: m.Ints) -> pa.Table:
    cost = columns.cost_nano[places]
    named = zip(columns._fields[:-1], columns[:-1], strict=True)
    tokens = {name: pa.array(column[places], mask=column[places] == UNKNOWN) for name, column in named}
    return pa.table({**tokens, "cost_usd": _dollars(cost, cost != UNKNOWN)})


def _write_ledger(con: duckdb.DuckDBPyConnection, ledger: Ledger) -> None:
    inputs, rows, owners = ledger.contexts.inputs, ledger.rows, ledger.owners
    names = zip(inputs.names.column_names, inputs.names.columns, strict=True)
    table = {
        **{name: _coded(rows.p, column.combine_chunks()) for name, column in names},
        "kind": _coded(owners.kind[rows.owner], m.KINDS),
        "tool": _coded(owners.tool[rows.owner], inputs.tools),
        "tool_version": _coded(owners.version[rows.owner], inputs.ids),
        "is_first_send": pa.array(rows.is_first),
        "rate": _coded(rows.rate, m.RATES),
        "tokens": pa.array(rows.tokens),
        "cost_usd": _dollars(rows.cost, ledger.is_priced[rows.p]),
        "basis": _coded(rows.basis, m.BASES),
    }
    # In the order of the table's columns: a third less time than a registered table takes by name.
    con.from_arrow(pa.table(table)).insert_into("context_ledger")


def _write(
    con: duckdb.DuckDBPyConnection, ledger: Ledger, sessions: Sequence[str]
) -> tuple[CallTotals, CallColumns, Savings]:
    """Writes what the sessions came to; gives what calls, compressions and selections did."""
    _write_ledger(con, ledger)
    inputs = ledger.contexts.inputs
    prompts = inputs.prompts
    total = totals(ledger)
    density = densities(ledger.contexts, total, definitions(ledger))
    is_request = prompts.row_id >= 0
    is_known = (ledger.is_priced & prompts.is_billed)[is_request]
    requests = {
        "row_id": pa.array(prompts.row_id[is_request]),
        "cost_usd": _dollars(ledger.cost[is_request], is_known),
        "is_priced": pa.array(ledger.is_priced[is_request]),
    }
    _apply(con, "update_requests", attributed_requests=pa.table(requests))
    calls = account(ledger.contexts, total)
    if len(calls.row_id):
        _apply(con, "update_calls", attributed_calls=_columns(calls, np.arange(len(calls.row_id))))
    squeezed = con.execute(query("compressions"), {"sessions": list(sessions)}).fetchall()
    costed = [(*row[:-3], cost_of(ledger, row[-3]), *row[-2:]) for row in squeezed]
    chosen = con.execute(query("selections"), {"sessions": list(sessions)}).fetchall()
    savings = Savings(costed, chosen, [], []).again(ledger.contexts, total, density)
    if costed:
        _apply(con, "update_compressions", attributed_compressions=_table(savings.saved, CompressionRow._fields))
    if chosen:
        _apply(con, "update_selections", attributed_selections=_table(savings.chosen, SelectionRow._fields))
    return total, calls, savings


def _write_breaks(con: duckdb.DuckDBPyConnection, breaks: Breaks, contexts: Contexts) -> None:
    if not len(breaks.p):
        return
    columns = {
        "p": pa.array(breaks.p),
        "base": pa.array(breaks.base),
        "cause": _coded(breaks.cause, CAUSES),
        "tool": _coded(breaks.tool, contexts.inputs.tools),
        "tool_version": _coded(breaks.version, contexts.inputs.ids),
        "message_index": pa.array(breaks.place, mask=breaks.place < 0),
        "gap_us": pa.array(breaks.gap_us),
        "lost_tokens": pa.array(breaks.lost),
        "cost_nano": pa.array(breaks.cost, mask=breaks.cost == UNKNOWN),
    }
    _apply(con, "insert_breaks", attributed_breaks=pa.table(columns))


def _coded(codes: m.Ints, values: Sequence[str] | pa.Array) -> pa.DictionaryArray:
    """Values by their codes; -1 is null."""
    indices = pa.array(codes, pa.int32(), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(
        indices, values if isinstance(values, pa.Array) else pa.array(values, pa.string())
    )


def _table(rows: Sequence[tuple[int | None, ...]], names: Sequence[str]) -> pa.Table:
    columns = zip(*rows, strict=True)
    return pa.table({name: pa.array(column, pa.int64()) for name, column in zip(names, columns, strict=True)})


def _named(rows: Sequence[tuple[Any, ...]], fields: Sequence[str]) -> pa.Table:
    """Rows of ids and numbers; `fields` begins with the number of the row, which has no use here."""
    trace_ids, span_ids, *columns = zip(*rows, strict=True)
    ids = {"trace_id": pa.array(trace_ids, pa.string()), "span_id": pa.array(span_ids, pa.string())}
    numbers = {name: pa.array(column, pa.int64()) for name, column in zip(fields[1:], columns, strict=True)}
    return pa.table({**ids, **numbers})


def _apply(
    con: duckdb.DuckDBPyConnection, name: str, params: Mapping[str, Any] | None = None, **relations: Any
) -> None:
    with registered(con, **relations):
        con.execute(query(name), params)
