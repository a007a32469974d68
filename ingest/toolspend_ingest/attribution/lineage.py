"""Which prompt each prompt builds on, and in which order they can be put together.

A delta names its base. Where that was lost, the latest prompt that may have been its beginning stands in for it. A
request without evidence goes on from the request before it, with the calls that lie between the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from .arrays import running, spans
from .inputs import MAX_CHARS, Calls, Inputs, Items, Prompts, is_broken
from .model import OTHER, C, Flags, Ints, NotAlone, R

MAX_PIECES: Final = 100_000
"""Longer prompts are cut: a million tokens are some thousand blocks."""
_STAND_INS: Final = 8


@dataclass(slots=True)
class Lineage:
    """`base` is the prompt before each, or -1; `waves` lists the prompts, each after its base; `items` by prompt."""

    base: Ints
    rank: Ints
    """Place of each prompt in its session, in the order in which they are put together."""
    by_rank: Ints
    first: Ints
    """Where each session begins in `by_rank`."""
    waves: list[Ints]
    items: Items
    item_starts: Ints
    item_ends: Ints
    is_keyframe: Flags
    has_stand_in: Flags
    is_inferred: Flags


def trace(inputs: Inputs) -> Lineage:
    """The lineage of every prompt."""
    prompts = inputs.prompts
    places = np.arange(len(prompts))
    base = np.where(prompts.base == places, -1, prompts.base)
    is_unread = prompts.has_evidence & ~prompts.has_delta
    base[is_unread] = -1
    is_lost = is_broken(prompts)
    items = Items.concatenate([inputs.delta, _whole_bases(places[is_unread], prompts.segments[is_unread])])
    _stand_in(prompts, inputs.delta, base, is_lost)
    is_inferred = ~prompts.has_evidence
    if is_inferred.any():
        inferred, base[is_inferred] = _usage_only(prompts, inputs.calls, places[is_inferred])
        items = Items.concatenate([items, inferred])
    order = np.lexsort((np.arange(len(items)), items.p))
    items = items.take(order)
    starts, ends = _bounds(items, len(prompts))
    by_rank, first, rank = _schedule(prompts, base)
    base[(base >= 0) & (rank[base] >= rank)] = -1  # they go round
    by_wave = np.argsort(rank, kind="stable")
    sizes = np.bincount(rank) if len(rank) else np.zeros(0, dtype=np.int64)
    return Lineage(
        base,
        rank,
        by_rank,
        first,
        np.split(by_wave, np.cumsum(sizes)[:-1]) if len(rank) else [],
        items,
        starts,
        ends,
        prompts.has_delta & ~prompts.is_base_stated,
        is_lost & (base >= 0),
        is_inferred,
    )


def follow(inputs: Inputs, known: Lineage) -> Lineage:
    """The lineage of known prompts of a session and of those that follow them, one after the other."""
    prompts, count = inputs.prompts, len(known.base)
    new = np.arange(count, len(prompts))
    is_broken_off = is_broken(prompts)[new] | ~prompts.has_evidence[new]
    if is_broken_off.any():
        raise NotAlone("evidence of a request is missing")
    starts, ends = _bounds(inputs.delta, len(prompts))
    no = np.zeros(len(new), dtype=np.bool_)
    return Lineage(
        np.concatenate([known.base, prompts.base[new]]),
        np.concatenate([known.rank, known.rank[-1] + 1 + new - count]),
        np.arange(len(prompts)),
        np.array([-known.rank[0]]),
        [new[place : place + 1] for place in range(len(new))],
        inputs.delta,
        starts,
        ends,
        np.concatenate([known.is_keyframe, prompts.has_delta[new] & ~prompts.is_base_stated[new]]),
        np.concatenate([known.has_stand_in, no]),
        np.concatenate([known.is_inferred, no]),
    )


def _bounds(items: Items, prompts: int) -> tuple[Ints, Ints]:
    places = np.arange(prompts)
    return np.searchsorted(items.p, places), np.searchsorted(items.p, places, side="right")


def _items(p: Ints, kind: Ints, chars: Ints, tool: Ints, id_: Ints, copied: Ints) -> Items:
    zeros, no = np.zeros(len(p), dtype=np.int64), np.zeros(len(p), dtype=np.bool_)
    code = ((kind * (MAX_CHARS + 1) + chars) * 1_000_003 + tool) * 1_000_003 + id_
    return Items(p, zeros, copied > 0, zeros, copied, kind, chars, tool, id_, no, no, no, no, zeros, zeros, zeros, code)


def _whole_bases(p: Ints, segments: Ints) -> Items:
    """Copies of a base that has as many pieces as the prompt states."""
    nothing = np.full(len(p), -1, dtype=np.int64)
    return _items(p, nothing + 1 + OTHER, nothing + 1, nothing, nothing, np.maximum(segments, 0))


def _stand_in(prompts: Prompts, delta: Items, base: Ints, is_lost: Flags) -> None:
    """Of the prompts before one whose base was lost, the latest that may have been the beginning of it."""
    lost = np.flatnonzero(is_lost)
    if not len(lost):
        return
    listed = np.flatnonzero(prompts.has_evidence)
    place = np.searchsorted(listed, lost)
    copied = np.zeros(len(prompts), dtype=np.int64)
    np.maximum.at(copied, delta.p, np.where(delta.is_copy, delta.copied_from + delta.copied, 0))
    unread = ~prompts.has_delta
    copied[unread] = np.maximum(prompts.segments[unread], 0)
    said = np.zeros(len(prompts), dtype=np.int64)
    np.add.at(said, delta.p, np.where(delta.is_copy, 0, delta.chars))
    room = np.where(prompts.chars >= 0, prompts.chars - said, 2**62)
    for back in range(_STAND_INS, 0, -1):  # the latest last, so that it wins
        candidate = listed[np.maximum(place - back, 0)]
        fits = (place >= back) & (prompts.session[candidate] == prompts.session[lost])
        fits &= prompts.segments[candidate] <= copied[lost]
        fits &= (prompts.chars[candidate] < 0) | (prompts.chars[candidate] <= room[lost])
        base[lost[fits]] = candidate[fits]


def _usage_only(prompts: Prompts, calls: Calls, p: Ints) -> tuple[Items, Ints]:
    """What requests without evidence probably sent, and what they go on from."""
    order = np.lexsort((np.arange(len(prompts)), prompts.stream))
    is_measured = prompts.is_billed & prompts.is_prompt_known & (prompts.compressed_tool < 0)
    stream = prompts.stream[order]
    is_start = np.concatenate([[True], stream[1:] != stream[:-1]])
    latest = np.maximum.accumulate(np.where(is_measured[order], np.arange(len(order)), -1))
    before = np.concatenate([[-1], latest[:-1]])
    start = np.maximum.accumulate(np.where(is_start, np.arange(len(order)), 0))
    base_of = np.full(len(prompts), -1, dtype=np.int64)
    base_of[order] = np.where(before >= start, order[np.maximum(before, 0)], -1)
    tokens = prompts.billed.sum(axis=1)
    base = base_of[p]
    base = np.where((base >= 0) & is_measured[p] & (tokens[p] >= tokens[base]), base, -1)

    copies = p[base >= 0]
    whole = _whole_bases(copies, np.full(len(copies), MAX_PIECES))
    # Calls and prompts are sorted alike, so that a number made of session and time finds the calls between two.
    started = np.concatenate([calls.started_us, prompts.started_us])
    low = int(started.min()) if len(started) else 0
    width = int(started.max()) - low + 1 if len(started) else 1
    call_key = calls.session * width + (calls.started_us - low)
    begin = np.searchsorted(call_key, prompts.session[p] * width + prompts.started_us[base] - low)
    end = np.searchsorted(call_key, prompts.session[p] * width + prompts.started_us[p] - low)
    counts = np.where(base >= 0, np.maximum(end - begin, 0), 0)
    between, owner = spans(begin, counts), np.repeat(p, counts)
    use = _items(
        owner, np.full(len(between), C), np.maximum(calls.argument_chars[between], 0), calls.tool[between],
        calls.id[between], np.zeros(len(between), dtype=np.int64),
    )  # fmt: skip
    result = _items(
        owner, np.full(len(between), R), np.maximum(calls.result_chars[between], 0), calls.tool[between],
        calls.id[between], np.zeros(len(between), dtype=np.int64),
    )  # fmt: skip
    paired = Items.concatenate([use, result]).take(
        np.stack([np.arange(len(between)), np.arange(len(between)) + len(between)], axis=1).ravel()
    )
    bare = p[counts == 0]
    unknown = np.full(len(bare), -1, dtype=np.int64)
    other = _items(bare, unknown + 1 + OTHER, unknown + 2, unknown, unknown, unknown + 1)
    return Items.concatenate([whole, paired, other]), base


def _schedule(prompts: Prompts, base: Ints) -> tuple[Ints, Ints, Ints]:
    """Prompts by session in an order in which every base comes first, as far as clocks and bases allow it."""
    has = base >= 0
    time, depth, pointer = prompts.started_us.copy(), has.astype(np.int64), base.copy()
    if (time[base[has]] >= time[has]).any():  # a clock went back, or stood still
        for _ in range(24):
            follows = pointer >= 0
            if not follows.any():
                break
            time[follows] = np.maximum(time[follows], time[pointer[follows]])
            depth[follows] += depth[pointer[follows]]
            pointer[follows] = pointer[pointer[follows]]
    order = np.lexsort((np.arange(len(prompts)), depth, time, prompts.session))
    session = prompts.session[order]
    is_start = np.concatenate([[True], session[1:] != session[:-1]]) if len(session) else np.zeros(0, dtype=np.bool_)
    rank = np.zeros(len(prompts), dtype=np.int64)
    rank[order] = running(np.ones(len(order), dtype=np.int64), is_start) - 1
    first = np.zeros(int(prompts.session.max()) + 1 if len(prompts) else 0, dtype=np.int64)
    first[session[is_start]] = np.flatnonzero(is_start)
    return order, first, rank
