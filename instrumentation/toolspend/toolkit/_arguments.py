"""A model's arguments against a tool's schema, before anything runs."""

from __future__ import annotations

import copy
import functools
import importlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from .. import attributes as at

_MOST_SCHEMAS: Final = 1_024
_MOST_SAID: Final = 5
_INSTALL: Final = "pip install 'toolspend[toolkit]'"

_validators: OrderedDict[int, tuple[Mapping[str, Any], Any, Any]] = OrderedDict()
"""By the identity of a schema: the schema, what it said then, and its validator."""


@functools.cache
def require() -> Any:
    """The library that checks arguments. Raises ModuleNotFoundError with the line that installs it."""
    try:
        return importlib.import_module("jsonschema_rs")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"execute_tool_calls: {error.name}, which checks arguments, is not installed: {_INSTALL}", name=error.name
        ) from None


class BadArguments(Exception):
    """What is wrong with the arguments, or with the schema that they are held against, in words for the model."""

    def __init__(self, said: str, error_type: str = at.ERROR_INVALID_ARGUMENTS) -> None:
        super().__init__(said)
        self.error_type = error_type


def checked(arguments: object, schema: Mapping[str, Any]) -> dict[str, Any]:
    """`arguments` as a dict that fits `schema`. Raises BadArguments."""
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except ValueError as error:
            raise BadArguments(f"The arguments are no JSON: {error}.") from None
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict):
        raise BadArguments(f"The arguments must be a JSON object, not {_kind(arguments)}.")
    if schema:
        validator = _validator(schema)
        if not validator.is_valid(arguments):
            raise BadArguments(_said(validator, arguments, schema))
    return arguments


def fresh(arguments: dict[str, Any]) -> dict[str, Any]:
    """`arguments` with lists and objects of its own: a handler may change them, and the model's block is sent again."""
    return {name: _copied(value) for name, value in arguments.items()}


def _copied(value: Any) -> Any:
    if type(value) is dict:
        return {key: _copied(each) for key, each in value.items()}
    return [_copied(each) for each in value] if type(value) is list else value


def _said(validator: Any, arguments: dict[str, Any], schema: Mapping[str, Any]) -> str:
    lines: list[str] = []
    for error in validator.iter_errors(arguments):
        if len(lines) == _MOST_SAID:
            lines.append("and more")
            break
        where = ".".join(str(step) for step in error.instance_path)
        message = str(error.message)
        lines.append((f"{where}: " if where else "") + (message if len(message) <= 200 else message[:200] + "…"))
    properties = schema.get("properties")
    takes = ""
    if isinstance(properties, Mapping) and properties:
        required = set(schema.get("required") or ())
        takes = (
            " It takes "
            + ", ".join(f"{name} ({'required' if name in required else 'optional'})" for name in properties)
            + "."
        )
    return "The arguments do not fit: " + "; ".join(lines) + "." + takes


def _validator(schema: Mapping[str, Any]) -> Any:
    """The schema's validator, made once for each schema object, and again where that was edited in place."""
    known = _validators.get(id(schema))
    if known is not None and known[0] is schema and known[1] == schema:
        return known[2]
    try:
        made = require().validator_for(schema, retriever=_no_network)
    except ValueError as error:
        raise BadArguments(
            "This tool cannot be called: its schema is not valid, and only its author can mend that "
            f"({str(error).splitlines()[0]}).",
            at.ERROR_INVALID_SCHEMA,
        ) from None
    _validators[id(schema)] = (schema, copy.deepcopy(schema), made)
    if len(_validators) > _MOST_SCHEMAS:
        _validators.popitem(last=False)
    return made


def _no_network(uri: str) -> Any:
    # A schema from a stranger's server must not make this process fetch addresses.
    raise ValueError(f"it refers to {uri}, which is not fetched")


def _kind(value: object) -> str:
    return {list: "an array", int: "a number", float: "a number", bool: "a boolean"}.get(type(value), "another value")
