"""Messages in the many forms that emitters write them in, as the Messages API has them.

One form for all: `{"role", "content"}` with blocks `text`, `thinking`, `tool_use`, `tool_result`, `image` and
`document`, which is what `toolspend.evidence` measures. A form is told by the names that only it has; what is in none
of them stays as it is, and is measured as one unknown piece.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from .. import json_text

Message: TypeAlias = dict[str, Any]
Block: TypeAlias = dict[str, Any]

_ROLES: Final = {
    "human": "user",
    "ai": "assistant",
    "model": "assistant",
    "AIMessage": "assistant",
    "AIMessageChunk": "assistant",
    "HumanMessage": "user",
    "SystemMessage": "system",
    "developer": "system",
    "function": "tool",
    "ToolMessage": "tool",
}
_NATIVE: Final = {
    "thinking", "redacted_thinking", "document", "compaction", "server_tool_use",
    "mcp_tool_use", "tool_reference",
}  # fmt: skip
_TEXT: Final = {"text", "input_text", "output_text", "refusal"}
_REASONING: Final = {"reasoning", "thinking", "reasoning_content"}
_MEDIA: Final = {
    "image": "image", "image_url": "image", "image-url": "image", "input_image": "image",
    "file": "document", "input_file": "document", "document-url": "document", "blob": "document",
    "binary": "document", "uri": "document", "audio": "document", "input_audio": "document", "media": "document",
}  # fmt: skip


def loads(text: object) -> Any:
    """The value of JSON text, with "?" for each half of a character, which no store takes; None for what is none."""
    if not isinstance(text, str):
        return text
    try:
        value = json_text.read(text)
        if "\\ud" in text or "\\uD" in text:
            value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return value


def read(value: object) -> list[Message] | None:
    """A list of messages, of JSON text of one, in whatever form; None for what is none."""
    value = loads(value)
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]  # a batch of one
    if not isinstance(value, list):
        return None
    return merged(message for item in value if isinstance(item, Mapping) for message in read_one(item))


def read_one(item: Mapping[str, Any]) -> Iterator[Message]:
    """One message, or one item of a list that mixes messages with calls and their results."""
    if isinstance(item.get("kwargs"), Mapping) and "role" not in item:
        names = item.get("id")
        own = {"role": str(names[-1]) if isinstance(names, list) and names else "user"}
        item = {**own, **item["kwargs"]}
    elif isinstance(item.get("data"), Mapping) and "role" not in item and "content" in item["data"]:
        item = {**item["data"], "role": item.get("type")}
    kind = item.get("type") if isinstance(item.get("type"), str) else None
    if kind in ("function_call", "custom_tool_call"):
        yield {"role": "assistant", "content": [_call(item.get("call_id"), item.get("name"), item.get("arguments"))]}
        return
    if kind in ("function_call_output", "custom_tool_call_output"):
        yield {"role": "user", "content": [_result(item.get("call_id"), item.get("output"))]}
        return
    if kind == "reasoning" and "role" not in item:
        yield {"role": "assistant", "content": [_thinking(item.get("summary") or item.get("content"))]}
        return
    role = str(item.get("role") or kind or "user")
    yield _message(_ROLES.get(role, role), item)


def merged(messages: Iterator[Message]) -> list[Message]:
    """Messages with the results of one turn together, as they are sent."""
    found: list[Message] = []
    for message in messages:
        if found and message.get("is_result") and found[-1].get("is_result"):
            found[-1]["content"].extend(message["content"])
        else:
            found.append(message)
    for message in found:
        message.pop("is_result", None)
    return found


def has_content(messages: Sequence[Message]) -> bool:
    """Whether anything that was said is there: emitters that keep content to themselves send roles, names and ids."""
    return any(_says(block) for message in messages for block in message["content"])


def _says(block: object) -> bool:
    if not isinstance(block, Mapping):
        return bool(block)
    name = {"text": "text", "thinking": "thinking", "tool_use": "input", "tool_result": "content"}.get(
        str(block.get("type"))
    )
    return name is None or bool(block.get(name))


def is_result(block: object) -> bool:
    """Whether a block is the result of a call."""
    return isinstance(block, Mapping) and block.get("type") == "tool_result"


def blocks(content: object, role: str = "user") -> list[Any]:
    """The blocks of a message's content: text, a list of parts in whatever form, or nothing."""
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if isinstance(content, Mapping):
        content = [content]
    if not isinstance(content, Sequence):
        return [{"type": "text", "text": _text(content)}]
    return [block for part in content for block in _blocks(part, role)]


