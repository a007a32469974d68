"""A request or a response as segments: what each piece is, whose it is and how long, never what it says.

Two passes keep the work per request small. `fingerprint` gives an integer for a message: `hash` of a `str` is cached
by the string, so a message that an earlier request already carried is recognised without reading its text. `pieces`
and `describe` are only called for messages that are new.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from .. import attributes as at
from .definitions import canonical
from .image import tokens_of_image
from .weight import Weight, weigh, weighed

Block: TypeAlias = tuple[str, Any]
"""A role and one piece of content under it: a string, or a content block as a plain dict."""

Segment: TypeAlias = tuple[str, int]
"""A segment as evidence: its JSON, and its length in characters."""

Row: TypeAlias = tuple[int, str, int]
"""A segment's fingerprint, its JSON, and its length in characters."""

_TEXT_KINDS: Final = {
    "user": at.SEGMENT_USER,
    "assistant": at.SEGMENT_ASSISTANT,
    "system": at.SEGMENT_SYSTEM,
}
_CALL_TYPES: Final = {"tool_use": None, "server_tool_use": at.FLAG_SERVER, "mcp_tool_use": at.FLAG_SERVER}
_quoted: Final = json.encoder.encode_basestring_ascii
_NOTHING: Final = Weight(0, 0)
_LEAST_WEIGHED: Final = 32
"""The characters of shorter texts say as much as their weight would, which takes a microsecond and a half."""
_MEDIA_FLAGS: Final = {"image": at.FLAG_IMAGE, "document": at.FLAG_DOCUMENT}


def fingerprints(messages: Sequence[Mapping[str, Any]]) -> tuple[list[int], list[int]]:
    """A number for each message, as `fingerprint` gives it, and the indexes of those that carry a cache breakpoint."""
    prints: list[int] = []
    marked: list[int] = []
    for index, message in enumerate(messages):
        content = message.get("content")
        if type(content) is str:
            prints.append(hash((message.get("role"), content)))
            continue
        print_, is_marked = _seen(message, content)
        prints.append(print_)
        if is_marked:
            marked.append(index)
    return prints, marked


def fingerprint(message: Mapping[str, Any]) -> int:
    """A number that is the same, within this process, for two messages of the same role and content.

    Cache breakpoints do not count, and a string is the same as one text block.
    """
    content = message.get("content")
    return hash((message.get("role"), content)) if type(content) is str else _seen(message, content)[0]


def _seen(message: Mapping[str, Any], content: Any) -> tuple[int, bool]:
    """The number of a message of blocks, and whether one has a cache breakpoint. It runs for every one that is new."""
    parts: list[Any] = [message.get("role")]
    is_marked = False
    try:
        for block in content or ():
            if "cache_control" in block:
                is_marked = True
            kind = block["type"]
            # A number ahead of what is no text: no text can be mistaken for it.
            if kind == "text":
                parts.append(block["text"])
            elif kind == "tool_use":
                values = block["input"].values()
                parts += (len(values), block["id"], *values)
            elif kind == "tool_result":
                inner = block.get("content")
                if type(inner) is list:
                    parts += (len(inner), block["tool_use_id"], *[part["text"] for part in inner])
                else:
                    parts += (-1, block["tool_use_id"], inner)
            else:
                parts.append(piece_print("", block))
        return hash(tuple(parts)), is_marked
    except (KeyError, TypeError, AttributeError):  # unusual: look closer
        return hash((parts[0], *[piece_print("", block) for _, block in pieces(message)])), True


def pieces(message: Mapping[str, Any]) -> list[Block]:
    """The segments of one message: its blocks, and the parts of a tool result that holds an image or a document."""
    role = message.get("role") or "user"
    content = message.get("content")
    if isinstance(content, str):
        return [(role, content)]
    return [(role, part) for block in content or () for part in _parts(block)]


def marks_of(message: Mapping[str, Any]) -> list[tuple[int, str]]:
    """The cache breakpoints of a message as `(index of the segment, ttl)`."""
    content = message.get("content")
    marks: list[tuple[int, str]] = []
    if type(content) is list:
        index = -1
        for block in content:
            index += len(_parts(block))
            if type(block) is dict and "cache_control" in block:
                mark(marks, index, block)
    return marks


