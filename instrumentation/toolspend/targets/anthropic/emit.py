"""A `chat` span of ours for each API call of an SDK, or a client, that emits none."""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_http_instrumentation
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from ... import attributes as at
from ..._clock import now_ns
from ..._guard import guarded
from ..._provider import tracer
from ...evidence import StreamedOutput, Tip
from ...evidence.outputs import plain
from .. import httpx
from ._patches import Patches
from .describe import add_response, message_fields, request_attributes, usage_attributes

_ROUTE: Final = "/v1/messages"
_OTHERS: Final = ("/v1/messages/batches", "/v1/messages/count_tokens")
_PROVIDERS: Final = {"bedrock": "aws.bedrock", "vertex": "gcp.vertex_ai"}

_streams: weakref.WeakKeyDictionary[Any, Call] = weakref.WeakKeyDictionary()
"""The calls whose response is still being read, by the HTTP response that they read."""


class Call:
    """One API call and its span, from the request to the end of the response, whichever way that comes."""

    def __init__(self, client: Any, options: Any, stream: bool) -> None:
        self._started_ns = now_ns()
        self._output = StreamedOutput()
        self._is_first_delta = True
        self._tip: Tip | None = None
        body = plain_body(options.json_data)
        model = body.get("model")
        attributes: dict[str, Any] = {
            at.OPERATION: at.OPERATION_CHAT,
            at.PROVIDER: _provider(client),
            "server.address": client.base_url.host,
        }
        if isinstance(model, str):
            attributes[at.REQUEST_MODEL] = model
        if isinstance(body.get("max_tokens"), int):
            attributes[at.REQUEST_MAX_TOKENS] = body["max_tokens"]
        if stream:
            attributes[at.REQUEST_STREAM] = True
        self.span: Span = tracer().start_span(f"chat {model}", kind=SpanKind.CLIENT, attributes=attributes)
        if self.span.is_recording():
            described, self._tip = request_attributes(body, self.span)
            described[at.CONVERSATION_ID] = self._tip.conversation_id
            self.span.set_attributes(described)

    def returned(self, result: Any) -> None:
        """Takes what the call gave the application, and ends the span unless a stream is still to be read."""
        message = message_fields(result)
        if message is not None:
            self._describe(message)
        else:
            response = getattr(result, "http_response", None) or getattr(result, "response", None)
            if response is not None and not response.is_closed:
                _streams[response] = self
                # Dropped unread, there is nobody left to say that it ended.
                weakref.finalize(response, self.ended)
                return
        self.span.set_status(Status(StatusCode.OK))
        self.span.end()

    def failed(self, error: BaseException) -> None:
        """Ends the span with `error`; a cancellation leaves its status unset."""
        if self.span.is_recording() and isinstance(error, Exception):
            self.span.set_status(Status(StatusCode.ERROR))
            self.span.set_attribute(at.ERROR_TYPE, _error_type(error))
            # The error event of a stream has the status of the response that opened it, which is no error.
            status = getattr(error, "status_code", None)
            if isinstance(status, int) and status >= 400:
                self.span.set_attribute(at.HTTP_STATUS, status)
        self.span.end()

    def item(self, event: Any) -> None:
        """Takes one event of the stream."""
        if self._is_first_delta and getattr(event, "type", None) == "content_block_delta":
            self._is_first_delta = False
            self.span.set_attribute(at.TIME_TO_FIRST_CHUNK, (now_ns() - self._started_ns) / 1e9)
        self._output.item(event)

    def ended(self, error: BaseException | None = None) -> None:
        """Ends the span of a stream that was read to its end, closed, dropped or broken off by `error`."""
        if not self.span.is_recording():
            return
        if self._output.message:
            self._describe(self._output.as_message())
        if error is not None:
            self.failed(error)
            return
        if self._output.is_final:
            self.span.set_status(Status(StatusCode.OK))
        self.span.end()

    def _describe(self, message: Any) -> None:
        attributes = usage_attributes(message)
        add_response(attributes, message, self._tip)
        self.span.set_attributes(attributes)


