"""Evidence -> the pieces of each prompt.

A delta copies runs of its base and says the rest; a copied piece keeps its identity. Where the base is lost, blanks
stand for what is not known, and `restated` segments of this and of later prompts fill them in: as a blank has an
identity too, what a later prompt says of it holds for every prompt that copied it.

Prompts are put together in waves, the n-th prompts of all sessions at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from .arrays import before, run_starts, running, spans, sums
from .identities import Pieces, identify
from .inputs import Inputs
from .lineage import MAX_PIECES, Lineage, follow, trace
from .model import BLANK, OTHER, UNATTRIBUTED, A, C, D, Flags, Ints, K, R, S, T, U

_CANDIDATES: Final = 8
_ROLE: Final = np.zeros(BLANK + 1, dtype=np.int8)
_ROLE[[U, R]] = 1
_ROLE[[A, T, C, K]] = 2


@dataclass(slots=True)
class Contexts:
    """The prompts of some sessions as runs of `pool`, whose elements are pieces."""

    inputs: Inputs
    lineage: Lineage
    pieces: Pieces
    pool: Ints
    source: Ints
    """Where in the pool each element was copied from, or -1."""
    start: Ints
    length: Ints
    shared: Ints
    """With how many of its base's pieces each prompt begins."""
    is_whole: Flags
    """Whether no loss of evidence has touched the prompt."""
    is_message_start: Flags
    """For each element of the pool, whether it begins a message."""
    is_dropped: Flags
    """For each element, whether a summary that the provider made stands for it, or it is a definition to be found."""
    is_blank: Flags
    """Whether nothing is known of a piece."""

    def elements(self, rows: Ints) -> tuple[Ints, Ints]:
        """Places in the pool of some prompts' elements, and for each the index into `rows`."""
        counts = self.length[rows]
        return spans(self.start[rows], counts), np.repeat(np.arange(len(rows)), counts)


def read_contexts(inputs: Inputs, known: Contexts | None = None) -> Contexts:
    """The prompts of some sessions; where some are `known`, those that follow them are put together, and all given."""
    if known is None:
        lineage = trace(inputs)
        assembly = _Assembly(inputs, lineage, identify(inputs, lineage))
    else:
        lineage = follow(inputs, known.lineage)
        assembly = _Assembly(inputs, lineage, identify(inputs, lineage, known.pieces, len(known.start)))
        assembly.go_on(known)
    for rows in lineage.waves:
        assembly.add(rows)
    return assembly.finish(known)


def alike(prompts: Contexts | _Assembly, rows: Ints, others: Ints) -> Ints:
    """With how many equal pieces two prompts begin."""
    counts = np.minimum(prompts.length[rows], prompts.length[others])
    owner = np.repeat(np.arange(len(rows)), counts)
    ours, theirs = spans(prompts.start[rows], counts), spans(prompts.start[others], counts)
    differs = np.flatnonzero(prompts.pool[ours] != prompts.pool[theirs])
    found = counts.copy()
    np.minimum.at(found, owner[differs], differs - before(counts)[owner[differs]])
    return found


