"""The edge to the database: the rows of sessions in, their ledger and what follows from it out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final

import duckdb
import pyarrow as pa

from . import model as m
from .breaks import Breaks, find_breaks
from .calls import UNKNOWN, account, definitions, densities, totals
from .causes import CAUSES
from .contexts import Contexts, read_contexts
from .inputs import read
from .ledger import Ledger, keep_ledger
from .savings import CompressionRow, SelectionRow, compressions, cost_of, selections
from .shares import share

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


def attribute_sessions(con: duckdb.DuckDBPyConnection, session_ids: Sequence[str]) -> None:
    """Make the ledger of these sessions again, and the tokens and costs of their requests, calls and compressions.

    Runs within the transaction that is open on `con`. The result depends on the rows of the sessions alone.
    """
    sessions = sorted(set(session_ids))
    if not sessions:
        return
    con.execute(query("delete_ledger"), {"sessions": sessions})
    con.execute(query("delete_breaks"), {"sessions": sessions})
    for some in _batches(con, sessions):
        con.execute(query("create_prompts"), {"sessions": some})
        contexts = read_contexts(read(con, query, some))
        shares = share(contexts)
        _write(con, keep_ledger(contexts, shares), some)
        _write_breaks(con, find_breaks(con, query, contexts, shares), contexts)
    con.execute("drop table if exists attributed_prompts")


def _batches(con: duckdb.DuckDBPyConnection, sessions: Sequence[str]) -> Iterator[list[str]]:
    counts = dict(con.execute(query("sessions"), {"sessions": list(sessions)}).fetchall())
    batch: list[str] = []
    requests = 0
    for session in sessions:
        if batch and requests + counts.get(session, 0) > _REQUESTS_PER_BATCH:
            yield batch
            batch, requests = [], 0
        batch.append(session)
        requests += counts.get(session, 0)
    yield batch


def _write(con: duckdb.DuckDBPyConnection, ledger: Ledger, sessions: Sequence[str]) -> None:
    inputs = ledger.contexts.inputs
    prompts = inputs.prompts
    total = totals(ledger)
    density = densities(ledger.contexts, total, definitions(ledger))
    rows, owners = ledger.rows, ledger.owners
    names = zip(inputs.names.column_names, inputs.names.columns, strict=True)
    table = {
        **{name: _coded(rows.p, column.combine_chunks()) for name, column in names},
        "kind": _coded(owners.kind[rows.owner], m.KINDS),
        "tool": _coded(owners.tool[rows.owner], inputs.tools),
        "tool_version": _coded(owners.version[rows.owner], inputs.ids),
        "is_first_send": pa.array(rows.is_first),
        "rate": _coded(rows.rate, m.RATES),
        "tokens": pa.array(rows.tokens),
        "cost_nano": pa.array(rows.cost, mask=~ledger.is_priced[rows.p]),
        "basis": _coded(rows.basis, m.BASES),
    }
    _apply(con, "insert_ledger", attributed_rows=pa.table(table))
    is_request = prompts.row_id >= 0
    is_known = (ledger.is_priced & prompts.is_billed)[is_request]
    requests = {
        "row_id": pa.array(prompts.row_id[is_request]),
        "cost_nano": pa.array(ledger.cost[is_request], mask=~is_known),
        "is_priced": pa.array(ledger.is_priced[is_request]),
    }
    _apply(con, "update_requests", attributed_requests=pa.table(requests))
    calls = account(ledger.contexts, total)
    if len(calls.row_id):
        columns = zip(calls._fields, calls, strict=True)
        table = pa.table({name: pa.array(column, mask=column == UNKNOWN) for name, column in columns})
        _apply(con, "update_calls", attributed_calls=table)
    found = con.execute(query("compressions"), {"sessions": list(sessions)}).fetchall()
    if found:
        costed = [(*row[:-1], cost_of(ledger, row[-1])) for row in found]
        table = _table(compressions(costed, ledger.contexts, total, density), CompressionRow._fields)
        _apply(con, "update_compressions", attributed_compressions=table)
    found = con.execute(query("selections"), {"sessions": list(sessions)}).fetchall()
    if found:
        table = _table(selections(found, density), SelectionRow._fields)
        _apply(con, "update_selections", attributed_selections=table)


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


def _apply(con: duckdb.DuckDBPyConnection, name: str, **relations: Any) -> None:
    for relation, table in relations.items():
        con.register(relation, table)
    try:
        con.execute(query(name))
    finally:
        for relation in relations:
            con.unregister(relation)
