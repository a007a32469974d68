"""Tokens of a segment from its weight and its kind, learned from the bills.

Every growth of a billed prompt, and every billed output, is an equation: what was added, or written, has so many tokens
together. For each session and model they are solved for corrections of a prior: of everything, of each form of segment,
of each tool's calls and results, of digits, characters and bytes beyond ASCII, and of what blocks, messages and the
hidden tool prompt cost beyond their text. The prior is weak, and an equation counts by how far texts of one form differ
(Bayesian linear regression). Which estimator to use was chosen on simulated sessions of known truth: `make accuracy`
compares them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from .arrays import spans, sums
from .contexts import Contexts
from .model import BLANK, IS_WRITTEN, MICRO, C, D, Flags, Floats, Ints, K, R, T, U
from .overhead import hidden_prompt_tokens

# Forms of segments: the letters, and what costs otherwise than its letter's text.
(IMAGE, DOCUMENT, SERVER_DEFINITION, TOOL_SEARCH) = range(BLANK + 1, BLANK + 5)
_FORMS: Final = BLANK + 5

_TOOL_SEARCHES: Final = "tool_search_tool_"
"""How the names of the provider's tool searches begin."""

_TOKENS_PER_CHAR: Final = 0.25
_TOKENS_PER_EXTRA_BYTE: Final = 0.375
"""For segments of which only the length is known. A Chinese character (2 bytes more) is about one token, a Cyrillic
letter about 0.6."""
_CHARS_PER_IMAGE_TOKEN: Final = 250
"""131,635 base64 characters cost 519 tokens in a recording; an image costs 1,600 tokens at most."""
_IMAGE_TOKENS: Final = (64, 1600)
_CHARS_PER_DOCUMENT_TOKEN: Final = 35
_LEAST_DOCUMENT_TOKENS: Final = 300

# What recorded conversations cost beyond the weight of their text, and how far that differs between models.
_PER_BLOCK: Final = np.zeros(_FORMS)
_PER_BLOCK[[C, R, D, SERVER_DEFINITION, TOOL_SEARCH]] = (28.0, 13.0, 20.0, 800.0, 240.0)
_BLOCK_SPREAD: Final = np.full(_FORMS, 1e-3)
_BLOCK_SPREAD[[C, R, D, SERVER_DEFINITION, TOOL_SEARCH, DOCUMENT]] = (12.0, 7.0, 6.0, 700.0, 100.0, 1000.0)
_PER_MESSAGE: Final = 4.0
_MESSAGE_SPREAD: Final = 1.5
_PER_REQUEST: Final = 3.0
_PER_ANSWER: Final = 3.0
"""What closes an output; no later prompt has it."""
_ANSWER_SPREAD: Final = 1.5
_KNOWN_HIDDEN: Final = 0.01
_UNKNOWN_HIDDEN: Final = 0.4

_SPREAD: Final = 0.2
"""How far a tokenizer as a whole is from the prior; then a form of segment from that, then a tool."""
_FORM_SPREAD: Final = np.full(_FORMS, 0.06)
_FORM_SPREAD[[IMAGE, DOCUMENT]] = 0.5
_TOOL_SPREAD: Final = 0.12
_SCRIPTS: Final = (0.3, 1.0)
"""From so many bytes beyond one a character on, a text is in another alphabet (one more a letter), or in ideographs
(two more); below are letters with accents."""
_COUNT_SPREAD: Final = (0.5, 0.02, 0.3, 0.3, 0.3)
"""How far tokenizers are from each other: one to three digits a token, long runs of spaces and long words whole or in
pieces, other scripts a token a letter or a token a word, each script for itself."""
_NOISE: Final = np.full(_FORMS, 0.03)
_NOISE[DOCUMENT] = 0.2
"""How far one text is from others of its tool and form."""
_NOISE_PER_TOKEN: Final = 0.1
"""What that is more for short texts: the variance, in tokens, of each token."""
_PAGE: Final = 1000.0
"""How far a document is from what its length says, in tokens: how many pages it has is not known."""
_LEAST_NOISE: Final = 2.0
_MOST_TOKENS: Final = 2e7
"""No segment is longer, whatever a garbled bill teaches: sums of `MAX_PIECES` sizes do not overflow, nor four times
those."""
_FARTHEST: Final = 3.0
"""Spreads that framing may be from its prior: a bill that nothing explains is not for the framing to explain."""

