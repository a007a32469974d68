"""A request as the pieces that are billed, in the order in which the provider renders them: tools, system, messages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from standin.rules import STANDARD, Rules
from standin.tokens import tokens_of_document, tokens_of_image

Json = dict[str, Any]
# `json.dumps` makes a new encoder for each call with options of its own, which took a third of a story's time.
_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
Ttl = Literal["5m", "1h"]
Owner = Literal[
    "overhead",
    "tool_definition",
    "system",
    "user",
    "assistant",
    "thinking",
    "tool_use",
    "tool_result",
    "compaction",
]

KEEPS_THINKING: Final = ("claude-opus-4-5", "claude-opus-4-6", "claude-opus-4-7", "claude-opus-4-8", "claude-opus-5")
"""Models that keep the thinking of earlier turns in the context; the others drop it when the user speaks again."""


@dataclass(frozen=True)
class Piece:
    """A part of the prompt with one owner. `is_block` is false for framing, which no breakpoint can lie on."""

    owner: Owner
    tokens: int
    digest: bytes
    tool: str | None = None
    call_id: str | None = None
    ttl: Ttl | None = None
    is_block: bool = True


def render(body: Json, rules: Rules = STANDARD) -> list[Piece]:
    """The pieces of a request's body; automatic caching puts a breakpoint on the last block."""
    model = str(body["model"])
    pieces = [*_tools(body, model, rules), *_system(body, model, rules), *_messages(body, model, rules)]
    automatic = body.get("cache_control")
    if automatic:
        for index in range(len(pieces) - 1, -1, -1):
            piece = pieces[index]
            if piece.is_block and piece.owner != "thinking":
                if piece.ttl is None:
                    pieces[index] = Piece(
                        piece.owner, piece.tokens, piece.digest, piece.tool, piece.call_id, _ttl(automatic)
                    )
                break
    return pieces


def tokens_of_block(block: Json, model: str, rules: Rules = STANDARD) -> int:
    """The tokens of one content block, of a prompt or of an output."""
    count = rules.tokens_of_text
    kind = block.get("type")
    if kind == "text":
        return count(block["text"], model)
    if kind == "thinking":
        return count(block["thinking"], model) + 2
    if kind == "compaction":
        return count(block["content"], model)
    if kind in ("tool_use", "server_tool_use"):
        return rules.tool_use_tokens + count(block["name"], model) + count(compact(block["input"]), model)
    if kind == "tool_result":
        content = block.get("content", "")
        if isinstance(content, str):
            return rules.tool_result_tokens + count(content, model)
        return rules.tool_result_tokens + sum(tokens_of_block(part, model, rules) for part in content)
    if kind == "web_search_tool_result":
        return rules.tool_result_tokens + sum(
            count(f"{page['title']} {page['url']}", model) + len(page["encrypted_content"]) // 6
            for page in block["content"]
        )
    if kind == "tool_search_tool_result":
        return rules.tool_result_tokens + count(" ".join(references(block)), model)
    source = block.get("source") or {}
    if kind == "image":
        return tokens_of_image(str(source.get("media_type")), str(source.get("data", "")))
    if kind == "document":
        data = str(source.get("data", ""))
        return count(data, model) if source.get("type") == "text" else tokens_of_document(data)
    return count(compact(block), model)


def definition_piece(tool: Json, model: str, rules: Rules, *, is_deferred: bool = False) -> Piece:
    """A definition: at the head of the prompt, or within the messages where a tool search brought it."""
    definition = {key: value for key, value in tool.items() if key != "cache_control"}
    tokens = rules.definition_tokens + rules.tokens_of_text(compact(definition), model)
    tokens += rules.server_tool_tokens.get(str(tool.get("type")), 0)
    ttl = None if is_deferred else _ttl(tool.get("cache_control"))
    return Piece("tool_definition", tokens, _digest(definition), tool["name"], None, ttl, not is_deferred)


