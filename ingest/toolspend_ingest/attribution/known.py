"""A session as it was attributed, and what follows when it goes on: the same steps, for the prompts that are new.

Kept are the last prompts with their elements, all pieces with their sizes, and the sums that later requests add to.
Where a new request could change what was found of an earlier one, `go_on` raises `NotAlone`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .calls import UNKNOWN, CallColumns, CallTotals, DefinitionTotals, account, definitions, densities, totals
from .carries import Carry, tokens_of_last
from .contexts import Contexts, read_contexts
from .densities import is_settled, last_equation
from .equations import is_output_part
from .growth import (
    Edges,
    Growth,
    Price,
    Texts,
    micros,
    names_of,
    read_calls,
    read_items,
    read_prompts,
    together,
)
from .identities import PIECE_COLUMNS, Pieces
from .inputs import Calls, Inputs, Prompts, is_broken
from .ledger import Booked, Ledger, keep_ledger
from .lineage import Lineage
from .losses import Pairs, suspects
from .model import PROMPT_RATES, D, Flags, Ints, NotAlone, R
from .savings import Savings
from .shares import Shares, Sizes, measured, share

_LAST: Final = 12
"""How many prompts are kept: those that a request may build on."""


@dataclass(frozen=True, slots=True)
class Known:
    """One session. Prompts are the last ones, in the order in which they were put together."""

    contexts: Contexts
    shares: Shares
    booked: Booked
    total: CallTotals
    offered: DefinitionTotals
    columns: CallColumns
    """Of the calls, as `tool_calls` has them."""
    carry: Carry
    asked_by: npt.NDArray[np.object_]
    """The request of each call, by name; or None."""
    count: int
    last_us: int
    inferred_us: int
    """When the last request started of which nothing was known but its usage."""
    is_cut: Flags
    """Of the last prompts, those whose base is not among them."""
    is_base: Flags
    """Of the last prompts, those that a later one was compared with for what it lost of the cache."""
    is_loose: Flags
    """Of pieces in models, those that a prompt was billed for without a size of their own."""
    requests: frozenset[str]
    described: frozenset[str]
    silent: frozenset[str]
    """Requests whose outputs do not say what they are made of."""
    prices: Mapping[str | None, Price]
    savings: Savings

    @property
    def size(self) -> int:
        """What it takes to keep, in elements."""
        return len(self.contexts.pool) + len(self.contexts.pieces)


class Step(NamedTuple):
    """What new requests came to: only these are in the ledger and among the pairs."""

    known: Known
    contexts: Contexts
    shares: Shares
    ledger: Ledger
    pairs: Pairs
    billed: Ints
    first_new: int
    changed: Ints
    """Places of the calls whose rows are to say something else."""
    was_carried: int
    """The requests that the session's carry had before."""
    savings: tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]
    """The compressions and the selections whose rows say something else now."""


def can_go_on(inputs: Inputs) -> bool:
    """Whether a session can be kept: the only one, long enough that its densities stay, nothing of it was lost, and
    each call of it has an id of its own."""
    names, ids = inputs.names["request_id"], inputs.calls.id
    if not is_settled(len(inputs.prompts)) or is_broken(inputs.prompts).any() or _has_provider_tool(inputs):
        return False
    if (ids < 0).any() or len(np.unique(ids)) < len(ids):
        return False
    return len(names.unique()) == len(names)


def _has_provider_tool(inputs: Inputs) -> bool:
    """Whether the provider ran a tool within a request: what its prompt had may only be known from a later one."""
    return bool((inputs.output.is_server & (inputs.output.kind == R)).any())


def keep(
    contexts: Contexts, shares: Shares, ledger: Ledger, columns: CallColumns, total: CallTotals, savings: Savings
) -> Known:
    """What is to be known of a session that was attributed whole."""
    inputs, lineage = contexts.inputs, contexts.lineage
    prompts = inputs.prompts
    names = inputs.names["request_id"].to_pylist()
    pairs, _ = suspects(contexts)
    is_base = np.zeros(len(prompts), dtype=np.bool_)
    is_base[pairs.base] = True
    is_silent = ~_has_parts(contexts)
    inferred = prompts.started_us[lineage.is_inferred]
    every = np.arange(len(prompts))
    groups = len(shares.densities.session)
    return Known(
        *_last(contexts, shares, lineage.by_rank[-_LAST:]),
        ledger.booked,
        total,
        definitions(ledger),
        columns,
        Carry(0, 0, np.full(len(inputs.calls), UNKNOWN)),
        np.array([*names, None], dtype=np.object_)[inputs.calls.p],
        len(prompts),
        int(prompts.started_us.max()),
        int(inferred.max()) if len(inferred) else -(2**62),
        _is_cut(lineage, lineage.by_rank[-_LAST:]),
        is_base[lineage.by_rank[-_LAST:]],
        _loose(contexts, shares, every, np.zeros(len(contexts.pieces) * groups, dtype=np.bool_)),
        frozenset(names),
        frozenset(names[p] for p in np.flatnonzero(prompts.has_evidence).tolist()),
        frozenset(names[p] for p in np.flatnonzero(is_silent).tolist()),
        _prices(inputs, inputs.price_models.to_pylist(), every, {}),
        savings,
    )


