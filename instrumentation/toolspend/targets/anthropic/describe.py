"""A Messages API request and response as span attributes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from opentelemetry.trace import Span

from ... import attributes as at
from ..._config import config
from ..._session import current
from ...evidence import Tip, content, conversations, describe_output, describe_usage
from ...evidence.outputs import describe_edits, field, fields_of, plain_block


def request_attributes(body: Any, span: Span, sent: bytes | None = None) -> tuple[dict[str, Any], Tip]:
    """The evidence of a request `body` (plain containers) for its `span`, and where it stands in its conversation.

    `sent` is the body's JSON, where it is at hand.
    """
    settings = config()
    context = span.get_span_context()
    session = current()
    attributes, tip = conversations.describe(
        body,
        scope=None if session is None else session.id,
        # As OpenTelemetry writes ids, in a third of the time.
        span_id=context.span_id.to_bytes(8, "big").hex(),
        conversation_id=context.trace_id.to_bytes(16, "big").hex(),
        has_definitions=settings.capture_definitions,
        sent=sent,
    )
    if settings.capture_content:
        content.add(attributes, at.INPUT_MESSAGES, content.messages(body.get("messages")), settings)
        content.add(attributes, at.SYSTEM_INSTRUCTIONS, content.parts(body.get("system")), settings)
    return attributes, tip


def add_response(attributes: dict[str, Any], message: Mapping[str, Any], tip: Tip | None) -> None:
    """Adds the evidence of a response, given the fields of its `message`, to what its request's span is to carry."""
    blocks = message.get("content") or ()
    said = describe_output(blocks, tip, message.get("id"))
    if (evidence := attributes.get(at.CONTEXT_EVIDENCE)) is not None:
        attributes[at.CONTEXT_EVIDENCE] = f'{evidence[:-1]},"output":{said}}}'
    else:
        attributes[at.OUTPUT_SEGMENTS] = said
    if (usage := message.get("usage")) is not None:
        attributes.update(describe_usage(usage))
    if (managed := message.get("context_management")) is not None:
        attributes.update(describe_edits(managed))
    if (settings := config()).capture_content:
        answer = [{"role": "assistant", "content": list(map(plain_block, blocks))}]
        content.add(attributes, at.OUTPUT_MESSAGES, content.messages(answer), settings)


def usage_attributes(message: Mapping[str, Any]) -> dict[str, Any]:
    """What the conventions say of a response, given the fields of its `message`: for spans of ours.

    It is the same as the SDK's own spans have. `gen_ai.usage.input_tokens` includes what was read from the cache and
    written to it. What the response does not say is left out.
    """
    usage = field(message, "usage")
    read, write = field(usage, "cache_read_input_tokens"), field(usage, "cache_creation_input_tokens")
    split = field(usage, "cache_creation")
    details = field(usage, "output_tokens_details")
    uncached = field(usage, "input_tokens")
    values = {
        at.RESPONSE_ID: field(message, "id"),
        at.RESPONSE_MODEL: field(message, "model"),
        at.ANTHROPIC_STOP_REASON: field(message, "stop_reason"),
        at.INPUT_TOKENS: uncached + (read or 0) + (write or 0) if isinstance(uncached, int) else None,
        at.CACHE_READ_TOKENS: read,
        at.CACHE_WRITE_TOKENS: write,
        at.ANTHROPIC_CACHE_WRITE_5M: field(split, "ephemeral_5m_input_tokens"),
        at.ANTHROPIC_CACHE_WRITE_1H: field(split, "ephemeral_1h_input_tokens"),
        at.OUTPUT_TOKENS: field(usage, "output_tokens"),
        at.THINKING_TOKENS: field(details, "thinking_tokens"),
        at.ANTHROPIC_SERVICE_TIER: field(usage, "service_tier"),
    }
    return {name: value for name, value in values.items() if isinstance(value, str | int)}


def message_fields(data: Any) -> Mapping[str, Any] | None:
    """The fields of the message that an API call gave, or None where it gave none that can be read undisturbed.

    `data` is a message, a stream (None: its events tell), or a raw response, whose body counts once it was read.
    """
    fields = fields_of(data)
    if "usage" in fields and "content" in fields:
        return fields
    response = getattr(data, "http_response", None)
    if response is None or not response.is_closed or "json" not in response.headers.get("content-type", ""):
        return None
    try:
        body = json.loads(response.content)
    except Exception:  # a body that was closed unread, or is not what its type says
        return None
    return body if isinstance(body, Mapping) and body.get("type") == "message" else None
