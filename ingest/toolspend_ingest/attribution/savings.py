"""What compressions saved and what selections left out, in tokens and money."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from .calls import DEFAULT_TOKENS_PER_CHAR, CallTotals, Density
from .contexts import Contexts
from .ledger import Ledger

_MOST_TOKENS: Final = 10**15


class CompressionRow(NamedTuple):
    """What one compression did: tokens before and after, its cost, and what it saved net; money in nano-dollars."""

    row_id: int
    tokens_before: int | None
    tokens_after: int | None
    cost_nano: int | None
    saved_nano: int | None


class SelectionRow(NamedTuple):
    """The definitions that one selection offered and left out, in tokens of one sending."""

    row_id: int
    offered_tokens: int | None
    avoided_tokens: int | None


def compressions(
    rows: Iterable[Sequence[Any]], contexts: Contexts, total: CallTotals, density: Density
) -> list[CompressionRow]:
    """One row a compression of `compressions.sql`, with its cost in place of its prompts."""
    inputs, pieces = contexts.inputs, contexts.pieces
    calls = inputs.calls
    numbers = {
        (session, inputs.ids[id_]): (number, inputs.tools[tool], p >= 0)
        for session, id_, number, tool, p in zip(
            calls.session.tolist(),
            calls.id.tolist(),
            pieces.calls.tolist(),
            calls.tool.tolist(),
            calls.p.tolist(),
            strict=True,
        )
        if id_ >= 0
    }
    known = {
        (session, inputs.tools[tool]): value
        for session, tool, value in zip(
            density.session.tolist(), density.tool.tolist(), density.results.tolist(), strict=True
        )
        if value > 0
    }
    found = []
    for session, row_id, tool, call_id, chars_before, chars_after, cost, *_ in rows:
        number, called, is_asked = numbers.get((session, call_id), (-1, None, False))
        each = known.get((session, tool or called), DEFAULT_TOKENS_PER_CHAR)
        before, after = (_tokens(chars, each) for chars in (chars_before, chars_after))
        found.append(
            CompressionRow(row_id, before, after, cost, _saved(total, number, before, after, cost, is_asked=is_asked))
        )
    return found


def _tokens(chars: int | None, each: float) -> int | None:
    """The tokens of so many characters; a garbled bill can make more of them than there are: not known then."""
    if chars is None or chars * each > _MOST_TOKENS:
        return None
    return round(chars * each)


def cost_of(ledger: Ledger, prompts: Iterable[int]) -> int | None:
    """Nano-dollars of the model requests beneath a compression; None where one of them has no known cost."""
    is_known, cost = ledger.contexts.inputs.prompts.is_usage_known, 0
    for p in prompts:
        if not is_known[p] or not ledger.is_priced[p]:
            return None
        cost += int(ledger.cost[p])
    return cost


class Savings(NamedTuple):
    """The compressions, with their costs, and the selections of a session as they were read, and what they came to."""

    compressions: Sequence[Sequence[Any]]
    selections: Sequence[Sequence[Any]]
    saved: list[CompressionRow]
    chosen: list[SelectionRow]

    def again(self, contexts: Contexts, total: CallTotals, density: Density) -> Savings:
        """What they come to now."""
        saved = compressions(self.compressions, contexts, total, density) if self.compressions else []
        return self._replace(saved=saved, chosen=selections(self.selections, density))

    def changes(self, before: Savings) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        """Of both, those that came to something else before, or were not there: the ids of trace and span, and what."""
        found: list[list[tuple[Any, ...]]] = []
        for rows, now, was in (
            (self.compressions, self.saved, before.saved), (self.selections, self.chosen, before.chosen),
        ):  # fmt: skip
            known = [*(row[1:] for row in was), *(None,) * (len(now) - len(was))]
            pairs = zip(rows, now, known, strict=True)
            found.append([(*row[-2:], *values[1:]) for row, values, old in pairs if values[1:] != old])
        return found[0], found[1]


def _saved(
    total: CallTotals, number: int, before: int | None, after: int | None, cost: int | None, *, is_asked: bool
) -> int | None:
    """What the tokens left out would have cost wherever the result was billed, less the compression's own cost.

    None where no model asked for the call and its result is in no prompt: in whose words it went there is not known.
    """
    if number < 0 or before is None or after is None or cost is None or total.has_unpriced[number]:
        return None
    sent = int(total.first_result[number])
    if sent == 0:
        return -cost if is_asked else None
    return round(int(total.result_cost[number]) * (before - after) / sent) - cost


def selections(rows: Iterable[Sequence[Any]], density: Density) -> list[SelectionRow]:
    """One row a selection of `selections.sql`."""
    found = []
    for session, row_id, offered, avoided, *_ in rows:
        each = float(density.definitions[session]) if 0 <= session < len(density.definitions) else 0.0
        each = each or DEFAULT_TOKENS_PER_CHAR
        found.append(SelectionRow(row_id, _tokens(offered, each), _tokens(avoided, each)))
    return found
