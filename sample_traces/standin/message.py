"""A scripted turn as the message that the API returns, whole or as server-sent events."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from standin.billing import Bill
from standin.cache import Split
from standin.prompt import Json, Piece, compact, definition_piece, tokens_of_block
from standin.rules import STANDARD, Rules
from standin.script import Compaction, Text, Thinking, ToolSearch, ToolUse, Turn, WebSearch

_ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
TEXT_CHUNK_CHARS: Final = 160
JSON_CHUNK_CHARS: Final = 120


def new_id(prefix: str, *seed: object) -> str:
    """An id in the API's form, the same for the same seed."""
    number = int.from_bytes(hashlib.sha256(repr((prefix, *seed)).encode()).digest(), "big")
    letters = []
    for _ in range(22):
        number, rest = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[rest])
    return f"{prefix}_01{''.join(letters)}"


@dataclass(frozen=True)
class Output:
    """The content blocks of a response, with the true tokens of each; `end_tokens` close it."""

    blocks: list[Json]
    tokens: list[int]
    stop_reason: str
    thinking_tokens: int | None
    server_pieces: list[Piece] = field(default_factory=list)
    """What the tools that the provider ran add to the prompt of the pass after them."""
    passes: int = 0
    """How many passes over the prompt these tools made beyond the first."""
    web_searches: int = 0
    end_tokens: int = 0

    @property
    def server_tokens(self) -> int:
        return sum(piece.tokens for piece in self.server_pieces)

    @property
    def total_tokens(self) -> int:
        return sum(self.tokens) + self.end_tokens


