"""Billed tokens by the rate they are billed at, from the figures that spans carry. What is not known is None."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from toolspend import attributes as at

from ..rows import Span
from . import emitters
from .emitters import Input
from .messages import loads

RAW: Final = "gen_ai.usage.raw"
"""JSON: the usage of the provider's response as it was received. Logfire's name; others' are read into it."""
CACHE_READ: Final = (
    at.CACHE_READ_TOKENS,
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.details.cache_read_tokens",
    "gen_ai.usage.details.cache_read_input_tokens",
    "gen_ai.usage.details.cached_tokens",
)
CACHE_WRITE: Final = (
    at.CACHE_WRITE_TOKENS,
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.details.cache_write_tokens",
    "gen_ai.usage.details.cache_creation_input_tokens",
)
INPUT: Final = (at.INPUT_TOKENS, "gen_ai.usage.prompt_tokens", "llm.usage.prompt_tokens")
OUTPUT: Final = (at.OUTPUT_TOKENS, "gen_ai.usage.completion_tokens", "llm.usage.completion_tokens")
THINKING: Final = (
    at.THINKING_TOKENS,
    "gen_ai.usage.reasoning_tokens",
    "gen_ai.usage.details.reasoning_tokens",
    "gen_ai.usage.details.thoughts_tokens",
    "gen_ai.usage.details.thinking_tokens",
)
COMPACTION_INPUT: Final = "anthropic.usage.compaction.input_tokens"
COMPACTION_OUTPUT: Final = "anthropic.usage.compaction.output_tokens"
STREAMED: Final = (at.REQUEST_STREAM, "gen_ai.is_streaming", "llm.is_streaming")
_MOST_TOKENS: Final = 10**12
"""A request with more has garbled usage: it is not known."""
_LEAST_CACHED: Final = 1_024
_CLOUDS: Final = ("google", "gcp", "gemini", "vertex", "azure", "az.ai")
"""They run models of others beside their own: for Claude they answer as the Messages API does."""
_LEAST_CACHED_BY: Final = ("openai", "azure", "az.ai")
"""Providers that publish that no shorter prompt is ever read from a cache."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request: the whole prompt, its parts by rate, the output, and how much of it is thinking."""

    input: int | None = None
    uncached: int | None = None
    cache_read: int | None = None
    cache_write_5m: int | None = None
    cache_write_1h: int | None = None
    output: int | None = None
    thinking: int | None = None

    @property
    def is_known(self) -> bool:
        """Whether the bill follows from it: each rate and the output are known."""
        return None not in (self.uncached, self.cache_read, self.cache_write_5m, self.cache_write_1h, self.output)

    def plus(self, other: Usage) -> Usage:
        """Both together. An output of the one that is not known is none where the other's is said."""
        prompt = {name: _sum(getattr(self, name), getattr(other, name)) for name in _PROMPT}
        return Usage(
            **prompt,
            output=None if self.output is None and other.output is None else (self.output or 0) + (other.output or 0),
            thinking=self.thinking,
        )


_PROMPT: Final = ("input", "uncached", "cache_read", "cache_write_5m", "cache_write_1h")
NOTHING: Final = Usage(0, 0, 0, 0, 0, 0)


def of(span: Span, provider: str | None) -> Usage:
    """The usage that a span in the conventions' words says, as its emitter counts."""
    raw = loads(span.text(RAW))
    usage = of_provider(raw) if isinstance(raw, Mapping) else _counted(span, provider)
    compaction = _compaction(span, usage)
    if compaction is not None:
        usage = compaction if usage.input is None and usage.uncached is None else usage.plus(compaction)
    if usage.thinking is None and (thinking := span.count(*THINKING)) is not None:
        usage = replace(usage, thinking=thinking)
    return usage if max(usage.input or 0, usage.output or 0) <= _MOST_TOKENS else Usage(thinking=usage.thinking)


def of_provider(raw: Mapping[str, Any]) -> Usage:
    """The provider's own figures: the Messages API leaves the cache out of the input tokens, others count it in."""
    output = _count(raw, "output_tokens", "completion_tokens")
    details = raw.get("output_tokens_details") or raw.get("completion_tokens_details")
    thinking = _count(details, "thinking_tokens", "reasoning_tokens") if isinstance(details, Mapping) else None
    said = _count(raw, "input_tokens", "prompt_tokens")
    if said is None:
        return Usage(output=output, thinking=thinking)
    inner = raw.get("input_tokens_details") or raw.get("prompt_tokens_details")
    if "prompt_tokens" in raw or isinstance(inner, Mapping):
        read = _count(inner, "cached_tokens") if isinstance(inner, Mapping) else None
        if read is None:
            return Usage(said, output=output, thinking=thinking)
        return _from_whole(said, read, *_gateway_split(inner), output, thinking)
    read = _count(raw, "cache_read_input_tokens") or 0
    five, hour = _split(raw)
    return Usage(said + read + five + hour, said, read, five, hour, output, thinking)


