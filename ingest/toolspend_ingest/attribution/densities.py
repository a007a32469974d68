"""Tokens of a segment from its weight and its kind, learned from the bills.

Every growth of a billed prompt, and every billed output, is an equation: what was added, or written, has so many tokens
together. For each session and model they are solved for corrections of a prior: of everything, of each form of segment,
of texts of one texture (tokens and digits a character), of each tool's calls and results, of digits, characters and
bytes beyond ASCII, and of what blocks, messages and the hidden tool prompt cost beyond their text. The prior is weak,
and an equation counts by how far texts of one form differ (Bayesian linear regression). Which estimator to use was
chosen on simulated sessions of known truth: `make accuracy` compares them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from .contexts import Contexts
from .equations import Equations, Measured, equations, piece_segments
from .model import MICRO, C, D, Floats, Ints, R
from .overhead import hidden_prompt_tokens
from .segments import (
    COUNT_SPREAD,
    DOCUMENT,
    FORMS,
    IMAGE,
    IS_TEXT,
    SERVER_DEFINITION,
    SERVER_RESULT,
    SIZED_IMAGE,
    TOOL_SEARCH,
    Segments,
    variances,
)

# What recorded conversations cost beyond the weight of their text, and how far that differs between models.
_PER_BLOCK: Final = np.zeros(FORMS)
_PER_BLOCK[[C, R, D, SERVER_DEFINITION, TOOL_SEARCH, SERVER_RESULT]] = (28.0, 13.0, 20.0, 800.0, 240.0, 13.0)
_BLOCK_SPREAD: Final = np.full(FORMS, 1e-3)
_BLOCK_SPREAD[[C, R, D, SERVER_DEFINITION, TOOL_SEARCH, SERVER_RESULT, DOCUMENT]] = (
    12.0,
    7.0,
    6.0,
    700.0,
    100.0,
    7.0,
    1000.0,
)
_PER_MESSAGE: Final = 4.0
_MESSAGE_SPREAD: Final = 1.5
_PER_REQUEST: Final = 3.0
_PER_ANSWER: Final = 3.0
"""What closes an output; no later prompt has it."""
_ANSWER_SPREAD: Final = 1.5
_KNOWN_HIDDEN: Final = 0.01
_UNKNOWN_HIDDEN: Final = 0.4

_SPREAD: Final = 0.3
"""How far a tokenizer as a whole is from the prior; then a form of segment from that, then a tool."""
_FORM_SPREAD: Final = np.full(FORMS, 0.03)
_FORM_SPREAD[[IMAGE, DOCUMENT]], _FORM_SPREAD[SIZED_IMAGE] = 0.5, 0.05
_TOOL_SPREAD: Final = 0.07
_SERVER_SPREAD: Final = 0.8
"""For results of a tool of the provider's: what they cost of their text is known of none."""
_LEAST_NOISE: Final = 2.0
_LEAST_DOUBT: Final = 1.0
"""How far framing may be off, squared, in tokens."""
_MOST_TOKENS: Final = 2e7
"""No segment is longer, whatever a garbled bill teaches: sums of `MAX_PIECES` sizes do not overflow, nor four times
those."""
_FARTHEST: Final = 3.0
"""Spreads that framing may be from its prior: a bill that nothing explains is not for the framing to explain."""

# Columns of the equations: one for everything, the forms, their blocks, and so on; the tools come last.
_EVERYTHING: Final = 0
_OF_FORM: Final = slice(1, 1 + FORMS)
_OF_BLOCK: Final = slice(1 + FORMS, 1 + 2 * FORMS)
_OF_COUNT: Final = slice(1 + 2 * FORMS, 1 + 2 * FORMS + len(COUNT_SPREAD))
(_ANSWERS, _MESSAGES, _HIDDEN, _FIRST_TOOL) = range(_OF_COUNT.stop, _OF_COUNT.stop + 4)
_PRIOR_SPREAD: Final = np.concatenate(
    [[_SPREAD], _FORM_SPREAD, _BLOCK_SPREAD, COUNT_SPREAD, [_ANSWER_SPREAD, _MESSAGE_SPREAD, _KNOWN_HIDDEN]]
)

