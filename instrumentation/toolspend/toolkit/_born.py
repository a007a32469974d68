"""Traced from birth: functions that have their spans once `instrument()` was called, and are plain until then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from ..targets import _wrapping
from ..targets._wrapping import Around

F = TypeVar("F", bound=Callable[..., Any])


def traced(around: Around) -> Callable[[F], F]:
    """Puts `around` about a function for good. Naming the function to `instrument()` then adds no second span."""

    def decorate(function: F) -> F:
        return cast("F", _wrapping.wrap(function, around))

    return decorate


def through(function: F) -> F:
    """A function whose span is made further in: naming it to `instrument()` adds none."""
    return cast("F", _wrapping.wrap(function, _call))


def _call(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return wrapped(*args, **kwargs)
