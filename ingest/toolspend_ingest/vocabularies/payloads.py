"""Whole requests and responses in one attribute, as SDKs and frameworks take and give them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from . import definitions
from .messages import Message, blocks, loads, merged, read, read_one


class Request(NamedTuple):
    """A request's parts; `tools` is None where the payload does not say them."""

    messages: list[Message]
    tools: list[dict[str, Any]] | None = None
    system: Any = None


def request(value: object) -> Request | None:
    """A request from its payload, an object or JSON text; None for what holds no messages."""
    value = loads(value)
    if isinstance(value, list):
        messages = read(value)
        return Request(messages) if messages else None
    if not isinstance(value, Mapping):
        return None
    messages = next(
        (found for name in ("messages", "contents", "input") if (found := _messages(value.get(name)))), None
    )
    if messages is None:
        return None
    tools = definitions.read(value["tools"]) if value.get("tools") is not None else None
    if tools is None and "model" in value:
        tools = []  # the payload of a call: what is not in it was not sent
    system = value.get("system") or value.get("instructions")
    return Request(messages, tools, blocks(system, "system") or None)


def response(value: object) -> list[Message] | None:
    """The messages of a response from its payload, an object, JSON text, or plain text."""
    said = loads(value)
    if isinstance(value, str) and not isinstance(said, Mapping | list):
        return [{"role": "assistant", "content": blocks(value)}] if value else None
    if isinstance(said, list):
        return _assistant(read(said))
    if not isinstance(said, Mapping):
        return None
    for name in ("choices", "candidates"):
        if isinstance(said.get(name), list):
            inner = (each.get("message") or each.get("content") for each in said[name] if isinstance(each, Mapping))
            return _assistant([one for each in inner if isinstance(each, Mapping) for one in read_one(each)])
    if isinstance(said.get("generations"), list):
        rows = (row if isinstance(row, list) else [row] for row in said["generations"])
        inner = (each.get("message") for row in rows for each in row if isinstance(each, Mapping))
        return _assistant([one for each in inner if isinstance(each, Mapping) for one in read_one(each)])
    for name in ("output", "messages"):
        if isinstance(said.get(name), list):
            return _assistant(read(said[name]))
    if isinstance(said.get("message"), Mapping):
        return _assistant(list(read_one(said["message"])))
    if said.get("content") is not None or said.get("tool_calls"):
        return _assistant(list(read_one({**said, "type": None, "role": "assistant"})))
    if isinstance(said.get("text"), str):
        return [{"role": "assistant", "content": blocks(said["text"])}]
    return None


def tool_result(value: object) -> tuple[str | None, object]:
    """A tool message of LangChain, wherever it is wrapped: the call's id and the content; else the value itself."""
    said = loads(value)
    for _ in range(4):
        if not isinstance(said, Mapping):
            break
        call_id = said.get("tool_call_id")
        if call_id and "content" in said:
            return str(call_id), said["content"]
        said = next((said[name] for name in ("output", "kwargs", "data") if isinstance(said.get(name), Mapping)), None)
    return None, value


def _messages(value: object) -> list[Message] | None:
    if isinstance(value, str):
        return [{"role": "user", "content": blocks(value)}]
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return None  # a framework's own rendering of its messages
    return read(value) or None


def _assistant(messages: list[Message] | None) -> list[Message] | None:
    return [{**each, "role": "assistant"} for each in merged(iter(messages))] if messages else None
