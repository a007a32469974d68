"""The SDK's own span of an API call (scope `com.anthropic.sdk.python`), enriched before it ends.

The request is described when its answer is there: what was sent is then at hand as bytes too, and one write to the span
does for both. The SDK sends a copy of its own of what it was given, so nothing has changed in the meantime.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from opentelemetry.trace import Span

from ... import attributes as at
from ..._guard import failed, guarded
from ...evidence import StreamedOutput, Tip
from . import provider
from ._patches import Patches
from .describe import add_response, message_fields, request_attributes, usage_attributes
from .unread import Passing, Unread

_CREATE: Final = "anthropic.messages.create"
_FEW: Final = 8
_PLAIN: Final = ("anthropic._base_client", "anthropic._client")


def is_native(base: Any) -> bool:
    """Whether this version of the SDK emits spans in the way that we know how to enrich."""
    return hasattr(base, "start_api_call_span") and hasattr(base, "finish_api_call_span")


def patch(patches: Patches, base: Any) -> None:
    """Wraps the function with which the SDK ends the span of every API call."""
    if not is_native(base):
        return

    def around(original: Callable[..., None]) -> Callable[..., None]:
        def finish(*args: Any, **kwargs: Any) -> None:
            unread: Tip | None = None
            span: Any = None
            result: Any = None
            try:
                client, span, result = args
                if result.options.span_name == _CREATE and span.is_recording():
                    unread = _describe(client, span, result)
            except Exception as error:
                failed("anthropic.response", error)
            original(*args, **kwargs)
            if unread is not None:
                with guarded("anthropic.stream"):
                    _observe(result.response, span, unread)

        return finish

    patches.replace(base, "finish_api_call_span", around)
    provider.patch(patches, base)


def _describe(client: Any, span: Span, result: Any) -> Tip | None:
    """Puts the evidence of a call on its span. Gives where its request stands while its answer is still to be read."""
    body = result.options.json_data
    # A few messages are looked at sooner than asked for.
    is_long = "tools" in body or len(body.get("messages") or ()) > _FEW
    attributes, tip = request_attributes(body, span, _sent(client, result.response) if is_long else None)
    is_unread = result.error is None
    try:
        if is_unread and (message := message_fields(result.data)) is not None:
            is_unread = False
            add_response(attributes, message, tip)
    except Exception as error:
        failed("anthropic.response", error)
    if not _has_conversation(span):
        attributes[at.CONVERSATION_ID] = tip.conversation_id
    span.set_attributes(attributes)
    return tip if is_unread else None


@lru_cache(maxsize=64)
def _sends_what_it_is_given(client: type) -> bool:
    """Whether nothing changes a body on its way out: the clients of other platforms do, and a subclass may."""
    return getattr(getattr(client, "_prepare_options", None), "__module__", None) in _PLAIN


def _has_conversation(span: Any) -> bool:
    """Whether the application named the conversation itself."""
    # The span's own dict, if it is there: its public mapping is copied or raises an exception within, which takes 4 us.
    attributes = getattr(getattr(span, "_attributes", None), "_dict", None)
    if attributes is None:
        attributes = getattr(span, "attributes", None) or ()
    return at.CONVERSATION_ID in attributes


def _sent(client: Any, response: Any) -> bytes | None:
    """The JSON of the body as given, which `response` answers, or None where it is not at hand for certain."""
    if not _sends_what_it_is_given(client.__class__) or getattr(client, "_middleware", None):
        return None
    try:
        sent = response.request.content
    except Exception:  # no response, one that was made without a request, or a body that can be read only once
        return None
    return sent if type(sent) is bytes else None


def _observe(response: Any, span: Span, tip: Tip) -> None:
    """Sees the events that the SDK's own observer of a streamed message sees, and completes the span before it ends it.

    Where the application reads the body itself, the SDK's observer sees no events: then the bytes are looked at. The
    observer is the SDK's: only its methods are replaced, on this one object.
    """
    stream = getattr(response, "stream", None)
    first_end = getattr(stream, "stream_observer", None)
    recorder = getattr(first_end, "inner", None)
    if recorder is None or not span.is_recording():
        return
    output, unread = StreamedOutput(), Unread()
    begin, item, end = recorder.begin, recorder.item, recorder.end

    def observed_begin() -> None:
        unread.drop()
        begin()

    def observed_item(event: Any) -> None:
        with guarded("anthropic.stream"):
            output.item(event)
        item(event)

    def observed_end(how: Any, error: BaseException | None = None) -> None:
        with guarded("anthropic.stream"):
            attributes: dict[str, Any] = {}
            if output.message:
                add_response(attributes, output.as_message(), tip)
            elif unread.is_kept and (message := unread.message(response)) is not None:
                attributes = usage_attributes(message)
                add_response(attributes, message, tip)
            span.set_attributes(attributes)
        end(how, error)

    for name in ("_body", "_async_body"):
        if (body := getattr(stream, name, None)) is not None:
            setattr(stream, name, Passing(body, unread))
    recorder.begin, recorder.item, recorder.end = observed_begin, observed_item, observed_end
