"""How many tokens of a billed prompt each of its pieces has.

What a prompt added to the one before has exactly the growth of the bill: it is shared among the new pieces by the
learned densities, and each piece keeps its size for as long as it stays. What was edited or came back is counted from
the sizes that are known; what the provider takes out of the context (old thinking, cleared results) stops counting.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from . import model as m
from .arrays import lean, run_starts, running, spans, split, sums
from .contexts import Contexts
from .densities import REQUEST, Densities, learn
from .equations import Measured, has_tools
from .model import IS_WRITTEN, MICRO, Flags, Ints, K, R, T, U
from .passes import tokens_once
from .segments import slack

_MAX_LEARNED: Final = 10**9
"""Prompts with more tokens are garbled: shared by prior sizes alone, so that no sum can overflow."""
_LEAST: Final = 0.25
_MOST: Final = 4.0
"""New pieces have between so many times what is expected of them; a growth outside is not theirs alone."""
_SLACK: Final = 200 * MICRO
_PASSED: Final = 8
"""As many requests in a row may each have had a tool of the provider's run."""
_CLEAR: Final = 3.0
"""So many spreads of what is new has thinking to be that is seen to leave."""
_NOTE: Final = 20 * MICRO
"""What stands for a result that the provider took out, at most."""


@dataclass(slots=True)
class Shares:
    """Sizes in millionths of a token: of every element of the pool, and of what is no element, by prompt."""

    densities: Densities
    elements: Ints
    bases: Ints
    hidden: Ints
    message: Ints
    residual: Ints
    """What the bill has beyond all pieces."""
    sizes: Sizes


@dataclass(slots=True)
class Sizes:
    """What prompts leave to those that follow them: of pieces in the models of their sessions, of prompts, elements."""

    size: Ints
    basis: npt.NDArray[np.int8]
    is_sized: Flags
    gap: Ints
    residual: Ints
    has_gone: Flags
    is_gone: Flags


def share(contexts: Contexts, known: Shares | None = None) -> Shares:
    """The sizes of every prompt's pieces; where the shares of the first prompts are `known`, those of the rest too."""
    return _Sharing(contexts, known).run()


