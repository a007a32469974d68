"""What requests did not read from the prompt cache although the one before had left it there.

What both prompts begin with is lost from where the read ends; what has moved behind a difference is found piece by
piece. So what an edit took away is not lost, and what a branch adds of its own is not either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from . import model as m
from .arrays import before, run_starts, running, spans, sums
from .contexts import Contexts, alike
from .model import MICRO, D, Flags, Floats, Ints, K, R, S
from .shares import Shares

LEAST_TOKENS: Final = 256
"""Fewer lost tokens are no break: a quarter of the shortest prefix that is cached, and above the error of places."""
_FAILED_BASES: Final = 8
_CANDIDATES: Final = 8
_LEAST_CLEARED: Final = 20 * MICRO


class Facts(NamedTuple):
    """Of prompts: their cache breakpoints by prompt and place, and when each was answered."""

    mark_p: Ints
    mark_place: Ints
    is_hour: Flags
    answered_us: Ints


@dataclass(slots=True)
class Elements:
    """The elements of one prompt of each pair: the pair, the place in the prompt, and the tokens up to its end."""

    pair: Ints
    place: Ints
    piece: Ints
    source: Ints
    """Places in the pool."""
    size: Floats
    """Of the piece, and of what begins its message."""
    end: Floats
    hidden: Floats
    """Of the provider's own words at the beginning of each pair's prompt."""
    first: Ints
    """Where the elements of each pair begin."""
    length: Ints

    def at(self, place: Ints) -> Ints:
        """The piece at a place of each pair's prompt, or -1."""
        is_there = (place >= 0) & (place < self.length)
        if not len(self.piece):
            return np.full(len(place), -1, dtype=np.int64)
        found: Ints = np.where(is_there, self.piece[np.where(is_there, self.first + place, 0)], -1)
        return found

    def tokens_before(self, place: Ints, pair: Ints | None = None) -> Floats:
        """Tokens of the prompts of pairs, by default of each, up to a place."""
        pair = np.arange(len(self.first)) if pair is None else pair
        last = np.minimum(place, self.length[pair]) - 1
        found = self.hidden[pair]
        some = np.flatnonzero(last >= 0)
        found[some] = self.end[self.first[pair[some]] + last[some]]
        return found


@dataclass(slots=True)
class Pairs:
    """Requests, `rows`, each with its base, and with how many pieces both begin; tokens of both."""

    rows: Ints
    base: Ints
    shared: Ints
    read: Ints
    cached: Ints
    total: Ints

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, kept: Flags) -> Pairs:
        """Some of the pairs."""
        return Pairs(*(getattr(self, name)[kept] for name in self.__slots__))


@dataclass(slots=True)
class Losses:
    """What is known of each pair: the two prompts, where they differ, and what was lost."""

    pairs: Pairs
    now: Elements
    old: Elements
    cached_count: Ints
    """How many pieces of the base lay in the cache."""
    place: Ints
    """Where the prompts differ first."""
    is_cleared: Flags
    """Whether they differ there only in what the provider left out."""
    has_gone: Flags
    """Whether the provider left out anything of the request's prompt."""
    is_known: Flags
    is_other_model: Flags
    stretch: Ints
    """Where what both begin with and was cached ends, in tokens of the request."""
    tokens: Ints
    """Lost tokens by `PROMPT_RATES`."""
    moved: Ints
    """Those of them that lie behind the difference."""


def suspects(contexts: Contexts) -> tuple[Pairs, Ints]:
    """The billed requests that read less than their base had left in the cache, and all prompts' tokens by rate."""
    prompts, lineage = contexts.inputs.prompts, contexts.lineage
    base, shared = _latest(contexts)
    is_sure = ~lineage.has_stand_in
    for _ in range(_FAILED_BASES):  # a request that failed left nothing behind
        skipping = np.flatnonzero((base >= 0) & ~prompts.is_billed[base])
        if not len(skipping):
            break
        failed = base[skipping]
        shared[skipping] = np.minimum(shared[skipping], contexts.shared[failed])
        is_sure[skipping] &= ~lineage.has_stand_in[failed]
        base[skipping] = lineage.base[failed]
    hidden = prompts.compaction[:, : len(m.PROMPT_RATES)]
    billed = np.maximum(np.maximum(prompts.billed, 0) - hidden, 0)
    # Who sums up within the request reads the cache for that, and samples from a prompt that no evidence describes.
    is_whole: Flags = hidden.sum(axis=1) == 0
    output = contexts.inputs.output
    is_whole[output.p[output.kind == K]] = False
    rows = np.flatnonzero(prompts.is_billed & is_whole & (prompts.compressed_tool < 0) & (base >= 0) & is_sure)
    rows = rows[(prompts.is_billed & is_whole)[base[rows]]]
    of = base[rows]
    pairs = Pairs(rows, of, shared[rows], billed[rows, 0], billed[of, :-1].sum(axis=1), billed[rows].sum(axis=1))
    return pairs.take(pairs.cached - pairs.read > LEAST_TOKENS), billed


