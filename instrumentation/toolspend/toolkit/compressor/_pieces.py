"""Choosing among the pieces of a text, so that the best of it fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ...evidence.weight import weigh
from ._focus import Focus

MUST, GOOD, FAIR, POOR = range(4)
MOST_CHARS_PER_TOKEN: Final = 24
"""No text has more, but of blanks: small letters alone have 21 by weight."""
_GAP_TOKENS: Final = 4
_AROUND: Final = 48
_PASSES: Final = 4


@dataclass(slots=True)
class Piece:
    """A line, a sentence or a block. `rank` is MUST to POOR; among equals the higher `score` goes first."""

    text: str
    rank: int = FAIR
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Fitted:
    """What fits. `left_out` says it in words; `is_lossy` where more than fair and poor pieces were left out."""

    text: str
    left_out: str
    is_lossy: bool


def fit(pieces: Sequence[Piece], max_tokens: int, focus: Focus, unit: str, separator: str = "\n") -> Fitted:
    """The best of `pieces` in their order, within `max_tokens` as far as those that must stay allow it.

    What is said again in the same words need not stay again.
    """
    said: set[str] = set()
    for piece in pieces:
        if piece.rank < POOR and piece.text in said:
            piece.rank = POOR
        said.add(piece.text)
    budget = float(max_tokens)
    weighed = _Weighed(pieces, focus)
    found = _fit(pieces, budget, weighed, unit, separator)
    for _ in range(_PASSES - 1):
        weight = weigh(found.text).tokens
        if weight <= max_tokens:
            break
        budget *= 0.97 * max_tokens / weight
        found = _fit(pieces, budget, weighed, unit, separator)
    return found


class _Weighed:
    """Pieces with their weights, whole and shortened, each found once."""

    def __init__(self, pieces: Sequence[Piece], focus: Focus) -> None:
        self.costs = [weigh(piece.text).tokens for piece in pieces]
        self._pieces = pieces
        self._focus = focus
        self._shorts: dict[int, tuple[str, int]] = {}

    def short(self, index: int) -> tuple[str, int]:
        """A piece, shortened where it is long, and its weight."""
        known = self._shorts.get(index)
        if known is None:
            text = self._pieces[index].text
            short = self._focus.shortened(text, _AROUND) if len(text) > 3 * _AROUND else text
            known = self._shorts[index] = (short, self.costs[index] if short is text else weigh(short).tokens)
        return known


def _fit(pieces: Sequence[Piece], budget: float, weighed: _Weighed, unit: str, separator: str) -> Fitted:
    costs = weighed.costs
    order = sorted(range(len(pieces)), key=lambda index: (pieces[index].rank, -pieces[index].score, index))
    chosen: dict[int, str] = {}
    used = 0.0
    shorts: list[int] = []
    # First everything that is worth it by its facts alone, ...
    for index in order:
        piece = pieces[index]
        if piece.rank > GOOD:
            break
        short, tokens = weighed.short(index)
        cost = min(tokens, costs[index]) + _GAP_TOKENS / 2
        if piece.rank == MUST or used + cost <= budget:
            chosen[index] = short
            used += cost
            if short is not piece.text:
                shorts.append(index)
    # ... then these in full, and then the rest.
    for index in shorts:
        more = costs[index] - weighed.short(index)[1]
        if used + more <= budget:
            chosen[index] = pieces[index].text
            used += more
    for index in order:
        if pieces[index].rank > GOOD and used + costs[index] + _GAP_TOKENS / 2 <= budget:
            chosen[index] = pieces[index].text
            used += costs[index] + _GAP_TOKENS / 2
    parts: list[str] = []
    gap = 0
    for index in range(len(pieces)):
        if index in chosen:
            if gap:
                parts.append(f"[…{gap}]")
                gap = 0
            parts.append(chosen[index])
        else:
            gap += 1
    if gap:
        parts.append(f"[…{gap}]")
    left = len(pieces) - len(chosen)
    is_lossy = any(index not in chosen for index, piece in enumerate(pieces) if piece.rank <= GOOD)
    return Fitted(separator.join(parts), f"{left:,} of {len(pieces):,} {unit}" if left else "", is_lossy)