REQUEST: Final = round(_PER_REQUEST * MICRO)
"""What any prompt costs beyond its messages."""
ALL_EQUATIONS: Final = 64
"""Up to so many prompts a session learns from all of them. Longer ones learn again each time they are a quarter longer,
so that a new request does not change what all others were found to have."""


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
    settled_keys: Ints
    settled_sizes: Ints
    """Of pieces that several bills tell of: what agrees with all of them."""

    def expected(self, piece: Ints, group: Ints) -> Ints:
        """Sizes of pieces within groups."""
        found = self.of(self.pieces.take(piece), group)
        if len(self.settled_keys):
            key = self._key(piece, group)
            place = np.minimum(np.searchsorted(self.settled_keys, key), len(self.settled_keys) - 1)
            found = np.where(self.settled_keys[place] == key, self.settled_sizes[place], found)
        return found

    def _key(self, piece: Ints, group: Ints) -> Ints:
        found: Ints = piece * len(self.session) + group
        return found

    def of(self, some: Segments, group: Ints) -> Ints:
        """Sizes of segments within groups."""
        factor = self.factor[group, some.form]
        if len(self.tool_keys):
            key = _tool_key(some, group)
            place = np.minimum(np.searchsorted(self.tool_keys, key), len(self.tool_keys) - 1)
            factor = factor + np.where((key >= 0) & (self.tool_keys[place] == key), self.tool_factors[place], 0.0)
        text = some.weight * np.maximum(factor, 0.2)
        counted = (some.counts * self.count[group]).sum(axis=1)
        frame = self.block[group, some.form] + some.frames * self.block[group, R]
        size = np.maximum(text + counted, text * 0.2) + frame
        found: Ints = np.rint(np.minimum(size, _MOST_TOKENS) * MICRO).astype(np.int64)
        return found

    def of_more(self, contexts: Contexts) -> Densities:
        """The same for more prompts and pieces of one session, of the same models."""
        group_of_model = np.full(len(contexts.inputs.models), -1, dtype=np.int64)
        group_of_model[self.model] = np.arange(len(self.model))
        none = np.zeros(0, dtype=np.int64)  # what is settled has its sizes by now
        return replace(
            self,
            group_of=group_of_model[contexts.inputs.prompts.model],
            pieces=piece_segments(contexts),
            settled_keys=none,
            settled_sizes=none,
        )


def is_settled(count: int) -> bool:
    """Whether a session of so many prompts has densities that most of its new requests do not change."""
    return count > ALL_EQUATIONS


def last_equation(count: int) -> int:
    """How many prompts of a session of `count` its densities are learned from."""
    if count <= ALL_EQUATIONS:
        return count
    limit = ALL_EQUATIONS
    while limit * 5 // 4 <= count:
        limit = limit * 5 // 4
    return limit


def learn(contexts: Contexts, measured: Measured) -> Densities:
    """Densities from the prompts whose bills are known, what they add to their anchors, and what was answered."""
    prompts = contexts.inputs.prompts
    groups, group_of = np.unique(np.stack([prompts.session, prompts.model], axis=1), axis=0, return_inverse=True)
    count = len(groups)
    hidden = np.array([hidden_prompt_tokens(contexts.inputs.models[model]) for _, model in groups.tolist()], np.float64)
    densities = Densities(
        group_of.ravel(),
        groups[:, 0],
        groups[:, 1],
        piece_segments(contexts),
        np.ones((count, FORMS)),
        np.tile(_PER_BLOCK, (count, 1)),
        np.zeros((count, len(COUNT_SPREAD))),
        np.full(count, round(_PER_MESSAGE * MICRO)),
        np.full(count, round(_PER_ANSWER * MICRO)),
        np.rint(hidden * MICRO).astype(np.int64),
        np.zeros(0, dtype=np.int64),
        np.zeros(0),
        np.zeros(0, dtype=np.int64),
        np.zeros(0, dtype=np.int64),
    )  # fmt: skip
    limits = np.array([last_equation(int(each)) for each in np.bincount(prompts.session)], dtype=np.int64)
    is_early = (contexts.lineage.rank < limits[prompts.session]) & ~contexts.lineage.is_inferred
    every = equations(contexts, densities.group_of, densities.pieces, measured, is_early)
    _solve(densities, every, hidden)
    return _settled(densities, every)


