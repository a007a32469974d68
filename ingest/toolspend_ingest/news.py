"""Spans that were stored and of which nothing follows yet: what goes on need not be read from the store again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from .spans import SpanBatch

_MOST_KEPT: Final = 10_000


@dataclass
class News:
    """What transactions brought: spans that are new, and the traces that had some of them already."""

    spans: SpanBatch = field(default_factory=SpanBatch)
    changed: set[str] = field(default_factory=set)

    @property
    def has_any(self) -> bool:
        """Whether anything follows from it."""
        return bool(len(self.spans) or self.changed)

    def trace_ids(self) -> set[str]:
        """The traces that it is about."""
        return self.changed | self.spans.trace_ids()

    def add(self, more: News) -> None:
        """What came since."""
        self.changed |= more.changed
        self.spans.extend(more.spans)
        if len(self.spans) > _MOST_KEPT:  # so many are read from the store again sooner than kept
            self.changed |= self.spans.trace_ids()
            self.spans = SpanBatch()

    def take(self, trace_ids: Sequence[str]) -> News:
        """Take out what is about these traces; of those that it knows nothing about, all is to be read."""
        wanted = set(trace_ids)
        within, self.spans = self.spans.divided(wanted)
        taken = News(within, wanted - within.trace_ids() | (self.changed & wanted))
        self.changed -= wanted
        return taken
