"""Content as the GenAI conventions carry it, read as segments: sizes, kinds, tool names and ids."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from toolspend import attributes as at

from ..rows import Span

Segment: TypeAlias = list[Any]

TOOL_DEFINITIONS = "gen_ai.tool.definitions"
_TEXTS = {"user": at.SEGMENT_USER, "assistant": at.SEGMENT_ASSISTANT, "system": at.SEGMENT_SYSTEM}


def prompt_segments(span: Span) -> list[Segment] | None:
    """The prompt in its order (tools, system, messages); None where the span has no content."""
    messages = _list(span, at.INPUT_MESSAGES)
    if messages is None:
        return None
    definitions = [_definition(tool) for tool in _list(span, TOOL_DEFINITIONS) or ()]
    tools_by_call: dict[str, str] = {}
    system = [_part(part, "system", tools_by_call) for part in _list(span, at.SYSTEM_INSTRUCTIONS) or ()]
    return [*definitions, *system, *_messages(messages, tools_by_call)]


def output_segments(span: Span) -> list[Segment] | None:
    """What the response was made of; None where the span has no content."""
    messages = _list(span, at.OUTPUT_MESSAGES)
    return list(_messages(messages, {})) if messages is not None else None


def loads(text: str) -> Any:
    """The value of JSON text, with "?" for each half of a character, which no store takes; None for what is none."""
    try:
        value = json.loads(text)
        if "\\ud" in text or "\\uD" in text:
            value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return value


def to_text(segments: list[Segment]) -> str:
    """Segments as JSON text, trailing nulls left out."""
    return json.dumps([_trimmed(segment) for segment in segments], separators=(",", ":"), ensure_ascii=False)


def _trimmed(segment: Segment) -> Segment:
    end = len(segment)
    while end and segment[end - 1] is None:
        end -= 1
    return segment[:end]


def _list(span: Span, name: str) -> list[Any] | None:
    value = span.attributes.get(name)
    if isinstance(value, str):
        value = loads(value)
    return value if isinstance(value, list) else None


def _messages(messages: list[Any], tools_by_call: dict[str, str]) -> Iterator[Segment]:
    for message in messages:
        if isinstance(message, Mapping):
            for part in message.get("parts") or ():
                yield _part(part, str(message.get("role")), tools_by_call)


def _part(part: object, role: str, tools_by_call: dict[str, str]) -> Segment:
    if not isinstance(part, Mapping):
        return _segment(_TEXTS.get(role, at.SEGMENT_OTHER), str(part))
    call_id = str(part["id"]) if part.get("id") else None
    match part.get("type"):
        case "text":
            return _segment(_TEXTS.get(role, at.SEGMENT_OTHER), _string(part.get("content")))
        case "reasoning" | "thinking":
            return _segment(at.SEGMENT_THINKING, _string(part.get("content")))
        case "tool_call":
            name = str(part.get("name") or "")
            if call_id is not None:
                tools_by_call[call_id] = name
            return _segment(at.SEGMENT_CALL, name + _string(part.get("arguments") or {}), name, call_id)
        case "tool_call_response":
            text = _result_text(part.get("response", part.get("result")))
            return _segment(at.SEGMENT_RESULT, text, tools_by_call.get(call_id or ""), call_id)
        case _:
            return _segment(at.SEGMENT_OTHER, _string(part))


def _definition(tool: object) -> Segment:
    name = str(tool.get("name") or "") if isinstance(tool, Mapping) else ""
    return _segment(at.SEGMENT_DEFINITION, _string(tool), name)


def _segment(kind: str, text: str, tool: str | None = None, call_id: str | None = None) -> Segment:
    utf8_bytes = None if text.isascii() else len(text.encode("utf-8", "replace"))
    return [kind, len(text), tool, call_id, None, utf8_bytes]


def _result_text(value: object) -> str:
    if isinstance(value, list):
        return "".join(
            part["text"] if isinstance(part, Mapping) and isinstance(part.get("text"), str) else _string(part)
            for part in value
        )
    return _string(value)


def _string(value: object) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
