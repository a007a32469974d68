"""Prompts that were billed several times within one request, as the provider ran a tool and the model went on.

What such a bill says is known twice over: by itself, and by the bill of the request that follows.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from . import model as m
from .arrays import run_starts, running, spans, split, sums
from .contexts import Contexts
from .densities import Densities
from .model import IS_WRITTEN, MICRO, C, D, Flags, Floats, Ints, R, T
from .segments import slack

_GIVEN: Final = 0.25
"""How far what a tool of the provider's gave may be from what is expected of it, as long as little is learned."""


class Owners(NamedTuple):
    """One element an owner: its kind, and the codes of its tool and its version, or -1."""

    kind: Ints
    tool: Ints
    version: Ints


class Parts(NamedTuple):
    """What lies in the billed prompts, in order: pieces, what begins messages, the hidden prompt, the rest.

    `rows` has the prompt of each run of parts, and `billed` its tokens by rate; a prompt that was billed several times
    within its request has two, the first of which ends where the other `begins` in each rate.
    """

    rows: Ints
    billed: Ints
    begins: Ints
    prompt: Ints
    """The run that each part lies in."""
    size: Ints
    owner: Ints
    basis: Ints
    is_first: Flags
    call: Ints
    owners: Owners
    """What `owner` numbers: pieces, then the overhead and what is unattributed."""


