"""Tools in whatever form they come, as one: what the checks look at."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any, Final

from ...evidence.definitions import canonical
from ...evidence.weight import weigh
from .words import name_words, verb_of_name, verb_of_text

_SCHEMAS: Final = ("input_schema", "inputSchema", "schema", "parameters")
_OUTPUTS: Final = ("output_schema", "outputSchema")
_COMPOSED: Final = ("anyOf", "oneOf", "allOf")
CATALOGUE: Final = "x-catalogue"
"""Marks a parameter of a catalogue, whose schema leaves out what it cannot say."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter as the schema has it."""

    name: str
    schema: Mapping[str, Any]
    description: str
    is_required: bool

    @property
    def types(self) -> frozenset[str]:
        """The JSON types that it takes; empty where the schema does not say."""
        return _types(self.schema) - {"null"}

    @property
    def choices(self) -> tuple[Any, ...]:
        """The only values that it takes, where they are listed."""
        for each in (self.schema, *_members(self.schema)):
            if isinstance(each.get("enum"), list):
                return tuple(each["enum"])
            if "const" in each:
                return (each["const"],)
        return ()

    def told(self) -> str:
        """Its name, type and standing, as a hint names it."""
        kind = " or ".join(sorted(self.types)) or "any type"
        default = f", default {self.schema['default']!r}" if self.schema.get("default") is not None else ""
        return f"`{self.name}` ({kind}{', required' if self.is_required else default})"


@dataclass(frozen=True, slots=True)
class Subject:
    """One tool under audit. None is unknown: a catalogue may not list parameters, a dict not say side effects."""

    name: str
    description: str
    title: str = ""
    schema: Mapping[str, Any] | None = None
    parameters: tuple[Parameter, ...] | None = None
    output_schema: Mapping[str, Any] | None = None
    is_read_only: bool | None = None
    is_destructive: bool | None = None
    can_declare: bool = False
    is_mcp: bool = False
    handler: Callable[..., Any] | None = None
    prefix: int = 0

    @property
    def verb(self) -> str | None:
        """The verb of its name, else the one that its description begins with."""
        return verb_of_name(name_words(self.name), self.prefix) or verb_of_text(self.description)

    def names(self, other: Subject) -> bool:
        """Whether its description speaks of another tool, by name or title."""
        text = self.description.lower()
        called = (re.escape(each.lower()) for each in (other.name, other.title) if each)
        return any(re.search(rf"(?<!\w){each}(?!\w)", text) for each in called)

    @property
    def definition_tokens(self) -> int:
        """About how many tokens every request that offers it pays."""
        return weigh(self.name + self.description + (canonical(dict(self.schema)) if self.schema else "")).tokens


def subjects(tools: Iterable[Any]) -> list[Subject]:
    """Tools as subjects, in order. Raises TypeError or ValueError in one line for what is no tool."""
    found = [_subject(tool) for tool in tools]
    prefix = _shared_prefix([name_words(each.name) for each in found])
    return [_with_prefix(each, prefix) for each in found]


def _subject(tool: Any) -> Subject:
    if isinstance(tool, Mapping):
        nested = tool.get("function")
        return _of_mapping(nested if isinstance(nested, Mapping) else tool)
    if hasattr(tool, "model_dump"):
        return _of_mapping(tool.model_dump(by_alias=True, exclude_none=True))
    if isinstance(getattr(tool, "name", None), str):
        return _of_object(tool)
    raise TypeError(f"audit: {type(tool).__qualname__} is no tool: give tools with a name, or dicts")


