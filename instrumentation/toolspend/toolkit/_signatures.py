"""A function's signature and docstring as a tool's schema and description."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final

_INSTALL: Final = "pip install 'toolspend[toolkit]'"


def description_of(function: Callable[..., Any]) -> str:
    """What the docstring says before it lists parameters."""
    said = _parsed(function)
    return "\n\n".join(each for each in (said.short_description, said.long_description) if each)


def schema_of(function: Callable[..., Any], name: str) -> dict[str, Any]:
    """The JSON Schema of the function's parameters, with what the docstring says of each, and no titles."""
    try:
        from pydantic import TypeAdapter
        from pydantic.errors import (
            PydanticInvalidForJsonSchema,
            PydanticSchemaGenerationError,
            PydanticUndefinedAnnotation,
        )
        from pydantic.json_schema import GenerateJsonSchema
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"Tool.from_function: {error.name} is not installed: {_INSTALL}", name=error.name) from None

    class Untitled(GenerateJsonSchema):
        # Titles only repeat names, and every request would pay for them.
        def field_title_should_be_set(self, schema: Any) -> bool:
            return False

    kinds = {each.kind for each in inspect.signature(function).parameters.values()}
    if inspect.Parameter.POSITIONAL_ONLY in kinds or inspect.Parameter.VAR_POSITIONAL in kinds:
        raise TypeError(f"Tool.from_function: {name} has positional-only parameters, and tools are called by keyword")
    try:
        schema = TypeAdapter(function).json_schema(schema_generator=Untitled)
    except (PydanticInvalidForJsonSchema, PydanticSchemaGenerationError, PydanticUndefinedAnnotation) as error:
        reason = str(error).splitlines()[0]
        raise TypeError(f"Tool.from_function: {name}: a type that JSON cannot say; give schema=... ({reason})") from None
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
        raise ModuleNotFoundError(f"Tool.from_function: {error.name} is not installed: {_INSTALL}", name=error.name) from None
    return docstring_parser.parse(inspect.getdoc(function) or "")
