"""The SDK's own span of an API call (scope `com.anthropic.sdk.python`), enriched where it starts and before it ends."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Final

from opentelemetry.trace import Span

from ... import attributes as at
from ..._guard import guarded
from ...evidence import StreamedOutput, Tip
from ._patches import Patches
from .describe import Described, request_attributes, response_attributes, response_body

_CREATE: Final = "anthropic.messages.create"

_tips: weakref.WeakKeyDictionary[Span, Tip] = weakref.WeakKeyDictionary()


def is_native(base: Any) -> bool:
    """Whether this version of the SDK emits spans in the way that we know how to enrich."""
    return hasattr(base, "start_api_call_span") and hasattr(base, "finish_api_call_span")


def patch(patches: Patches, base: Any) -> None:
    """Wraps the two functions through which the SDK starts and ends the span of every API call."""
    if not is_native(base):
        return

    def start(
        wrapped: Callable[..., Span | None], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Span | None:
        span = wrapped(*args, **kwargs)
        with guarded("anthropic.request"):
            options = kwargs.get("options") or args[2]
            if span is not None and options.span_name == _CREATE and span.is_recording():
                _describe_request(span, options.json_data)
        return span

    def finish(wrapped: Callable[..., None], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        span, result = args[1], args[2]
        tip = _tips.pop(span, None)
        if tip is None:
            return wrapped(*args, **kwargs)
        with guarded("anthropic.response"):
            if result.error is None and (message := response_body(result.data)) is not None:
                span.set_attributes(response_attributes(message, tip))
        wrapped(*args, **kwargs)
        with guarded("anthropic.stream"):
            if result.error is None:
                _observe(result.response, span, tip)

    patches.wrap(base, "start_api_call_span", start)
    patches.wrap(base, "finish_api_call_span", finish)


def _describe_request(span: Span, body: Any) -> None:
    described: Described = request_attributes(body, span)
    _tips[span] = described.tip
    if at.CONVERSATION_ID not in (getattr(span, "attributes", None) or {}):
        described.attributes[at.CONVERSATION_ID] = described.tip.conversation_id
    span.set_attributes(described.attributes)


def _observe(response: Any, span: Span, tip: Tip) -> None:
    """Sees the events that the SDK's own observer of a streamed message sees, and completes the span before it ends it.

    The observer is the SDK's: only its methods `item` and `end` are replaced, on this one object.
    """
    first_end = getattr(getattr(response, "stream", None), "stream_observer", None)
    recorder = getattr(first_end, "inner", None)
    if recorder is None or not span.is_recording():
        return
    output = StreamedOutput()
    item, end = recorder.item, recorder.end

    def observed_item(event: Any) -> None:
        with guarded("anthropic.stream"):
            output.item(event)
        item(event)

    def observed_end(how: Any, error: BaseException | None = None) -> None:
        with guarded("anthropic.stream"):
            if output.message:
                span.set_attributes(response_attributes(output.as_message(), tip))
        end(how, error)

    recorder.item, recorder.end = observed_item, observed_end
