"""A response as segments, from a parsed message, its plain body, or the events of its stream."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from .. import attributes as at
from .chains import Chains, conversations
from .line import Tip
from .segments import look, say

_FIELDS: Final = {
    "text": ("type", "text"),
    "thinking": ("type", "thinking", "signature"),
    "tool_use": ("type", "id", "name", "input"),
}
_AS_THEY_ARE: Final = ("text", "tool_use")
"""Of these kinds, describing looks at no fields that a model has and a request's block has not."""


def plain(value: Any) -> Any:
    """`value` in plain containers, where it holds pydantic models (of either major version).

    By hand: `model_dump` warns on standard error about blocks that are newer than the SDK.
    """
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    names = getattr(value, "model_fields_set", None) or getattr(value, "__fields_set__", None)
    if names is None:
        return value
    extra = getattr(value, "__pydantic_extra__", None) or {}
    return {name: plain(getattr(value, name, None)) for name in sorted({*names, *extra})}


def plain_block(block: Any) -> Any:
    """A content block in plain containers. The three kinds that nearly every block is are read field by field."""
    if type(block) is dict:
        return block
    fields = getattr(block, "__dict__", {})
    names = _FIELDS.get(fields.get("type", ""))
    if names is None or getattr(block, "__pydantic_extra__", None):
        return plain(block)
    return {name: fields.get(name) for name in names}


def describe_output(
    content: Sequence[Any], tip: Tip | None, message_id: str | None = None, known: Chains = conversations
) -> str:
    """A response's `content` blocks as segments (`OUTPUT_SEGMENTS`); tells the conversation at `tip` of them."""
    blocks: list[dict[str, Any]] = []
    for block in content:
        if type(block) is not dict:
            fields = getattr(block, "__dict__", None)
            if fields is None or fields.get("type") not in _AS_THEY_ARE or getattr(block, "__pydantic_extra__", None):
                fields = plain_block(block)
            if type(fields) is not dict:
                continue
            block = fields
        blocks.append(block)
    calls: dict[str, str] = {}
    answer: Any = blocks
    if len(blocks) == 1 and blocks[0].get("type") == "text" and type(text := blocks[0].get("text")) is str:
        answer = text  # which is the same, and there is less to look at
    print_, pieces, _ = look("assistant", answer)
    said = say("assistant", answer, pieces, calls)
    if tip is not None:
        known.answered(tip, print_, said, calls, message_id)
    return f"[{','.join(said[0])}]"


def describe_usage(usage: Any) -> dict[str, Any]:
    """What `usage` of a response, a model or plain, says that the conventions have no attribute for."""
    attributes: dict[str, Any] = {}
    fields = fields_of(usage)
    if (server := fields.get("server_tool_use")) is not None:
        for key, name in (
            ("web_search_requests", at.USAGE_WEB_SEARCHES),
            ("web_fetch_requests", at.USAGE_WEB_FETCHES),
        ):
            if isinstance(requests := field(server, key), int):
                attributes[name] = requests
    if isinstance(speed := fields.get("speed"), str):
        attributes[at.USAGE_SPEED] = speed
    if isinstance(geo := fields.get("inference_geo"), str) and geo not in at.ORDINARY_GEOS:
        attributes[at.USAGE_INFERENCE_GEO] = geo
    iterations = fields.get("iterations")
    if isinstance(iterations, list) and iterations:
        attributes[at.USAGE_ITERATIONS] = json.dumps([plain(each) for each in iterations], default=str)
    return attributes


def describe_edits(managed: Any) -> dict[str, Any]:
    """What the provider took out of the prompt, from `context_management` of a response."""
    edits = field(managed, "applied_edits") if managed is not None else None
    return {at.CONTEXT_EDITS: json.dumps([plain(each) for each in edits], default=str)} if edits else {}


def fields_of(value: Any) -> Mapping[str, Any]:
    """The keys of a dict or the fields of a model."""
    if type(value) is dict:
        return value
    fields: dict[str, Any] = getattr(value, "__dict__", None) or {}
    extra = getattr(value, "__pydantic_extra__", None)
    return {**extra, **{name: each for name, each in fields.items() if each is not None}} if extra else fields


def field(value: Any, name: str) -> Any:
    """A key of a dict or a field of a model, or None. `getattr` of a field that a model lacks takes a microsecond."""
    if type(value) is dict:
        return value.get(name)
    fields = getattr(value, "__dict__", None)
    if fields is None:
        return None
    found = fields.get(name)
    return found if found is not None else (getattr(value, "__pydantic_extra__", None) or {}).get(name)


class StreamedOutput:
    """Gathers a response from the events of its stream, in the order that the application reads them.

    `usage` is the last word of each figure: `message_start` has placeholders and `message_delta` is cumulative.
    """

    def __init__(self) -> None:
        self.message: dict[str, Any] = {}
        self.usage: dict[str, Any] = {}
        self.is_final = False
        """Whether a `message_delta` was read: before it, the output's usage and stop reason are not known."""
        self.stop_reason: str | None = None
        self._blocks: dict[int, dict[str, Any]] = {}
        self._parts: dict[int, list[str]] = {}

    def item(self, event: Any) -> None:
        """Takes one event, a model or a plain dict. Unknown events are passed over."""
        kind = field(event, "type")
        if kind == "content_block_delta":
            delta = field(event, "delta")
            name = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}.get(
                str(field(delta, "type"))
            )
            part = field(delta, name) if name else None
            if isinstance(part, str):
                self._parts.setdefault(field(event, "index"), []).append(part)
        elif kind == "content_block_start":
            block = plain(field(event, "content_block"))
            if isinstance(block, dict):
                self._blocks[field(event, "index")] = dict(block)
        elif kind == "message_start":
            message = plain(field(event, "message"))
            if isinstance(message, dict):
                self.message = message
                self.usage = {k: v for k, v in (plain(message.get("usage")) or {}).items() if v is not None}
        elif kind == "message_delta":
            self.is_final = True
            self.stop_reason = field(field(event, "delta"), "stop_reason")
            if (managed := plain(field(event, "context_management"))) is not None:
                self.message["context_management"] = managed
            self.usage.update({k: v for k, v in (plain(field(event, "usage")) or {}).items() if v is not None})

    def as_message(self) -> dict[str, Any]:
        """The response so far, in the form of a whole one. Before its end, what only the end says is left out."""
        usage = dict(self.usage)
        if not self.is_final:
            for name in ("output_tokens", "output_tokens_details"):
                usage.pop(name, None)
        return {**self.message, "content": self.content(), "usage": usage, "stop_reason": self.stop_reason}

    def content(self) -> list[dict[str, Any]]:
        """The content blocks as far as they were read."""
        blocks = []
        for index, block in sorted(self._blocks.items()):
            text = "".join(self._parts.get(index, ()))
            if text and block.get("type") in ("tool_use", "server_tool_use", "mcp_tool_use"):
                try:
                    block["input"] = json.loads(text)
                except ValueError:
                    block["input"] = {"": text}  # cut off in the middle: its length is what we know
            elif text:
                name = "thinking" if block.get("type") == "thinking" else "text"
                block[name] = (block.get(name) or "") + text
            blocks.append(block)
        self._parts.clear()
        return blocks
