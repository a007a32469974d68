"""Content as evidence: sizes, kinds, tool names, ids and cache marks, in the attributes that our own agents write.

What an emitter's messages say is measured by the same functions as in the agent (`toolspend.evidence`), so that one
conversation weighs the same whoever tells of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from toolspend import attributes as at
from toolspend.evidence.head import Head
from toolspend.evidence.segments import describe, marks_of, pieces

from .messages import Message


class _Together(msgspec.Struct):
    base: Any = None
    segments: Any = None
    chars: Any = None
    # Text that is not read here.
    delta: msgspec.Raw = msgspec.Raw()
    restated: msgspec.Raw = msgspec.Raw()
    cache_marks: msgspec.Raw = msgspec.Raw()
    output: msgspec.Raw = msgspec.Raw()


_NAMES: Final = {
    "base": at.CONTEXT_BASE,
    "segments": at.CONTEXT_SEGMENTS,
    "chars": at.CONTEXT_CHARS,
    "delta": at.CONTEXT_DELTA,
    "restated": at.CONTEXT_RESTATED,
    "cache_marks": at.CONTEXT_CACHE_MARKS,
    "output": at.OUTPUT_SEGMENTS,
}
_together: Final = msgspec.json.Decoder(_Together).decode


def of_prompt(
    messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] | None = None, system: Any = None
) -> dict[str, Any]:
    """The evidence of a prompt, in its order: tools, system, messages. Without `tools` its whole size is not known."""
    head = Head([tool for tool in tools or () if isinstance(tool, dict)], system if system is not None else [])
    texts, chars, marks = list(head.texts), head.chars, list(head.marks)
    tools_by_call: dict[str, str] = {}
    for message in messages:
        marks.extend((len(texts) + index, ttl) for index, ttl in marks_of(message))
        for role, block in pieces(message):
            if type(block) is dict and block.get("type") == "tool_result" and "tool" in block:
                tools_by_call[str(block.get("tool_use_id") or "")] = block["tool"]
            text, length = describe(role, block, tools_by_call)
            texts.append(text)
            chars += length
    said: dict[str, Any] = {at.CONTEXT_DELTA: f"[{','.join(texts)}]"}
    if tools is not None:
        said[at.CONTEXT_SEGMENTS], said[at.CONTEXT_CHARS] = len(texts), chars
    if marks:
        said[at.CONTEXT_CACHE_MARKS] = compact(marks)
    if head.definitions:
        said[at.TOOL_DEFINITIONS] = compact(
            [
                {
                    "name": each.name,
                    "version": each.version,
                    "description": each.description,
                    "input_schema": each.input_schema,
                }
                for each in head.definitions
            ]
        )
    return said


def of_output(messages: Sequence[Message]) -> dict[str, Any]:
    """The evidence of a response."""
    calls: dict[str, str] = {}
    found = [describe("assistant", block, calls)[0] for message in messages for _, block in pieces(message)]
    return {at.OUTPUT_SEGMENTS: f"[{','.join(found)}]"}


def apart(text: str) -> dict[str, Any]:
    """The attributes of which `text`, of `CONTEXT_EVIDENCE`, is the sum; none where it cannot be read."""
    try:
        together = _together(text)
    except (msgspec.MsgspecError, UnicodeError):
        return {}
    said = {name: getattr(together, field) for field, name in _NAMES.items()}
    return {
        name: bytes(value).decode() if isinstance(value, msgspec.Raw) else value
        for name, value in said.items()
        if value is not None and value != msgspec.Raw()
    }


def compact(value: Any) -> str:
    """Compact JSON text."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)
