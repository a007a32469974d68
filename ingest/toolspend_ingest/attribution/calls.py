"""What each tool call, compression and selection came to, from the entries of the ledger."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from . import model as m
from .arrays import sums
from .contexts import Contexts
from .inputs import Calls
from .ledger import Ledger
from .model import Flags, Floats, Ints

DEFAULT_TOKENS_PER_CHAR: Final = 0.25
UNKNOWN: Final = -(2**62)
"""Stands for null in columns of integers."""


class CallTotals(NamedTuple):
    """One element a call, by its number: tokens, or nano-dollars."""

    arguments: Ints
    first_result: Ints
    result_cost: Ints
    cost: Ints
    unpriced: Ints
    """How much of it has no price."""
    times_sent: Ints
    """In how many billed prompts the use or the result lay."""
    sent_chars: Ints
    """Characters of the result when it was first sent."""

    @property
    def has_unpriced(self) -> Flags:
        """Whether any of it has no price."""
        return self.unpriced > 0

    def plus(self, other: CallTotals) -> CallTotals:
        """Both together; the other may have more calls."""
        both = CallTotals(*(column.copy() for column in other))
        for column, held in zip(both, self, strict=True):
            column[: len(held)] += held
        return both


class CallColumns(NamedTuple):
    """One element a row of `tool_calls`; `UNKNOWN` where it is not known."""

    row_id: Ints
    argument_tokens: Ints
    result_tokens: Ints
    raw_result_tokens: Ints
    times_sent: Ints
    cost_nano: Ints


def totals(ledger: Ledger) -> CallTotals:
    """What each call was billed for."""
    entries, count = ledger.entries, ledger.contexts.pieces.call_count
    found = np.flatnonzero(entries.call >= 0)
    call, tokens, cost = entries.call[found], entries.tokens[found], entries.cost[found]
    is_result = ledger.owners.kind[entries.owner[found]] == m.RESULT
    is_output = entries.rate[found] == m.OUTPUT_RATE

    def total(values: Ints, mask: Flags) -> Ints:
        return sums(values[mask], call[mask], count)

    unpriced = ~ledger.is_priced[entries.p[found]]
    every = np.ones(len(found), dtype=np.bool_)
    return CallTotals(
        total(tokens, is_output),
        total(tokens, is_result & entries.is_first[found]),
        total(cost, is_result),
        total(cost, every),
        sums(unpriced.astype(np.int64), call, count),
        ledger.times_sent,
        ledger.sent_chars,
    )


def account(contexts: Contexts, total: CallTotals) -> CallColumns:
    """The rows of `tool_calls`. Attempts share one id: what went to the model was the last."""
    calls: Calls = contexts.inputs.calls
    number = contexts.pieces.calls
    last = np.full(max(contexts.pieces.call_count, 1), -1, dtype=np.int64)
    has_id = np.flatnonzero(number >= 0)
    last[number[has_id]] = has_id  # in the order of time, so that the last stays
    is_last = (number >= 0) & (last[number] == np.arange(len(calls)))

    def of_call(values: Ints) -> Ints:
        return np.where(is_last, values[number] if len(values) else 0, 0)

    arguments, result = of_call(total.arguments), of_call(total.first_result)
    sent, chars = of_call(total.times_sent), of_call(total.sent_chars)
    chars = np.where(chars > 0, chars, np.maximum(calls.result_chars, 0))
    raw = np.rint(calls.raw_result_chars * result / np.maximum(chars, 1)).astype(np.int64)
    is_costed = ((arguments > 0) | (sent > 0)) & ~(of_call(total.has_unpriced.astype(np.int64)) > 0)
    return CallColumns(
        calls.row_id,
        np.where(arguments > 0, arguments, UNKNOWN),
        np.where(result > 0, result, UNKNOWN),
        np.where((calls.raw_result_chars >= 0) & (result > 0) & (chars > 0), raw, UNKNOWN),
        np.where(is_last & ((sent > 0) | calls.is_described), sent, UNKNOWN),
        np.where(is_last & is_costed, of_call(total.cost), UNKNOWN),
    )


class Density(NamedTuple):
    """Tokens per character of the results of tools, and of definitions, by session."""

    session: Ints
    tool: Ints
    results: Floats
    definitions: Floats


class DefinitionTotals(NamedTuple):
    """Of the definitions that were billed, by session: tokens, and characters."""

    tokens: Ints
    chars: Ints

    def plus(self, other: DefinitionTotals) -> DefinitionTotals:
        """Both together."""
        return DefinitionTotals(self.tokens + other.tokens, self.chars + other.chars)


def definitions(ledger: Ledger) -> DefinitionTotals:
    """What definitions were billed for, of prompts that are known at each rate."""
    contexts = ledger.contexts
    pieces, prompts = contexts.pieces, contexts.inputs.prompts
    sessions = int(prompts.session.max()) + 1 if len(prompts) else 0
    is_definition = (ledger.owners.kind[ledger.rows.owner] == m.DEFINITION) & prompts.is_prompt_known[ledger.rows.p]
    tokens = sums(ledger.rows.tokens[is_definition], prompts.session[ledger.rows.p[is_definition]], sessions)
    rows = np.flatnonzero(prompts.is_billed & prompts.is_prompt_known & (prompts.compressed_tool < 0))
    element, owner = contexts.elements(rows)
    piece = contexts.pool[element]
    is_piece = pieces.kind[piece] == m.DEFINITION
    return DefinitionTotals(
        tokens, sums(pieces.chars[piece[is_piece]], prompts.session[rows[owner[is_piece]]], sessions)
    )


def densities(contexts: Contexts, total: CallTotals, offered: DefinitionTotals) -> Density:
    """Densities of results by session and tool, and of definitions by session; 0 where there is none."""
    pieces = contexts.pieces
    session, tool = np.full(pieces.call_count, -1, dtype=np.int64), np.full(pieces.call_count, -1, dtype=np.int64)
    named = np.flatnonzero((pieces.call >= 0) & (pieces.tool >= 0))
    session[pieces.call[named]], tool[pieces.call[named]] = pieces.session[named], pieces.tool[named]
    known = np.flatnonzero((session >= 0) & (total.sent_chars > 0))
    pairs, place = np.unique(np.stack([session[known], tool[known]], axis=1), axis=0, return_inverse=True)
    place = place.ravel()
    tokens = sums(total.first_result[known], place, len(pairs))
    chars = sums(total.sent_chars[known], place, len(pairs))
    return Density(pairs[:, 0], pairs[:, 1], tokens / chars, offered.tokens / np.maximum(offered.chars, 1))