# Columns of the equations: one for everything, the forms, their blocks, and so on; the tools come last.
_EVERYTHING: Final = 0
_OF_FORM: Final = slice(1, 1 + _FORMS)
_OF_BLOCK: Final = slice(1 + _FORMS, 1 + 2 * _FORMS)
_OF_COUNT: Final = slice(1 + 2 * _FORMS, 1 + 2 * _FORMS + len(_COUNT_SPREAD))
(_ANSWERS, _MESSAGES, _HIDDEN, _FIRST_TOOL) = range(_OF_COUNT.stop, _OF_COUNT.stop + 4)
_PRIOR_SPREAD: Final = np.concatenate(
    [[_SPREAD], _FORM_SPREAD, _BLOCK_SPREAD, _COUNT_SPREAD, [_ANSWER_SPREAD, _MESSAGE_SPREAD, _KNOWN_HIDDEN]]
)

REQUEST: Final = round(_PER_REQUEST * MICRO)
"""What any prompt costs beyond its messages."""
ALL_EQUATIONS: Final = 64
"""Up to so many prompts a session learns from all of them. Longer ones learn again each time they are a quarter longer,
so that a new request does not change what all others were found to have."""


@dataclass(slots=True)
class Segments:
    """One element a segment: its form, its tool (or -1), its prior tokens, and what is counted of it."""

    form: Ints
    tool: Ints
    weight: Floats
    counts: Floats
    """A row a segment: its digits, its characters, and its bytes beyond one a character, in a column for its script."""

    def take(self, places: Ints) -> Segments:
        """Some of the segments."""
        return Segments(self.form[places], self.tool[places], self.weight[places], self.counts[places])


def segments(
    letter: Ints, tool: Ints, chars: Ints, extra_bytes: Ints, weight: Ints, digits: Ints, medium: Ints, is_server: Flags
) -> Segments:
    """Segments with a guess at their tokens: the weight that was sent, else from their length alone.

    `medium` is 1 for an image, 2 for a document, else 0.
    """
    image = np.clip(chars / _CHARS_PER_IMAGE_TOKEN, *_IMAGE_TOKENS)
    document = np.maximum(chars / _CHARS_PER_DOCUMENT_TOKEN, _LEAST_DOCUMENT_TOKENS)
    text = chars * _TOKENS_PER_CHAR + extra_bytes * _TOKENS_PER_EXTRA_BYTE
    tokens = np.where(weight > 0, weight, np.choose(medium, [text, image, document]))
    form = np.where(medium > 0, BLANK + medium, np.where((letter == D) & is_server, SERVER_DEFINITION, letter))
    counts = np.zeros((len(chars), len(_COUNT_SPREAD)))
    counts[:, 0], counts[:, 1] = digits, chars
    script = np.digitize(extra_bytes / np.maximum(chars, 1), _SCRIPTS)
    counts[np.arange(len(chars)), 2 + script] = extra_bytes
    counts[medium > 0] = 0.0
    return Segments(form, tool, tokens.astype(np.float64), counts)


@dataclass(slots=True)
class Densities:
    """What was learned, by group; a group is a session and a model. Sizes are in millionths of a token."""

    group_of: Ints
    """The group of each prompt."""
    session: Ints
    model: Ints
    pieces: Segments
    factor: Floats
    """By group and form: tokens for each token of the prior."""
    block: Floats
    """By group and form: tokens of a block beyond its text."""
    count: Floats
    """By group and column of `Segments.counts`: tokens beyond the prior for each that is counted."""
    message: Ints
    answer: Ints
    hidden: Ints
    tool_keys: Ints
    tool_factors: Floats

    def expected(self, piece: Ints, group: Ints) -> Ints:
        """Sizes of pieces within groups."""
        return self.of(self.pieces.take(piece), group)

    def of(self, some: Segments, group: Ints) -> Ints:
        """Sizes of segments within groups."""
        factor = self.factor[group, some.form]
        if len(self.tool_keys):
            key = _tool_key(some, group)
            place = np.minimum(np.searchsorted(self.tool_keys, key), len(self.tool_keys) - 1)
            factor = factor + np.where((key >= 0) & (self.tool_keys[place] == key), self.tool_factors[place], 0.0)
        text = some.weight * np.maximum(factor, 0.2)
        counted = (some.counts * self.count[group]).sum(axis=1)
        size = np.maximum(text + counted, text * 0.2) + self.block[group, some.form]
        found: Ints = np.rint(np.minimum(size, _MOST_TOKENS) * MICRO).astype(np.int64)
        return found

    def of_more(self, contexts: Contexts) -> Densities:
        """The same for more prompts and pieces of one session, of the same models."""
        group_of_model = np.full(len(contexts.inputs.models), -1, dtype=np.int64)
        group_of_model[self.model] = np.arange(len(self.model))
        return replace(self, group_of=group_of_model[contexts.inputs.prompts.model], pieces=_segments(contexts))


