"""Tool definitions in the forms that emitters write them in, as the Messages API has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .messages import loads

_SCHEMAS: Final = ("input_schema", "parameters", "inputSchema", "parameters_json_schema", "schema")


def read(value: object) -> list[dict[str, Any]] | None:
    """A list of definitions, each an object or its JSON text; None for what is none."""
    value = loads(value)
    if isinstance(value, Mapping):
        value = value.get("function_declarations") or value.get("functionDeclarations") or [value]
    if not isinstance(value, list):
        return None
    return [found for each in value for found in _definitions(each)]


def _definitions(value: object) -> list[dict[str, Any]]:
    value = loads(value)
    if not isinstance(value, Mapping):
        return []
    declared = value.get("function_declarations") or value.get("functionDeclarations")
    if isinstance(declared, list):
        return [found for each in declared for found in _definitions(each)]
    for shell in ("function", "toolSpec"):
        if isinstance(value.get(shell), Mapping):
            value = {**value[shell], **{key: value[key] for key in ("cache_control", "defer_loading") if key in value}}
    name = next((each for each in _SCHEMAS if isinstance(value.get(each), Mapping)), None)
    if name is None:
        return [dict(value)]
    schema = value[name]
    if isinstance(schema.get("json"), Mapping):
        schema = schema["json"]
    found: dict[str, Any] = {"name": value.get("name"), "input_schema": dict(schema)}
    if isinstance(value.get("description"), str):
        found["description"] = value["description"]
    return [found | {key: value[key] for key in ("cache_control", "defer_loading") if key in value}]