def mark(marks: list[tuple[int, str]], index: int, block: Mapping[str, Any]) -> None:
    """Adds the cache breakpoint of `block`, if it has one, to `marks` at `index`."""
    control = block.get("cache_control")
    if isinstance(control, Mapping) and index >= 0:
        ttl = control.get("ttl")
        marks.append((index, ttl if ttl in ("5m", "1h") else "5m"))


def _parts(block: Any) -> Sequence[Any]:
    """A block as its segments. Definitions that a tool search found stand after its result."""
    kind = block.get("type") if type(block) is dict else None
    if kind == "tool_result":
        content = block.get("content")
        if type(content) is not list:
            return (block,)
        if any(type(part) is dict and part.get("type") in _MEDIA_FLAGS for part in content):
            shell = {key: value for key, value in block.items() if key != "content"}
            return [{**shell, "content": [part]} for part in content]
        return (block, *[part for part in content if type(part) is dict and part.get("type") == "tool_reference"])
    if kind == "tool_search_tool_result":
        content = block.get("content")
        found = content.get("tool_references") if type(content) is dict else None
        if type(found) is list:
            return (block, *[part for part in found if type(part) is dict and part.get("type") == "tool_reference"])
    return (block,)


def piece_print(role: str, block: Any) -> int:
    """A number that is the same, within this process, for two segments of the same role and content."""
    if type(block) is not dict:
        return hash((role, block if type(block) is str else repr(block)))
    kind = block.get("type")
    if kind == "text":
        return hash((role, block.get("text")))
    if kind == "tool_result" and type(content := block.get("content")) is str:
        return hash((role, -1, block.get("tool_use_id"), content, block.get("is_error")))
    if kind == "tool_use":
        try:
            values = block["input"].values()
            return hash((role, len(values), block["id"], *values))
        except (KeyError, TypeError, AttributeError):
            pass  # nested: read it whole
    return hash((role, canonical({key: value for key, value in block.items() if key != "cache_control"})))


def rows(
    message: Mapping[str, Any], message_print: int, tools_by_call: dict[str, str], known: Mapping[int, Segment]
) -> list[Row]:
    """The segments of one message, each with its fingerprint. Those of `known` fingerprints are not described again.

    The first segment of a message's only block has the message's own fingerprint, `message_print`.
    """
    role = message.get("role") or "user"
    content = message.get("content")
    if type(content) is str:
        text, chars = known.get(message_print) or _text(_TEXT_KINDS.get(role, at.SEGMENT_OTHER), content)
        return [(message_print, text, chars)]
    found: list[Row] = []
    is_alone = type(content) is list and len(content) == 1
    for block in content or ():
        for part in _parts(block):
            print_ = message_print if is_alone and not found else piece_print(role, part)
            text, chars = known.get(print_) or describe(role, part, tools_by_call)
            found.append((print_, text, chars))
    return found


def encoded(
    kind: str,
    chars: int,
    tool: str | None = None,
    id: str | None = None,
    flags: str | None = None,
    utf8_bytes: int | None = None,
    weight: tuple[int, int] = _NOTHING,
) -> Segment:
    """A segment. By hand, from its end, as trailing nulls are left out: an encoder takes three times as long."""
    tokens, digits = weight
    rest = f",{tokens},{digits}]" if digits else f",{tokens}]" if tokens else "]"
    if utf8_bytes is not None and utf8_bytes != chars:
        rest = f",{utf8_bytes}{rest}"
    elif rest != "]":
        rest = f",null{rest}"
    for value in (flags, id, tool):
        if value is not None:
            rest = f",{_quoted(value)}{rest}"
        elif rest != "]":
            rest = f",null{rest}"
    return f'["{kind}",{chars}{rest}', chars