def _segments(contexts: Contexts) -> Segments:
    pieces = contexts.pieces
    found = segments(
        pieces.letter, pieces.tool, pieces.chars, pieces.extra_bytes, pieces.weight, pieces.digits, pieces.medium,
        pieces.is_server,
    )  # fmt: skip
    of_server = np.flatnonzero(found.form == SERVER_DEFINITION)
    if len(of_server):
        searches = [code for code, tool in enumerate(contexts.inputs.tools) if tool.startswith(_TOOL_SEARCHES)]
        found.form[of_server[np.isin(found.tool[of_server], searches)]] = TOOL_SEARCH
    return found


def is_settled(count: int) -> bool:
    """Whether a session of so many prompts has densities that most of its new requests do not change."""
    return count > ALL_EQUATIONS


def variances(some: Segments) -> Floats:
    """How far segments are from what is expected of them, squared, in tokens."""
    found: Floats = (_NOISE[some.form] * some.weight) ** 2 + _NOISE_PER_TOKEN * some.weight
    found[some.form == DOCUMENT] += _PAGE**2
    return found


def slack(some: Segments) -> Ints:
    """`variances` in thousandths, as whole numbers: sums of these are exact."""
    found: Ints = np.rint(np.clip(variances(some) * 1000, 1, 2**40)).astype(np.int64)
    return found


def last_equation(count: int) -> int:
    """How many prompts of a session of `count` its densities are learned from."""
    if count <= ALL_EQUATIONS:
        return count
    limit = ALL_EQUATIONS
    while limit * 5 // 4 <= count:
        limit = limit * 5 // 4
    return limit


@dataclass(slots=True)
class Equations:
    """One element an equation; `of` has the equation of each of `parts`, in order."""

    group: Ints
    tokens: Ints
    messages: Ints
    is_first: Flags
    has_hidden: Flags
    answers: Ints
    """1 for an output, -1 for a growth from which an output was taken."""
    of: Ints
    parts: Segments


def learn(contexts: Contexts, tokens: Ints, anchor: Ints) -> Densities:
    """Densities from the prompts whose billed `tokens` are known (else -1) and what they add to their `anchor`."""
    prompts = contexts.inputs.prompts
    groups, group_of = np.unique(np.stack([prompts.session, prompts.model], axis=1), axis=0, return_inverse=True)
    count = len(groups)
    hidden = np.array([hidden_prompt_tokens(contexts.inputs.models[model]) for _, model in groups.tolist()], np.float64)
    densities = Densities(
        group_of.ravel(),
        groups[:, 0],
        groups[:, 1],
        _segments(contexts),
        np.ones((count, _FORMS)),
        np.tile(_PER_BLOCK, (count, 1)),
        np.zeros((count, len(_COUNT_SPREAD))),
        np.full(count, round(_PER_MESSAGE * MICRO)),
        np.full(count, round(_PER_ANSWER * MICRO)),
        np.rint(hidden * MICRO).astype(np.int64),
        np.zeros(0, dtype=np.int64),
        np.zeros(0),
    )  # fmt: skip
    _solve(densities, _equations(contexts, densities, tokens, anchor), hidden)
    return densities


