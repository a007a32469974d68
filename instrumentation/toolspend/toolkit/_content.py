"""What a handler returned, as the content of a `tool_result` block."""

from __future__ import annotations

import dataclasses
import json
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

Content: TypeAlias = "str | list[dict[str, Any]]"


class ToolResult(dict[str, Any]):
    """A `tool_result` block, and beside what is sent `error_type`: why the call failed, or None.

    `attributes.CALL_ERRORS` has the names; an exception of the handler's is told by its class.
    """

    error_type: str | None = None

    @property
    def is_error(self) -> bool:
        """Whether the call failed."""
        return self.get("is_error") is True


_DEEPEST: Final = 100
"""Levels that are left of what is too deep for JSON."""
_BLOCK_TYPES: Final = frozenset({"text", "image", "document", "search_result", "tool_reference"})


def content_of(result: object) -> Content:
    """Text as it is, content blocks as they are, everything else as JSON."""
    if isinstance(result, str):
        return str(result)
    if result is None:
        return ""
    if isinstance(result, bytes | bytearray | memoryview):
        read = bytes(result)
        return read.decode("utf-16" if read.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8", "replace")
    if isinstance(result, list) and result and all(_is_block(each) for each in result):
        return result
    try:
        return _json(result)
    except (RecursionError, TypeError, ValueError):  # too deep, keys that are no text, a part of itself
        return _json(_cut(result, _DEEPEST, ()))


def text_of(content: Content) -> str | None:
    """The text of a content that is nothing else."""
    if isinstance(content, str):
        return content
    if all(block.get("type") == "text" for block in content):
        return "\n".join(str(block.get("text", "")) for block in content)
    return None


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=_plain, separators=(",", ":"))


def _cut(value: object, depth: int, within: tuple[int, ...]) -> object:
    """`value` with every key as text, and a mark where it goes deeper than `depth` or holds itself."""
    if not isinstance(value, Mapping | list | tuple):
        return value
    if not depth or id(value) in within:
        return "\u2026"
    within = (*within, id(value))
    if isinstance(value, Mapping):
        return {str(key): _cut(each, depth - 1, within) for key, each in value.items()}
    return [_cut(each, depth - 1, within) for each in value]


def _is_block(thing: object) -> bool:
    return isinstance(thing, dict) and thing.get("type") in _BLOCK_TYPES


def _plain(value: Any) -> Any:
    """What JSON has no form for: models and dataclasses by their fields, sets as lists, anything else as text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump(mode="json")
    if isinstance(value, set | frozenset | tuple):
        return sorted(value, key=repr) if not isinstance(value, tuple) else list(value)
    return str(value)
