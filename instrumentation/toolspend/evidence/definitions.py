"""Tool definitions: their versions, their sizes, and what of them has been sent already."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

_VERSION_DIGITS: Final = 12
_MAX_REMEMBERED: Final = 10_000


def _named(value: object) -> str:
    # Not its `str`: that may be the application's own code.
    return type(value).__qualname__


# Made once: `json.dumps` makes an encoder each time, which takes twice as long as a small encoding itself.
_sorted: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_named).encode
_unsorted: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, skipkeys=True, default=_named).encode


def canonical(value: object) -> str:
    """`value` as compact JSON with sorted keys; what JSON cannot hold is the name of its type. Never raises."""
    for encode in (_sorted, _unsorted):
        try:
            return encode(value)
        except (TypeError, ValueError, RecursionError):
            continue  # keys that cannot be sorted, or a value that holds itself
    return ""


def version_of(name: str, description: str | None, input_schema: object) -> str:
    """The version of a definition: 12 hex digits of the SHA-256 of its canonical JSON.

    The same definition has the same version in every process and language. A declared version is kept beside it.
    """
    text = canonical({"name": name, "description": description or "", "input_schema": input_schema or {}})
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_VERSION_DIGITS]


class Definition:
    """One tool definition as a request offers it: name, version, size in characters and in UTF-8 bytes."""

    __slots__ = ("chars", "description", "input_schema", "name", "utf8_bytes", "version")

    def __init__(self, tool: Mapping[str, Any]) -> None:
        name = tool.get("name") or tool.get("mcp_server_name") or tool.get("type") or ""
        self.name = str(name)
        description = tool.get("description")
        self.description = description if isinstance(description, str) else None
        schema = tool.get("input_schema")
        if schema is None:
            # A tool that the provider defines has no schema here: its type and options are its definition.
            schema = {key: value for key, value in tool.items() if key not in ("name", "cache_control")}
        self.input_schema = schema
        self.version = version_of(self.name, self.description, schema)
        text = self.name + (self.description or "") + canonical(schema)
        self.chars = len(text)
        self.utf8_bytes = self.chars if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


class DefinitionLog:
    """Which definitions this process has already put on a span, so that each is sent once per version."""

    def __init__(self) -> None:
        self._sent: set[tuple[str, str]] = set()
        self._declared: dict[str, str] = {}

    def declare(self, name: str, version: str) -> None:
        """Remembers that the author calls the present definition of tool `name` version `version`."""
        self._declared[name] = version

    def declared(self, name: str) -> str | None:
        """The version that the author declared for tool `name`, or None."""
        return self._declared.get(name)

    def unsent(self, definitions: list[Definition]) -> str | None:
        """JSON of those `definitions` that no span of this process carries yet, which it then counts as sent."""
        fresh = [each for each in definitions if (each.name, each.version) not in self._sent]
        if not fresh:
            return None
        if len(self._sent) > _MAX_REMEMBERED:
            self._sent.clear()
        self._sent.update((each.name, each.version) for each in fresh)
        rows = [
            {
                "name": each.name,
                "version": each.version,
                "declared_version": self._declared.get(each.name),
                "description": each.description,
                "input_schema": each.input_schema,
            }
            for each in fresh
        ]
        return json.dumps(rows, separators=(",", ":"), default=str)

    def forget_sent(self) -> None:
        """Makes the next spans carry every definition again."""
        self._sent.clear()


definition_log: Final = DefinitionLog()
