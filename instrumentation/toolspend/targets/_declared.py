"""What `@toolspend.tool` puts about a function."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Final

import wrapt

from .. import _provider
from .._guard import guarded
from . import _calls, _tools, _wrapping
from ._calls import Call
from ._tools import ToolInfo


def declare(function: Callable[..., Any], name: str | None, version: str | None, side_effects: bool | None) -> Any:
    """`function`, known as a tool."""
    if not callable(function):
        raise TypeError(f"@toolspend.tool: {function!r} is no function")
    info = ToolInfo(
        name=name or str(getattr(function, "__name__", type(function).__name__)),
        declared_version=None if version is None else str(version),
        has_side_effects=side_effects,
        function=inspect.unwrap(function),
    )
    _tools.declare(info)

    def around(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if _provider.provider() is None or _is_in_its_own_call(info):
            return wrapped(*args, **kwargs)
        if inspect.iscoroutinefunction(wrapped):
            return _calls.run_async(info, wrapped, args, kwargs)
        if inspect.isgeneratorfunction(wrapped) or inspect.isasyncgenfunction(wrapped):
            return _iterated(info, wrapped, args, kwargs)
        return _calls.run(info, wrapped, args, kwargs)

    return _wrapping.wrap(function, around)


def _is_in_its_own_call(info: ToolInfo) -> bool:
    """Whether a traced handler is running this very tool: then the call has its span, which learns what we know."""
    call = _calls.current_call()
    if call is None or call.is_inside or call.info is info:
        return False
    if call.name != info.name and (call.info is None or call.info.function is not info.function):
        return False
    call.is_inside = True
    with guarded("tool call"):
        if call.span is not None:
            call.span.set_attributes(info.attributes())
    return True


def _iterated(info: ToolInfo, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    begun = _calls.begin(info, args, kwargs)
    made = function(*args, **kwargs)
    if begun is None:
        return made
    return _AsyncGenerator(made, begun[0]) if inspect.isasyncgen(made) else _Generator(made, begun[0])


if TYPE_CHECKING:
    _Proxy = wrapt.ObjectProxy[Any]
else:
    _Proxy = wrapt.ObjectProxy

_NOTHING: Final = object()


class _Ending:
    """Ends a call's span once, at the latest when its generator is thrown away."""

    def __init__(self, call: Call) -> None:
        self._call: Call | None = call

    def __call__(self, error: BaseException | None = None) -> None:
        call, self._call = self._call, None
        if call is not None:
            _calls.finish(call, _NOTHING, error)


class _Generator(_Proxy):
    def __init__(self, made: Generator[Any, Any, Any], call: Call) -> None:
        super().__init__(made)
        self._self_end = _Ending(call)
        weakref.finalize(made, self._self_end)

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        return self._self_step(self.__wrapped__.__next__)

    def send(self, value: Any) -> Any:
        return self._self_step(self.__wrapped__.send, value)

    def throw(self, *error: Any) -> Any:
        return self._self_step(self.__wrapped__.throw, *error)

    def close(self) -> None:
        self.__wrapped__.close()
        self._self_end()

    def _self_step(self, step: Callable[..., Any], *values: Any) -> Any:
        try:
            return step(*values)
        except StopIteration:
            self._self_end()
            raise
        except BaseException as error:
            self._self_end(error)
            raise


class _AsyncGenerator(_Proxy):
    def __init__(self, made: Any, call: Call) -> None:
        super().__init__(made)
        self._self_end = _Ending(call)
        weakref.finalize(made, self._self_end)

    def __aiter__(self) -> Any:
        return self

    def __anext__(self) -> Any:
        return self._self_step(self.__wrapped__.__anext__())

    def asend(self, value: Any) -> Any:
        return self._self_step(self.__wrapped__.asend(value))

    def athrow(self, *error: Any) -> Any:
        return self._self_step(self.__wrapped__.athrow(*error))

    async def aclose(self) -> None:
        await self.__wrapped__.aclose()
        self._self_end()

    async def _self_step(self, step: Any) -> Any:
        try:
            return await step
        except StopAsyncIteration:
            self._self_end()
            raise
        except BaseException as error:
            self._self_end(error)
            raise
