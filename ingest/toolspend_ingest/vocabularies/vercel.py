"""Vercel's AI SDK, `ai.*`. Its `.doGenerate` and `.doStream` are requests: what is around them says their usage again,
up to version 6 that of the last for `ai.generateText`, else of all, and tells of them only where none of them is there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace

from toolspend import attributes as at

from ..rows import Span
from . import content, conventions, usage
from .messages import Message, blocks, calls, loads, read

ID: Final = "ai.operationId"
_SCOPE: Final = "ai"
_METADATA: Final = "ai.telemetry.metadata."
_INPUTS: Final = (at.INPUT_TOKENS, "ai.usage.inputTokens", "ai.usage.promptTokens", "ai.usage.tokens")
_OUTPUTS: Final = (at.OUTPUT_TOKENS, "ai.usage.outputTokens", "ai.usage.completionTokens")
_READS: Final = ("ai.usage.inputTokenDetails.cacheReadTokens", "ai.usage.cachedInputTokens")
_WRITES: Final = ("ai.usage.inputTokenDetails.cacheWriteTokens",)
_THINKING: Final = ("ai.usage.outputTokenDetails.reasoningTokens", "ai.usage.reasoningTokens")
_COUNTS: Final = (
    (at.INPUT_TOKENS, _INPUTS),
    (at.OUTPUT_TOKENS, _OUTPUTS),
    (at.CACHE_READ_TOKENS, _READS),
    (at.CACHE_WRITE_TOKENS, _WRITES),
    (at.THINKING_TOKENS, _THINKING),
)
_NAMES: Final = (
    (at.REQUEST_MODEL, ("ai.model.id",)),
    (at.RESPONSE_MODEL, ("ai.response.model",)),
    (at.RESPONSE_ID, ("ai.response.id",)),
    (at.TOOL_NAME, ("ai.toolCall.name",)),
    (at.TOOL_CALL_ID, ("ai.toolCall.id",)),
    (at.SESSION_ID_STANDARD, (f"{_METADATA}sessionId", f"{_METADATA}session_id", f"{_METADATA}threadId")),
    (at.USER_ID, (f"{_METADATA}userId", f"{_METADATA}user_id")),
)
_AROUND: Final = {
    **dict.fromkeys(("ai.generateText", "ai.streamText", "ai.generateObject", "ai.streamObject"), at.OPERATION_CHAT),
    **dict.fromkeys(("ai.embed", "ai.embedMany"), conventions.OPERATION_EMBEDDINGS),
}
"""What is around requests, by what these are."""
_OF_ONE: Final = (usage.RAW, at.CACHE_READ_TOKENS, at.CACHE_WRITE_TOKENS)
_VERSION: Final = re.compile(r"\bai/(\d+(?:\.\d+)*)")


def translate(span: Span) -> Span:
    """The span in the conventions' words, and the version of the SDK where its user agent or its names tell it."""
    said: dict[str, Any] = {at.OPERATION: _operation(span.text(ID) or "")}
    for name, counts in _COUNTS:
        if (count := span.count(*counts)) is not None:
            said[name] = count
    for name, texts in _NAMES:
        if name not in span.attributes and (text := span.text(*texts)) is not None:
            said[name] = text
    if (provider := span.text("ai.model.provider")) is not None:
        said[at.PROVIDER] = provider if provider.startswith("vertex.anthropic") else provider.partition(".")[0]
    if at.FINISH_REASONS not in span.attributes and (reason := span.text("ai.response.finishReason")) is not None:
        said[at.FINISH_REASONS] = [reason]
    if (first_ms := span.real("ai.response.msToFirstChunk")) is not None:
        said[at.TIME_TO_FIRST_CHUNK] = first_ms / 1000
    if (agent := span.text("ai.telemetry.functionId")) is not None:
        said[at.AGENT_NAME] = agent
    said |= _of_provider(loads(span.attributes.get("ai.response.providerMetadata")))
    return span.saying(said, scope=_SCOPE, scope_version=span.scope_version or _version(span))


def is_around(span: Span) -> bool:
    """Whether a span (translated) is around requests, and says tokens."""
    return span.text(ID) in _AROUND and (
        span.count(at.INPUT_TOKENS) is not None or span.count(at.OUTPUT_TOKENS) is not None
    )


def alone(span: Span) -> Span:
    """A span around requests of which none came, as the one request that it tells of.

    The provider's own figures are of the last request: where the others may be of more, the cache is not known.
    """
    operation = span.text(ID) or ""
    raw = loads(span.text(usage.RAW))
    if isinstance(raw, Mapping):
        is_mixed = usage.of_provider(raw).output != span.count(at.OUTPUT_TOKENS)
    else:
        is_mixed = operation == "ai.streamText" and at.CACHE_WRITE_TOKENS in span.attributes
    said = {name: value for name, value in span.attributes.items() if not (is_mixed and name in _OF_ONE)}
    return replace(span, attributes={**said, at.OPERATION: _AROUND[operation]})


def read_content(span: Span) -> dict[str, Any]:
    """What the content of a request or a tool's run says."""
    operation = span.text(at.OPERATION)
    if operation == at.OPERATION_TOOL:
        return content.of_call(
            span, span.attributes.get("ai.toolCall.args"), _plain(span.attributes.get("ai.toolCall.result"))
        )
    if operation != at.OPERATION_CHAT:
        return {}
    messages = read(span.attributes.get("ai.prompt.messages"))
    tools = content.tools_of(span.attributes.get("ai.prompt.tools"))
    return content.of_request(span, messages=messages, output=_output(span), tools=tools)


def _operation(name: str) -> str:
    if name.endswith((".doGenerate", ".doStream")):
        return at.OPERATION_CHAT
    if name.endswith(".doEmbed"):
        return conventions.OPERATION_EMBEDDINGS
    return at.OPERATION_TOOL if name == "ai.toolCall" else at.OPERATION_AGENT


def _version(span: Span) -> str | None:
    found = _VERSION.search(span.text("ai.request.headers.user-agent") or "")
    if found is not None:
        return found.group(1)
    # Only the sixth has these.
    return "6" if any(name.startswith("ai.usage.inputTokenDetails.") for name in span.attributes) else None


def _of_provider(metadata: object) -> dict[str, Any]:
    """What the provider's own part of a response says of its usage."""
    said: dict[str, Any] = {}
    if not isinstance(metadata, Mapping):
        return said
    anthropic, openai = metadata.get("anthropic"), metadata.get("openai")
    if isinstance(anthropic, Mapping):
        if isinstance(anthropic.get("usage"), Mapping):
            said |= content.of_usage(anthropic["usage"])
        for name, own in (
            (at.CACHE_WRITE_TOKENS, "cacheCreationInputTokens"),
            (at.CACHE_READ_TOKENS, "cacheReadInputTokens"),
        ):
            if isinstance(anthropic.get(own), int):
                said[name] = anthropic[own]
    if isinstance(openai, Mapping) and isinstance(openai.get("serviceTier"), str):
        said[at.SERVICE_TIER] = openai["serviceTier"]
    return said


def _output(span: Span) -> list[Message] | None:
    parts: list[Any] = []
    if thought := span.text("ai.response.reasoning"):
        parts.append({"type": "thinking", "thinking": thought})
    if text := span.text("ai.response.text", "ai.result.text", "ai.response.object", "ai.result.object"):
        parts += blocks(text)
    parts += calls(loads(span.text("ai.response.toolCalls", "ai.result.toolCalls") or "[]"))
    return [{"role": "assistant", "content": parts}] if parts else None


def _plain(value: object) -> object:
    said = loads(value)
    return said if isinstance(said, str) else value
