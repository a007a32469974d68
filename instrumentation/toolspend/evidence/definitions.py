"""Tool definitions: their versions, their sizes, and what of them has been sent already."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from .. import attributes as at
from .weight import weigh

_VERSION_DIGITS: Final = 12
_MAX_REMEMBERED: Final = 10_000


def _named(value: object) -> str:
    # Not its `str`: that may be the application's own code.
    return type(value).__qualname__


def _encoder(*, sort_keys: bool) -> Callable[[object], str]:
    """A function that encodes compactly. Made once: an encoder makes its machinery anew for each value.

    That takes twice as long as encoding a tool's arguments; so the machinery is used directly where CPython has it.
    """
    plain = json.JSONEncoder(
        sort_keys=sort_keys, skipkeys=not sort_keys, separators=(",", ":"), ensure_ascii=False, default=_named
    ).encode
    try:
        make: Any = vars(json.encoder)["c_make_encoder"]
        pieces = make(None, _named, json.encoder.encode_basestring, None, ":", ",", sort_keys, not sort_keys, True)

        def encode(value: object) -> str:
            return "".join(pieces(value, 0))

        is_usable = all(encode(each) == plain(each) for each in ("é\n", {"b": [1, 2.5, None], "a": {}}))
    except (KeyError, TypeError):
        return plain
    return encode if is_usable else plain


_sorted: Final = _encoder(sort_keys=True)
_unsorted: Final = _encoder(sort_keys=False)


def canonical(value: object) -> str:
    """`value` as compact JSON with sorted keys; what JSON cannot hold is the name of its type. Never raises."""
    try:
        return _sorted(value)
    except (TypeError, ValueError, RecursionError):  # keys that cannot be sorted, or a value that holds itself
        try:
            return _unsorted(value)
        except (TypeError, ValueError, RecursionError):
            return ""


def version_of(name: str, description: str | None, input_schema: object) -> str:
    """The version of a definition: 12 hex digits of the SHA-256 of its canonical JSON.

    The same definition has the same version in every process and language. A declared version is kept beside it.
    """
    text = canonical({"name": name, "description": description or "", "input_schema": input_schema or {}})
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_VERSION_DIGITS]


class Definition:
    """One tool definition as a request offers it: name, version, size in characters and in UTF-8 bytes."""

    __slots__ = ("chars", "description", "flags", "input_schema", "name", "utf8_bytes", "version", "weight")

    def __init__(self, tool: Mapping[str, Any]) -> None:
        name = tool.get("name") or tool.get("mcp_server_name") or tool.get("type") or ""
        self.name = str(name)
        description = tool.get("description")
        self.description = description if isinstance(description, str) else None
        schema = tool.get("input_schema")
        self.flags = at.FLAG_SERVER if schema is None else ""
        if tool.get("defer_loading") is True:
            self.flags += at.FLAG_DEFERRED
        if schema is None:
            # A tool that the provider defines has no schema here: its type and options are its definition.
            schema = {key: value for key, value in tool.items() if key not in ("name", "cache_control")}
        self.input_schema = schema
        self.version = version_of(self.name, self.description, schema)
        text = self.name + (self.description or "") + canonical(schema)
        self.chars = len(text)
        self.weight = weigh(text)
        self.utf8_bytes = self.chars if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


class DefinitionLog:
    """Which definitions this process has already put on a span, so that each is sent once per version."""

    def __init__(self) -> None:
        self._sent: set[tuple[str, str]] = set()
        self._declared: dict[str, str] = {}
        self.generation = 0
        """Changes whenever what was sent is forgotten."""

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
            self.forget_sent()
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
        self.generation += 1


definition_log: Final = DefinitionLog()