def in_passes(parts: Parts, tails: Ints, guessed: Ints, server_results: Ints) -> Parts:
    """The parts with those that the provider's tools added, each prompt as often as it was billed in its request.

    A tool that the provider ran may take the model another pass over the prompt. Each pass but the first reads what the
    first read and wrote, and pays in full for the rest and for what the tools gave: what was read of a prompt is known.
    """
    count, rate = len(parts.rows), m.PROMPT_RATES.index
    once, of_tail = parts.size, parts.prompt[tails]
    explained = sums(once, parts.prompt, count)
    total = parts.billed.sum(axis=1)
    passes = np.rint((total * m.MICRO - sums(guessed, of_tail, count)) / np.maximum(explained, 1)).astype(np.int64)
    passes = np.clip(passes, 1, 1 + server_results)

    written = parts.billed[:, [rate("cache_write_1h"), rate("cache_write_5m")]].sum(axis=1)
    read, rest = np.divmod(parts.billed[:, rate("cache_read")] - (passes - 1) * written, passes)
    is_cached = (explained > 0) & (passes > 1) & (rest == 0) & (read >= 0) & (read + written > 0)
    is_cached &= (parts.billed >= 0).all(axis=1)
    runs = run_starts(parts.prompt)
    # A breakpoint lies at the end of a block: the rest of the prompt is that of the nearest end.
    rest = np.where(is_cached, explained - (read + written) * m.MICRO, 0)
    after = explained[parts.prompt] - running(once, runs)
    nearest = np.lexsort((np.abs(after - rest[parts.prompt]), parts.prompt))[np.flatnonzero(runs)]
    unread = np.rint(after[nearest] / m.MICRO).astype(np.int64)
    first = parts.billed.copy()
    first[:, rate("cache_read")] = read
    first[:, rate("input")] = np.clip(unread, 0, np.maximum(parts.billed[:, rate("input")] // passes, 0))
    # Of what was read and written the size is known, whatever was found of the pieces.
    known = split(once, runs, np.where(is_cached, first.sum(axis=1) * m.MICRO, explained))
    once = np.where(is_cached[parts.prompt], known, once)

    size = once * passes[parts.prompt]
    left = total * m.MICRO - sums(size, parts.prompt, count)
    heads = run_starts(of_tail)
    exact = split(np.maximum(guessed, 1), heads, np.maximum(left, 0)[of_tail[heads]])
    size[tails] = np.where(left[of_tail] > 0, exact, guessed)

    again = np.flatnonzero(is_cached)
    number = np.full(count, -1, dtype=np.int64)
    number[again] = count + np.arange(len(again))
    more = np.flatnonzero(is_cached[parts.prompt])
    rows, begins = np.append(parts.rows, parts.rows[again]), np.concatenate([parts.begins, first[again]])
    billed = np.concatenate([np.where(is_cached[:, None], first, parts.billed), (parts.billed - first)[again]])
    sizes = np.append(np.where(is_cached[parts.prompt], once, size), (size - once)[more])
    prompt = np.append(parts.prompt, number[parts.prompt[more]])
    return Parts(
        rows, billed, begins, prompt, sizes, np.append(parts.owner, parts.owner[more]),
        np.append(parts.basis, parts.basis[more]), np.append(parts.is_first, parts.is_first[more]),
        np.append(parts.call, parts.call[more]), parts.owners,
    )  # fmt: skip


class Once(NamedTuple):
    """Of each prompt: its tokens and how far they may be off, squared; -1 and 0 where nothing was found."""

    tokens: Ints
    doubt: Floats


def tokens_once(contexts: Contexts, tokens: Ints, anchor: Ints, densities: Densities) -> Once:
    """The tokens of prompts that were billed twice, as the provider ran one tool between two passes.

    The second pass has what the tool was asked and gave beside the prompt, and so has the prompt of the next request,
    which has it once, with the rest of the answer and what was said then. The difference of the two bills is the
    prompt, but for what was said then; half of the bill is, but for what the tool gave; and so is the prompt before
    it, but for what was said since. The less certain of what is to be added or taken off, the less its figure counts.
    """
    prompts, output = contexts.inputs.prompts, contexts.inputs.output
    count, base = len(prompts), contexts.lineage.base
    runs = np.bincount(output.p[output.is_server & (output.kind == R)], minlength=count)
    asked = np.bincount(output.p[output.is_server & (output.kind == C)], minlength=count)
    is_twice = (runs == 1) & (asked == 1) & prompts.is_prompt_known & contexts.is_whole
    is_twice &= (tokens < 0) & ~prompts.cleared.any(axis=1) & ~prompts.compaction.any(axis=1)
    rows = np.flatnonzero((base >= 0) & is_twice[base] & (tokens > 0) & ~contexts.lineage.has_stand_in)
    held = base[rows]
    is_good = (contexts.shared[rows] == contexts.length[held]) & (prompts.model[rows] == prompts.model[held])
    is_good &= contexts.is_whole[rows] & ~prompts.cleared[rows].any(axis=1)
    rows, held = rows[is_good], held[is_good]

    new = _Added(contexts, densities, rows, held)
    is_said = ~IS_WRITTEN[new.letter] & ~new.is_server & (new.letter != D)
    is_asked = new.is_server & (new.letter == C)
    rest = new.sum(np.where(is_said, new.size, 0) - np.where(is_asked, new.size, 0)) + new.messages
    both = np.maximum(prompts.billed[held], 0).sum(axis=1)
    answer = densities.answer[densities.group_of[rows]]
    next_ = both - tokens[rows] + prompts.output[held] + (rest - answer) / MICRO
    is_added = new.is_server | (new.letter == D)
    half = (both - new.sum(np.where(is_added, new.size, 0)) / MICRO) / 2

    since, grown = _grown(contexts, tokens, anchor, densities, held)
    # Of an answer whose length is not known, the next bill does not tell how much of it was in the prompt before.
    said = np.where(prompts.is_usage_known[held], new.sum(np.where(is_said | is_asked, new.slack, 0)), np.inf)
    doubts = np.stack([said, new.sum(np.where(is_added, new.slack, 0)) / 4, since])
    precise = 1000 / (doubts + 10_000)
    once = np.rint((np.stack([next_, half, grown]) * precise).sum(axis=0) / precise.sum(axis=0)).astype(np.int64)
    is_likely = (once > 0) & (2 * once <= both) & (new.sum((new.letter == T).astype(np.int64)) == 0)
    found, doubt = np.full(count, -1, dtype=np.int64), np.zeros(count)
    first = np.flatnonzero(is_likely)[::-1]
    found[held[first]], doubt[held[first]] = once[first], 1 / precise.sum(axis=0)[first]
    return Once(found, doubt)


def _grown(contexts: Contexts, tokens: Ints, anchor: Ints, densities: Densities, rows: Ints) -> tuple[Floats, Floats]:
    """What prompts have by the bill of their anchor and what was added; how far that may be off, in thousandths."""
    prompts = contexts.inputs.prompts
    before = anchor[rows]
    new = _Added(contexts, densities, rows, np.maximum(before, 0))
    # What the model wrote is as long as its output was billed.
    is_written = IS_WRITTEN[new.letter] & ~new.is_server
    written = new.sum(is_written.astype(np.int64))
    is_direct = (before >= 0) & (contexts.lineage.base[rows] == before) & (prompts.output[before] > 0) & (written > 0)
    is_direct &= (new.sum((new.is_server | (new.letter == T)).astype(np.int64)) == 0) & (new.turns == 1)
    is_rest = ~(is_written & is_direct[new.of])
    answered = prompts.output[before] - densities.answer[densities.group_of[rows]] / MICRO
    grown = tokens[before] + (new.sum(np.where(is_rest, new.size, 0)) + new.messages) / MICRO
    grown += np.where(is_direct, answered, 0)
    return np.where(before >= 0, new.sum(np.where(is_rest, new.slack, 0)), np.inf), grown


class _Added:
    """What prompts have beyond others that they begin with: one element a piece, `of` has the index of its prompt."""

    def __init__(self, contexts: Contexts, densities: Densities, rows: Ints, others: Ints) -> None:
        pieces, self.count = contexts.pieces, len(rows)
        counts = np.maximum(contexts.length[rows] - contexts.length[others], 0)
        place = spans(contexts.start[rows] + contexts.length[others], counts)
        self.of, piece = np.repeat(np.arange(len(rows)), counts), contexts.pool[place]
        self.letter, self.is_server = pieces.letter[piece], pieces.is_server[piece]
        group = densities.group_of[rows]
        self.size = densities.expected(piece, group[self.of])
        given = np.where(self.is_server & (self.letter == R), (_GIVEN * self.size / MICRO) ** 2 * 1000, 0)
        self.slack = slack(densities.pieces.take(piece)) + given.astype(np.int64)
        begins = contexts.is_message_start[place]
        self.messages = self.sum(begins.astype(np.int64)) * densities.message[group]
        self.turns = self.sum((begins & IS_WRITTEN[self.letter]).astype(np.int64))

    def sum(self, values: Ints) -> Ints:
        """Sums by prompt."""
        return sums(values, self.of, self.count)