def go_on(known: Known, growth: Growth, edges: Mapping[str, Edges]) -> Step:
    """What a session comes to when it goes on so."""
    before = known.contexts.inputs
    first_new = len(before.prompts)
    new = np.arange(first_new, first_new + len(growth.requests))
    _check(known, growth)
    names = [request.request_id for request in growth.requests]
    kept_names = before.names["request_id"].to_pylist()
    place_of = {name: place for place, name in enumerate(kept_names)}
    prompts = read_prompts(
        growth, before.prompts, place_of, {model: code for code, model in enumerate(before.models)}, known.prices, edges
    )
    place_of.update(zip(names, new.tolist(), strict=True))
    tools, ids = Texts(before.tools), Texts(before.ids)
    said = [(place, growth.evidence[name]) for place, name in zip(new.tolist(), names, strict=True)]
    items = (
        read_items([(p, each.delta) for p, each in said], tools, ids, may_copy=True),
        read_items([(p, each.output) for p, each in said], tools, ids, may_copy=False),
    )
    calls, asked_by, stored, carry = _merge(known, growth, place_of, tools, ids)
    inputs = together(
        before, prompts, items, calls, (tools, ids),
        pa.concat_tables([before.names, names_of(growth.requests, before.names.schema)]),
    )  # fmt: skip

    contexts = read_contexts(inputs, known.contexts)
    _check_contexts(known, contexts, new)
    was_sized = known.shares.sizes.is_sized
    shares = share(contexts, known.shares)
    if (known.is_loose & shares.sizes.is_sized[: len(was_sized)] & ~was_sized).any():
        raise NotAlone("an earlier request was billed for what has a size only now")
    ledger = keep_ledger(_only(contexts, new), shares, known.booked, first_new)
    total = known.total.plus(totals(ledger))
    columns = account(contexts, total)
    grown = carry.grown(ledger, first_new)
    is_changed = np.zeros(len(calls), dtype=np.bool_)
    for now, was in zip(columns[1:], grown.after(stored, carry)[1:], strict=True):
        is_changed |= now != was
    carried = np.where(is_changed, tokens_of_last(ledger, contexts.pieces.calls), carry.tokens)
    offered = known.offered.plus(definitions(ledger))
    chosen = [(0, 0, row.offered_chars, row.avoided_chars, row.trace_id, row.span_id) for row in growth.selections]
    savings = known.savings._replace(selections=[*known.savings.selections, *chosen])
    if savings.compressions or savings.selections:
        savings = savings.again(contexts, total, densities(contexts, total, offered))
    changes = savings.changes(known.savings)
    pairs, billed = suspects(contexts)
    pairs = pairs.take(pairs.rows >= first_new)

    is_base = np.append(known.is_base, np.zeros(len(new), dtype=np.bool_))
    is_base[pairs.base] = True
    last = np.arange(len(contexts.start))[-_LAST:]
    is_silent = ~_has_parts(contexts)[new]
    models: list[str | None] = [None] * first_new
    models += [request.price_model for request in growth.requests]
    kept = Known(
        *_last(contexts, shares, last),
        ledger.booked,
        total,
        offered,
        columns,
        grown._replace(tokens=carried).of(columns),
        asked_by,
        known.count + len(new),
        int(prompts.started_us[-1]) if len(new) else known.last_us,
        known.inferred_us,
        _is_cut(contexts.lineage, last) | np.append(known.is_cut, np.zeros(len(new), dtype=np.bool_))[last],
        is_base[last],
        _loose(contexts, shares, new, known.is_loose),
        known.requests.union(names),
        known.described.union(names),
        known.silent.union(name for name, silent in zip(names, is_silent.tolist(), strict=True) if silent),
        _prices(inputs, models, new, known.prices),
        savings,
    )
    changed = np.flatnonzero(is_changed)
    return Step(kept, contexts, shares, ledger, pairs, billed, first_new, changed, carry.requests, changes)