def _latest(contexts: Contexts) -> tuple[Ints, Ints]:
    """What each prompt goes on from, and with how many pieces both begin.

    An edited prompt may be described from an earlier request that it still has all of. It goes on from the latest one
    that has more of its messages.
    """
    lineage, pieces = contexts.lineage, contexts.pieces
    base, shared = lineage.base.copy(), contexts.shared.copy()
    has_base = np.flatnonzero(base >= 0)
    whole = has_base[shared[has_base] == contexts.length[base[has_base]]]
    continued = np.full(len(base), np.iinfo(np.int64).max)
    np.minimum.at(continued, base[whole], lineage.rank[whole])
    rows = has_base[continued[base[has_base]] < lineage.rank[has_base]]
    if not len(rows):
        return base, shared
    element, owner = contexts.elements(rows)
    is_message = ~np.isin(pieces.letter[contexts.pool[element]], (D, S))
    key = owner[is_message] * len(pieces) + contexts.pool[element[is_message]]

    def common(others: Ints) -> Ints:
        theirs, index = contexts.elements(others)
        held = np.isin(key, index * len(pieces) + contexts.pool[theirs])
        return np.bincount(owner[is_message][held], minlength=len(rows))

    most = common(base[rows])
    begin, rank = lineage.first[contexts.inputs.prompts.session[rows]], lineage.rank[rows]
    for back in range(1, _CANDIDATES + 1):
        other = lineage.by_rank[begin + np.maximum(rank - back, 0)]
        has = np.where(rank >= back, common(other), 0)
        is_more = np.flatnonzero(has > most)
        most[is_more] = has[is_more]
        base[rows[is_more]] = other[is_more]
        shared[rows[is_more]] = alike(contexts, rows[is_more], other[is_more])
    return base, shared


def losses_of(contexts: Contexts, shares: Shares, pairs: Pairs, billed: Ints, facts: Facts) -> Losses:
    """What each pair lost."""
    inputs, pieces = contexts.inputs, contexts.pieces
    has_passes = np.zeros(len(contexts.start), dtype=np.bool_)
    has_passes[inputs.output.p[inputs.output.is_server & (inputs.output.kind == R)]] = True
    now = _elements(contexts, shares, pairs.rows, billed, has_passes)
    old = _elements(contexts, shares, pairs.base, billed, has_passes)
    cached = _cached(pairs, old, facts, has_passes[pairs.base])
    # A piece lay in the cache if more than half of it did.
    within = old.end - old.size / 2 <= cached[old.pair]
    cached_count = np.bincount(old.pair[within], minlength=len(pairs))
    place, is_cleared = _first_difference(shares, pairs, now, old)
    is_gone = (shares.elements[now.source] == 0) & (pieces.chars[now.piece] > 0) & ~contexts.is_dropped[now.source]
    has_gone = np.bincount(now.pair[is_gone], minlength=len(pairs)) > 0
    has_gone |= inputs.prompts.cleared[pairs.rows].any(axis=1)
    is_blank = np.append(contexts.is_blank, False)
    is_known = ~contexts.lineage.is_inferred[pairs.rows]
    is_known &= ~is_blank[now.at(place)] & ~is_blank[old.at(place)]
    is_other_model = inputs.prompts.model[pairs.rows] != inputs.prompts.model[pairs.base]

    differs = is_known & (place < cached_count)
    common = np.rint(now.tokens_before(np.minimum(place, cached_count))).astype(np.int64)
    stretch = np.where(differs | is_other_model, common, pairs.total)
    stretch = np.where(is_other_model, stretch, np.minimum(stretch, cached))
    first = np.where(pairs.read < stretch, pairs.read, stretch)
    tokens = _by_rate(billed, pairs.rows, first, stretch)
    key = old.pair * (len(pieces) + 1) + old.piece
    was_cached = within & (old.place >= place[old.pair])
    behind = np.flatnonzero(differs[now.pair] & (now.place >= place[now.pair]))
    behind = behind[np.isin(now.pair[behind] * (len(pieces) + 1) + now.piece[behind], key[was_cached])]
    last = np.rint(now.end[behind]).astype(np.int64)
    start = np.maximum(np.rint(now.end[behind] - now.size[behind]).astype(np.int64), pairs.read[now.pair[behind]])
    moved = np.zeros_like(tokens)
    np.add.at(moved, now.pair[behind], _by_rate(billed, pairs.rows[now.pair[behind]], np.minimum(start, last), last))
    # Sizes are estimates: not more was lost than there was.
    most = np.where(is_other_model, cached, np.maximum(cached - pairs.read, 0))[:, None]
    every = np.minimum(np.cumsum(tokens + moved, axis=1), most)
    return Losses(
        pairs, now, old, cached_count, place, is_cleared, has_gone, is_known, is_other_model, stretch,
        np.diff(every, axis=1, prepend=0), moved.sum(axis=1),
    )  # fmt: skip


