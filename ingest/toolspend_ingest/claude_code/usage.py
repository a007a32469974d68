"""Billed usage in the provider's words as span attributes of the conventions, whose input tokens include the cache."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from toolspend import attributes as at
from toolspend.evidence import describe_usage

_MOST: Final = 2**53


def usage_attributes(usage: Mapping[str, Any]) -> dict[str, Any]:
    """What a `usage` object says; nothing of what it does not."""
    split = usage.get("cache_creation")
    split = split if isinstance(split, dict) else {}
    details = usage.get("output_tokens_details")
    values = {
        at.INPUT_TOKENS: prompt_tokens(usage),
        at.CACHE_READ_TOKENS: _count(usage, "cache_read_input_tokens"),
        at.CACHE_WRITE_TOKENS: _written(usage),
        at.ANTHROPIC_CACHE_WRITE_5M: _count(split, "ephemeral_5m_input_tokens"),
        at.ANTHROPIC_CACHE_WRITE_1H: _count(split, "ephemeral_1h_input_tokens"),
        at.OUTPUT_TOKENS: _count(usage, "output_tokens"),
        at.THINKING_TOKENS: _count(details, "thinking_tokens") if isinstance(details, dict) else None,
        at.ANTHROPIC_SERVICE_TIER: usage.get("service_tier") if isinstance(usage.get("service_tier"), str) else None,
    }
    return {name: value for name, value in values.items() if value is not None} | describe_usage(usage)


def prompt_tokens(usage: Mapping[str, Any]) -> int | None:
    """All tokens of the prompt; None where that is not said."""
    uncached = _count(usage, "input_tokens")
    if uncached is None:
        return None
    return uncached + (_count(usage, "cache_read_input_tokens") or 0) + (_written(usage) or 0)


def _written(usage: Mapping[str, Any]) -> int | None:
    total = _count(usage, "cache_creation_input_tokens")
    split = usage.get("cache_creation")
    if total is not None or not isinstance(split, dict):
        return total
    return (_count(split, "ephemeral_5m_input_tokens") or 0) + (_count(split, "ephemeral_1h_input_tokens") or 0)


def _count(values: Mapping[str, Any], name: str) -> int | None:
    value = values.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST else None