def _check(known: Known, growth: Growth) -> None:
    latest = known.last_us
    for request in growth.requests:
        started_us = micros(request.started_at)
        if started_us <= latest:
            raise NotAlone("a request is not later than all before it")
        latest = started_us
        if request.request_id in known.requests:
            raise NotAlone("a request has the id of another")
    if last_equation(known.count + len(growth.requests)) != last_equation(known.count):
        raise NotAlone("densities are learned again")


def _check_contexts(known: Known, contexts: Contexts, new: Ints) -> None:
    """Whether the new prompts are whole, and say nothing of earlier ones."""
    pieces, lineage, prompts = contexts.pieces, contexts.lineage, contexts.inputs.prompts
    if not contexts.is_whole[new].all():
        raise NotAlone("evidence of a request is missing")
    if _has_provider_tool(contexts.inputs):
        raise NotAlone("the provider ran a tool")
    fresh = slice(len(known.contexts.pieces), None)
    if ((pieces.letter[fresh] == D) & pieces.is_deferred[fresh]).any():
        raise NotAlone("a definition is to be found later")
    is_base, is_cut = known.is_base, np.append(known.is_cut, np.zeros(len(new), dtype=np.bool_))
    if (is_cut & ~prompts.is_billed).any():
        raise NotAlone("a request that failed goes on from an early one")
    tokens = measured(contexts)
    for p in new.tolist():
        base = int(lineage.base[p])
        if 0 <= base < len(is_base) and is_base[base] and contexts.shared[p] == contexts.length[base]:
            raise NotAlone("a request goes on from one that another was compared with")
        while base >= 0 and not (
            prompts.is_billed[base] and tokens[base] > 0 and prompts.model[base] == prompts.model[p]
        ):
            if is_cut[base]:
                raise NotAlone("a request goes on from an early one")
            base = int(lineage.base[base])


def _merge(
    known: Known, growth: Growth, place_of: Mapping[str, int], tools: Texts, ids: Texts
) -> tuple[Calls, npt.NDArray[np.object_], CallColumns, Carry]:
    """All calls of the session, those of the growth last; their requests; what is stored of them; what they carry."""
    calls = known.contexts.inputs.calls
    more = read_calls(growth.calls, place_of, known.described.union(growth.evidence), tools, ids)
    if (more.id < 0).any() or len(set(more.id.tolist())) < len(more):
        raise NotAlone("a call has no id of its own")
    is_new = np.zeros(len(ids.texts) + 1, dtype=np.bool_)
    is_new[more.id] = True
    is_kept = ~is_new[calls.id]
    named = np.array([call.request_id for call in growth.calls], dtype=np.object_)
    if not known.silent.isdisjoint([*known.asked_by[~is_kept], *named]):
        raise NotAlone("a call says what an earlier output was made of")
    started = np.concatenate([calls.started_us[~is_kept], more.started_us])
    if len(started) and int(started.min()) <= known.inferred_us:
        raise NotAlone("a call lies before a request of which only its usage is known")
    merged = Calls(*(np.concatenate([getattr(calls, name)[is_kept], getattr(more, name)]) for name in Calls.__slots__))
    null = np.full(len(more), UNKNOWN)
    stored = CallColumns(*(np.concatenate([column[is_kept], null]) for column in known.columns))
    carry = known.carry._replace(tokens=np.concatenate([known.carry.tokens[is_kept], null]))
    return merged, np.concatenate([known.asked_by[is_kept], named]), stored, carry


def _only(contexts: Contexts, rows: Ints) -> Contexts:
    """The same prompts, of which only these are to be booked."""
    inputs = contexts.inputs
    is_booked = np.zeros(len(inputs.prompts), dtype=np.bool_)
    is_booked[rows] = inputs.prompts.is_billed[rows]
    return replace(contexts, inputs=inputs._replace(prompts=replace(inputs.prompts, is_billed=is_booked)))


def _has_parts(contexts: Contexts) -> Flags:
    output = contexts.inputs.output
    found: Flags = np.bincount(output.p[is_output_part(contexts)], minlength=len(contexts.start)) > 0
    return found


