"""The OpenTelemetry GenAI conventions, old and new, as the official instrumentations, the SDKs' own spans and many
frameworks say them.

Since 1.37 messages are attributes, of the span or of one event. Up to 1.36 each was an event of the span or of a log;
before that, `gen_ai.prompt` and `gen_ai.completion` held them. The provider was `gen_ai.system`, tokens were
`prompt_tokens` and `completion_tokens`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from toolspend import attributes as at

from ..rows import Span
from . import content, conventions, evidence, payloads
from .messages import Message, loads, read

_OPERATIONS: Final = {
    **dict.fromkeys(("chat.completions", "chat.streaming_completions"), at.OPERATION_CHAT),
    **dict.fromkeys(("text.completions", "text.streaming_completions"), "text_completion"),
}
"""What Semantic Kernel calls requests."""
DETAILS: Final = "gen_ai.client.inference.operation.details"


def translate(span: Span) -> Span:
    """The span with what it says under older names, and with its evidence an attribute each."""
    together = span.text(at.CONTEXT_EVIDENCE)
    return span.saying(older_names(span) | (evidence.apart(together) if together is not None else {}))


def older_names(span: Span) -> dict[str, Any]:
    """What the span says under an older name."""
    said: dict[str, Any] = {}
    if at.PROVIDER not in span.attributes and (system := span.text(conventions.SYSTEM)) is not None:
        said[at.PROVIDER] = system.lower()
    operation = span.text(at.OPERATION)
    if operation is None and is_request(span):
        said[at.OPERATION] = at.OPERATION_CHAT
    elif operation in _OPERATIONS:
        said[at.OPERATION] = _OPERATIONS[operation]
    return said


def is_request(span: Span) -> bool:
    """Whether a span without an operation, as the first conventions had none, is a request to a model."""
    names = ("gen_ai.usage.prompt_tokens", "gen_ai.usage.completion_tokens", "llm.usage.total_tokens")
    return (
        conventions.SYSTEM in span.attributes
        and at.REQUEST_MODEL in span.attributes
        and (span.kind == "client" or any(name in span.attributes for name in names))
    )


def read_content(span: Span) -> dict[str, Any]:
    """What the content of a request or a tool's run says."""
    operation = span.text(at.OPERATION)
    if operation == at.OPERATION_TOOL:
        return of_call(span)
    if operation is not None and operation not in conventions.REQUESTS:
        return {}
    span = span.saying(_details(span))
    prompt, output = _messages(span)
    found = content.of_request(
        span,
        messages=prompt,
        output=output,
        tools=content.tools_of(span.attributes.get(content.TOOL_DEFINITIONS)),
        system=content.system_of(span.attributes.get(at.SYSTEM_INSTRUCTIONS)),
    )
    return finish_reason(span) | found


def of_call(span: Span) -> dict[str, Any]:
    """The sizes of a tool's arguments and result."""
    result = span.attributes.get(at.TOOL_RESULT, span.attributes.get(content.NATIVE_RESULT))
    return content.of_call(
        span,
        span.attributes.get(at.TOOL_ARGUMENTS, span.attributes.get("input")),
        result if result is not None else span.attributes.get("output"),
    )


def finish_reason(span: Span) -> dict[str, Any]:
    """The finish reason in the output's messages, where the span has none of its own."""
    if any(name in span.attributes for name in conventions.STOP_REASONS):
        return {}
    said = loads(span.attributes.get(at.OUTPUT_MESSAGES))
    first = said[0] if isinstance(said, list) and said else None
    reason = first.get("finish_reason") if isinstance(first, Mapping) else None
    return {at.FINISH_REASONS: [reason]} if isinstance(reason, str) and reason else {}


def _details(span: Span) -> dict[str, Any]:
    """The content that an event of the span holds whole, where the span itself has none."""
    found: dict[str, Any] = {}
    for event in span.events:
        said = event.get("attributes") if isinstance(event, Mapping) and event.get("name") == DETAILS else None
        if isinstance(said, Mapping):
            found |= {name: value for name, value in said.items() if content.is_content(name)}
    return {name: value for name, value in found.items() if name not in span.attributes}


def _messages(span: Span) -> tuple[list[Message] | None, list[Message] | None]:
    if at.INPUT_MESSAGES in span.attributes or at.OUTPUT_MESSAGES in span.attributes:
        return read(span.attributes.get(at.INPUT_MESSAGES)), read(span.attributes.get(at.OUTPUT_MESSAGES))
    if "gen_ai.prompt" in span.attributes or "gen_ai.completion" in span.attributes:
        asked = payloads.request(span.attributes.get("gen_ai.prompt"))
        return asked.messages if asked else None, payloads.response(span.attributes.get("gen_ai.completion"))
    return content.events_of(span)
