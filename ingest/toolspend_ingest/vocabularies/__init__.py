"""What spans say: one pure module per emitter's dialect, each a function from a span to rows.

A dialect is a module with `speaks(span) -> bool` and `normalise(span) -> Normalised`; a new one is a new file and its
place in `DIALECTS`. The first that speaks for a span is asked; a span that none speaks for stays a span.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..rows import Normalised, Span
from . import genai, mcp


class Dialect(NamedTuple):
    """One emitter's way to say things."""

    name: str
    speaks: Callable[[Span], bool]
    normalise: Callable[[Span], Normalised]


DIALECTS: tuple[Dialect, ...] = (
    Dialect("mcp", mcp.speaks, mcp.normalise),
    Dialect("genai", genai.speaks, genai.normalise),
)


def normalise(span: Span) -> Normalised:
    """The rows that a span makes, in the words of its dialect."""
    for dialect in DIALECTS:
        if dialect.speaks(span):
            return dialect.normalise(span)
    return Normalised()
