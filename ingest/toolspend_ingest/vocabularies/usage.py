"""Billed tokens by the rate they are billed at, from the figures that spans carry."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolspend import attributes as at

from ..rows import Span

CACHE_CREATION_TOKENS = "gen_ai.usage.cache_creation.input_tokens"
COMPACTION_INPUT_TOKENS = "anthropic.usage.compaction.input_tokens"
COMPACTION_OUTPUT_TOKENS = "anthropic.usage.compaction.output_tokens"
_MOST_TOKENS = 10**12
"""A request with more has garbled usage: it is not known."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request; `output` is None where the response was cut off before it was known."""

    uncached: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    output: int | None

    @property
    def input(self) -> int:
        """The whole prompt, cache included."""
        return self.uncached + self.cache_read + self.cache_write_5m + self.cache_write_1h

    def plus(self, other: Usage) -> Usage:
        """Both together."""
        return Usage(
            self.uncached + other.uncached,
            self.cache_read + other.cache_read,
            self.cache_write_5m + other.cache_write_5m,
            self.cache_write_1h + other.cache_write_1h,
            None if self.output is None and other.output is None else (self.output or 0) + (other.output or 0),
        )


def convention_usage(span: Span) -> Usage | None:
    """Usage as the GenAI conventions say it: the input tokens include the cache. None where the span says none."""
    usage = _convention_usage(span)
    return usage if usage is None or max(usage.input, usage.output or 0) <= _MOST_TOKENS else None


def _convention_usage(span: Span) -> Usage | None:
    compaction = _compaction(span)
    total = span.count(at.INPUT_TOKENS)
    if total is None:
        return compaction
    read = span.count(at.CACHE_READ_TOKENS) or 0
    write_5m, write_1h = _writes(span)
    written = write_5m + write_1h
    # Fewer than the cache alone: the emitter cannot have included it.
    uncached = total - read - written if total >= read + written else total
    usage = Usage(uncached, read, write_5m, write_1h, span.count(at.OUTPUT_TOKENS))
    return usage.plus(compaction) if compaction is not None else usage


def _writes(span: Span) -> tuple[int, int]:
    """Cache writes for 5 minutes and for an hour; all are for 5 minutes where the split is not said."""
    total = span.count(at.CACHE_WRITE_TOKENS, CACHE_CREATION_TOKENS)
    five = span.count(at.USAGE_CACHE_WRITE_5M, at.ANTHROPIC_CACHE_WRITE_5M)
    hour = span.count(at.USAGE_CACHE_WRITE_1H, at.ANTHROPIC_CACHE_WRITE_1H) or 0
    if total is None:
        return five or 0, hour
    hour = min(hour, total)
    return total - hour, hour


def _compaction(span: Span) -> Usage | None:
    """Tokens of compactions, which the usage at the top leaves out."""
    iterations = _iterations(span)
    compactions = [_iteration(each) for each in iterations if each.get("type") == "compaction"]
    if compactions:
        total = compactions[0]
        for each in compactions[1:]:
            total = total.plus(each)
        return total
    read = span.count(COMPACTION_INPUT_TOKENS)
    if iterations or read is None:
        return None
    return Usage(read, 0, 0, 0, span.count(COMPACTION_OUTPUT_TOKENS) or 0)


def _iterations(span: Span) -> list[Mapping[str, Any]]:
    try:
        value = json.loads(span.text(at.USAGE_ITERATIONS) or "[]")
    except ValueError:
        return []
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _iteration(entry: Mapping[str, Any]) -> Usage:
    """The provider's own figures: here the input tokens leave the cache out."""
    created = _count(entry, "cache_creation_input_tokens")
    split = entry.get("cache_creation")
    hour = _count(split, "ephemeral_1h_input_tokens") if isinstance(split, Mapping) else 0
    hour = min(hour, created)
    return Usage(
        uncached=_count(entry, "input_tokens"),
        cache_read=_count(entry, "cache_read_input_tokens"),
        cache_write_5m=created - hour,
        cache_write_1h=hour,
        output=_count(entry, "output_tokens"),
    )


def _count(entry: Mapping[str, Any], name: str) -> int:
    value = entry.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else 0