def _solve(densities: Densities, every: Equations, hidden: Floats) -> None:
    """Finds the corrections of every group; each depends on its own equations alone, in the order of time."""
    order = np.argsort(every.group, kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    by_equation = np.argsort(place[every.of], kind="stable")
    of, parts = place[every.of][by_equation], every.parts.take(by_equation)
    sign = every.sign[by_equation]
    group = every.group[order]
    key, variance_of = _tool_key(parts, group[of]), variances(parts)
    tokens = every.tokens[order].astype(np.float64)
    bounds = np.searchsorted(group, np.arange(len(densities.session) + 1))
    part_bounds = np.searchsorted(of, bounds)
    keys: list[Ints] = []
    factors: list[Floats] = []
    for each in np.unique(group).tolist():
        low, high = int(bounds[each]), int(bounds[each + 1])
        some = slice(int(part_bounds[each]), int(part_bounds[each + 1]))
        row, share, form = of[some] - low, parts.weight[some] * sign[some], parts.form[some]
        used, column = np.unique(key[some], return_inverse=True)
        matrix = np.zeros((high - low, _FIRST_TOOL + len(used)))
        those = order[low:high]
        matrix[:, _ANSWERS], matrix[:, _MESSAGES] = every.answers[those], every.messages[those]
        matrix[:, _HIDDEN] = every.has_hidden[those] * hidden[each]
        np.add.at(matrix[:, _EVERYTHING], row, share * IS_TEXT[form])
        np.add.at(matrix, (row, _OF_FORM.start + form), share)
        np.add.at(matrix, (row, _OF_BLOCK.start + form), sign[some])
        np.add.at(matrix[:, _OF_BLOCK.start + R], row, parts.frames[some] * sign[some])
        np.add.at(matrix[:, _OF_COUNT], row, parts.counts[some] * sign[some, None])
        of_tool = key[some] >= 0
        np.add.at(matrix, (row[of_tool], _FIRST_TOOL + column.ravel()[of_tool]), share[of_tool])
        explained = (
            matrix[:, _OF_FORM].sum(axis=1) + matrix[:, _OF_BLOCK] @ _PER_BLOCK + matrix[:, _HIDDEN]
            + matrix[:, _ANSWERS] * _PER_ANSWER + matrix[:, _MESSAGES] * _PER_MESSAGE
            + every.is_first[those] * _PER_REQUEST
        )  # fmt: skip
        spread = np.concatenate([_PRIOR_SPREAD, np.full(len(used), _TOOL_SPREAD)])
        spread[_FIRST_TOOL + column.ravel()[form == SERVER_RESULT]] = _SERVER_SPREAD
        spread[_HIDDEN] = _KNOWN_HIDDEN if hidden[each] else _UNKNOWN_HIDDEN
        variance = every.doubt[those] + _LEAST_NOISE**2
        np.add.at(variance, row, variance_of[some])
        # What no equation has stays at its prior.
        has = np.flatnonzero(matrix.any(axis=0))
        there = matrix[:, has]
        weighted = there / variance[:, None]
        precision = there.T @ weighted
        precision[np.diag_indices(len(has))] += spread[has] ** -2.0
        found = np.zeros(len(spread))
        found[has] = np.linalg.solve(precision, weighted.T @ (tokens[low:high] - explained))
        framing = [_ANSWERS, _MESSAGES, _HIDDEN]
        found[framing] = np.clip(found[framing], -_FARTHEST * spread[framing], _FARTHEST * spread[framing])

        densities.factor[each] += found[_EVERYTHING] * IS_TEXT + found[_OF_FORM]
        densities.block[each] = np.maximum(densities.block[each] + found[_OF_BLOCK], 0.0)
        densities.count[each] = found[_OF_COUNT]
        densities.answer[each] = round(max(_PER_ANSWER + found[_ANSWERS], 0.0) * MICRO)
        densities.message[each] = round(max(_PER_MESSAGE + found[_MESSAGES], 0.0) * MICRO)
        densities.hidden[each] = round(max(hidden[each] * (1 + found[_HIDDEN]), 0.0) * MICRO)
        keys.append(used[used >= 0])
        factors.append(found[_FIRST_TOOL:][used >= 0].astype(np.float64))
    if keys:
        joined, values = np.concatenate(keys), np.concatenate(factors)
        by_key = np.argsort(joined, kind="stable")
        densities.tool_keys, densities.tool_factors = joined[by_key], values[by_key]


def _settled(densities: Densities, every: Equations) -> Densities:
    """Where definitions changed, the sizes of these, and of what was there with them, that agree best with each bill.

    Each is what is expected of it, and gives way by its variance: to the bill of the first prompt, and to what each
    change added to that of the prompt before.
    """
    keys, sizes = [densities.settled_keys], [densities.settled_sizes]
    groups = np.unique(every.group[every.is_change])
    listed = np.flatnonzero((every.is_first | every.is_change) & np.isin(every.group, groups))
    listed = listed[np.argsort(every.group[listed], kind="stable")]
    place = np.full(len(every.group), -1, dtype=np.int64)
    place[listed] = np.arange(len(listed))
    told = np.flatnonzero(place[every.of] >= 0)
    told = told[np.argsort(place[every.of[told]], kind="stable")]
    bounds = np.searchsorted(every.group[listed], np.append(groups, len(densities.session)))
    part_bounds = np.searchsorted(place[every.of[told]], bounds)
    for each, group in enumerate(groups.tolist()):
        rows, part = listed[bounds[each] : bounds[each + 1]], told[part_bounds[each] : part_bounds[each + 1]]
        row = place[every.of[part]] - bounds[each]
        piece, first, column = np.unique(every.piece[part], return_index=True, return_inverse=True)
        some = every.parts.take(part[first])
        expected = densities.of(some, np.full(len(piece), group)) / MICRO
        matrix = np.zeros((len(rows), len(piece)))
        np.add.at(matrix, (row, column.ravel()), every.sign[part])
        framing = every.messages[rows] * densities.message[group] + every.answers[rows] * densities.answer[group]
        framing += every.has_hidden[rows] * densities.hidden[group] + every.is_first[rows] * REQUEST
        lacking = every.tokens[rows] - framing / MICRO - matrix @ expected
        gives = matrix * variances(some)
        square = gives @ matrix.T
        square[np.diag_indices(len(rows))] += every.doubt[rows] + _LEAST_DOUBT
        found = expected + gives.T @ np.linalg.solve(square, lacking)
        keys.append(densities._key(piece, np.full(len(piece), group)))
        sizes.append(np.rint(np.clip(found, expected / 4, expected * 4) * MICRO).astype(np.int64))
    key, size = np.concatenate(keys), np.concatenate(sizes)
    order = np.argsort(key, kind="stable")
    return replace(densities, settled_keys=key[order], settled_sizes=size[order])


def _tool_key(some: Segments, group: Ints) -> Ints:
    is_result = (some.form == R) | (some.form == SERVER_RESULT)
    is_tool = ((some.form == C) | is_result) & (some.tool >= 0)
    found: Ints = np.where(is_tool, (group * 2 + is_result) * 2**32 + some.tool, -1)
    return found