def describe(role: str, block: Any, tools_by_call: dict[str, str]) -> Segment:
    """The segment of `block` under `role`. `tools_by_call` names the tool of a call id, and learns new ones."""
    if type(block) is not dict:
        is_text = type(block) is str
        return _text(_TEXT_KINDS.get(role, at.SEGMENT_OTHER) if is_text else at.SEGMENT_OTHER, str(block))
    kind = block.get("type")
    if kind == "text":
        return _text(_TEXT_KINDS.get(role, at.SEGMENT_OTHER), _string(block.get("text")))
    if kind in _CALL_TYPES:
        name, call_id = _string(block.get("name")), _string(block.get("id"))
        tools_by_call[call_id] = name
        text = name + canonical(block.get("input") or {})
        return _text(at.SEGMENT_CALL, text, name, call_id, _CALL_TYPES[kind])
    if kind == "tool_result":
        return _tool_result(block, tools_by_call)
    if kind == "thinking":
        return _text(at.SEGMENT_THINKING, _string(block.get("thinking")))
    if kind == "redacted_thinking":
        return _text(at.SEGMENT_THINKING, _string(block.get("data")))
    if kind == "compaction":
        return _text(at.SEGMENT_COMPACTION, _string(block.get("content")))
    if kind in _MEDIA_FLAGS:
        chars, weight = _media_size(block)
        return encoded(_TEXT_KINDS.get(role, at.SEGMENT_OTHER), chars, flags=_MEDIA_FLAGS[kind], weight=weight)
    if kind == "tool_reference":
        return encoded(at.SEGMENT_DEFINITION, 0, _string(block.get("tool_name")), None, at.FLAG_DEFERRED)
    if isinstance(kind, str) and kind.endswith("_tool_result"):
        # The result of a tool that the provider ran: it names its call, and holds no text that we could count better.
        call_id, content = _string(block.get("tool_use_id")), block.get("content")
        flags = at.FLAG_SERVER + (at.FLAG_ERROR if _is_error(block) else "")
        found = content.get("tool_references") if isinstance(content, Mapping) else None
        text = result_text(found) if isinstance(found, list) else canonical(content)
        return _text(at.SEGMENT_RESULT, text, tools_by_call.get(call_id, ""), call_id, flags)
    body = {key: value for key, value in block.items() if key != "cache_control"}
    return _text(at.SEGMENT_OTHER, canonical(body))


def _tool_result(block: Mapping[str, Any], tools_by_call: dict[str, str]) -> Segment:
    call_id = _string(block.get("tool_use_id"))
    tool = tools_by_call.get(call_id, "")
    flags = at.FLAG_ERROR if block.get("is_error") is True else ""
    content = block.get("content")
    if type(content) is list and len(content) == 1 and content[0].get("type") in _MEDIA_FLAGS:
        flags += _MEDIA_FLAGS[content[0]["type"]]
        chars, weight = _media_size(content[0])
        return encoded(at.SEGMENT_RESULT, chars, tool, call_id, flags, None, weight)
    return _text(at.SEGMENT_RESULT, result_text(content), tool, call_id, flags or None)


def result_text(content: Any) -> str:
    """The text of a tool result's content: a string, blocks, or None."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(map(_part_text, content))
    return canonical(content)


def _part_text(part: Any) -> str:
    if isinstance(part, dict):
        if isinstance(part.get("text"), str):
            return str(part["text"])
        # The definition stands in its place: of a recorded search no more was billed than its frame and this.
        if part.get("type") == "tool_reference" and isinstance(part.get("tool_name"), str):
            return f"{part['tool_name']} "
    return canonical(part)


def _media_size(block: Mapping[str, Any]) -> tuple[int, Weight]:
    source = block.get("source")
    if not isinstance(source, Mapping) or not isinstance(data := source.get("data"), str):
        return 0, _NOTHING
    if block.get("type") == "image":
        return len(data), Weight(tokens_of_image(data) or 0, 0)
    return len(data), weigh(data) if source.get("type") == "text" else _NOTHING


def _is_error(block: Mapping[str, Any]) -> bool:
    content = block.get("content")
    return block.get("is_error") is True or (
        isinstance(content, Mapping) and str(content.get("type", "")).endswith("_error")
    )


def _text(kind: str, text: str, tool: str | None = None, id: str | None = None, flags: str | None = None) -> Segment:
    chars, is_ascii = len(text), text.isascii()
    if chars < _LEAST_WEIGHED:
        if tool is None and flags is None and is_ascii:
            return f'["{kind}",{chars}]', chars
        weight: tuple[int, int] = _NOTHING
    else:
        weight = weighed(text)
        if is_ascii and flags is None and tool is not None and id is not None:
            # Calls and results, at once.
            tokens, digits = weight
            rest = f",{tokens},{digits}]" if digits else f",{tokens}]"
            return f'["{kind}",{chars},{_quoted(tool)},{_quoted(id)},null,null{rest}', chars
    utf8_bytes = None if is_ascii else len(text.encode("utf-8", "surrogatepass"))
    return encoded(kind, chars, tool, id, flags, utf8_bytes, weight)


def _string(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)
