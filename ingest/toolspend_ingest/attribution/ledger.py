"""The ledger of some sessions: whose tokens each request was billed for, by owner and rate.

All prompts lie end to end in flat arrays. An *entry* is one owner's tokens within one request and rate, at one place
of the prompt; rows are sums of entries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from . import model as m
from .arrays import before, run_starts, running, split, sums
from .contexts import Contexts
from .costs import costs_nano, is_priced
from .inputs import SEARCH
from .model import D, Flags, Ints, R
from .output import share_outputs
from .passes import Owners, Parts, in_passes
from .rates import by_rate
from .shares import Shares


class Entries(NamedTuple):
    """Columns of entries; `p` is the prompt, `owner` a place in `Ledger.owners`, `call` a number of a call or -1."""

    p: Ints
    owner: Ints
    is_first: Flags
    basis: Ints
    rate: Ints
    tokens: Ints
    cost: Ints
    call: Ints


class Rows(NamedTuple):
    """Columns of ledger rows; `cost` is in nano-dollars."""

    p: Ints
    owner: Ints
    is_first: Flags
    basis: Ints
    rate: Ints
    tokens: Ints
    cost: Ints


@dataclass(slots=True)
class Ledger:
    """The ledger of some sessions; `cost` has the nano-dollars of every prompt, `sent_chars` what is below."""

    contexts: Contexts
    owners: Owners
    entries: Entries
    rows: Rows
    is_priced: Flags
    cost: Ints
    times_sent: Ints
    """In how many billed prompts the use or the result of each call lay."""
    sent_chars: Ints
    """Characters of each call's result when it was first sent."""
    booked: Booked


class Booked(NamedTuple):
    """What prompts leave to those that follow them, by piece: the version of its tool, and whether it was billed."""

    version: Ints
    is_billed: Flags


def keep_ledger(contexts: Contexts, shares: Shares, known: Booked | None = None, first_new: int = 0) -> Ledger:
    """The ledger of these prompts from `first_new` on; with what is `known` from prompts before them."""
    prompts = contexts.inputs.prompts
    versions = _Versions(contexts, np.arange(first_new, len(prompts)))
    priced = is_priced(prompts)
    prices = np.where(priced[:, None], np.maximum(prompts.prices, 0), 0)

    listed = contexts.lineage.by_rank
    listed = listed[prompts.is_billed[listed] & (prompts.compressed_tool[listed] < 0)]
    billed = np.maximum(prompts.billed[listed], 0) - prompts.compaction[listed, :4]
    parts, times_sent, sent_chars, booked = _lay_out(contexts, shares, listed, billed, versions, known)
    loose = _loose(contexts, shares, versions, listed, billed, parts)
    # Few owners have many parts: found among the pieces, which are fewer.
    key, owners = _owners(
        np.concatenate([parts.owners.kind, loose.kind]),
        np.concatenate([parts.owners.tool, loose.tool]),
        np.concatenate([parts.owners.version, loose.version]),
    )
    of_part, of_loose = np.split(key, [len(parts.owners.kind)])
    entries = [_loose_entries(loose, of_loose, prices)]
    entries.extend(_prompt_entries(parts, of_part[parts.owner], loose, prices, prompts.is_prompt_known))
    every = Entries(*(np.concatenate(columns) for columns in zip(*entries, strict=True)))
    every = _without_nothing(every)
    rows = _rows(every, len(owners.kind))
    cost = sums(every.cost, every.p, len(prompts))
    return Ledger(contexts, owners, every, rows, priced, cost, times_sent, sent_chars, booked)


class _Versions:
    """The version of each tool that some prompts offer."""

    def __init__(self, contexts: Contexts, rows: Ints) -> None:
        pieces = contexts.pieces
        self._tools = max(len(contexts.inputs.tools), 1)
        place, owner = contexts.elements(rows)
        piece = contexts.pool[place]
        found = np.flatnonzero((pieces.letter[piece] == D) & (pieces.tool[piece] >= 0))
        key = rows[owner[found]] * self._tools + pieces.tool[piece[found]]
        order = np.argsort(key, kind="stable")
        self._key, self._version = key[order], pieces.version[piece[found[order]]]

    def find(self, p: Ints, tool: Ints) -> Ints:
        """Versions of tools in prompts, or -1."""
        if not len(self._key):
            return np.full(len(p), -1, dtype=np.int64)
        key = np.where((tool >= 0) & (p >= 0), p * self._tools + tool, -1)
        place = np.maximum(np.searchsorted(self._key, key, side="right") - 1, 0)
        found: Ints = np.where(self._key[place] == key, self._version[place], -1)
        return found