def _equations(contexts: Contexts, densities: Densities, tokens: Ints, anchor: Ints) -> Equations:
    prompts, lineage = contexts.inputs.prompts, contexts.lineage
    limits = np.array([last_equation(int(each)) for each in np.bincount(prompts.session)], dtype=np.int64)
    is_early = (lineage.rank < limits[prompts.session]) & ~lineage.is_inferred
    parts = [
        _growths(contexts, densities, tokens, anchor, is_early & (tokens > 0) & contexts.is_whole & (anchor > -2)),
        _outputs(contexts, densities, is_early & (written(contexts) > 0) & prompts.has_output),
    ]
    one, two = parts

    def both(name: str) -> Ints:
        return np.concatenate([getattr(one, name), getattr(two, name)])

    def segments_of(name: str) -> Any:
        return np.concatenate([getattr(one.parts, name), getattr(two.parts, name)])

    return Equations(
        both("group"), both("tokens"), both("messages"), both("is_first") > 0, both("has_hidden") > 0, both("answers"),
        np.concatenate([one.of, two.of + len(one.group)]),
        Segments(segments_of("form"), segments_of("tool"), segments_of("weight"), segments_of("counts")),
    )  # fmt: skip


def written(contexts: Contexts) -> Ints:
    """Tokens of each output beside compaction and, where it is known apart, thinking."""
    prompts = contexts.inputs.prompts
    found: Ints = np.maximum(prompts.output - prompts.compaction[:, 4] - np.maximum(prompts.thinking, 0), 0)
    return found


def _growths(contexts: Contexts, densities: Densities, tokens: Ints, anchor: Ints, is_known: Flags) -> Equations:
    """What each prompt has beyond its anchor. What the model wrote is as long as its output was billed: taken off."""
    pieces, lineage = contexts.pieces, contexts.lineage
    rows = np.flatnonzero(is_known)
    held = anchor[rows]
    from_ = np.where(held >= 0, contexts.length[held], 0)
    counts = contexts.length[rows] - from_
    place, of = spans(contexts.start[rows] + from_, counts), np.repeat(np.arange(len(rows)), counts)
    letter = pieces.letter[contexts.pool[place]]
    begins = contexts.is_message_start[place]
    grown = tokens[rows] - np.where(held >= 0, tokens[held], 0)
    output = written(contexts)[held]
    turns = sums((begins & IS_WRITTEN[letter]).astype(np.int64), of, len(rows))
    has_thinking = sums((letter == T).astype(np.int64), of, len(rows)) > 0
    is_direct = (held >= 0) & (lineage.base[rows] == held) & (output > 0) & (turns == 1) & ~has_thinking
    is_direct &= grown > output
    grown = np.where(is_direct, grown - output, grown)
    is_used = grown > 0
    is_used[of[letter == BLANK]] = False
    # What thinking leaves when the user speaks is not known yet.
    is_used[of[letter == U]] &= ~_has(contexts, T)[rows[of[letter == U]]]
    kept = np.flatnonzero(is_used[of] & ~(is_direct[of] & IS_WRITTEN[letter]) & ~contexts.is_dropped[place])
    number = np.cumsum(is_used) - 1
    return Equations(
        densities.group_of[rows[is_used]],
        grown[is_used],
        sums(begins.astype(np.int64), of, len(rows))[is_used],
        held[is_used] < 0,
        ((held < 0) & has_tools(contexts)[rows])[is_used],
        -is_direct[is_used].astype(np.int64),
        number[of[kept]],
        densities.pieces.take(contexts.pool[place[kept]]),
    )