def patch(patches: Patches, base: Any) -> None:
    """Wraps the one method of each client through which every API call goes, and the reading of its streams."""

    def begin(client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
        with guarded("anthropic.request"):
            options = kwargs.get("options") or args[1]
            if getattr(client, "_tracer", None) is None and _is_message_request(options):
                return Call(client, options, bool(kwargs.get("stream")))
        return None

    # With a span of the SDK's own, and no HTTP spans to keep quiet, there is nothing to do.
    def around(original: Callable[..., Any]) -> Callable[..., Any]:
        def request(client: Any, *args: Any, **kwargs: Any) -> Any:
            if getattr(client, "_tracer", None) is not None and not httpx.instrumented:
                return original(client, *args, **kwargs)
            call = begin(client, args, kwargs)
            try:
                with _as_current(call), _quiet_http():
                    result = original(client, *args, **kwargs)
            except BaseException as error:
                _guard_call(call, "failed", error)
                raise
            _guard_call(call, "returned", result)
            return result

        return request

    def around_async(original: Callable[..., Any]) -> Callable[..., Any]:
        async def request(client: Any, *args: Any, **kwargs: Any) -> Any:
            if getattr(client, "_tracer", None) is not None and not httpx.instrumented:
                return await original(client, *args, **kwargs)
            call = begin(client, args, kwargs)
            try:
                with _as_current(call), _quiet_http():
                    result = await original(client, *args, **kwargs)
            except BaseException as error:
                _guard_call(call, "failed", error)
                raise
            _guard_call(call, "returned", result)
            return result

        return request

    patches.replace(base.SyncAPIClient, "request", around)
    patches.replace(base.AsyncAPIClient, "request", around_async)
    patches.wrap(base.Stream, "__stream__", _read)
    patches.wrap(base.AsyncStream, "__stream__", _read_async)
    patches.wrap(base.Stream, "close", _close)
    patches.wrap(base.AsyncStream, "close", _close)


def plain_body(body: Any) -> dict[str, Any]:
    """A request body in plain containers, for reading only. What can be read only once is left alone."""
    if not isinstance(body, dict):
        return {}
    messages = body.get("messages")
    plain_messages = [_plain_message(each) for each in messages] if isinstance(messages, list | tuple) else []
    tools, system = body.get("tools"), body.get("system")
    return {
        **body,
        "messages": plain_messages,
        "tools": [tool for tool in tools if isinstance(tool, dict)] if isinstance(tools, list | tuple) else [],
        "system": system if isinstance(system, str | list) else None,
    }


def _plain_message(message: Any) -> Any:
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str) or content is None:
        return message
    if not isinstance(content, list | tuple):
        return {**message, "content": []}
    return {**message, "content": [plain(block) for block in content]}


def _is_message_request(options: Any) -> bool:
    url = options.url
    return options.method.lower() == "post" and url.startswith(_ROUTE) and not url.startswith(_OTHERS)


def _provider(client: Any) -> str:
    module = type(client).__module__
    return next((name for part, name in _PROVIDERS.items() if f".{part}" in module), "anthropic")


def _error_type(error: Exception) -> str:
    body = getattr(error, "body", None)
    inner = body.get("error") if isinstance(body, dict) else None
    if isinstance(inner, dict) and isinstance(inner.get("type"), str):
        return str(inner["type"])
    status = getattr(error, "status_code", None)
    return str(status) if isinstance(status, int) and status >= 400 else type(error).__name__


def _as_current(call: Call | None) -> AbstractContextManager[Any]:
    if call is None:
        return nullcontext()
    return trace.use_span(call.span, end_on_exit=False, record_exception=False, set_status_on_exception=False)


def _quiet_http() -> AbstractContextManager[Any]:
    # The call's own span says what an HTTP span beneath it would. The application's own HTTP spans are its own.
    return suppress_http_instrumentation() if httpx.instrumented else nullcontext()


def _guard_call(call: Call | None, method: str, *args: Any) -> None:
    if call is not None:
        with guarded("anthropic.response"):
            getattr(call, method)(*args)


def _read(wrapped: Callable[..., Iterator[Any]], stream: Any, _args: Any, _kwargs: Any) -> Iterator[Any]:
    return wrapped() if _is_not_ours(stream) else _observed(wrapped, stream)


def _read_async(
    wrapped: Callable[..., AsyncIterator[Any]], stream: Any, _args: Any, _kwargs: Any
) -> AsyncIterator[Any]:
    return wrapped() if _is_not_ours(stream) else _observed_async(wrapped, stream)


def _is_not_ours(stream: Any) -> bool:
    # Versions whose class has `_iterator` begin to read on first use; older ones in the constructor, before we know.
    return hasattr(type(stream), "_iterator") and _call_of(stream) is None


def _call_of(stream: Any) -> Call | None:
    try:
        return _streams.get(stream.response)
    except (AttributeError, TypeError):  # a stand-in for a response, as a test of the application's may have
        return None


def _observed(wrapped: Callable[..., Iterator[Any]], stream: Any) -> Iterator[Any]:
    call = _call_of(stream)
    try:
        for event in wrapped():
            _guard_call(call, "item", event)
            yield event
    except Exception as error:
        _guard_call(call, "ended", error)
        raise
    finally:
        _guard_call(call, "ended")


async def _observed_async(wrapped: Callable[..., AsyncIterator[Any]], stream: Any) -> AsyncIterator[Any]:
    call = _call_of(stream)
    events = wrapped()
    try:
        async for event in events:
            _guard_call(call, "item", event)
            yield event
    except Exception as error:
        _guard_call(call, "ended", error)
        raise
    finally:
        _guard_call(call, "ended")
        if isinstance(events, AsyncGenerator):
            await events.aclose()


def _close(wrapped: Callable[..., Any], stream: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    _guard_call(_call_of(stream), "ended")
    return wrapped(*args, **kwargs)
