"""Arguments as JSON has them, made into what a function's parameters are declared to be: dates, enums, models."""

from __future__ import annotations

import contextlib
import functools
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Final

from .. import attributes as at
from ..targets._errors import ToolError
from ._shapes import is_async

_PLAIN: Final = frozenset({str, int, float, bool, type(None), dict, list, object, Any})
_CONTAINERS: Final = frozenset({list, dict, typing.Union, types.UnionType, typing.Literal})


def taking_json(function: Callable[..., Any], inner: Callable[..., Any], name: str) -> Callable[..., Any]:
    """`function`, called with JSON values: itself where its parameters' types are JSON's own.

    `inner` holds its annotations. What does not fit a type raises ToolError, in words for the model.
    """
    hints = hints_of(inner)
    adapters = _adapters({name: hint for name, hint in hints.items() if name != "return" and not _is_plain(hint)})
    if not adapters:
        return function

    def made(arguments: Mapping[str, Any]) -> dict[str, Any]:
        from pydantic import ValidationError

        found, wrong = dict(arguments), []
        for parameter in adapters.keys() & arguments.keys():
            try:
                found[parameter] = adapters[parameter].validate_python(arguments[parameter])
            except ValidationError as error:
                wrong += [f"{'.'.join(map(str, (parameter, *each['loc'])))}: {each['msg']}" for each in error.errors()]
        if wrong:
            said = f"The arguments do not fit: {'; '.join(wrong)}. {name} was not run: correct them and call it again."
            raise ToolError(said, error_type=at.ERROR_INVALID_ARGUMENTS)
        return found

    if is_async(function):

        @functools.wraps(function)
        async def call_async(*args: Any, **arguments: Any) -> Any:
            return await function(*args, **made(arguments))

        return call_async

    @functools.wraps(function)
    def call(*args: Any, **arguments: Any) -> Any:
        return function(*args, **made(arguments))

    return call


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The types of a function's parameters; none where it has names that only its author can resolve."""
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception:
        return {}


def _adapters(typed: Mapping[str, Any]) -> dict[str, Any]:
    """What makes values of each type; not of one that nothing makes from JSON, where the author gave a schema."""
    if not typed:
        return {}
    try:
        from pydantic import TypeAdapter
    except ModuleNotFoundError:
        return {}
    found = {}
    for parameter, hint in typed.items():
        with contextlib.suppress(Exception):
            found[parameter] = TypeAdapter(hint)
    return found


def _is_plain(hint: Any) -> bool:
    """Whether values of that type are as JSON has them."""
    if isinstance(hint, typing.TypeVar):
        return True
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        return _is_plain(typing.get_args(hint)[0])
    if origin is typing.Literal:
        return all(type(each) in _PLAIN for each in typing.get_args(hint))
    if origin in _CONTAINERS:
        return all(map(_is_plain, typing.get_args(hint)))
    if hasattr(hint, "__required_keys__"):  # a TypedDict, of typing_extensions too
        return all(map(_is_plain, typing.get_type_hints(hint).values()))
    try:
        return hint in _PLAIN
    except TypeError:
        return False
