"""What bills state together: the growths of prompts, and outputs, each as the segments that it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final, NamedTuple

import numpy as np

from .arrays import spans, sums
from .contexts import Contexts
from .model import BLANK, IS_WRITTEN, D, Flags, Floats, Ints, K, R, S, T, U
from .segments import SERVER_DEFINITION, TOOL_SEARCH, Segments, segments

_TOOL_SEARCHES: Final = "tool_search_tool_"
"""How the names of the provider's tool searches begin."""


class Measured(NamedTuple):
    """Of each prompt what its bill says."""

    tokens: Ints
    """-1 where it does not state them."""
    anchor: Ints
    """The prompt with known tokens of which it has all the pieces: -1 for none, -2 where it has some of its base."""
    doubt: Floats
    """How far the tokens may be off, squared."""


@dataclass(slots=True)
class Equations:
    """One element an equation, for `group` to `doubt`; one a part of one for the others."""

    group: Ints
    tokens: Ints
    messages: Ints
    is_first: Flags
    has_hidden: Flags
    is_change: Flags
    """Whether it is of definitions that changed, and lacks some of what was there before."""
    answers: Ints
    """1 for an output, -1 for a growth from which an output was taken."""
    doubt: Floats
    """How far the tokens may be off, squared."""
    of: Ints
    """The equation of each part."""
    piece: Ints
    """-1 for what is no piece of a prompt."""
    sign: Ints
    """-1 for what is no longer there."""
    parts: Segments


def equations(contexts: Contexts, group_of: Ints, pieces: Segments, measured: Measured, is_early: Flags) -> Equations:
    """What prompts that are early add to their anchors, and what answers to these were made of.

    `group_of` has the group of each prompt; `pieces` are all pieces as segments.
    """
    prompts = contexts.inputs.prompts
    is_known = is_early & (measured.tokens > 0) & contexts.is_whole
    return joined(
        [
            _growths(contexts, group_of, pieces, measured, is_known),
            _outputs(contexts, group_of, is_early & (written(contexts) > 0) & prompts.has_output),
        ]
    )


def joined(every: Sequence[Equations]) -> Equations:
    """Equations one after the other."""
    counts = np.cumsum([0] + [len(each.group) for each in every])
    columns = {each.name: [getattr(some, each.name) for some in every] for each in fields(Equations)}
    columns["of"] = [some.of + before for some, before in zip(every, counts, strict=False)]
    parts = columns.pop("parts")
    columns_of_parts = [np.concatenate([getattr(part, name) for part in parts]) for name in Segments.__slots__]
    return Equations(
        **{name: np.concatenate(values) for name, values in columns.items()}, parts=Segments(*columns_of_parts)
    )


def written(contexts: Contexts) -> Ints:
    """Tokens of each output beside compaction and, where it is known apart, thinking."""
    prompts = contexts.inputs.prompts
    found: Ints = np.maximum(prompts.output - prompts.compaction[:, 4] - np.maximum(prompts.thinking, 0), 0)
    return found


def _growths(contexts: Contexts, group_of: Ints, parts: Segments, measured: Measured, is_known: Flags) -> Equations:
    """What each prompt has beyond its anchor. What the model wrote is as long as its output was billed: taken off.

    Where only definitions or the system prompt changed, it is what the prompt has beyond its base, less what it lacks.
    """
    pieces, lineage = contexts.pieces, contexts.lineage
    tokens, anchor, doubt = measured
    has_head_changed = is_known & (anchor == -2)
    has_head_changed[has_head_changed] = _is_change(contexts, tokens, np.flatnonzero(has_head_changed))
    rows = np.flatnonzero(is_known & (anchor > -2) | has_head_changed)
    is_change = has_head_changed[rows]
    held = np.where(is_change, lineage.base[rows], anchor[rows])
    place, of, sign = _differences(contexts, rows, held, is_change)
    piece = contexts.pool[place]
    letter = pieces.letter[piece]
    begins = contexts.is_message_start[place]
    grown = tokens[rows] - np.where(held >= 0, tokens[held], 0)
    output = written(contexts)[held]
    turns = sums((begins & IS_WRITTEN[letter]).astype(np.int64), of, len(rows))
    has_thinking = sums((letter == T).astype(np.int64), of, len(rows)) > 0
    is_direct = (held >= 0) & (lineage.base[rows] == held) & (output > 0) & (turns == 1) & ~has_thinking
    is_direct &= (grown > output) | is_change
    grown = np.where(is_direct, grown - output, grown)
    is_used = (grown > 0) | is_change
    is_used[of[letter == BLANK]] = False
    # What thinking leaves when the user speaks is not known yet.
    is_used[of[letter == U]] &= ~_has(contexts, T)[rows[of[letter == U]]]
    kept = np.flatnonzero(is_used[of] & ~(is_direct[of] & IS_WRITTEN[letter]) & ~contexts.is_dropped[place])
    number = np.cumsum(is_used) - 1
    return Equations(
        group_of[rows[is_used]],
        grown[is_used],
        sums(begins * sign, of, len(rows))[is_used],
        held[is_used] < 0,
        ((held < 0) & has_tools(contexts)[rows])[is_used],
        is_change[is_used],
        -is_direct[is_used].astype(np.int64),
        (doubt[rows] + np.where(held >= 0, doubt[held], 0.0))[is_used],
        number[of[kept]],
        piece[kept],
        sign[kept],
        parts.take(piece[kept]),
    )