def _outputs(contexts: Contexts, densities: Densities, is_known: Flags) -> Equations:
    """What each answer was made of."""
    inputs = contexts.inputs
    rows, output = np.flatnonzero(is_known), inputs.output
    number = np.full(len(inputs.prompts), -1, dtype=np.int64)
    number[rows] = np.arange(len(rows))
    part = np.flatnonzero((number[output.p] >= 0) & is_output_part(contexts))
    no = np.zeros(len(rows), dtype=np.bool_)
    return Equations(
        densities.group_of[rows],
        written(contexts)[rows],
        np.zeros(len(rows), dtype=np.int64),
        no,
        no,
        np.ones(len(rows), dtype=np.int64),
        number[output.p[part]],
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


def _solve(densities: Densities, equations: Equations, hidden: Floats) -> None:
    """Finds the corrections of every group; each depends on its own equations alone, in the order of time."""
    order = np.argsort(equations.group, kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    by_equation = np.argsort(place[equations.of], kind="stable")
    of, parts = place[equations.of][by_equation], equations.parts.take(by_equation)
    group = equations.group[order]
    key, variance_of = _tool_key(parts, group[of]), variances(parts)
    tokens = equations.tokens[order].astype(np.float64)
    bounds = np.searchsorted(group, np.arange(len(densities.session) + 1))
    part_bounds = np.searchsorted(of, bounds)
    keys: list[Ints] = []
    factors: list[Floats] = []
    for each in np.unique(group).tolist():
        low, high = int(bounds[each]), int(bounds[each + 1])
        some = slice(int(part_bounds[each]), int(part_bounds[each + 1]))
        row, share, form = of[some] - low, parts.weight[some], parts.form[some]
        used, column = np.unique(key[some], return_inverse=True)
        matrix = np.zeros((high - low, _FIRST_TOOL + len(used)))
        those = order[low:high]
        matrix[:, _ANSWERS], matrix[:, _MESSAGES] = equations.answers[those], equations.messages[those]
        matrix[:, _HIDDEN] = equations.has_hidden[those] * hidden[each]
        np.add.at(matrix[:, _EVERYTHING], row, share)
        np.add.at(matrix, (row, _OF_FORM.start + form), share)
        np.add.at(matrix, (row, _OF_BLOCK.start + form), 1.0)
        np.add.at(matrix[:, _OF_COUNT], row, parts.counts[some])
        of_tool = key[some] >= 0
        np.add.at(matrix, (row[of_tool], _FIRST_TOOL + column.ravel()[of_tool]), share[of_tool])
        explained = (
            matrix[:, _EVERYTHING] + matrix[:, _OF_BLOCK] @ _PER_BLOCK + matrix[:, _HIDDEN]
            + matrix[:, _ANSWERS] * _PER_ANSWER + matrix[:, _MESSAGES] * _PER_MESSAGE
            + equations.is_first[those] * _PER_REQUEST
        )  # fmt: skip
        spread = np.concatenate([_PRIOR_SPREAD, np.full(len(used), _TOOL_SPREAD)])
        spread[_HIDDEN] = _KNOWN_HIDDEN if hidden[each] else _UNKNOWN_HIDDEN
        variance = np.full(high - low, _LEAST_NOISE**2)
        np.add.at(variance, row, variance_of[some])
        weighted = matrix / variance[:, None]
        precision = matrix.T @ weighted
        precision[np.diag_indices(len(spread))] += spread**-2.0
        found = np.linalg.solve(precision, weighted.T @ (tokens[low:high] - explained))
        framing = [_ANSWERS, _MESSAGES, _HIDDEN]
        found[framing] = np.clip(found[framing], -_FARTHEST * spread[framing], _FARTHEST * spread[framing])

        densities.factor[each] += found[_EVERYTHING] + found[_OF_FORM]
        densities.block[each] = np.maximum(densities.block[each] + found[_OF_BLOCK], 0.0)
        densities.count[each] = found[_OF_COUNT]
        densities.answer[each] = round(max(_PER_ANSWER + found[_ANSWERS], 0.0) * MICRO)
        densities.message[each] = round(max(_PER_MESSAGE + found[_MESSAGES], 0.0) * MICRO)
        densities.hidden[each] = round(max(hidden[each] * (1 + found[_HIDDEN]), 0.0) * MICRO)
        keys.append(used[used >= 0])
        factors.append(found[_FIRST_TOOL:][used >= 0].astype(np.float64))
    if keys:
        every, values = np.concatenate(keys), np.concatenate(factors)
        by_key = np.argsort(every, kind="stable")
        densities.tool_keys, densities.tool_factors = every[by_key], values[by_key]


def _tool_key(some: Segments, group: Ints) -> Ints:
    is_tool = ((some.form == C) | (some.form == R)) & (some.tool >= 0)
    found: Ints = np.where(is_tool, (group * 2 + (some.form == R)) * 2**32 + some.tool, -1)
    return found