class _Sharing:
    def __init__(self, contexts: Contexts, known: Shares | None) -> None:
        prompts, lineage = contexts.inputs.prompts, contexts.lineage
        self.contexts = contexts
        self.tokens = measured(contexts)
        self.anchor = _anchors(contexts, self.tokens)
        if known is None:
            self.doubt = np.zeros(len(prompts))
            self.densities = learn(contexts, Measured(self.tokens, self.anchor, self.doubt))
            if self._find_passed():
                self.densities = learn(contexts, Measured(self.tokens, self.anchor, self.doubt))
        else:
            self.densities = known.densities.of_more(contexts)
        groups = self.densities.session
        # A piece has a size for each model of its session.
        models = np.bincount(groups, minlength=int(prompts.session.max()) + 1 if len(prompts) else 0)
        first = np.cumsum(models) - models
        pieces = contexts.pieces
        counts = models[pieces.session]
        self.offset = np.cumsum(counts) - counts
        self.place = self.densities.group_of - first[prompts.session]
        total = int(counts.sum())
        self.size = np.zeros(total, dtype=np.int64)
        self.basis = np.full(total, m.RECONCILED, dtype=np.int8)
        self.is_sized = np.zeros(total, dtype=np.bool_)
        self.gap = np.zeros(len(prompts), dtype=np.int64)
        self.residual = np.zeros(len(prompts), dtype=np.int64)
        self.is_gone = contexts.is_dropped.copy()
        self.has_gone = np.zeros(len(prompts), dtype=np.bool_)
        owner = np.repeat(np.arange(len(prompts)), contexts.length)
        self.has_gone[owner[self.is_gone[spans(contexts.start, contexts.length)]]] = True
        self.hidden = np.where(has_tools(contexts), self.densities.hidden[self.densities.group_of], 0) + REQUEST
        self.written = np.maximum(prompts.output - prompts.compaction[:, 4], 0)
        self.base = lineage.base
        if known is not None:
            self._go_on(known.sizes)
        self._size_summaries()

    def _go_on(self, known: Sizes) -> None:
        for name in Sizes.__slots__:
            held = getattr(known, name)
            getattr(self, name)[: len(held)] = held

    def _find_passed(self) -> bool:
        """Measures prompts that were billed twice, each from the one after it, and says whether there were any."""
        for each in range(_PASSED):
            passed = tokens_once(self.contexts, self.tokens, self.anchor, self.densities)
            if not (passed.tokens > 0).any():
                return each > 0
            self.tokens = np.where(passed.tokens > 0, passed.tokens, self.tokens)
            self.doubt += passed.doubt
            self.anchor = _anchors(self.contexts, self.tokens)
        return True

    def run(self) -> Shares:
        """Sizes the prompts in the order in which they were put together."""
        for rows in self.contexts.lineage.waves:
            self._inherit(rows)
            measured = rows[self.tokens[rows] > 0]
            if len(measured):
                self._size(measured)
        return self._finish()

    def _size_summaries(self) -> None:
        """A summary that the provider made has the tokens of the iteration that wrote it."""
        output, prompts = self.contexts.inputs.output, self.contexts.inputs.prompts
        spent = prompts.compaction[output.p, 4] * MICRO - self.densities.answer[self.densities.group_of[output.p]]
        found = np.flatnonzero((output.kind == K) & (self.contexts.pieces.of_output >= 0) & (spent > 0))
        instance = self.offset[self.contexts.pieces.of_output[found]] + self.place[output.p[found]]
        self.size[instance], self.is_sized[instance] = spent[found], True

    def _inherit(self, rows: Ints) -> None:
        """What left the context of a prompt stays out of those that go on from it."""
        rows = rows[self.base[rows] >= 0]
        rows = rows[self.has_gone[self.base[rows]]]
        if not len(rows):
            return
        place, _ = self.contexts.elements(rows)
        source = self.contexts.source[place]
        self.is_gone[place] |= (source >= 0) & self.is_gone[source]
        self.has_gone[rows] = True

    def _size(self, rows: Ints) -> None:
        contexts, densities = self.contexts, self.densities
        pieces = contexts.pieces
        place, owner = contexts.elements(rows)
        piece = contexts.pool[place]
        letter = pieces.letter[piece]
        group = densities.group_of[rows]
        instance = self.offset[piece] + self.place[rows][owner]
        is_new = ~self.is_sized[instance] & ~self.is_gone[place]
        kept = np.where(is_new | self.is_gone[place], 0, self.size[instance])
        messages = sums(contexts.is_message_start[place].astype(np.int64), owner, len(rows))
        total = self.tokens[rows] * MICRO
        known = sums(kept, owner, len(rows)) + densities.message[group] * messages + self.hidden[rows]
        anchor = self.anchor[rows]
        known += np.where(anchor >= 0, self.gap[anchor], 0)

        new = np.flatnonzero(is_new)
        expected = densities.expected(piece[new], group[owner[new]])
        wanted = sums(expected, owner[new], len(rows))
        rest = total - known
        new, expected = self._forget_left(rows, place, owner, kept, letter, rest, new, expected, wanted)
        short = np.flatnonzero((rest < _LEAST * wanted) | ((wanted == 0) & (rest < -20 * MICRO)))
        if len(short):
            self._forget_thinking(rows, short, place, owner, letter, rest, new, expected, wanted)
            still = self.is_gone[place[new]]
            new, expected = new[~still], expected[~still]
            short = short[(rest < _LEAST * wanted)[short] | (wanted[short] == 0)]
            self._take_out(rows, short, place, owner, kept, letter, rest, wanted)

        of, letter = owner[new], letter[new]
        is_untold = (letter == R) & (pieces.chars[piece[new]] == 0)
        part, totals, counts = self._parts(rows, of, letter, is_untold, expected, rest, wanted)
        order = np.lexsort((np.arange(len(new)), part))
        starts = run_starts(part[order])
        shared = np.empty(len(new), dtype=np.int64)
        ends = totals[part[order][starts]]
        leaning = lean(expected[order], slack(densities.pieces.take(piece[new[order]])), starts, ends)
        shared[order] = split(leaning, starts, ends)
        self.size[instance[new]] = shared
        self.is_sized[instance[new]] = True
        is_exact = (counts[part] == 1) & (anchor[of] >= 0)  # all of a first prompt is no figure of one piece
        self.basis[instance[new]] = np.where(is_exact, m.EXACT, m.RECONCILED)
        self.gap[rows] = rest - sums(shared, of, len(rows)) + np.where(anchor >= 0, self.gap[anchor], 0)
        gap = self.gap[rows]
        self.residual[rows] = np.where(gap > np.maximum(total // 50, 20 * MICRO), gap, 0)

    def _parts(
        self, rows: Ints, of: Ints, letter: Ints, is_untold: Flags, expected: Ints, rest: Ints, wanted: Ints
    ) -> tuple[Ints, Ints, Ints]:
        """What shares a total of its own: the thinking, the writing, and the rest of each prompt's new pieces.

        Gives the part of each piece, the parts' totals, and how many pieces they have.
        """
        prompts, contexts = self.contexts.inputs.prompts, self.contexts
        base = self.base[rows]
        # A request that failed in between wrote nothing: what is new was written in answer to the one before it.
        base = np.where((self.anchor[rows] >= 0) & ~prompts.is_billed[base], self.anchor[rows], base)
        is_thinking, is_written = letter == T, IS_WRITTEN[letter] & (letter != T)
        count = len(rows)
        thought = np.where((base >= 0) & (prompts.thinking[base] > 0), prompts.thinking[base], 0) * MICRO
        answer = self.densities.answer[self.densities.group_of[rows]]
        written = np.where(base >= 0, self.written[base] * MICRO - thought - answer, 0)
        thinking_pieces = sums(is_thinking.astype(np.int64), of, count)
        written_pieces = sums(is_written.astype(np.int64), of, count)
        untold = sums(is_untold.astype(np.int64), of, count)
        pieces = np.bincount(of, minlength=count)
        rest_pieces = pieces - thinking_pieces - written_pieces
        others = wanted - sums(np.where(is_thinking | is_written, expected, 0), of, count)
        writing = sums(np.where(is_written, expected, 0), of, count)
        # Each piece that the model wrote came from the answer to the base, if the prompt has all of that prompt.
        is_same = prompts.model[base] == prompts.model[rows]
        is_direct = (
            (base >= 0)
            & is_same
            & ((self.anchor[rows] == base) | (self.anchor[rows] == -2))
            & ~contexts.lineage.has_stand_in[rows]
        )
        is_direct &= (written_pieces > 0) & (written > 0.3 * writing) & (written < 3 * writing + _SLACK)
        is_direct &= (thinking_pieces == 0) | (thought > 0)
        thought = np.where(thinking_pieces > 0, thought, 0)
        left = rest - written - thought
        fits = (left >= _LEAST * others) & (left <= _MOST * others + _SLACK)
        is_direct &= (rest_pieces == 0) | fits
        is_direct &= (rest_pieces > 0) | (np.abs(left) <= written // 5 + 10 * MICRO)
        written = np.where(rest_pieces > 0, written, np.maximum(written + left, 0))
        limited = np.clip(rest, (_LEAST * wanted).astype(np.int64), (_MOST * wanted).astype(np.int64) + _SLACK)
        # With usage alone all of a growth is the calls in between, of whatever size, unless their sizes were told.
        is_all = contexts.lineage.is_inferred[rows] & (self.anchor[rows] >= 0) & (untold > 0)
        limited = np.where(is_all, np.maximum(rest, 0), limited)
        is_direct |= is_all & (base >= 0) & (written > 0) & (written < rest) & (written_pieces > 0)

        part = of * 3 + np.where(is_direct[of], np.where(is_thinking, 2, np.where(is_written, 1, 0)), 0)
        totals = np.zeros(3 * count, dtype=np.int64)
        totals[0::3] = np.where(is_direct, left, limited)
        totals[1::3], totals[2::3] = written, thought
        counts = np.bincount(part, minlength=3 * count)
        counts[0::3] = np.where(~is_direct & (limited != rest), 2, counts[0::3])  # not a figure of the bill
        return part, totals, counts

    def _forget_left(
        self, rows: Ints, place: Ints, owner: Ints, kept: Ints, letter: Ints, rest: Ints, new: Ints, expected: Ints,
        wanted: Ints,
    ) -> tuple[Ints, Ints]:  # fmt: skip
        """All thinking before what the user says leaves with it, where the bill is closer to that than to all of it.

        Gives the new pieces that stay, and what is expected of them.
        """
        count = len(rows)
        spoken = np.full(count, -1, dtype=np.int64)
        said = new[letter[new] == U]
        np.maximum.at(spoken, owner[said], place[said])
        is_out = (letter == T) & (place < spoken[owner])
        if not is_out.any():
            return new, expected
        is_new_out = is_out[new]
        thought = sums(np.where(is_new_out, expected, 0), owner[new], count)
        gone = thought + sums(np.where(is_out, kept, 0), owner, count)
        noise = slack(self.densities.pieces.take(self.contexts.pool[place[new]]))
        spread = np.sqrt(sums(np.where(is_new_out, 0, noise), owner[new], count) / 1000) * MICRO
        leaves = (gone > _CLEAR * spread) & (2 * (wanted - rest) > gone)
        out = is_out & leaves[owner]
        self.is_gone[place[out]] = True
        self.has_gone[rows[leaves]] = True
        rest += np.where(leaves, gone - thought, 0)
        wanted -= np.where(leaves, thought, 0)
        kept[out] = 0
        stays = ~out[new]
        return new[stays], expected[stays]

    def _forget_thinking(
        self, rows: Ints, short: Ints, place: Ints, owner: Ints, letter: Ints, rest: Ints, new: Ints, expected: Ints,
        wanted: Ints,
    ) -> None:  # fmt: skip
        """Thinking that left the context before any prompt was billed for it: what joins a prompt does without it."""
        spoken = np.full(len(rows), -1, dtype=np.int64)
        np.maximum.at(spoken, owner[letter == U], place[letter == U])
        is_out = (letter[new] == T) & (place[new] < spoken[owner[new]])
        thought = sums(np.where(is_out, expected, 0), owner[new], len(rows))
        is_short = np.zeros(len(rows), dtype=np.bool_)
        is_short[short] = True
        is_short &= (thought > 0) & (rest >= _LEAST * (wanted - thought))
        out = is_out & is_short[owner[new]]
        self.is_gone[place[new[out]]] = True
        self.has_gone[rows[is_short]] = True
        wanted -= np.where(is_short, thought, 0)

    def _take_out(
        self, rows: Ints, short: Ints, place: Ints, owner: Ints, kept: Ints, letter: Ints, rest: Ints, wanted: Ints
    ) -> None:
        """Finds what the provider left out of prompts that were billed for less than they hold."""
        bounds = np.searchsorted(owner, np.arange(len(rows) + 1))
        for index in short.tolist():
            part = slice(int(bounds[index]), int(bounds[index + 1]))
            lacking = int(wanted[index] - rest[index])
            held, kinds = kept[part], letter[part]
            spoken = np.flatnonzero(kinds == U)
            old = np.flatnonzero((kinds == T) & (held > 0))
            old = old[old < spoken[-1]] if len(spoken) else old[:0]
            out = old if len(old) and abs(lacking - int(held[old].sum())) < lacking else old[:0]
            lacking -= int(held[out].sum())
            results = np.flatnonzero((kinds == R) & (held > 0))
            if len(results) and lacking > _LEAST * int(wanted[index]) + 20 * MICRO:
                cleared = np.cumsum(held[results])
                best = int(np.abs(np.concatenate([[0], cleared]) - lacking).argmin())
                out = np.concatenate([out, results[:best]])
            if not len(out):
                continue
            self.is_gone[place[part][out]] = True
            self.has_gone[rows[index]] = True
            rest[index] += int(held[out].sum())

    def _finish(self) -> Shares:
        """Sizes of all elements; what no bill has sized has its expected size."""
        contexts, densities = self.contexts, self.densities
        order = np.argsort(contexts.start, kind="stable")
        owner = np.repeat(order, contexts.length[order])
        instance = self.offset[contexts.pool] + self.place[owner]
        sizes = self.size[instance]
        bases = self.basis[instance].astype(np.int64)
        loose = np.flatnonzero(~self.is_sized[instance])
        if len(loose):
            sizes[loose] = densities.expected(contexts.pool[loose], densities.group_of[owner[loose]])
        sizes[self.is_gone] = 0
        self._clear(sizes)
        is_poor = ~contexts.is_whole[owner] | contexts.lineage.is_inferred[owner]
        is_poor |= ~contexts.inputs.prompts.is_prompt_known[owner]
        bases[is_poor] = m.INFERRED
        bases[contexts.pieces.kind[contexts.pool] == m.UNATTRIBUTED] = m.UNKNOWN
        left = Sizes(self.size, self.basis, self.is_sized, self.gap, self.residual, self.has_gone, self.is_gone)
        return Shares(densities, sizes, bases, self.hidden, densities.message[densities.group_of], self.residual, left)

    def _clear(self, sizes: Ints) -> None:
        """Takes out of prompts what the provider says that it left out, the oldest results and thinking first."""
        contexts, prompts = self.contexts, self.contexts.inputs.prompts
        rows = np.flatnonzero(prompts.cleared.any(axis=1))
        place, owner = contexts.elements(rows)
        piece = contexts.pool[place]
        letter = contexts.pieces.letter[piece]
        is_start = run_starts(owner)
        is_result = (letter == R) & ~contexts.pieces.is_server[piece] & (sizes[place] > 0)
        is_old = is_result & (running(is_result.astype(np.int64), is_start) <= prompts.cleared_uses[rows][owner])
        spoken = np.full(len(rows), -1, dtype=np.int64)
        np.maximum.at(spoken, owner[letter == U], place[letter == U])
        is_thought = (letter == T) & (place < spoken[owner])
        for column, is_out in enumerate((is_old, is_thought)):
            out = np.flatnonzero(is_out)
            held = sums(sizes[place[out]], owner[out], len(rows))
            left = np.maximum(held - prompts.cleared[rows, column] * MICRO, 0)
            starts = run_starts(owner[out])
            # What stays of a result is its frame and a note, however long it was.
            stays = np.minimum(sizes[place[out]], _NOTE)
            sizes[place[out]] = split(stays, starts, left[owner[out][starts]])


def measured(contexts: Contexts) -> Ints:
    """The tokens of each prompt where the bill states them, else -1: some requests bill more than their prompt."""
    inputs = contexts.inputs
    prompts = inputs.prompts
    tokens = np.maximum(prompts.billed, 0).sum(axis=1) - prompts.compaction[:, :4].sum(axis=1)
    tokens += prompts.cleared.sum(axis=1)  # as if nothing had been taken out: that the next prompt still has
    has_server = np.zeros(len(prompts), dtype=np.bool_)
    has_server[inputs.output.p[inputs.output.is_server & (inputs.output.kind == R)]] = True
    has_server[inputs.output.p[inputs.output.kind == K]] = True  # the prompt that was billed begins with a summary
    is_known = prompts.is_billed & prompts.is_prompt_known & ~has_server & (tokens > 0) & (tokens <= _MAX_LEARNED)
    found: Ints = np.where(is_known & (contexts.length > 0), tokens, -1)
    return found


def _anchors(contexts: Contexts, tokens: Ints) -> Ints:
    """The prompt of the same model with a known bill of which each has all the pieces; -1 where there is none.

    -2 where a prompt goes on from another one without having all of it.
    """
    lineage, prompts = contexts.lineage, contexts.inputs.prompts
    base = lineage.base
    has_all = (base >= 0) & (contexts.shared == contexts.length[base]) & ~lineage.has_stand_in
    found, is_held = base.copy(), has_all.copy()
    for _ in range(8):
        is_other = is_held & (found >= 0) & ((tokens[found] < 0) | (prompts.model[found] != prompts.model))
        if not is_other.any():
            break
        is_held[is_other] &= has_all[found[is_other]] | (base[found[is_other]] < 0)
        found[is_other] = np.where(is_held[is_other], base[found[is_other]], -1)
    good = is_held & (found >= 0)
    good[good] = (tokens[found[good]] > 0) & (prompts.model[found[good]] == prompts.model[good])
    is_first = (base < 0) | (prompts.model[base] != prompts.model) | (is_held & (found < 0))
    answer: Ints = np.where(good, found, np.where(is_first, -1, -2))
    return answer
