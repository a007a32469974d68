"""Spans that were stored and of which nothing follows yet: what goes on need not be read from the store again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from .spans import SpanRow

_MOST_KEPT: Final = 10_000


@dataclass
class News:
    """What transactions brought: spans that are new, and the traces that had some of them already."""

    spans: list[SpanRow] = field(default_factory=list)
    changed: set[str] = field(default_factory=set)

    @property
    def has_any(self) -> bool:
        """Whether anything follows from it."""
        return bool(self.spans or self.changed)

    def trace_ids(self) -> set[str]:
        """The traces that it is about."""
        return self.changed.union(row.trace_id for row in self.spans)

    def add(self, more: News) -> None:
        """What came since."""
        self.changed |= more.changed
        self.spans += more.spans
        if len(self.spans) > _MOST_KEPT:  # so many are read from the store again sooner than kept
            self.changed |= {row.trace_id for row in self.spans}
            self.spans = []

    def take(self, trace_ids: Sequence[str]) -> News:
        """Take out what is about these traces; of those that it knows nothing about, all is to be read."""
        wanted = set(trace_ids)
        taken = News([row for row in self.spans if row.trace_id in wanted])
        taken.changed = wanted - {row.trace_id for row in taken.spans} | (self.changed & wanted)
        self.spans = [row for row in self.spans if row.trace_id not in wanted]
        self.changed -= wanted
        return taken