class _Assembly:
    def __init__(self, inputs: Inputs, lineage: Lineage, pieces: Pieces) -> None:
        count = len(inputs.prompts)
        self.inputs, self.lineage, self.pieces = inputs, lineage, pieces
        self.pool = np.empty(max(4 * len(lineage.items), 1024), dtype=np.int64)
        self.source = np.empty_like(self.pool)
        self.used = 0
        self.start, self.length = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
        self.shared = np.zeros(count, dtype=np.int64)
        self.is_whole = np.zeros(count, dtype=np.bool_)
        self.blank_rows: list[Ints] = []
        self.blanks = 0
        self.alias: dict[int, int] = {}
        self.restated_starts = np.searchsorted(inputs.restated.p, np.arange(count))
        self.restated_ends = np.searchsorted(inputs.restated.p, np.arange(count), side="right")

    def go_on(self, known: Contexts) -> None:
        """Begins with the prompts that are known."""
        count = len(known.start)
        self.used = len(known.pool)
        self.pool = np.concatenate([known.pool, self.pool])
        self.source = np.concatenate([known.source, self.source])
        for name in ("start", "length", "shared", "is_whole"):
            getattr(self, name)[:count] = getattr(known, name)

    def add(self, rows: Ints) -> None:
        """The prompts of one wave, all of different sessions."""
        has_blanks = self._assemble(rows)
        base = self.lineage.base[rows]
        keeps = (base >= 0) & ~self.lineage.has_stand_in[rows] & self.is_whole[base]
        self.is_whole[rows] = (keeps | self.lineage.is_keyframe[rows] | self.lineage.is_inferred[rows]) & ~has_blanks
        broken = rows[~self.is_whole[rows] & (self.restated_ends[rows] > self.restated_starts[rows])]
        for row in broken.tolist():
            self._restate(row)
        self._align(rows[self.lineage.is_keyframe[rows] & (self.lineage.rank[rows] > 0)])
        follows = rows[self.lineage.base[rows] >= 0]
        self.shared[follows] = alike(self, follows, self.lineage.base[follows])

    def _assemble(self, rows: Ints) -> Flags:
        lineage = self.lineage
        base = lineage.base[rows]
        base_length = np.where(base >= 0, self.length[base], 0)
        counts = lineage.item_ends[rows] - lineage.item_starts[rows]
        item, owner = spans(lineage.item_starts[rows], counts), np.repeat(np.arange(len(rows)), counts)
        items = lineage.items
        is_copy = items.is_copy[item]
        wanted = np.where(is_copy, np.minimum(items.copied[item], MAX_PIECES), 1)
        begin = np.minimum(items.copied_from[item], base_length[owner])
        taken = np.where(is_copy, np.minimum(wanted, base_length[owner] - begin), 1)
        missing, is_start = wanted - taken, run_starts(owner)
        blanks = missing
        if missing.any():
            said = np.bincount(owner, taken, minlength=len(rows)).astype(np.int64)
            room = np.maximum(self.inputs.prompts.segments[rows] - said, 0)[owner]
            blanks = np.clip(room - (running(missing, is_start) - missing), 0, missing)
        size = taken + blanks
        place = running(size, is_start) - size
        size = np.clip(MAX_PIECES - place, 0, size)
        total = int(size.sum())
        self._make_room(total)
        within = np.arange(total) - np.repeat(before(size), size)
        each = np.repeat(np.arange(len(item)), size)
        source = np.where(is_copy[each], (self.start[base] * (base >= 0))[owner[each]] + begin[each] + within, -1)
        is_blank = within >= taken[each]
        values = np.where(is_copy[each], self.pool[np.where(is_blank, 0, source)], self.pieces.of_item[item[each]])
        if is_blank.any():
            new = int(is_blank.sum())
            values[is_blank] = len(self.pieces) + self.blanks + np.arange(new)
            source[is_blank] = -1
            self.blank_rows.append(rows[owner[each[is_blank]]])
            self.blanks += new
        self.pool[self.used : self.used + total], self.source[self.used : self.used + total] = values, source
        lengths = np.bincount(owner, size, minlength=len(rows)).astype(np.int64)
        self.length[rows] = lengths
        self.start[rows] = self.used + before(lengths)
        self.used += total
        return np.bincount(owner[each[is_blank]], minlength=len(rows)) > 0

    def _make_room(self, more: int) -> None:
        if self.used + more > len(self.pool):
            size = max(2 * len(self.pool), self.used + more)
            self.pool, self.source = np.resize(self.pool, size), np.resize(self.source, size)

    def _restate(self, row: int) -> None:
        """What a prompt that lost something says again: it fills blanks, and corrects what stood in wrongly."""
        restated, pieces = self.inputs.restated, self.pieces
        start, length = int(self.start[row]), int(self.length[row])
        for item in range(self.restated_starts[row], self.restated_ends[row]):
            place, said = int(restated.n[item]), int(pieces.of_restated[item])
            if place >= length:
                continue
            held = int(self.pool[start + place])
            known = self.alias.get(held, held)
            if known >= len(pieces):
                self.alias[held] = said
            elif pieces.code[known] != pieces.code[said]:
                self.pool[start + place] = said
                self.source[start + place] = -1

    def _align(self, rows: Ints) -> None:
        """Finds a keyframe that goes on with a known conversation the prompt that it goes on from."""
        if not len(rows):
            return
        lineage, prompts = self.lineage, self.inputs.prompts
        begin, rank = lineage.first[prompts.session[rows]], lineage.rank[rows]
        best = np.zeros(len(rows), dtype=np.int64)
        for back in range(_CANDIDATES, 0, -1):
            is_there = rank >= back
            other = lineage.by_rank[begin + np.maximum(rank - back, 0)]
            shared = np.where(is_there, alike(self, rows, other), 0)
            is_better = (shared > 0) & (shared >= best)
            best[is_better] = shared[is_better]
            lineage.base[rows[is_better]] = other[is_better]
        self._align_behind(rows[(best == 0) & (lineage.base[rows] < 0)])

    def _align_behind(self, rows: Ints) -> None:
        """The same for those whose first piece is another: by most of the messages, one that the model wrote too."""
        if not len(rows):
            return
        lineage, known = self.lineage, len(self.pieces)
        count, role_of = known + self.blanks, np.append(_ROLE[self.pieces.letter], 0)
        owner = np.repeat(np.arange(len(rows)), self.length[rows])
        ours = owner * count + self.pool[spans(self.start[rows], self.length[rows])]
        begin, rank = lineage.first[self.inputs.prompts.session[rows]], lineage.rank[rows]
        best = np.zeros(len(rows), dtype=np.int64)
        for back in range(_CANDIDATES, 0, -1):
            other = lineage.by_rank[begin + np.maximum(rank - back, 0)]
            index = np.repeat(np.arange(len(rows)), self.length[other])
            theirs = self.pool[spans(self.start[other], self.length[other])]
            role = role_of[np.minimum(theirs, known)]  # of a blank none
            is_held = np.isin(index * count + theirs, ours) & (role > 0)
            held, messages = (np.bincount(index[each], minlength=len(rows)) for each in (is_held, role > 0))
            has_written = np.bincount(index[is_held & (role == _ROLE[A])], minlength=len(rows)) > 0
            is_better = (rank >= back) & has_written & (2 * held >= messages) & (held >= best)
            best[is_better] = held[is_better]
            lineage.base[rows[is_better]] = other[is_better]

    def _blank_chars(self, rows: Ints) -> Ints:
        """What a prompt states beyond its known pieces, shared by its blanks."""
        known, every = len(self.pieces), np.arange(len(self.length))
        row = np.repeat(every, self.length)
        piece = self.pool[spans(self.start, self.length)]
        is_blank = piece >= known
        chars = sums(self.pieces.chars[piece[~is_blank]], row[~is_blank], len(every))
        blanks = np.bincount(row[is_blank], minlength=len(every))
        found: Ints = (np.maximum(self.inputs.prompts.chars - chars, 0) // np.maximum(blanks, 1))[rows]
        return found

    def _marks(self, pool: Ints, rows: Ints) -> tuple[Flags, Flags]:
        """Of prompts whose elements these are, end to end: which begin messages, and which are dropped.

        Dropped is what lies before a summary in a prompt, all messages of one that its own answer summed up, and
        definitions that no tool search has found.
        """
        letter, length, output = self.pieces.letter[pool], self.length[rows], self.inputs.output
        owner, within = np.repeat(np.arange(len(rows)), length), spans(np.zeros_like(length), length)
        last = np.full(len(rows), -1, dtype=np.int64)
        found = letter == K
        np.maximum.at(last, owner[found], within[found])
        summed = np.isin(rows, output.p[output.kind == K])
        last[summed] = length[summed]
        is_head = (letter == D) | (letter == S) | ((letter == OTHER) & (within == 0))
        dropped = (within < last[owner]) & ~is_head | self.pieces.is_deferred[pool]
        # What a tool of the provider's returned lies in the message of the model, as do definitions that it found.
        role = np.where((letter == R) & self.pieces.is_server[pool], _ROLE[A], _ROLE[letter])
        role[dropped] = 0
        every = np.arange(len(pool))
        earlier = np.concatenate([[-1], np.maximum.accumulate(np.where(role > 0, every, -1))])[:-1]
        return (role > 0) & ((earlier < every - within) | (role != role[earlier])), dropped

    def finish(self, known: Contexts | None) -> Contexts:
        """Everything, with the blanks among the pieces."""
        pool, source = self.pool[: self.used].copy(), self.source[: self.used].copy()
        pieces, count = self.pieces, len(self.pieces)
        if self.blanks:
            rows = np.concatenate(self.blank_rows)
            no, none = np.zeros(self.blanks, dtype=np.int64), np.full(self.blanks, -1, dtype=np.int64)
            unknown = {
                "session": self.inputs.prompts.session[rows], "letter": no + BLANK, "kind": no + UNATTRIBUTED,
                "chars": self._blank_chars(rows), "extra_bytes": no, "weight": no, "digits": no,
                "is_server": no > 0, "is_deferred": no > 0,
                "medium": no, "tool": none, "call": none, "version": none, "code": none, "born": rows,
            }  # fmt: skip
            for name, values in unknown.items():
                setattr(pieces, name, np.concatenate([getattr(pieces, name), values]))
            same = np.arange(count + self.blanks)
            for blank, piece in self.alias.items():
                same[blank] = piece
            pool = same[pool]
        if known is None:
            is_start, is_dropped = self._marks(pool, np.argsort(self.start, kind="stable"))
        else:
            more = self._marks(pool[len(known.pool) :], np.arange(len(known.start), len(self.start)))
            is_start = np.concatenate([known.is_message_start, more[0]])
            is_dropped = np.concatenate([known.is_dropped, more[1]])
        return Contexts(
            self.inputs,
            self.lineage,
            pieces,
            pool,
            source,
            self.start,
            self.length,
            self.shared,
            self.is_whole,
            is_start,
            is_dropped,
            pieces.letter == BLANK,
        )