def calls(value: object) -> list[Block]:
    """Calls beside a message's content: `{id, name, args}` or `{id, function: {name, arguments}}`."""
    return [_call_of(each) for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _message(role: str, item: Mapping[str, Any]) -> Message:
    content = blocks(item["parts"] if isinstance(item.get("parts"), list) else item.get("content"), role)
    if thought := item.get("reasoning_content") or item.get("thinking"):
        content.insert(0, _thinking(thought))
    said = {each.get("id") for each in content if isinstance(each, Mapping) and each.get("type") == "tool_use"}
    content += [each for each in calls(item.get("tool_calls")) if each["id"] is None or each["id"] not in said]
    if role == "tool" and not any(is_result(each) for each in content):
        text = item.get("content") if isinstance(item.get("content"), str) else content
        call_id = item.get("tool_call_id") or item.get("id")
        content = [_result(call_id, text, is_error=item.get("status") == "error")]
    if content and all(is_result(each) for each in content):
        return {"role": "user", "content": content, "is_result": True}
    return {"role": "user" if role == "tool" else role, "content": content}


def _blocks(part: object, role: str) -> Iterator[Any]:
    if isinstance(part, str):
        yield {"type": "text", "text": part}
    elif isinstance(part, Mapping):
        yield from _read_part(part, role)
    elif part is not None:
        yield {"type": "text", "text": _text(part)}


def _read_part(part: Mapping[str, Any], role: str) -> Iterator[Any]:
    kind = part.get("type")
    if not isinstance(kind, str):
        kind, part = None, {name: value for name, value in part.items() if name != "type"}
    if kind == "tool_result":
        inner = part.get("content")
        yield {**part, "content": blocks(inner) if isinstance(inner, list) else inner}
    elif kind == "tool_use":
        yield {**part, "id": _optional(part.get("id"))}
    elif kind in _NATIVE and not (kind == "thinking" and "thinking" not in part):
        yield dict(part)
    elif kind in _TEXT or (kind is None and isinstance(part.get("text"), str)):
        text = part.get("text", part.get("content"))
        block = {"type": "text", "text": _text(text)}
        yield {**block, "cache_control": part["cache_control"]} if "cache_control" in part else block
    elif kind in _REASONING:
        yield _thinking(part.get("content", part.get("text", part.get("reasoning"))))
    elif kind in ("tool_call", "tool-call") or (kind == "function" and "function" in part):
        yield _call_of(part)
    elif kind in ("tool_call_response", "tool-result"):
        yield _result_of(part)
    elif kind == "function_call" or "functionCall" in part or "function_call" in part:
        call = part if kind == "function_call" else part.get("functionCall") or part.get("function_call")
        if isinstance(call, Mapping):
            yield _call(call.get("id"), call.get("name"), call.get("args", call.get("arguments")))
    elif "functionResponse" in part or "function_response" in part:
        response = part.get("functionResponse") or part.get("function_response")
        if isinstance(response, Mapping):
            yield _result(response.get("id"), response.get("response"), tool=response.get("name"))
    elif isinstance(part.get("toolUse"), Mapping):
        call = part["toolUse"]
        yield _call(call.get("toolUseId"), call.get("name"), call.get("input"))
    elif isinstance(part.get("toolResult"), Mapping):
        result = part["toolResult"]
        is_error = result.get("status") == "error"
        yield _result(result.get("toolUseId"), result.get("content"), is_error=is_error)
    elif kind in _MEDIA or "inline_data" in part or "inlineData" in part:
        yield _media(part)
    else:
        yield dict(part)


def _call_of(part: Mapping[str, Any]) -> Block:
    function = part.get("function")
    own = function if isinstance(function, Mapping) else part
    arguments = next(
        (own[name] for name in ("arguments", "args", "input", "parameters") if own.get(name) is not None), None
    )
    name = own.get("name") or part.get("toolName")
    return _call(part.get("id") or part.get("toolCallId") or part.get("tool_call_id"), name, arguments)


def _call(call_id: object, name: object, arguments: object) -> Block:
    if isinstance(arguments, str):
        read_arguments = loads(arguments)
        arguments = read_arguments if read_arguments is not None else {"": arguments}
    return {"type": "tool_use", "id": _optional(call_id), "name": _text(name), "input": arguments or {}}


def _result_of(part: Mapping[str, Any]) -> Block:
    value = next((part[name] for name in ("response", "result", "output", "content") if part.get(name) is not None), "")
    if isinstance(value, Mapping) and set(value) <= {"type", "value"} and "value" in value:
        value = value["value"]
    call_id = part.get("id") or part.get("toolCallId") or part.get("tool_call_id")
    is_error = part.get("isError") is True or part.get("is_error") is True
    return _result(call_id, value, is_error=is_error, tool=part.get("name") or part.get("toolName"))


def _result(call_id: object, value: object, *, is_error: bool = False, tool: object = None) -> Block:
    if isinstance(value, list):
        value = blocks(value)
    block: Block = {"type": "tool_result", "tool_use_id": _optional(call_id), "content": value}
    if is_error:
        block["is_error"] = True
    if isinstance(tool, str) and tool:
        block["tool"] = tool
    return block


def _thinking(value: object) -> Block:
    if isinstance(value, list):
        value = "".join(_text(each.get("text") if isinstance(each, Mapping) else each) for each in value)
    return {"type": "thinking", "thinking": _text(value)}


def _media(part: Mapping[str, Any]) -> Block:
    """An image or a document; its data where it is in the message, and not a link to it."""
    held: Mapping[str, Any] = part
    for name in ("inline_data", "inlineData", "source", "image_url", "input_audio", "file"):
        if isinstance(part.get(name), Mapping):
            held = part[name]
    data = next((held[name] for name in ("data", "content", "url", "image", "file_data") if held.get(name)), None)
    if data is None and isinstance(part.get("image_url"), str):
        data = part["image_url"]
    media_type = next(
        (str(held[name]) for name in ("media_type", "mime_type", "mimeType", "mediaType") if held.get(name)), ""
    )
    if isinstance(data, str) and data.startswith("data:"):
        head, _, data = data.partition(",")
        media_type = media_type or head[5:].partition(";")[0]
    elif isinstance(data, str) and "://" in data[:12]:
        data = None
    is_image = media_type.startswith("image/") or part.get("modality") == "image"
    kind = "image" if is_image else _MEDIA.get(str(part.get("type")), "document")
    return {"type": kind, "source": {"type": "base64", "media_type": media_type, "data": data}}


def _optional(value: object) -> str | None:
    return str(value) if value else None


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)