def _counted(span: Span, provider: str | None) -> Usage:
    counting = emitters.counting(span.scope, span.scope_version, _answering(span, provider))
    output = span.count(*OUTPUT)
    if counting.is_streamed_output_wrong and any(span.flag(name) for name in STREAMED):
        output = None
    total = span.count(*INPUT)
    read, (five, hour) = span.count(*CACHE_READ), _writes(span)
    if total is None:
        return Usage(output=output)
    is_silent = read is None and five is None and not counting.says_cache
    if is_silent and counting.input is Input.INCLUDES and (provider or "").startswith(_LEAST_CACHED_BY):
        is_silent = total >= _LEAST_CACHED
    if is_silent:
        return Usage(
            total if counting.input is Input.INCLUDES else None,
            total if counting.input is Input.EXCLUDES else None,
            output=output,
        )
    if counting.input is Input.UNKNOWN and any((read, five, hour)):
        return Usage(None, None, read, five, hour, output)
    read, five, hour = read or 0, five or 0, hour or 0
    if counting.input is Input.EXCLUDES:
        return Usage(total + read + five + hour, total, read, five, hour, output)
    return _from_whole(total, read, five, hour, output)


def _answering(span: Span, provider: str | None) -> str | None:
    """Who counted the tokens: the provider, or who made a model that runs in another's cloud."""
    model = span.text(at.RESPONSE_MODEL, at.REQUEST_MODEL) or ""
    return "anthropic" if "claude" in model.lower() and (provider or "").startswith(_CLOUDS) else provider


def _from_whole(total: int, read: int, five: int, hour: int, output: int | None, thinking: int | None = None) -> Usage:
    uncached = total - read - five - hour
    if uncached < 0:
        # More from the cache than there is in all: one of the figures is wrong, and none tells which.
        return Usage(output=output, thinking=thinking)
    return Usage(total, uncached, read, five, hour, output, thinking)


def _writes(span: Span) -> tuple[int | None, int | None]:
    """Cache writes for 5 minutes and for an hour; all are for 5 minutes, the default, where the split is not said."""
    total = span.count(*CACHE_WRITE)
    five = span.count(at.USAGE_CACHE_WRITE_5M, at.ANTHROPIC_CACHE_WRITE_5M)
    hour = span.count(at.USAGE_CACHE_WRITE_1H, at.ANTHROPIC_CACHE_WRITE_1H)
    if total is None:
        return (five, hour) if five is not None or hour is None else (0, hour)
    hour = min(hour or 0, total)
    return total - hour, hour


def _compaction(span: Span, top: Usage) -> Usage | None:
    """Tokens of compactions, which the usage at the top leaves out.

    The SDK's own spans have their sums, cache included: where there is a cache, how much of it they read is not known.
    """
    iterations = _iterations(span)
    compactions = [_whole(of_provider(each)) for each in iterations if each.get("type") == "compaction"]
    if compactions:
        total = compactions[0]
        for each in compactions[1:]:
            total = total.plus(each)
        return total
    read = span.count(COMPACTION_INPUT)
    if iterations or read is None:
        return None
    output = span.count(COMPACTION_OUTPUT) or 0
    if top.cache_read or top.cache_write_5m or top.cache_write_1h:
        return Usage(read, output=output)
    return Usage(read, read, 0, 0, 0, output)


def advice(span: Span) -> list[tuple[str | None, Usage]]:
    """The models that advised the one that was asked, and the tokens of each time, which the usage leaves out."""
    return [
        (model if isinstance(model := each.get("model"), str) else None, _whole(of_provider(each)))
        for each in _iterations(span)
        if each.get("type") == "advisor_message"
    ]


def _iterations(span: Span) -> list[Mapping[str, Any]]:
    value = loads(span.text(at.USAGE_ITERATIONS))
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _whole(usage: Usage) -> Usage:
    """With nothing for what an iteration leaves out: it lists what it was billed."""
    return usage if usage.input is not None else replace(NOTHING, output=usage.output or 0)


def _split(raw: Mapping[str, Any]) -> tuple[int, int]:
    parts = raw.get("cache_creation")
    five = _count(parts, "ephemeral_5m_input_tokens") if isinstance(parts, Mapping) else None
    hour = _count(parts, "ephemeral_1h_input_tokens") if isinstance(parts, Mapping) else None
    total = _count(raw, "cache_creation_input_tokens")
    if total is None:
        return five or 0, hour or 0
    hour = min(hour or 0, total)
    return total - hour, hour


def _gateway_split(details: Any) -> tuple[int, int]:
    """Cache writes in the details of a prompt's tokens, where gateways to other providers put them: LiteLLM with the
    split beside them, OpenRouter without."""
    total = _count(details, "cache_write_tokens", "cache_creation_tokens") or 0
    hour = min(_count(details.get("cache_creation_token_details"), "ephemeral_1h_input_tokens") or 0, total)
    return total - hour, hour


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def _count(entry: Any, *names: str) -> int | None:
    if not isinstance(entry, Mapping):
        return None
    for name in names:
        value = entry.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53:
            return value
    return None