def _loose(contexts: Contexts, shares: Shares, rows: Ints, known: Flags) -> Flags:
    """Which pieces in models have no size although one of these prompts was billed for them, or an earlier one."""
    prompts, groups = contexts.inputs.prompts, len(shares.densities.session)
    found = np.zeros(len(contexts.pieces) * groups, dtype=np.bool_)
    found[: len(known)] = known
    rows = rows[prompts.is_billed[rows] & (prompts.compressed_tool[rows] < 0)]
    element, owner = contexts.elements(rows)
    found[contexts.pool[element] * groups + shares.densities.group_of[rows][owner]] = True
    return found & ~shares.sizes.is_sized


def _prices(
    inputs: Inputs, models: list[str | None], rows: Ints, known: Mapping[str | None, Price]
) -> Mapping[str | None, Price]:
    prompts, found = inputs.prompts, dict(known)
    for p in rows.tolist():
        if prompts.is_billed[p]:
            summed_up = int(prompts.compaction[p, : len(PROMPT_RATES)].sum())
            length = max(int(prompts.billed[p].sum()) - summed_up, summed_up)
            found[models[p]] = Price(prompts.prices[p], int(prompts.started_us[p]), length)
    return found


def _is_cut(lineage: Lineage, rows: Ints) -> Flags:
    base = lineage.base[rows]
    is_kept = np.zeros(len(lineage.base) + 1, dtype=np.bool_)
    is_kept[rows] = True
    found: Flags = (base >= 0) & ~is_kept[base]
    return found


def _last(contexts: Contexts, shares: Shares, rows: Ints) -> tuple[Contexts, Shares]:
    """Contexts and shares of some prompts, with all pieces; the prompts are numbered anew."""
    inputs, lineage, pieces = contexts.inputs, contexts.lineage, contexts.pieces
    count = len(rows)
    element, _ = contexts.elements(rows)
    place = np.full(len(contexts.start) + 1, -1, dtype=np.int64)  # the last for -1
    place[rows] = np.arange(count)
    length = contexts.length[rows]
    none, no = np.zeros(0, dtype=np.int64), inputs.delta.take(np.zeros(0, dtype=np.int64))
    said = np.flatnonzero(place[inputs.output.p] >= 0)
    said = said[np.argsort(place[inputs.output.p[said]], kind="stable")]
    output = inputs.output.take(said)
    output.p = place[output.p]
    prompts = _some(inputs.prompts, rows)
    prompts.base = place[prompts.base]
    prompts.session = np.zeros(count, dtype=np.int64)
    calls = replace(inputs.calls, p=place[inputs.calls.p], session=np.zeros(len(inputs.calls), dtype=np.int64))
    narrow = inputs._replace(
        prompts=prompts, delta=no, restated=no, output=output, calls=calls, names=_names(inputs.names, rows),
        price_models=pa.chunked_array([pa.nulls(0)]),
    )  # fmt: skip
    kept = Lineage(
        place[lineage.base[rows]], lineage.rank[rows], np.arange(count), np.array([-lineage.rank[rows[0]]]), [], no,
        none, none, lineage.is_keyframe[rows], lineage.has_stand_in[rows], lineage.is_inferred[rows],
    )  # fmt: skip
    columns = {name: getattr(pieces, name) for name in PIECE_COLUMNS}
    columns["born"] = np.full(len(pieces), -1)
    columns["session"] = np.zeros(len(pieces), dtype=np.int64)
    known = Pieces(
        none, none, none, **columns, calls=pieces.calls, call_of_output=none, tool_of_call=pieces.tool_of_call,
        id_of_call=pieces.id_of_call,
    )  # fmt: skip
    found = Contexts(
        narrow, kept, known, contexts.pool[element], np.full(len(element), -1), np.cumsum(length) - length, length,
        contexts.shared[rows], contexts.is_whole[rows], contexts.is_message_start[element],
        contexts.is_dropped[element], contexts.is_blank,
    )  # fmt: skip
    sizes = shares.sizes
    left = Sizes(
        sizes.size, sizes.basis, sizes.is_sized, sizes.gap[rows], sizes.residual[rows], sizes.has_gone[rows],
        sizes.is_gone[element],
    )  # fmt: skip
    densities = replace(shares.densities, group_of=shares.densities.group_of[rows])
    return found, Shares(densities, none, none, none, none, none, left)


def _names(names: pa.Table, rows: Ints) -> pa.Table:
    is_run = len(rows) > 0 and bool((np.diff(rows) == 1).all())
    return names.slice(int(rows[0]), len(rows)) if is_run else names.take(rows)


def _some(prompts: Prompts, rows: Ints) -> Prompts:
    return Prompts(*(getattr(prompts, each.name)[rows] for each in fields(prompts)))