def _lay_out(
    contexts: Contexts, shares: Shares, listed: Ints, billed: Ints, versions: _Versions, known: Booked | None
) -> tuple[Parts, Ints, Ints, Booked]:
    """The parts of the billed prompts in the order of the prompts and of what lies in them."""
    pieces = contexts.pieces
    listed_has = billed.sum(axis=1) > 0
    element, owner = contexts.elements(listed)
    piece = contexts.pool[element]
    size = shares.elements[element]
    is_in = (size > 0) & listed_has[owner]
    first_billed = np.zeros(len(element), dtype=np.bool_)
    was_billed = np.zeros(len(pieces), dtype=np.bool_)
    if known is not None:
        was_billed[: len(known.is_billed)] = known.is_billed
    present = np.flatnonzero(is_in & ~was_billed[piece])
    _, where = np.unique(piece[present], return_index=True)
    first_billed[present[where]] = True
    first_billed &= ~(m.IS_WRITTEN[pieces.letter[piece]] | contexts.is_blank[piece])

    version_of = pieces.version.copy()
    of_tools = np.flatnonzero((pieces.kind == m.USE) | (pieces.kind == m.RESULT))
    version_of[of_tools] = versions.find(pieces.born[of_tools], pieces.tool[of_tools])
    if known is not None:
        version_of[: len(known.version)] = known.version
    was_billed[piece[present]] = True

    # The hidden prompt first, each piece after what begins its message, then the rest.
    tails, tail_owner = _tails(contexts, listed)
    counts, tail_counts = contexts.length[listed], np.bincount(tail_owner, minlength=len(listed))
    begins = contexts.is_message_start[element]
    message_counts = np.bincount(owner[begins], minlength=len(listed))
    length = 2 + counts + message_counts + tail_counts
    start = before(length)
    is_start = run_starts(owner)
    within = running(np.ones(len(element), dtype=np.int64) + begins, is_start)
    at = start[owner] + within
    total = int(length.sum())

    def column(default: int) -> Ints:
        return np.full(total, default, dtype=np.int64)

    overhead, unattributed = len(pieces), len(pieces) + 1
    owned = Owners(
        np.append(pieces.kind, [m.OVERHEAD, m.UNATTRIBUTED]),
        np.append(pieces.tool, [-1, -1]),
        np.append(version_of, [-1, -1]),
    )
    sizes, owners, basis = column(0), column(overhead), column(m.RECONCILED)
    call, is_first = column(-1), np.zeros(total, dtype=np.bool_)
    sizes[start] = shares.hidden[listed]
    sizes[at[begins] - 1] = shares.message[listed][owner[begins]]
    base = contexts.lineage.base[listed]
    is_first[start] = (base < 0) | (shares.hidden[base] < shares.hidden[listed])
    is_first[at[begins] - 1] = first_billed[begins]
    sizes[at], owners[at] = size, piece
    basis[at], call[at], is_first[at] = shares.bases[element], pieces.call[piece], first_billed
    last = start + length - 1
    sizes[last], owners[last], basis[last] = shares.residual[listed], unattributed, m.UNKNOWN
    is_first[last] = True
    prompt = np.repeat(np.arange(len(listed)), length)
    parts = Parts(listed, billed, np.zeros_like(billed), prompt, sizes, owners, basis, is_first, call, owned)
    if len(tails):
        place = (
            last[tail_owner]
            - tail_counts[tail_owner]
            + running(np.ones(len(tails), dtype=np.int64), run_starts(tail_owner))
            - 1
        )
        guessed = shares.densities.expected(tails, shares.densities.group_of[listed[tail_owner]])
        owners[place], call[place] = tails, pieces.call[tails]
        is_first[place] = ~m.IS_WRITTEN[pieces.letter[tails]]
        results = sums((pieces.letter[tails] == R).astype(np.int64), tail_owner, len(listed))
        parts = in_passes(parts, place, guessed, results)
    of_call = np.flatnonzero(is_in & (pieces.call[piece] >= 0))
    number = pieces.call[piece[of_call]]
    _, once = np.unique(owner[of_call] * max(pieces.call_count, 1) + number, return_index=True)
    times_sent = np.bincount(number[once], minlength=pieces.call_count).astype(np.int64)
    results = of_call[(pieces.letter[piece[of_call]] == R) & first_billed[of_call]]
    sent_chars = sums(pieces.chars[piece[results]], pieces.call[piece[results]], pieces.call_count)
    return parts, times_sent, sent_chars, Booked(version_of, was_billed)