def _of_mapping(tool: Mapping[str, Any]) -> Subject:
    name = tool.get("name")
    if not isinstance(name, str):
        raise ValueError(f"audit: no name in a dict with {', '.join(map(str, tool)) or 'nothing'}")
    schema: Any = next((tool[key] for key in _SCHEMAS if isinstance(tool.get(key), Mapping)), None)
    if schema is None and isinstance(tool.get("arguments"), list) and tool["arguments"]:
        schema = _schema_of_catalogue(tool["arguments"])
    said = tool.get("annotations")
    annotations: Mapping[str, Any] = said if isinstance(said, Mapping) else {}
    is_mcp = "input_schema" not in tool and "parameters" not in tool
    read_only, side_effects = annotations.get("readOnlyHint"), tool.get("has_side_effects")
    if read_only is None and isinstance(side_effects, bool):
        read_only = not side_effects
    return Subject(
        name,
        _text(tool.get("description")),
        title=_text(tool.get("title") or annotations.get("title")),
        schema=schema,
        parameters=_parameters(schema),
        output_schema=next((tool[key] for key in _OUTPUTS if isinstance(tool.get(key), Mapping)), None),
        is_read_only=read_only if isinstance(read_only, bool) else None,
        is_destructive=annotations["destructiveHint"] if isinstance(annotations.get("destructiveHint"), bool) else None,
        can_declare=is_mcp or "has_side_effects" in tool,
        is_mcp=is_mcp,
        handler=tool["handler"] if callable(tool.get("handler")) else None,
    )


def _of_object(tool: Any) -> Subject:
    schema = next((each for key in _SCHEMAS if isinstance(each := getattr(tool, key, None), Mapping)), None)
    side_effects = getattr(tool, "has_side_effects", None)
    handler = getattr(tool, "handler", None)
    return Subject(
        tool.name,
        _text(getattr(tool, "description", "")),
        schema=schema,
        parameters=_parameters(schema),
        output_schema=next((each for key in _OUTPUTS if isinstance(each := getattr(tool, key, None), Mapping)), None),
        is_read_only=not side_effects if isinstance(side_effects, bool) else None,
        can_declare=hasattr(tool, "has_side_effects"),
        handler=handler if callable(handler) else None,
    )


def _with_prefix(subject: Subject, prefix: int) -> Subject:
    return replace(subject, prefix=prefix) if prefix else subject


def _shared_prefix(names: list[list[str]]) -> int:
    """How many words all names begin with: the server's own name, mostly."""
    if len(names) < 3:
        return 0
    shared = takewhile(lambda column: len(set(column)) == 1, zip(*names, strict=False))
    return min(sum(1 for _ in shared), min(map(len, names)) - 1)


def _parameters(schema: Mapping[str, Any] | None) -> tuple[Parameter, ...] | None:
    if schema is None:
        return None
    properties, required = schema.get("properties"), schema.get("required")
    needed = set(required) if isinstance(required, list) else set()
    return tuple(
        Parameter(str(name), said, _text(said.get("description")), name in needed)
        for name, given in (properties.items() if isinstance(properties, Mapping) else ())
        for said in [given if isinstance(given, Mapping) else {}]
    )


def _schema_of_catalogue(arguments: list[Any]) -> dict[str, Any]:
    """The schema of a catalogue's `[{name, type, desc}]`, which does not say all that a schema can."""
    rows = [row for row in arguments if isinstance(row, Mapping)]
    properties = {}
    for row in rows:
        said = {"type": row.get("type"), "description": row.get("desc") or row.get("description")}
        kept = {key: value for key, value in said.items() if value} | {CATALOGUE: True}
        properties[str(row.get("name"))] = kept
    required = [str(row.get("name")) for row in rows if row.get("required") is True or row.get("optional") is False]
    return {"type": "object", "properties": properties, "required": required}


def _types(schema: Mapping[str, Any]) -> frozenset[str]:
    said = schema.get("type")
    own = (
        {said}
        if isinstance(said, str)
        else {each for each in said if isinstance(each, str)}
        if isinstance(said, list)
        else set()
    )
    return frozenset(own.union(*(_types(each) for each in _members(schema))))


def _members(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [each for key in _COMPOSED for each in schema.get(key) or () if isinstance(each, Mapping)]


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