def write_output(turn: Turn, message_id: str, body: Json, rules: Rules = STANDARD) -> Output:
    """The content of `turn`; text beyond `max_tokens` is cut off, with that as the stop reason."""
    model, limit = str(body["model"]), int(body["max_tokens"])
    if len(turn.blocks) == 1 and isinstance(turn.blocks[0], Compaction):
        return Output([{"type": "compaction", "content": turn.blocks[0].summary}], [0], "compaction", None)
    blocks: list[Json] = []
    tokens: list[int] = []
    pieces: list[Piece] = []
    thinking: int | None = None
    passes = searches = 0
    stop_reason = turn.stop_reason or "end_turn"
    for index, block in enumerate(turn.blocks):
        match block:
            case Text(text):
                room = limit - rules.end_tokens - sum(tokens)
                written = {"type": "text", "text": text}
                while tokens_of_block(written, model, rules) > max(room, 0):
                    written = {"type": "text", "text": written["text"][: len(written["text"]) * 7 // 8]}
                    stop_reason = "max_tokens"
                if written["text"]:
                    _add(written, blocks, tokens, model, rules)
            case Thinking(text, cost):
                signature = new_id("sig", message_id, index) * 6
                _add({"type": "thinking", "thinking": text, "signature": signature}, blocks, tokens, model, rules)
                tokens[-1] = tokens[-1] if cost is None else cost
                thinking = (thinking or 0) + tokens[-1]
            case ToolUse(name, arguments):
                call_id = new_id("toolu", message_id, index)
                call = {"type": "tool_use", "id": call_id, "name": name, "input": arguments}
                _add(call, blocks, tokens, model, rules)
                stop_reason = turn.stop_reason or "tool_use"
            case WebSearch(query, pages):
                passes, searches = passes + 1, searches + 1
                call_id = new_id("srvtoolu", message_id, index)
                call = {"type": "server_tool_use", "id": call_id, "name": "web_search", "input": {"query": query}}
                found = [_page(title, url, chars, message_id) for title, url, chars in pages]
                result: Json = {"type": "web_search_tool_result", "tool_use_id": call_id, "content": found}
                pieces += _run(call, result, blocks, tokens, model, rules)
            case ToolSearch(pattern, names):
                passes += 1
                call_id = new_id("srvtoolu", message_id, index)
                name = next(t["name"] for t in body["tools"] if str(t.get("type")).startswith("tool_search"))
                call = {"type": "server_tool_use", "id": call_id, "name": name, "input": {"pattern": pattern}}
                named = [{"type": "tool_reference", "tool_name": each} for each in names]
                content = {"type": "tool_search_tool_search_result", "tool_references": named}
                result = {"type": "tool_search_tool_result", "tool_use_id": call_id, "content": content}
                pieces += _run(call, result, blocks, tokens, model, rules)
                offered = {tool["name"]: tool for tool in body["tools"]}
                pieces += [definition_piece(offered[each], model, rules, is_deferred=True) for each in names]
            case Compaction(summary):
                # Written by the iteration before, whose output it was.
                blocks.append({"type": "compaction", "content": summary})
                tokens.append(0)
        if stop_reason == "max_tokens":
            break
    return Output(blocks, tokens, stop_reason, thinking, pieces, passes, searches, rules.end_tokens)


def bill_output(prompt: Split, output: Output, service_tier: str) -> Bill:
    """The bill of a response. Each server tool makes one more pass, which reads back what the pass before it cached."""
    read, uncached = prompt.read, prompt.uncached
    for _ in range(output.passes):
        read += prompt.read + prompt.write
        uncached += prompt.uncached + output.server_tokens // output.passes
    billed = Split(read, prompt.write_1h, prompt.write_5m, uncached)
    return Bill(billed, output.total_tokens, output.thinking_tokens, output.web_searches, service_tier)


def whole(message_id: str, model: str, output: Output, bill: Bill) -> Json:
    """The response without streaming."""
    return _head(message_id, model) | {
        "content": output.blocks,
        "stop_reason": output.stop_reason,
        "usage": bill.usage(),
    }


def events(message_id: str, model: str, output: Output, bill: Bill) -> Iterator[Json]:
    """The response as a stream: the same content and the same final usage as `whole`."""
    yield {"type": "message_start", "message": _head(message_id, model) | {"usage": bill.usage_at_start()}}
    for index, block in enumerate(output.blocks):
        yield {"type": "content_block_start", "index": index, "content_block": _opened(block)}
        if index == 0:
            yield {"type": "ping"}
        for delta in _deltas(block):
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    yield {
        "type": "message_delta",
        "delta": {"stop_reason": output.stop_reason, "stop_sequence": None},
        "usage": bill.usage_at_end(),
    }
    yield {"type": "message_stop"}


def encode_event(event: Json) -> bytes:
    """One server-sent event."""
    return f"event: {event['type']}\ndata: {compact(event)}\n\n".encode()


def _head(message_id: str, model: str) -> Json:
    return {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _opened(block: Json) -> Json:
    emptied: Json = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}}.get(block["type"], {})
    return block | ({"input": {}} if "input" in block else emptied)


def _deltas(block: Json) -> Iterator[Json]:
    if block["type"] == "text":
        for part in _parts(block["text"], TEXT_CHUNK_CHARS):
            yield {"type": "text_delta", "text": part}
    elif block["type"] == "thinking":
        for part in _parts(block["thinking"], TEXT_CHUNK_CHARS):
            yield {"type": "thinking_delta", "thinking": part}
        yield {"type": "signature_delta", "signature": block["signature"]}
    elif "input" in block:
        yield {"type": "input_json_delta", "partial_json": ""}
        for part in _parts(compact(block["input"]), JSON_CHUNK_CHARS):
            yield {"type": "input_json_delta", "partial_json": part}


def _parts(text: str, size: int) -> Iterator[str]:
    return (text[start : start + size] for start in range(0, len(text), size))


def _add(block: Json, blocks: list[Json], tokens: list[int], model: str, rules: Rules) -> None:
    blocks.append(block)
    tokens.append(tokens_of_block(block, model, rules))


def _run(
    call: Json, result: Json, blocks: list[Json], tokens: list[int], model: str, rules: Rules
) -> tuple[Piece, Piece]:
    """Writes a call of a server tool with its result; what both are in the prompt of the next pass."""
    _add(call, blocks, tokens, model, rules)
    blocks.append(result)
    tokens.append(0)
    return (
        Piece("tool_use", tokens[-2], b"", call["name"], call["id"]),
        Piece("tool_result", tokens_of_block(result, model, rules), b"", call["name"], call["id"]),
    )


def _page(title: str, url: str, chars: int, message_id: str) -> Json:
    opaque = (new_id("enc", message_id, url) * (chars // 28 + 1))[:chars]
    return {
        "type": "web_search_result",
        "title": title,
        "url": url,
        "encrypted_content": opaque,
        "page_age": "November 1, 2026",
    }
