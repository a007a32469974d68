"""Content, for those who asked for it: messages in the conventions' form, redacted or dropped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .._config import Config


def add(attributes: dict[str, Any], name: str, value: Any, config: Config) -> None:
    """Sets `attributes[name]` to the JSON of `value` as `config.redact` leaves it, or not at all where that fails."""
    if value and (text := config.content(json.dumps(value, default=str, ensure_ascii=False))) is not None:
        attributes[name] = text


def messages(value: Any) -> list[dict[str, Any]]:
    """Messages as `{role, parts}`."""
    return [
        {"role": message.get("role"), "parts": parts(message.get("content"))}
        for message in value or ()
        if isinstance(message, Mapping)
    ]


def parts(value: Any) -> list[dict[str, Any]]:
    """The content of a message as parts: text, tool_call, tool_call_response; another block is its own part."""
    if isinstance(value, str):
        return [{"type": "text", "content": value}]
    return [_part(block) for block in value or () if isinstance(block, Mapping)]


def _part(block: Mapping[str, Any]) -> dict[str, Any]:
    kind = block.get("type")
    if kind == "text":
        return {"type": "text", "content": block.get("text")}
    if kind == "tool_use":
        return {
            "type": "tool_call",
            "id": block.get("id"),
            "name": block.get("name"),
            "arguments": block.get("input"),
        }
    if kind == "tool_result":
        return {"type": "tool_call_response", "id": block.get("tool_use_id"), "response": block.get("content")}
    return dict(block)