def _is_change(contexts: Contexts, tokens: Ints, rows: Ints) -> Flags:
    """Which prompts have all that their base has but for definitions and system prompts, and a bill to compare with."""
    prompts, lineage = contexts.inputs.prompts, contexts.lineage
    base = lineage.base[rows]
    found = (base >= 0) & ~lineage.has_stand_in[rows] & (tokens[base] > 0) & contexts.is_whole[base]
    found &= prompts.model[base] == prompts.model[rows]
    has_tool = has_tools(contexts)
    found &= has_tool[rows] == has_tool[base]
    found &= ~(_has(contexts, T) | _has(contexts, K))[rows]
    some = np.flatnonzero(found)
    place, of, sign = _differences(contexts, rows[some], base[some], found[some])
    letter = contexts.pieces.letter[contexts.pool[place]]
    found[some[of[(sign < 0) & (letter != D) & (letter != S)]]] = False
    return found


def _differences(contexts: Contexts, rows: Ints, others: Ints, is_change: Flags) -> tuple[Ints, Ints, Ints]:
    """Elements that prompts have beyond others that they begin with, or, with a change, have and lack.

    Gives the place of each, the index of its prompt, and 1 or -1.
    """
    from_ = np.where((others >= 0) & ~is_change, contexts.length[others], 0)
    counts = contexts.length[rows] - from_
    place, of = spans(contexts.start[rows] + from_, counts), np.repeat(np.arange(len(rows)), counts)
    sign = np.ones(len(place), dtype=np.int64)
    changed = np.flatnonzero(is_change)
    if not len(changed):
        return place, of, sign
    old_place, old_of = contexts.elements(others[changed])
    old_of = changed[old_of]
    key, old_key = (at * len(contexts.pieces) + contexts.pool[of_] for at, of_ in ((of, place), (old_of, old_place)))
    stays = ~is_change[of] | ~np.isin(key, old_key)
    goes = ~np.isin(old_key, key)
    signs = np.concatenate([sign[stays], np.full(int(goes.sum()), -1, dtype=np.int64)])
    return np.concatenate([place[stays], old_place[goes]]), np.concatenate([of[stays], old_of[goes]]), signs


def _outputs(contexts: Contexts, group_of: Ints, is_known: Flags) -> Equations:
    """What each answer was made of."""
    inputs = contexts.inputs
    rows, output = np.flatnonzero(is_known), inputs.output
    number = np.full(len(inputs.prompts), -1, dtype=np.int64)
    number[rows] = np.arange(len(rows))
    part = np.flatnonzero((number[output.p] >= 0) & is_output_part(contexts))
    no = np.zeros(len(rows), dtype=np.bool_)
    return Equations(
        group_of[rows],
        written(contexts)[rows],
        np.zeros(len(rows), dtype=np.int64),
        no,
        no,
        no,
        np.ones(len(rows), dtype=np.int64),
        np.zeros(len(rows)),
        number[output.p[part]],
        np.full(len(part), -1, dtype=np.int64),
        np.ones(len(part), dtype=np.int64),
        output_segments(contexts, part),
    )


def is_output_part(contexts: Contexts) -> Flags:
    """Which items of outputs share what was billed beside thinking and summaries that are known apart."""
    prompts, output = contexts.inputs.prompts, contexts.inputs.output
    # Results of the provider's tools, and definitions that they found, lie in an output but are no output tokens.
    found: Flags = ~output.is_copy & (output.kind != R) & (output.kind != D)
    found &= ~((prompts.thinking[output.p] >= 0) & (output.kind == T))
    found &= ~((prompts.compaction[output.p, 4] > 0) & (output.kind == K))
    return found


def output_segments(contexts: Contexts, part: Ints) -> Segments:
    """Items of outputs as segments."""
    output = contexts.inputs.output.take(part)
    medium = np.where(output.is_image, 1, np.where(output.is_document, 2, 0))
    return segments(
        output.kind, output.tool, output.chars, output.extra_bytes, output.weight, output.digits, medium,
        output.is_server,
    )  # fmt: skip


def has_tools(contexts: Contexts) -> Flags:
    """Whether each prompt offers any tool."""
    found: Flags = _has(contexts, D) | (contexts.inputs.prompts.tools_offered > 0)
    return found


def _has(contexts: Contexts, letter: int) -> Flags:
    """Whether each prompt has a piece of a kind."""
    running = np.concatenate([[0], np.cumsum(contexts.pieces.letter[contexts.pool] == letter)])
    found: Flags = running[contexts.start + contexts.length] > running[contexts.start]
    return found


def piece_segments(contexts: Contexts) -> Segments:
    """All pieces as segments."""
    pieces = contexts.pieces
    found = segments(
        pieces.letter, pieces.tool, pieces.chars, pieces.extra_bytes, pieces.weight, pieces.digits, pieces.medium,
        pieces.is_server,
    )  # fmt: skip
    of_server = np.flatnonzero(found.form == SERVER_DEFINITION)
    if len(of_server):
        searches = [code for code, tool in enumerate(contexts.inputs.tools) if tool.startswith(_TOOL_SEARCHES)]
        found.form[of_server[np.isin(found.tool[of_server], searches)]] = TOOL_SEARCH
    found.frames = _frames(contexts)
    return found


def _frames(contexts: Contexts) -> Ints:
    """`Segments.frames` of the pieces: of a result's parts only the first has its frame, which forms have for texts."""
    pieces = contexts.pieces
    found = np.zeros(len(pieces), dtype=np.int64)
    results = np.flatnonzero((pieces.letter == R) & (pieces.call >= 0) & ~pieces.is_server)
    said = np.stack([pieces.call[results], pieces.born[results]], axis=1)
    _, first = np.unique(said, axis=0, return_index=True)
    found[results[first]] = 1
    found[results] -= pieces.medium[results] == 0
    return found