def references(block: Json) -> list[str]:
    """The names of the tools that a `tool_search_tool_result` refers to."""
    found: list[Json] = (block.get("content") or {}).get("tool_references") or []
    return [reference["tool_name"] for reference in found]


def compact(value: object) -> str:
    """`value` as JSON without spaces, in the order given."""
    return _encode(value)


def _tools(body: Json, model: str, rules: Rules) -> Iterator[Piece]:
    yield Piece("overhead", rules.request_tokens, b"request", is_block=False)
    tools: list[Json] = body.get("tools") or []
    if not tools:
        return
    choice = str((body.get("tool_choice") or {}).get("type", "auto"))
    yield Piece("overhead", rules.tool_prompt_tokens(model, choice), b"tool prompt", is_block=False)
    for tool in tools:
        if not tool.get("defer_loading"):
            yield definition_piece(tool, model, rules)


def _system(body: Json, model: str, rules: Rules) -> Iterator[Piece]:
    system = body.get("system") or []
    for block in [{"type": "text", "text": system}] if isinstance(system, str) else system:
        yield _piece("system", block, model, rules)


def _messages(body: Json, model: str, rules: Rules) -> Iterator[Piece]:
    # A change of these leaves the tools and the system prompt cached and invalidates the messages.
    settings = {key: body[key] for key in ("tool_choice", "thinking") if key in body}
    yield Piece("overhead", 0, _digest(settings), is_block=False)
    messages: list[Json] = body["messages"]
    names = _tool_names(messages)
    deferred = {tool["name"]: tool for tool in body.get("tools") or [] if tool.get("defer_loading")}
    spoken = max((i for i, message in enumerate(messages) if _is_spoken(message)), default=0)
    for index, message in enumerate(messages):
        yield Piece("overhead", rules.message_tokens, str(message["role"]).encode(), is_block=False)
        content = message["content"]
        for block in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            owner = _owner(block, message["role"])
            if owner == "thinking" and index < spoken and not model.startswith(KEEPS_THINKING):
                continue
            for name in references(block) if block.get("type") == "tool_search_tool_result" else ():
                yield definition_piece(deferred[name], model, rules, is_deferred=True)
            yield _piece(owner, block, model, rules, names)


def _piece(owner: Owner, block: Json, model: str, rules: Rules, tools: dict[str, str] | None = None) -> Piece:
    call_id = block.get("id") or block.get("tool_use_id")
    content = {key: value for key, value in block.items() if key != "cache_control"}
    return Piece(
        owner=owner,
        tokens=tokens_of_block(block, model, rules),
        digest=_digest(content),
        tool=(tools or {}).get(call_id or "") if owner in ("tool_use", "tool_result") else None,
        call_id=call_id,
        ttl=_ttl(block.get("cache_control")),
    )


def _owner(block: Json, role: str) -> Owner:
    kind = str(block.get("type"))
    if kind in ("thinking", "redacted_thinking"):
        return "thinking"
    if kind == "compaction":
        return "compaction"
    if kind.endswith("tool_result"):
        return "tool_result"
    if kind.endswith("tool_use"):
        return "tool_use"
    return "assistant" if role == "assistant" else "user"


def _tool_names(messages: list[Json]) -> dict[str, str]:
    return {
        block["id"]: block["name"]
        for message in messages
        if not isinstance(message["content"], str)
        for block in message["content"]
        if str(block.get("type")).endswith("tool_use")
    }


def _is_spoken(message: Json) -> bool:
    """Whether the user says something in this message, beyond the results of tools."""
    if message["role"] != "user":
        return False
    content = message["content"]
    return isinstance(content, str) or any(block.get("type") != "tool_result" for block in content)


def _ttl(cache_control: Json | None) -> Ttl | None:
    if not cache_control:
        return None
    return "1h" if cache_control.get("ttl") == "1h" else "5m"


def _digest(value: object) -> bytes:
    return hashlib.sha256(compact(value).encode()).digest()
