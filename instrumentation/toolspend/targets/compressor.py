"""The agent's own compressor, `(result, tool_name, max_tokens) -> str`, sync or async."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, Status, StatusCode

from .. import _provider
from .. import attributes as at
from .._guard import guarded
from . import _calls, _named, _tools
from ._calls import Call
from ._errors import error_type

_METHODS: Final = ("compress_tool_result", "compress", "compress_result")

_replaced = _named.Replaced("compressor", _METHODS)


def instrument(compressor: Any) -> None:
    """Traces `compressor`: a function, a method, an object with a known method, or "module:name"."""
    _replaced.add(compressor, _around)


def uninstrument() -> None:
    """Puts every compressor back."""
    _replaced.restore()


class _Compression:
    """One running compression; a model request that starts beneath it is noted."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self.watch = _provider.Watch()
        self.context: Context = self.watch.within(trace.set_span_in_context(span))


def _around(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if _provider.provider() is None:
        return wrapped(*args, **kwargs)
    if inspect.iscoroutinefunction(wrapped):
        return _run_async(wrapped, args, kwargs)
    begun = _begin(args, kwargs)
    if begun is None:
        return wrapped(*args, **kwargs)
    token = otel_context.attach(begun.context)
    try:
        result = wrapped(*args, **kwargs)
    except BaseException as error:
        otel_context.detach(token)
        _end(begun, wrapped, None, error)
        raise
    otel_context.detach(token)
    if inspect.iscoroutine(result):
        return _finish_async(begun, wrapped, result)
    _end(begun, wrapped, result, None)
    return result


async def _run_async(wrapped: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    begun = _begin(args, kwargs)
    if begun is None:
        return await wrapped(*args, **kwargs)
    return await _finish_async(begun, wrapped, wrapped(*args, **kwargs))


async def _finish_async(begun: _Compression, wrapped: Callable[..., Any], work: Awaitable[Any]) -> Any:
    token = otel_context.attach(begun.context)
    try:
        result = await work
    except GeneratorExit as error:
        # Thrown away before its end, maybe from another context: the token is of no use there.
        _end(begun, wrapped, None, error)
        raise
    except BaseException as error:
        otel_context.detach(token)
        _end(begun, wrapped, None, error)
        raise
    otel_context.detach(token)
    _end(begun, wrapped, result, None)
    return result


@guarded("compressor")
def _begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Compression:
    result = kwargs.get("result", args[0] if args else None)
    tool = kwargs.get("tool_name", args[1] if len(args) > 1 else None)
    values: dict[str, Any] = {at.OPERATION: at.OPERATION_COMPRESS}
    chars = _tools.raw_chars(result)
    if chars is not None:
        values[at.COMPRESSION_CHARS_BEFORE] = chars
    name = at.SPAN_COMPRESS_RESULT
    if isinstance(tool, str):
        name = f"{name} {tool}"
        values[at.TOOL_NAME] = tool
        call = _call_of(tool, result)
        if call is not None:
            call.is_compressed = True
            if call.id is not None:
                values[at.TOOL_CALL_ID] = call.id
    return _Compression(_provider.tracer().start_span(name, attributes=values))


def _call_of(tool: str, result: object) -> Call | None:
    """The call whose result this is: the one running here, or one of this batch that returned this very object."""
    call = _calls.current_call()
    if call is not None and call.name == tool:
        return call
    batch = _calls.current_batch()
    batches = _calls.running_batches() if batch is None else [batch]
    with_result = [
        call for each in batches for call in each.calls
        if call.name == tool and call.ended_ns is not None and call.error_type is None and not call.is_compressed
    ]  # fmt: skip
    asked = _calls.asked_id.get()
    same = [call for call in with_result if call.raw_identity == id(result) or (asked and call.id == asked)]
    if same:
        return same[0]
    return with_result[0] if batch is not None and len(with_result) == 1 else None


@guarded("compressor")
def _end(begun: _Compression, wrapped: Callable[..., Any], result: object, error: BaseException | None) -> None:
    span = begun.span
    try:
        _describe(begun, wrapped, result, error)
    finally:
        span.end()


def _describe(begun: _Compression, wrapped: Callable[..., Any], result: object, error: BaseException | None) -> None:
    span = begun.span
    span.set_attribute(at.COMPRESSION_HAS_MODEL_CALL, begun.watch.has_model_call)
    if error is not None:
        span.set_attribute(at.ERROR_TYPE, error_type(error))
        span.set_status(Status(StatusCode.ERROR))
    else:
        chars = _tools.raw_chars(getattr(result, "text", result))
        if chars is not None:
            span.set_attribute(at.COMPRESSION_CHARS_AFTER, chars)
        strategy = _tools.read(result, "strategy") or getattr(wrapped, "strategy", None)
        if isinstance(strategy, str):
            span.set_attribute(at.COMPRESSION_STRATEGY, strategy)
