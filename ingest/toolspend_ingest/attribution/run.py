"""The edge to the database: the rows of sessions in, their ledger and what follows from it out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa

from ..arrow import registered
from ..rows import Evidence, LlmRequest, ToolCall
from ..writing import Together, insert_rows
from . import model as m
from .breaks import Breaks, find_breaks
from .calls import UNKNOWN, CallColumns, CallTotals, account, definitions, densities, totals
from .causes import CAUSES
from .contexts import Contexts, read_contexts
from .densities import is_settled
from .growth import Growth
from .inputs import read
from .known import Known, Step, can_go_on, go_on, keep
from .ledger import Ledger, keep_ledger
from .losses import suspects
from .memory import Memory
from .model import NotAlone
from .savings import CompressionRow, Savings, SelectionRow, cost_of
from .shares import share

_MOST_ALONE: Final = 4
_MOST_NANO: Final = 10**18
"""What the columns of dollars cannot hold any more."""
_FEW: Final = 3
"""So few calls are changed one by one: a registered table takes as long as three statements."""
_MOST_IN_LISTS: Final = 100
"""Rows of the ledger that lists write in half the time of a table of Arrow's."""
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
    requests, evidence and calls of `growths` are inserted here: with what is found of them, and in one statement.
    """
    memory = Memory(0) if memory is None else memory
    sessions = [each for each in sorted(set(session_ids)) if not _goes_on(con, each, memory, growths.get(each))]
    if not sessions:
        return
    con.execute(query("delete_ledger"), {"sessions": sessions})
    con.execute(query("delete_breaks"), {"sessions": sessions})
    con.execute(query("delete_carries"), {"sessions": sessions})
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
        insert_rows(con, Evidence, list(growth.evidence.values()))
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
    inputs = contexts.inputs
    together = Together(con)
    if len(growth.requests) == 1 and 0 < len(ledger.rows.p) <= _MOST_IN_LISTS:
        together.change(query("insert_ledger"), _in_lists(ledger, growth.requests[0]))
    elif len(ledger.rows.p):
        _write_ledger(con, ledger)
    new = slice(step.first_new, None)
    is_known = ledger.is_priced[new] & inputs.prompts.is_billed[new]
    costs = {"cost_usd": _dollars(ledger.cost[new], is_known).to_pylist()}
    told = zip(is_known.tolist(), growth.requests, strict=True)
    is_priced = [each and request.is_usage_known for each, request in told]
    together.insert(LlmRequest, growth.requests, {**costs, "is_priced": is_priced})
    together.insert(Evidence, list(growth.evidence.values()))
    first_new = len(inputs.calls) - len(growth.calls)
    said = _held(step.known, np.arange(first_new, len(inputs.calls)))
    together.insert(ToolCall, growth.calls, said.to_pydict())
    _change_calls(together, session, step, step.changed[step.changed < first_new])
    carry = step.known.carry
    if carry.requests > step.was_carried:
        name = "update_carry" if step.was_carried else "insert_carry"
        together.change(query(name), [carry.requests, carry.usd, session])
    together.run()
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


def _change_calls(together: Together, session: str, step: Step, places: m.Ints) -> None:
    """Changes the rows of calls that came to something else than the session's carry says."""
    if not len(places):
        return
    inputs = step.contexts.inputs
    table, started_us = _held(step.known, places), inputs.calls.started_us[places]
    ids = [inputs.ids[id_] for id_ in inputs.calls.id[places].tolist()]
    if len(places) <= _FEW:
        for row, id_, us in zip(table.to_pylist(), ids, started_us.tolist(), strict=True):
            together.change(query("set_cost_of_call"), [*row.values(), session, id_, us])
    else:
        params = {"session": session, "first": int(started_us.min()), "last": int(started_us.max())}
        table = table.append_column("tool_call_id", pa.array(ids, pa.string()))
        _apply(together.con, "set_costs_of_calls", params, attributed_calls=table)


def _held(known: Known, places: m.Ints) -> pa.Table:
    """What the rows of some calls have to hold, beside what the session's carry adds to them."""
    columns, tokens = known.carry.rows(known.columns)
    carried = pa.array(tokens[places], mask=tokens[places] == UNKNOWN)
    return _columns(columns, places).drop_columns("row_id").append_column("carried_tokens", carried)


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


def _in_lists(ledger: Ledger, request: LlmRequest) -> list[Any]:
    """The rows of one request, for `insert_ledger`."""
    inputs, rows, owners = ledger.contexts.inputs, ledger.rows, ledger.owners

    def texts(codes: m.Ints, values: Sequence[str]) -> list[str | None]:
        listed: list[int] = codes.tolist()
        return [values[code] if code >= 0 else None for code in listed]

    costs = [Decimal(nano).scaleb(-9) if abs(nano) < _MOST_NANO else None for nano in rows.cost.tolist()]
    return [
        *(getattr(request, name) for name in inputs.names.column_names),
        texts(owners.kind[rows.owner], m.KINDS),
        texts(owners.tool[rows.owner], inputs.tools),
        texts(owners.version[rows.owner], inputs.ids),
        rows.is_first.tolist(),
        texts(rows.rate, m.RATES),
        rows.tokens.tolist(),
        costs if ledger.is_priced[rows.p[0]] else [None] * len(costs),
        texts(rows.basis, m.BASES),
    ]


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
        "is_priced": pa.array(is_known),
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
