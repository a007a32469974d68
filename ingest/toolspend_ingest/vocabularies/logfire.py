"""Logfire's instrumentations of SDKs: the conventions, and the provider's own usage beside them.

A stream is two spans: one for the call, which ends as the stream begins, and a record when it has ended, which says
what it used and how long it took. `traces` puts them together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from toolspend import attributes as at

from ..rows import Evidence, LlmRequest, Span
from . import content, conventions, genai, payloads
from .messages import loads
from .usage import RAW

_TEMPLATE: Final = "logfire.msg_template"
_STREAMED: Final = "streaming response from"
_REQUESTS: Final = ("Message with", "Chat Completion with", "Responses API with", "Completion with", _STREAMED)


def translate(span: Span) -> Span:
    """The span in the conventions' words; the record of a stream with the time that the stream took."""
    said = genai.older_names(span)
    template = span.text(_TEMPLATE) or span.name
    if at.OPERATION not in span.attributes and "request_data" in span.attributes and template.startswith(_REQUESTS):
        said[at.OPERATION] = at.OPERATION_CHAT
    raw = loads(span.text(RAW))
    if isinstance(raw, Mapping):
        said |= content.of_usage(raw)
    seconds = span.real("duration")
    if seconds is None or not is_record(span):
        return span.saying(said)
    started_at = span.started_at - timedelta(seconds=seconds)
    return span.saying(said, started_at=started_at, duration_ms=seconds * 1000)


def is_record(span: Span) -> bool:
    """Whether the span is the record of a stream that has ended."""
    return span.text("logfire.span_type") == "log" and (span.text(_TEMPLATE) or span.name).startswith(_STREAMED)


def streams(requests: Sequence[tuple[Span, LlmRequest, Evidence | None]]) -> Iterator[tuple[LlmRequest, LlmRequest]]:
    """The two halves of each stream, of requests in the order of time: the same prompt under the same parent.

    A call whose stream was never read, or not to its end, has no record, and its usage is not known.
    """
    calls: dict[tuple[str | None, str | None, str | None], list[LlmRequest]] = defaultdict(list)
    for span, request, evidence in requests:
        if not (span.scope or "").startswith("logfire"):
            continue
        asked = (span.parent_span_id, span.text(at.REQUEST_MODEL), evidence.delta if evidence is not None else None)
        if not is_record(span):
            if request.output_tokens is None and request.status != "error":
                calls[asked].append(request)
        elif calls[asked]:
            yield calls[asked].pop(0), request


def read_content(span: Span) -> dict[str, Any]:
    """What the content of a request says; before version 4 it is the payloads as they were."""
    if span.text(at.OPERATION) not in conventions.REQUESTS:
        return {}
    response = loads(span.attributes.get("response_data"))
    found = content.of_response(response) if isinstance(response, Mapping) else {}
    found = {name: each for name, each in found.items() if name not in span.attributes}
    if at.INPUT_MESSAGES in span.attributes or at.OUTPUT_MESSAGES in span.attributes:
        return found | genai.read_content(span)
    asked = payloads.request(span.attributes.get("request_data"))
    if asked is None:
        return found
    output = payloads.response(response) if isinstance(response, Mapping) else None
    return found | content.of_request(
        span, messages=asked.messages, output=output, tools=asked.tools, system=asked.system
    )
