"""Why a request did not read what its base had left in the cache.

The first difference between the two prompts is to blame, if it lies within what was cached. Not so where the cache had
expired and not even what lies before the difference was read: an edit after a long pause costs nothing more, and
leaving it would have saved nothing.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from . import model as m
from .contexts import Contexts
from .losses import LEAST_TOKENS, Elements, Facts, Losses
from .model import D, Flags, Ints, K, S, U

CAUSES: Final = (
    "model",
    "cleared",
    "definitions",
    "system",
    "compaction",
    "edit",
    "expiry",
    "parallel",
    "lookback",
    "no_breakpoint",
    "unknown",
)
(MODEL, CLEARED, DEFINITIONS, SYSTEM, COMPACTION, EDIT, EXPIRY, PARALLEL, LOOKBACK, NO_BREAKPOINT, UNKNOWN) = range(
    len(CAUSES)
)
"""Codes of the causes: positions in `CAUSES`, the earlier the stronger."""
LOOKBACK_BLOCKS: Final = 20
"""A breakpoint finds what was cached at its own block or at one of the 19 before it."""
_MINUTE_US: Final = 60_000_000
_FIVE_MINUTES_US: Final = 5 * _MINUTE_US
_HOUR_US: Final = 60 * _MINUTE_US


class Blame(NamedTuple):
    """One element a pair: the cause, the tool and its version or -1, the place of an edit or -1."""

    cause: Ints
    tool: Ints
    version: Ints
    place: Ints
    is_apart: Flags
    """Whether it is a conversation of its own, which owes its base nothing."""


def blame(contexts: Contexts, losses: Losses, facts: Facts) -> Blame:
    """The cause of each loss."""
    pairs, now, old, place = losses.pairs, losses.now, losses.old, losses.place
    pieces, count = contexts.pieces, len(losses.pairs)
    letter = np.append(pieces.letter, -1)
    before, after = letter[old.at(place)], letter[now.at(place)]
    is_held, is_kept = _common(losses, len(pieces))
    spoken = np.isin(letter[old.piece], (D, S), invert=True)
    messages = np.bincount(old.pair[spoken], minlength=count)
    remaining = np.bincount(old.pair[spoken & is_held], minlength=count)
    head = np.bincount(old.pair[~spoken], minlength=count)
    has_summary = np.bincount(now.pair[(letter[now.piece] == K) & ~is_kept], minlength=count) > 0
    # Two conversations may open alike: the tools, the system prompt or what the model wrote shows whether it is one.
    proof = is_held & (letter[old.piece] != U)
    is_apart = (remaining == 0) | (np.bincount(old.pair[proof], minlength=count) == 0)
    is_apart &= losses.is_known & ((place < head) | losses.is_other_model)

    # A branch goes on from a beginning of a prompt that another one continues.
    is_whole = (contexts.lineage.base >= 0) & (contexts.shared == contexts.length[contexts.lineage.base])
    others = np.bincount(contexts.lineage.base[is_whole], minlength=len(contexts.start))[pairs.base]
    others -= is_whole[pairs.rows] & (contexts.lineage.base[pairs.rows] == pairs.base)
    differs = losses.is_known & (place < losses.cached_count) & (place < now.length)
    differs &= (losses.moved > 0) | (others == 0)

    prompts = contexts.inputs.prompts
    gap = prompts.started_us[pairs.rows] - prompts.started_us[pairs.base]
    is_expired = gap > np.where(_is_hour(contexts, losses, facts), _HOUR_US, _FIVE_MINUTES_US)
    readable = losses.stretch - np.maximum(pairs.read, now.hidden)
    differs &= ~(is_expired & (readable > LEAST_TOKENS))
    is_out_of_reach, is_unmarked = _reach(contexts, losses, facts)
    conditions = (
        losses.is_other_model,
        differs & losses.is_cleared & ~has_summary,
        differs & ((before == D) | (after == D)),
        differs & ((before == S) | (after == S)),
        differs & (has_summary | (2 * remaining < messages)),
        differs,
        is_expired,
        prompts.started_us[pairs.rows] < facts.answered_us[pairs.base],
        is_out_of_reach,
        is_unmarked,
    )
    cause = np.select(conditions, range(len(conditions)), UNKNOWN).astype(np.int64)
    # The provider takes a little more out with each request, so that the bill does not show what.
    cause[(cause == UNKNOWN) & losses.has_gone] = CLEARED

    is_edit = (cause == EDIT) | (conditions[CLEARED] & (cause == CLEARED))
    tool = np.where(cause == DEFINITIONS, _changed(contexts, losses), np.where(is_edit, _edited(contexts, losses), -1))
    version = _versions(contexts, losses, tool)
    return Blame(cause, tool, version, np.where(is_edit, place, -1), is_apart)


def _common(losses: Losses, pieces: int) -> tuple[Flags, Flags]:
    """Which elements of the bases the requests have too, and the other way round."""
    now, old = losses.now, losses.old
    new, known = now.pair * (pieces + 1) + now.piece, old.pair * (pieces + 1) + old.piece
    return np.isin(known, new), np.isin(new, known)


def _changed(contexts: Contexts, losses: Losses) -> Ints:
    """The tool whose definition is the first difference: the one that was added there, or removed, or has changed."""
    now, old, place = losses.now, losses.old, losses.place
    pieces = contexts.pieces
    is_definition = np.append(pieces.letter == D, False)
    tools = np.append(pieces.tool, -1)
    new, gone = (np.where(is_definition[each.at(place)], tools[each.at(place)], -1) for each in (now, old))
    is_new = (new >= 0) & ~_is_offered(contexts, old, new)
    is_gone = (gone >= 0) & ~_is_offered(contexts, now, gone)
    found: Ints = np.where(is_new, new, np.where(is_gone | (new < 0), gone, new))
    return found


def _edited(contexts: Contexts, losses: Losses) -> Ints:
    """The tool of the call or the result that was there, else of the one that has taken its place."""
    kind, tools = np.append(contexts.pieces.kind, -1), np.append(contexts.pieces.tool, -1)
    old, new = losses.old.at(losses.place), losses.now.at(losses.place)
    was, is_ = (np.where(np.isin(kind[each], (m.USE, m.RESULT)), tools[each], -1) for each in (old, new))
    # What only moved up was not edited.
    key = losses.old.pair * (len(contexts.pieces) + 1) + losses.old.piece
    is_new = ~np.isin(np.arange(len(new)) * (len(contexts.pieces) + 1) + new, key)
    found: Ints = np.where(was >= 0, was, np.where(is_new, is_, -1))
    return found


def _offers(contexts: Contexts, elements: Elements) -> tuple[Ints, Ints]:
    """Pairs and tools as one number, ascending, of the definitions in prompts, and their versions."""
    pieces, tools = contexts.pieces, max(len(contexts.inputs.tools), 1)
    found = np.flatnonzero((pieces.letter[elements.piece] == D) & (pieces.tool[elements.piece] >= 0))
    key = elements.pair[found] * tools + pieces.tool[elements.piece[found]]
    order = np.argsort(key, kind="stable")
    return key[order], pieces.version[elements.piece[found[order]]]


def _is_offered(contexts: Contexts, elements: Elements, tool: Ints) -> Flags:
    key, _ = _offers(contexts, elements)
    wanted = np.where(tool >= 0, np.arange(len(tool)) * max(len(contexts.inputs.tools), 1) + tool, -1)
    found: Flags = np.isin(wanted, key)
    return found


def _versions(contexts: Contexts, losses: Losses, tool: Ints) -> Ints:
    """The version of each tool that the request offers, else that of its base, else -1."""
    found = np.full(len(tool), -1, dtype=np.int64)
    wanted = np.where(tool >= 0, np.arange(len(tool)) * max(len(contexts.inputs.tools), 1) + tool, -1)
    for elements in (losses.old, losses.now):
        key, version = _offers(contexts, elements)
        if len(key):
            place = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
            found = np.where((key[place] == wanted) & (wanted >= 0), version[place], found)
    return found


def _marks(facts: Facts, prompts: Ints) -> tuple[Ints, Ints]:
    """The breakpoints of some prompts: for each the pair, and its place among all breakpoints."""
    first, last = np.searchsorted(facts.mark_p, prompts), np.searchsorted(facts.mark_p, prompts, side="right")
    counts = last - first
    ends = np.cumsum(counts)
    every = np.arange(int(ends[-1]) if len(ends) else 0)
    return np.repeat(np.arange(len(prompts)), counts), every + np.repeat(first - (ends - counts), counts)


def _is_hour(contexts: Contexts, losses: Losses, facts: Facts) -> Flags:
    """Whether the first of what was lost had been cached for an hour."""
    pairs, old = losses.pairs, losses.old
    found: Flags = contexts.inputs.prompts.billed[pairs.base, m.PROMPT_RATES.index("cache_write_1h")] > 0
    pair, mark = _marks(facts, pairs.base)
    end = old.tokens_before(facts.mark_place[mark] + 1, pair)
    is_kept = ~(facts.is_hour[mark] & _is_vain(contexts, losses, facts)[pair])
    lost = np.flatnonzero((end > pairs.read[pair] + LEAST_TOKENS) & is_kept)
    whose, where = np.unique(pair[lost], return_index=True)
    found[whose] = facts.is_hour[mark[lost[where]]]
    return found


def _is_vain(contexts: Contexts, losses: Losses, facts: Facts) -> Flags:
    """Whether a request wrote nothing for an hour where it asked to: what lies before that is too short."""
    pairs = losses.pairs
    pair, mark = _marks(facts, pairs.rows)
    end = losses.now.tokens_before(facts.mark_place[mark] + 1, pair)
    asks = facts.is_hour[mark] & (end > pairs.read[pair] + LEAST_TOKENS)
    hour, five = (m.PROMPT_RATES.index(f"cache_write_{each}") for each in ("1h", "5m"))
    billed = contexts.inputs.prompts.billed[pairs.rows]
    has_asked = np.bincount(pair[asks], minlength=len(pairs)) > 0
    found: Flags = has_asked & (billed[:, hour] == 0) & (billed[:, five] > 0)
    return found


def _reach(contexts: Contexts, losses: Losses, facts: Facts) -> tuple[Flags, Flags]:
    """Whether the request's breakpoints lie too far behind the base's, and whether one of the two lacks one."""
    pairs, count = losses.pairs, len(losses.pairs)
    pair, mark = _marks(facts, pairs.base)
    has_marks = np.bincount(pair, minlength=count) > 0
    deepest = np.full(count, -1, dtype=np.int64)
    usable = facts.mark_place[mark] < np.minimum(losses.place, losses.cached_count)[pair]
    np.maximum.at(deepest, pair[usable], facts.mark_place[mark[usable]])
    pair, mark = _marks(facts, pairs.rows)
    distance = facts.mark_place[mark] - deepest[pair]
    is_behind = np.bincount(pair[distance >= 0], minlength=count) > 0
    is_near = np.bincount(pair[(distance >= 0) & (distance < LOOKBACK_BLOCKS)], minlength=count) > 0
    billed = contexts.inputs.prompts.billed[pairs.rows]
    is_silent = (np.bincount(pair, minlength=count) == 0) & (billed[:, :-1] > 0).any(axis=1)
    is_said = has_marks & ~is_silent & losses.is_known
    is_found = (deepest >= 0) & is_behind
    return is_said & is_found & ~is_near, is_said & ~is_found