def _elements(contexts: Contexts, shares: Shares, rows: Ints, billed: Ints, has_passes: Flags) -> Elements:
    """The elements of prompts in tokens as billed."""
    source, pair = contexts.elements(rows)
    size = shares.elements[source]
    inside = size + np.where(contexts.is_message_start[source], shares.message[rows][pair], 0)
    length = contexts.length[rows]
    ends = running(inside, run_starts(pair)) + shares.hidden[rows][pair]
    whole = shares.hidden[rows] + sums(inside, pair, len(rows)) + shares.residual[rows]
    # The bill of several passes is not the size of a prompt, nor is one that is known in part.
    is_size = contexts.inputs.prompts.is_prompt_known[rows] & ~has_passes[rows]
    scale: Floats = np.where(~is_size, 1 / MICRO, billed[rows].sum(axis=1) / np.maximum(whole, 1))
    sizes: Floats = inside * scale[pair]
    ends_in_tokens: Floats = ends * scale[pair]
    hidden: Floats = shares.hidden[rows] * scale
    place = spans(np.zeros_like(length), length)
    return Elements(pair, place, contexts.pool[source], source, sizes, ends_in_tokens, hidden, before(length), length)


def _cached(pairs: Pairs, old: Elements, facts: Facts, has_passes: Flags) -> Ints:
    """Tokens that the base left in the cache; of several passes each but the first has read all of them."""
    if not has_passes.any():
        return pairs.cached
    last = np.full(len(facts.answered_us), -1, dtype=np.int64)
    np.maximum.at(last, facts.mark_p, facts.mark_place)
    marked = np.rint(old.tokens_before(last[pairs.base] + 1)).astype(np.int64)
    found: Ints = np.where(has_passes, np.minimum(pairs.cached // 2, marked), pairs.cached)
    return found


def _first_difference(shares: Shares, pairs: Pairs, now: Elements, old: Elements) -> tuple[Ints, Flags]:
    """Where the provider saw two prompts differ, and whether only because it left out what it had not before."""
    pair = np.repeat(np.arange(len(pairs)), pairs.shared)
    place = spans(np.zeros(len(pairs), dtype=np.int64), pairs.shared)
    is_ = shares.elements[now.source[now.first[pair] + place]]
    was = shares.elements[old.source[old.first[pair] + place]]
    changed = np.flatnonzero(np.abs(is_ - was) > np.maximum(np.maximum(is_, was) // 2, _LEAST_CLEARED))
    found = pairs.shared.copy()
    np.minimum.at(found, pair[changed], place[changed])
    return found, found < pairs.shared


def _by_rate(billed: Ints, rows: Ints, first: Ints, last: Ints) -> Ints:
    """The tokens from `first` to `last` of prompts by the rates that they were billed at."""
    ends = np.cumsum(billed[rows], axis=1)
    starts = ends - billed[rows]
    found: Ints = np.maximum(np.minimum(last[:, None], ends) - np.maximum(first[:, None], starts), 0)
    return found