def _tails(contexts: Contexts, listed: Ints) -> tuple[Ints, Ints]:
    """What server tools were asked and returned within a request was read by the model in it: pieces, and the places in
    `listed`."""
    output, of_output = contexts.inputs.output, contexts.pieces.of_output
    place = np.full(len(contexts.start), -1, dtype=np.int64)
    place[listed] = np.arange(len(listed))
    found = np.flatnonzero((of_output >= 0) & (place[output.p] >= 0))
    owner = place[output.p[found]]
    order = np.argsort(owner, kind="stable")
    return of_output[found[order]], owner[order]


class _Loose(NamedTuple):
    """What is no part of a prompt; `rank` orders what lies in one request and rate."""

    p: Ints
    kind: Ints
    tool: Ints
    version: Ints
    basis: Ints
    rate: Ints
    tokens: Ints
    call: Ints


def _loose(contexts: Contexts, shares: Shares, versions: _Versions, listed: Ints, billed: Ints, parts: Parts) -> _Loose:
    prompts = contexts.inputs.prompts
    found: list[_Loose] = []

    def add(p: Ints, kind: int, basis: int, rate: int, tokens: Ints, tool: Ints | None = None) -> None:
        if not len(p):
            return
        none = np.full(len(p), -1, dtype=np.int64)
        named = none if tool is None else tool
        found.append(
            _Loose(p, none + 1 + kind, named, none, none + 1 + basis, none + 1 + rate, tokens.astype(np.int64), none)
        )

    output = share_outputs(contexts, shares.densities)
    is_use = output.kind == m.USE
    found.append(
        _Loose(
            output.p, output.kind, output.tool, versions.find(output.p, np.where(is_use, output.tool, -1)),
            output.basis, np.full(len(output.p), m.OUTPUT_RATE), output.tokens, output.call,
        )
    )  # fmt: skip
    of_tool = prompts.is_billed & (prompts.compressed_tool >= 0)
    for kind, is_kind in ((m.COMPRESSION, ~prompts.is_advice), (m.FEE, prompts.is_advice)):
        whole = np.flatnonzero(of_tool & is_kind)
        for rate in range(len(m.PROMPT_RATES)):
            add(whole, kind, m.EXACT, rate, prompts.billed[whole, rate], prompts.compressed_tool[whole])
        add(whole, kind, m.EXACT, m.OUTPUT_RATE, prompts.output[whole], prompts.compressed_tool[whole])
    for rate in range(len(m.PROMPT_RATES)):
        # A bill that contradicts itself is shown, not clamped away.
        below = listed[prompts.billed[listed, rate] < 0]
        add(below, m.UNATTRIBUTED, m.UNKNOWN, rate, prompts.billed[below, rate])
        add(listed, m.COMPACTION, m.EXACT, rate, prompts.compaction[listed, rate])
    searched = np.flatnonzero(prompts.is_billed & (prompts.web_searches != 0))
    search = contexts.inputs.tools.index(SEARCH)
    named = prompts.compressed_tool[searched]
    add(searched, m.FEE, m.EXACT, m.FEE_RATE, prompts.web_searches[searched], np.where(named >= 0, named, search))
    # A prompt of which no part has a size.
    weight = sums(parts.size, parts.prompt, len(parts.rows))
    for rate in range(len(m.PROMPT_RATES)):
        bare = np.flatnonzero((weight == 0) & (parts.billed[:, rate] > 0))
        add(parts.rows[bare], m.UNATTRIBUTED, m.UNKNOWN, rate, parts.billed[bare, rate])
    every = _Loose(*(np.concatenate(columns) for columns in zip(*found, strict=True)))
    kept = np.flatnonzero(every.tokens)
    order = kept[np.lexsort((kept, every.rate[kept], every.p[kept]))]
    return _Loose(*(column[order] for column in every))


