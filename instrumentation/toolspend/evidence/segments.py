"""A request or a response as segments: what each piece is, whose it is and how long, never what it says.

Two passes keep the work per request small. `look` gives an integer for a message: `hash` of a `str` is cached by the
string, so a message that an earlier request already carried is recognised without reading its text. `say` is only
called for messages that are new.
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

Said: TypeAlias = tuple[Sequence[str], int, Sequence[int]]
"""The segments of a message: the JSON of each, their length in characters together, the fingerprint of each."""

_TEXT_KINDS: Final[dict[object, str]] = {
    "user": at.SEGMENT_USER,
    "assistant": at.SEGMENT_ASSISTANT,
    "system": at.SEGMENT_SYSTEM,
    None: at.SEGMENT_USER,
    "": at.SEGMENT_USER,
}
_CALL_TYPES: Final = {"tool_use": None, "server_tool_use": at.FLAG_SERVER, "mcp_tool_use": at.FLAG_SERVER}
_CALL: Final = at.SEGMENT_CALL
_RESULT: Final = at.SEGMENT_RESULT
_quoted: Final = json.encoder.encode_basestring_ascii
_NESTED: Final = (list, dict)
_NOTHING: Final = Weight(0, 0)
_LEAST_WEIGHED: Final = 32
"""The characters of shorter texts say as much as their weight would, which takes a microsecond and a half."""
_MEDIA_FLAGS: Final = {"image": at.FLAG_IMAGE, "document": at.FLAG_DOCUMENT}


def look(role: object, content: Any) -> tuple[int, Sequence[int], bool]:
    """The fingerprints of a message and of its segments, and whether it carries a cache breakpoint.

    A fingerprint is a number that is the same, within this process, for two messages of the same role and content.
    Cache breakpoints do not count, and a string is the same as one text block.
    """
    if type(content) is str:
        print_ = hash((role, content))
        return print_, (print_,), False
    found: list[int] = []
    is_marked = False
    for block in content or ():
        if type(block) is dict:
            if "cache_control" in block:
                is_marked = True
            if block.get("type") == "text" and type(text := block.get("text")) is str:
                found.append(hash((role, text)))
                continue
            if type(block.get("content")) in _NESTED:
                found += [piece_print(role, part) for part in _parts(block)]
                continue
        found.append(piece_print(role, block))
    return found[0] if len(found) == 1 else hash((role, *found)), found, is_marked


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


def piece_print(role: object, block: Any) -> int:
    """The fingerprint of one segment. It runs for every block that is new."""
    if type(block) is not dict:
        return hash((role, block if type(block) is str else repr(block)))
    try:
        kind = block["type"]
        # A number ahead of what is no text: no text can be mistaken for it.
        if kind == "tool_result":
            content = block.get("content")
            if type(content) is not list:
                return hash((role, -1, block["tool_use_id"], content, block.get("is_error")))
            texts = [part["text"] for part in content]
            return hash((role, len(texts), block["tool_use_id"], *texts, block.get("is_error")))
        if kind == "tool_use":
            inputs = block["input"].items()
            return hash((role, len(inputs), block["id"], block["name"], *inputs))
    except (KeyError, TypeError, AttributeError):
        pass  # nested, or unusual: read it whole
    return hash((role, canonical({key: value for key, value in block.items() if key != "cache_control"})))


def say(
    role: object,
    content: Any,
    prints: Sequence[int],
    tools_by_call: dict[str, str],
    known: Mapping[int, Segment] | None = None,
) -> Said:
    """The segments of one message, whose fingerprints are `prints`. Those of `known` are not described again."""
    kind = _TEXT_KINDS.get(role, at.SEGMENT_OTHER)
    if type(content) is str:
        text, chars = (known.get(prints[0]) if known else None) or _text(kind, content)
        return (text,), chars, prints
    blocks = content or ()
    if len(blocks) != len(prints):
        blocks = [part for block in blocks for part in _parts(block)]
    texts: list[str] = []
    total = 0
    for print_, block in zip(prints, blocks, strict=True):
        if known and print_ in known:
            text, chars = known[print_]
        elif type(block) is dict and block.get("type") == "text" and type(said := block.get("text")) is str:
            text, chars = _text(kind, said)
        else:
            text, chars = describe(role, block, tools_by_call)
        texts.append(text)
        total += chars
    return texts, total, prints


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


def describe(role: object, block: Any, tools_by_call: dict[str, str]) -> Segment:
    """The segment of `block` under `role`. `tools_by_call` names the tool of a call id, and learns new ones."""
    if type(block) is not dict:
        is_text = type(block) is str
        return _text(_TEXT_KINDS.get(role, at.SEGMENT_OTHER) if is_text else at.SEGMENT_OTHER, str(block))
    kind = block.get("type")
    if kind == "tool_result":
        content, call_id = block.get("content"), block.get("tool_use_id")
        if type(content) is str and type(call_id) is str and not block.get("is_error"):
            return _of_tool(_RESULT, content, tools_by_call.get(call_id, ""), call_id)
        return _tool_result(block, tools_by_call)
    if kind in _CALL_TYPES:
        name, call_id = _string(block.get("name")), _string(block.get("id"))
        tools_by_call[call_id] = name
        return _of_tool(_CALL, name + canonical(block.get("input") or {}), name, call_id, _CALL_TYPES[kind])
    if kind == "text":
        return _text(_TEXT_KINDS.get(role, at.SEGMENT_OTHER), _string(block.get("text")))
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
        return _of_tool(_RESULT, text, tools_by_call.get(call_id, ""), call_id, flags)
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
        return encoded(_RESULT, chars, tool, call_id, flags, None, weight)
    return _of_tool(_RESULT, result_text(content), tool, call_id, flags or None)


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


def _text(kind: str, text: str) -> Segment:
    chars = len(text)
    if chars < _LEAST_WEIGHED:
        if text.isascii():
            return f'["{kind}",{chars}]', chars
        weight: tuple[int, int] = _NOTHING
    else:
        weight = weighed(text)
    return encoded(kind, chars, None, None, None, _utf8_bytes(text), weight)


def _of_tool(kind: str, text: str, tool: str, id: str, flags: str | None = None) -> Segment:
    chars = len(text)
    weight = weighed(text) if chars >= _LEAST_WEIGHED else _NOTHING
    if flags is None and text.isascii():
        # Nearly every call and result, at once.
        tokens, digits = weight
        rest = f",null,null,{tokens},{digits}]" if digits else f",null,null,{tokens}]" if tokens else "]"
        return f'["{kind}",{chars},{_quoted(tool)},{_quoted(id)}{rest}', chars
    return encoded(kind, chars, tool, id, flags, _utf8_bytes(text), weight)


def _utf8_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _string(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)
