"""The agent's own executor, `(tool_calls, registry) -> list of tool_result blocks`, sync or async.

One `execute_tools` span per batch, and under it exactly one `execute_tool` span per call, also for a call that fails,
times out, is unknown or never reaches a handler.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import wrapt
from opentelemetry import context as otel_context
from opentelemetry.trace import Status, StatusCode

from .. import _provider
from .. import attributes as at
from .._clock import now_ns
from .._config import config
from .._guard import guarded
from ..evidence.guidance import error_words
from . import _named, _tools, registry
from ._calls import Batch, Call
from ._errors import error_type

_METHODS: Final = ("execute_tool_calls", "execute_tool_calls_parallel", "execute", "run")
_LIMITS: Final = ("max_concurrency", "concurrency", "max_workers", "max_parallel")

_replaced = _named.Replaced("executor", _METHODS)

if TYPE_CHECKING:
    _Proxy = wrapt.ObjectProxy[Any]
else:
    _Proxy = wrapt.ObjectProxy


def instrument(executor: Any) -> None:
    """Traces `executor`: a function, a method, an object with a known method, or "module:name"."""
    _replaced.add(executor, _around)


def uninstrument() -> None:
    """Puts every executor back."""
    _replaced.restore()
    _default_limit.cache_clear()


def _around(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if _provider.provider() is None:
        return wrapped(*args, **kwargs)
    if inspect.iscoroutinefunction(wrapped):
        return _run_async(wrapped, args, kwargs)
    return _run(wrapped, args, kwargs)


def _run(wrapped: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    begun = _begin(wrapped, args, kwargs)
    if begun is None:
        return wrapped(*args, **kwargs)
    batch, args, kwargs = begun
    token = otel_context.attach(batch.context)
    try:
        result = wrapped(*args, **kwargs)
    except BaseException as error:
        otel_context.detach(token)
        _end(batch, None, error)
        raise
    otel_context.detach(token)
    if inspect.iscoroutine(result):
        return _finish_async(batch, result)
    _end(batch, result, None)
    return result


async def _run_async(wrapped: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    begun = _begin(wrapped, args, kwargs)
    if begun is None:
        return await wrapped(*args, **kwargs)
    batch, args, kwargs = begun
    return await _finish_async(batch, wrapped(*args, **kwargs))


async def _finish_async(batch: Batch, work: Awaitable[Any]) -> Any:
    token = otel_context.attach(batch.context)
    try:
        result = await work
    except GeneratorExit as error:
        # Thrown away before its end, maybe from another context: the token is of no use there.
        _end(batch, None, error)
        raise
    except BaseException as error:
        otel_context.detach(token)
        _end(batch, None, error)
        raise
    otel_context.detach(token)
    _end(batch, result, None)
    return result


@guarded("executor")
def _begin(
    wrapped: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Batch, tuple[Any, ...], dict[str, Any]]:
    """The batch, and the arguments that the executor is to have: an iterator of calls is seen as it is consumed."""
    calls = kwargs.get("tool_calls", args[0] if args else ())
    tools = kwargs.get("registry", args[1] if len(args) > 1 else None)
    limit = _concurrency_limit(wrapped, kwargs)
    attributes = {} if limit is None else {at.BATCH_CONCURRENCY_LIMIT: limit}
    if isinstance(calls, Iterator):
        batch = Batch((), attributes)
        seen = _Seen(calls, batch, tools)
        if "tool_calls" in kwargs:
            return batch, args, {**kwargs, "tool_calls": seen}
        return batch, (seen, *args[1:]), kwargs
    # What is no collection might be consumed by looking: its calls show when their handlers run.
    asked = [each for each in map(_asked, calls) if each is not None] if isinstance(calls, Collection) else []
    known = None if tools is None else registry.called_tools(tools, {name for name, _, _ in asked})
    batch = Batch(asked, attributes)
    for call in batch.calls:
        _look_up(call, known)
    return batch, args, kwargs


def _look_up(call: Call, known: Mapping[str, _tools.ToolInfo] | None) -> None:
    if known is not None:
        call.info = known.get(call.name)
        call.is_known = call.info is not None
        call.error_type = None if call.is_known else at.ERROR_UNKNOWN_TOOL


class _Seen(_Proxy):
    """An iterator of calls, each of which its batch knows before the executor has it."""

    def __init__(self, calls: Iterator[Any], batch: Batch, tools: Any) -> None:
        super().__init__(calls)
        self._self_batch = batch
        self._self_tools = tools

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        call = next(self.__wrapped__)
        with guarded("executor"):
            self._self_see(call)
        return call

    def _self_see(self, call: Any) -> None:
        asked = _asked(call)
        added = None if asked is None else self._self_batch.add(*asked)
        if added is not None and self._self_tools is not None:
            _look_up(added, registry.called_tools(self._self_tools, {added.name}))


def _asked(call: Any) -> tuple[str, str | None, object] | None:
    name = _tools.read(call, "name")
    if not isinstance(name, str) or _tools.read(call, "type") not in (None, "tool_use", "function", "tool_call"):
        return None
    id = _tools.read(call, "id", "tool_use_id", "tool_call_id", "call_id")
    return name, None if id is None else str(id), _tools.read(call, "input", "arguments", "args")


def _concurrency_limit(wrapped: Callable[..., Any], kwargs: dict[str, Any]) -> int | None:
    for name in _LIMITS:
        value = kwargs.get(name)
        if value is not None:
            return value if isinstance(value, int) else None
    return _default_limit(getattr(wrapped, "__func__", wrapped))


@functools.lru_cache(maxsize=64)
def _default_limit(wrapped: Callable[..., Any]) -> int | None:
    try:
        parameters = inspect.signature(wrapped).parameters
    except (TypeError, ValueError):
        return None
    defaults = (parameters[name].default for name in _LIMITS if name in parameters)
    return next((default for default in defaults if isinstance(default, int)), None)


@guarded("executor")
def _end(batch: Batch, result: object, error: BaseException | None) -> None:
    ended_ns = now_ns()
    calls = batch.close()
    blocks = _blocks(calls, result)
    failed = 0
    for call in calls:
        block = blocks.get(call.id or "")
        _judge(call, block, error)
        failed += call.error_type is not None
        if call.span is None:
            # No handler of it ran under our eyes: it took no time, or as much as the batch.
            start_ns = batch.started_ns if call.error_type is None else ended_ns
            call.start(batch.context, start_ns)
        text = None if block is None else _tools.block_text(_tools.read(block, "content"))
        if text and call.error_type is not None:
            call.error_words = error_words(text)
        call.end(
            call.ended_ns or ended_ns,
            result_chars=None if text is None else len(text),
            result=None if text is None else config().content(text),
        )
    span = batch.span
    wall_ms = (ended_ns - batch.started_ns) / 1e6
    span.set_attributes({at.BATCH_CALLS: len(calls), at.BATCH_FAILED: failed, at.BATCH_WALL_MS: wall_ms})
    if error is not None:
        span.set_attribute(at.ERROR_TYPE, error_type(error))
        span.set_status(Status(StatusCode.ERROR))
    span.end(ended_ns)


def _judge(call: Call, block: Any, error: BaseException | None) -> None:
    """Settles how `call` ended, by its handler, by its result block, and by the executor's own exception."""
    is_unfinished = call.attempts > 0 and (call.ended_ns is None or call.runs > 0)
    said = getattr(block, "error_type", None)
    if error is not None:
        if is_unfinished or (call.attempts == 0 and call.error_type is None):
            call.error_type = error_type(error)
        return
    if isinstance(said, str):
        # The executor's own word: it knows why it did not run a call, or gave it up.
        call.error_type = said
        if call.is_known is False and said != at.ERROR_UNKNOWN_TOOL:
            call.is_known = None  # an alias
    elif is_unfinished or call.error_type == at.ERROR_CANCELLED:
        call.error_type = at.ERROR_TIMEOUT
    elif call.error_type is None:
        is_error = block is not None and _tools.read(block, "is_error") is True
        if is_error or (block is None and call.attempts == 0):
            call.error_type = at.ERROR_TOOL


def _blocks(calls: list[Call], result: object) -> dict[str, Any]:
    """The result blocks by the id of their call. Without ids, as many blocks as calls are taken in their order."""
    if not isinstance(result, list | tuple):
        return {}
    named = {
        str(id): block for block in result if (id := _tools.read(block, "tool_use_id", "tool_call_id")) is not None
    }
    if not named and len(result) == len(calls):
        return {call.id: block for call, block in zip(calls, result, strict=True) if call.id is not None}
    return named