def _owners(kind: Ints, tool: Ints, version: Ints) -> tuple[Ints, Owners]:
    tools, versions = int(tool.max(initial=-1)) + 2, int(version.max(initial=-1)) + 2
    known, key = np.unique((kind * tools + tool + 1) * versions + version + 1, return_inverse=True)
    rest, version = np.divmod(known, versions)
    kind, tool = np.divmod(rest, tools)
    return key.ravel(), Owners(kind, tool - 1, version - 1)


def _loose_entries(loose: _Loose, owner: Ints, prices: Ints) -> Entries:
    """Within a request and rate these follow one another, and those of the prompt come after them."""
    is_start = run_starts(loose.p * len(m.RATES) + loose.rate)
    ends = running(loose.tokens, is_start)
    price = prices[loose.p, loose.rate]
    cost = costs_nano(ends, price) - costs_nano(ends - loose.tokens, price)
    is_first = np.ones(len(owner), dtype=np.bool_)
    return Entries(loose.p, owner, is_first, loose.basis, loose.rate, loose.tokens, cost, loose.call)


def _prompt_entries(parts: Parts, owner: Ints, loose: _Loose, prices: Ints, is_known: Flags) -> list[Entries]:
    """`is_known` says of all prompts whether they are known at each rate: of others only the beginning is billed."""
    counts = np.bincount(parts.prompt, minlength=len(parts.rows))
    starts = run_starts(parts.prompt)
    totals = parts.billed.sum(axis=1)
    explained = sums(parts.size, parts.prompt, len(parts.rows)) // m.MICRO
    totals = np.where(is_known[parts.rows], totals, np.maximum(totals, explained))
    tokens = split(parts.size, starts, totals[counts > 0])
    tokens[parts.size == 0] = 0
    last = running(tokens, starts)
    taken = np.zeros((len(is_known), len(m.RATES)), dtype=np.int64)
    np.add.at(taken, (loose.p, loose.rate), loose.tokens)
    found = []
    for rate, part, some, ends in by_rate(last - tokens, last, counts, parts.billed):
        run = parts.prompt[part]
        p = parts.rows[run]
        price, places = prices[p, rate], ends + taken[p, rate] + parts.begins[run, rate]
        cost = costs_nano(places, price) - costs_nano(places - some, price)
        rates = np.full(len(part), rate, dtype=np.int64)
        found.append(
            Entries(p, owner[part], parts.is_first[part], parts.basis[part], rates, some, cost, parts.call[part])
        )
    return found


def _without_nothing(entries: Entries) -> Entries:
    kept = np.flatnonzero(entries.tokens)
    return entries if len(kept) == len(entries.tokens) else Entries._make(column[kept] for column in entries)


def _rows(entries: Entries, owners: int) -> Rows:
    """Entries summed by prompt, rate, owner, first sending and basis, in this order."""
    key = (entries.p * len(m.RATES) + entries.rate) * max(owners, 1) + entries.owner
    key = (key * 2 + entries.is_first) * len(m.BASES) + entries.basis
    unique, place = np.unique(key, return_inverse=True)
    tokens, cost = sums(entries.tokens, place, len(unique)), sums(entries.cost, place, len(unique))
    rest, basis = np.divmod(unique, len(m.BASES))
    rest, is_first = np.divmod(rest, 2)
    rest, owner = np.divmod(rest, max(owners, 1))
    p, rate = np.divmod(rest, len(m.RATES))
    return Rows(p, owner, is_first.astype(np.bool_), basis, rate, tokens, cost)
