"""What of a span may leave the process: content only where it was asked for, and then only as `redact` leaves it.

Our own spans hold no content unless it was asked for. Other spans may: the SDK's own in its content mode, a recorded
exception's message. What is taken out here is missing from the spool and from our OTLP export; the application's own
exporters get their spans as they ever did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Status

from . import attributes as at
from ._config import Config, config, is_ready_to_leave

CONTENT: Final = frozenset(
    {
        at.INPUT_MESSAGES,
        at.OUTPUT_MESSAGES,
        at.SYSTEM_INSTRUCTIONS,
        at.TOOL_ARGUMENTS,
        at.TOOL_RESULT,
        "anthropic.tool_result.content",
        "exception.message",
        "exception.stacktrace",
    }
)


def scrubbed(span: ReadableSpan) -> ReadableSpan:
    """`span` itself where it holds nothing that may not leave, else a copy without it."""
    settings = config()
    attributes, events, description = plain(span.attributes), span.events, span.status.description
    is_clean = not description and CONTENT.isdisjoint(attributes)
    if is_clean and (not events or all(CONTENT.isdisjoint(event.attributes or {}) for event in events)):
        return span
    return ReadableSpan(
        name=span.name,
        context=span.get_span_context(),
        parent=span.parent,
        resource=span.resource,
        attributes=_left(attributes, settings),
        events=_events(events, settings),
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code, _text(description, settings) if description else None),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def plain(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    """`attributes` of an ended span as a dict."""
    if not attributes:
        return {}
    # Their own copying, where they have it: going through their mapping takes ten times as long.
    copied = attributes.copy() if isinstance(attributes, dict | MappingProxyType) else attributes
    return copied if type(copied) is dict else dict(copied)


def _events(events: Sequence[Event], settings: Config) -> list[Event]:
    return [Event(event.name, _left(event.attributes or {}, settings), event.timestamp) for event in events]


def _left(attributes: Mapping[str, Any], settings: Config) -> dict[str, Any]:
    left = dict(attributes)
    for name in CONTENT.intersection(left):
        text = _text(left.pop(name), settings)
        if text is not None:
            left[name] = text
    return left


def _text(value: object, settings: Config) -> str | None:
    if not isinstance(value, str):
        return None
    return value if settings.capture_content and is_ready_to_leave(value) else settings.content(value)
