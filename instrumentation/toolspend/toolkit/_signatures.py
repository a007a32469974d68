"""A function's signature and docstring as a tool's schema and description."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from ._typed import hints_of, taking_json
from ._words import INSTALL


def name_of(function: Callable[..., Any]) -> str:
    """The function's name; of a partial that of what it calls, of an object that of its class."""
    inner = _called(function)
    return str(getattr(inner, "__name__", type(inner).__name__))


def description_of(function: Callable[..., Any]) -> str:
    """What the docstring says before it lists parameters."""
    said = _parsed(function)
    return "\n\n".join(each for each in (said.short_description, said.long_description) if each)


def handler_of(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """What takes the arguments as JSON has them: the function, where its types are JSON's own."""
    return taking_json(function, _annotated(function), name)


def schema_of(function: Callable[..., Any], name: str) -> dict[str, Any]:
    """The JSON Schema of the function's parameters, with what the docstring says of each, and no titles."""
    try:
        from pydantic import TypeAdapter
        from pydantic.errors import (
            PydanticUndefinedAnnotation,
            PydanticUserError,
        )
        from pydantic.json_schema import GenerateJsonSchema
    except ModuleNotFoundError as error:
        raise _missing(error) from None

    class Untitled(GenerateJsonSchema):
        # Titles only repeat names, and every request would pay for them.
        def field_title_should_be_set(self, schema: Any) -> bool:
            return False

    kinds = {each.kind for each in inspect.signature(function).parameters.values()}
    if inspect.Parameter.POSITIONAL_ONLY in kinds or inspect.Parameter.VAR_POSITIONAL in kinds:
        raise TypeError(f"Tool.from_function: {name} has positional-only parameters, and tools are called by keyword")
    try:
        schema = TypeAdapter[Any](_as_type(function)).json_schema(schema_generator=Untitled)
    except (PydanticUserError, PydanticUndefinedAnnotation) as error:
        reason = str(error).splitlines()[0]
        raise TypeError(
            f"Tool.from_function: {name}: a type that JSON cannot say; give schema=... ({reason})"
        ) from None
    for each in (schema, *schema.get("$defs", {}).values()):
        each.pop("title", None)
    properties = schema.setdefault("properties", {})
    for parameter in _parsed(function).params:
        said = properties.get(parameter.arg_name)
        if said is not None and parameter.description:
            said.setdefault("description", parameter.description)
    return {"type": "object", "properties": properties} | schema


def _parsed(function: Callable[..., Any]) -> Any:
    try:
        import docstring_parser
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    inner = _called(function)
    is_object = not (inspect.isroutine(inner) or isinstance(inner, type))
    said = inspect.getdoc(inner.__call__ if is_object else inner)  # type: ignore[operator]
    return docstring_parser.parse(said or inspect.getdoc(inner) or "")


def _called(function: Callable[..., Any]) -> Callable[..., Any]:
    """What a partial calls in the end."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _missing(error: ModuleNotFoundError) -> ModuleNotFoundError:
    return ModuleNotFoundError(f"Tool.from_function: {error.name} is not installed: {INSTALL}", name=error.name)


def _as_type(function: Any) -> Any:
    # To pydantic a function is a type too, whose values are calls; to the type checkers it is not. An object is none,
    # and of a partial it does not find the names that its annotations use.
    if inspect.isroutine(function) or isinstance(function, type):
        return function

    def stand_in() -> None:
        """Has the signature and the types of what is called."""

    stand_in.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    stand_in.__annotations__ = hints_of(_annotated(function))
    return stand_in


def _annotated(function: Callable[..., Any]) -> Callable[..., Any]:
    """What holds the annotations of a function, of what a partial calls, or of an object that is called."""
    inner = _called(function)
    if isinstance(inner, type):
        inner = inner.__init__  # type: ignore[misc]
    return inner if inspect.isroutine(inner) else inner.__call__  # type: ignore[operator]
