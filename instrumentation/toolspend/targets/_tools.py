"""What is known of each tool: its versions, server and side effects, and how long its texts are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from .. import attributes as at
from .._config import config
from ..evidence.definitions import canonical, definition_log, version_of
from ..evidence.segments import result_text

_MOST_VALUES: Final = 2_000
"""A result of more values than these is not sized in the call: that would take the agent milliseconds."""


@dataclass(slots=True)
class ToolInfo:
    """One tool as its registry, its server or its author describes it. None is unknown."""

    name: str
    version: str | None = None
    declared_version: str | None = None
    server: str | None = None
    has_side_effects: bool | None = None
    definition_chars: int | None = None
    function: object = None
    """The innermost function of its handler, by which a tool is known under another name."""

    def become(self, other: ToolInfo) -> None:
        """Takes over all that `other` says: the tool was edited."""
        for each in fields(self):
            setattr(self, each.name, getattr(other, each.name))

    def attributes(self) -> dict[str, Any]:
        """Its span attributes, what is unknown left out."""
        declared = _declared.get(self.name)
        found = {
            at.TOOL_VERSION: self.version,
            at.TOOL_DECLARED_VERSION: self.declared_version or (declared and declared.declared_version),
            at.TOOL_SERVER: self.server,
            at.TOOL_HAS_SIDE_EFFECTS: (
                declared.has_side_effects if self.has_side_effects is None and declared else self.has_side_effects
            ),
        }
        return {key: value for key, value in found.items() if value is not None}


_declared: dict[str, ToolInfo] = {}


def declare(info: ToolInfo) -> None:
    """Remembers what the author of a tool says of it."""
    _declared[info.name] = info
    if info.declared_version is not None:
        definition_log.declare(info.name, info.declared_version)


def declared(name: str) -> ToolInfo | None:
    """What the author of tool `name` said of it, or None."""
    return _declared.get(name)


def declare_again() -> None:
    """Says once more what authors declared, to evidence that has been cleared since."""
    for info in list(_declared.values()):
        declare(info)


def read(thing: Any, *names: str) -> Any:
    """The first of the attributes (or keys, of a mapping) `names` that `thing` has and that is not None."""
    is_mapping = type(thing) is dict or isinstance(thing, Mapping)
    for name in names:
        value = thing.get(name) if is_mapping else getattr(thing, name, None)
        if value is not None:
            return value
    return None


def describe(tool: Any) -> ToolInfo:
    """What an object or dict in the shape of a tool says of itself."""
    name = str(read(tool, "name"))
    description = read(tool, "description")
    description = description if isinstance(description, str) else None
    # A pydantic model has a method called `schema`.
    named = (read(tool, key) for key in ("schema", "input_schema", "inputSchema", "parameters"))
    schema = next((each for each in named if isinstance(each, Mapping)), None)
    version = read(tool, "version", "declared_version")
    has_side_effects = read(tool, "has_side_effects")
    return ToolInfo(
        name=name,
        version=None if schema is None and description is None else version_of(name, description, schema),
        declared_version=None if version is None else str(version),
        has_side_effects=has_side_effects if isinstance(has_side_effects, bool) else None,
        definition_chars=len(name) + len(description or "") + len(canonical(schema or {})),
    )


def argument_chars(arguments: object) -> int | None:
    """Characters of a call's arguments as compact JSON; None where they are no JSON."""
    return len(arguments) if isinstance(arguments, str) else _json_chars(arguments)


def raw_chars(result: object) -> int | None:
    """Characters of what a handler returned, as text or compact JSON; None where it is neither."""
    if isinstance(result, str):
        return len(result)
    if isinstance(result, bytes | bytearray):
        return len(result)
    return _json_chars(result)


def raw_content(result: object) -> str | None:
    """What may leave the process of what a handler returned, text or JSON; None unless content is captured."""
    settings = config()
    if not settings.capture_content or isinstance(result, bytes | bytearray):
        return None
    return settings.content(result if isinstance(result, str) else canonical(result))


def _json_chars(value: object) -> int | None:
    """Characters of `value` as compact JSON; None where it is more than JSON holds, or too much to look at here."""
    waiting, left = [value], _MOST_VALUES
    while waiting:
        each = waiting.pop()
        if type(each) is dict:
            if not all(type(key) is str for key in each):
                return None
            waiting.extend(each.values())
            left -= len(each)
        elif type(each) is list or type(each) is tuple:
            waiting.extend(each)
            left -= len(each)
        elif each is not None and not isinstance(each, str | int | float):
            return None
        if left < 0:
            return None
    return len(canonical(value))


def block_text(content: object) -> str:
    """The text of a tool result block's content, as evidence counts it."""
    return result_text(content)
