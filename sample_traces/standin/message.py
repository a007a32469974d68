"""A scripted turn as the message that the API returns, whole or as server-sent events."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from standin.billing import Bill
from standin.cache import Split
from standin.prompt import Json, compact, tokens_of_block
from standin.script import Text, Thinking, ToolUse, Turn, WebSearch

_ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
END_TOKENS: Final = 3
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
    """The content blocks of a response, with the true tokens of each."""

    blocks: list[Json]
    tokens: list[int]
    stop_reason: str
    thinking_tokens: int | None
    server_tokens: int
    """What the results of server tools add to the prompt of the pass after them."""
    web_searches: int

    @property
    def total_tokens(self) -> int:
        return sum(self.tokens) + END_TOKENS


def write_output(turn: Turn, message_id: str, body: Json) -> Output:
    """The content of `turn`; text beyond `max_tokens` is cut off, with that as the stop reason."""
    model, limit = str(body["model"]), int(body["max_tokens"])
    blocks: list[Json] = []
    tokens: list[int] = []
    thinking: int | None = None
    server_tokens = searches = 0
    stop_reason = turn.stop_reason or "end_turn"
    for index, block in enumerate(turn.blocks):
        match block:
            case Text(text):
                room = limit - END_TOKENS - sum(tokens)
                written = {"type": "text", "text": text}
                while tokens_of_block(written, model) > max(room, 0):
                    written = {"type": "text", "text": written["text"][: len(written["text"]) * 7 // 8]}
                    stop_reason = "max_tokens"
                if written["text"]:
                    _add(written, blocks, tokens, model)
            case Thinking(text, cost):
                signature = new_id("sig", message_id, index) * 6
                _add({"type": "thinking", "thinking": text, "signature": signature}, blocks, tokens, model)
                tokens[-1] = tokens[-1] if cost is None else cost
                thinking = (thinking or 0) + tokens[-1]
            case ToolUse(name, arguments):
                call_id = new_id("toolu", message_id, index)
                _add({"type": "tool_use", "id": call_id, "name": name, "input": arguments}, blocks, tokens, model)
                stop_reason = turn.stop_reason or "tool_use"
            case WebSearch(query, pages):
                searches += 1
                call_id = new_id("srvtoolu", message_id, index)
                call = {"type": "server_tool_use", "id": call_id, "name": "web_search", "input": {"query": query}}
                _add(call, blocks, tokens, model)
                found = [_page(title, url, chars, message_id) for title, url, chars in pages]
                result = {"type": "web_search_tool_result", "tool_use_id": call_id, "content": found}
                server_tokens += tokens[-1] + tokens_of_block(result, model)
                blocks.append(result)
                tokens.append(0)
        if stop_reason == "max_tokens":
            break
    return Output(blocks, tokens, stop_reason, thinking, server_tokens, searches)


def bill_output(prompt: Split, output: Output, service_tier: str) -> Bill:
    """The bill of a response. Each server tool makes one more pass, which reads back what the pass before it cached."""
    read, uncached = prompt.read, prompt.uncached
    grown = output.server_tokens
    for _ in range(output.web_searches):
        read += prompt.read + prompt.write
        uncached += prompt.uncached + grown // output.web_searches
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


def _add(block: Json, blocks: list[Json], tokens: list[int], model: str) -> None:
    blocks.append(block)
    tokens.append(tokens_of_block(block, model))


def _page(title: str, url: str, chars: int, message_id: str) -> Json:
    opaque = (new_id("enc", message_id, url) * (chars // 28 + 1))[:chars]
    return {
        "type": "web_search_result",
        "title": title,
        "url": url,
        "encrypted_content": opaque,
        "page_age": "November 1, 2026",
    }
