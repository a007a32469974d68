"""Traffic of many agents, deterministic and quick to make: sessions of about 1 KB a span, by number.

A session is a trace: an agent's turns, each a model request with its evidence, a batch of tool calls, and what an
ordinary application does within them (HTTP, SQL, a cache). Some hundred sessions are built once, as messages; every
other one is the same bytes with its own ids and times put in, some 50 us a session, so that a client can send more than
a server can take.
"""

from __future__ import annotations

import json
import random
import struct
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from toolspend import attributes as at

BATCH_SPANS = 512
"""Spans to a request, as the SDK's batches have."""
ACTIVE = 24
"""Sessions that one client has under way at the same time: their spans come mixed."""
KINDS = 300
START_NS = 1_790_000_000 * 10**9
_SECOND = 10**9

# What is replaced in a built session: its number as text, in a trace id, in a span id and in a span id's hex digits.
_TEXT = b"9090909090909090"
_TRACE = bytes.fromhex("f5e1d3c7b9ab9d8f")
_SPAN = bytes.fromhex("e7d9cbbdaf")
_HEX = _SPAN.hex().encode()

_SCOPES = ("toolspend", "com.anthropic.sdk.python", "opentelemetry.instrumentation.web")
_TOOLS = ("search_documents", "read_file", "query_warehouse", "run_tests", "fetch_page", "send_report")
_WORDS = ("the", "cache", "holds", "each", "invoice", "until", "its", "region", "settles", "then", "folds", "them")


@dataclass(frozen=True, slots=True)
class _Kind:
    """A built session: its spans in the order they end, as fields of a ScopeSpans, one after the other."""

    data: bytes
    ends: tuple[int, ...]
    scopes: tuple[int, ...]
    times: tuple[tuple[int, int], ...]
    """Where each time is in `data`, and what it is, from the session's start."""
    requests: int
    input_tokens: int


@dataclass(frozen=True, slots=True)
class Session:
    """One session's spans: the scope of each, and its bytes."""

    number: int
    spans: tuple[tuple[int, bytes], ...]
    requests: int
    input_tokens: int

    @property
    def session_id(self) -> str:
        """As `session_id` in the store."""
        return f"session-{self.number:016}"

    @property
    def trace_id(self) -> str:
        """As `trace_id` in the store."""
        return f"{1:016x}{self.number:016x}"


def session(number: int) -> Session:
    """The session of that number, the same each time."""
    kind = _kind(number % KINDS)
    data = bytearray(
        kind.data.replace(_TEXT, b"%016d" % number)
        .replace(_TRACE, number.to_bytes(8, "big"))
        .replace(_SPAN, number.to_bytes(5, "big"))
        .replace(_HEX, number.to_bytes(5, "big").hex().encode())
    )
    start = START_NS + number * _SECOND
    for place, offset in kind.times:
        struct.pack_into("<Q", data, place, start + offset)
    whole, begin, spans = bytes(data), 0, []
    for end, scope in zip(kind.ends, kind.scopes, strict=True):
        spans.append((scope, whole[begin:end]))
        begin = end
    return Session(number, tuple(spans), kind.requests, kind.input_tokens)


def request(spans: Sequence[tuple[int, bytes]]) -> bytes:
    """An ExportTraceServiceRequest of these spans, serialized."""
    groups = [b"".join(data for scope, data in spans if scope == index) for index in range(len(_SCOPES))]
    scopes = b"".join(_field(2, _scope(index) + group) for index, group in enumerate(groups) if group)
    return _field(1, _resource() + scopes)


def whole(number: int) -> bytes:
    """A request with one whole session."""
    return request(session(number).spans)


def batches(client: int, clients: int, spans: int) -> Iterator[tuple[bytes, int]]:
    """Requests of one of several clients with so many spans together, and how many each has; sessions come mixed."""
    numbers = iter(range(client + 1, 1 << 39, clients))
    active: deque[deque[tuple[int, bytes]]] = deque()
    pending: list[tuple[int, bytes]] = []
    sent = 0
    chance = random.Random(client)
    while sent < spans:
        while len(active) < ACTIVE:
            active.append(deque(session(next(numbers)).spans))
        turn = active.popleft()
        for _ in range(min(len(turn), chance.randint(4, 10))):
            pending.append(turn.popleft())
        if turn:
            active.append(turn)
        if len(pending) >= BATCH_SPANS:
            part, pending = pending[:BATCH_SPANS], pending[BATCH_SPANS:]
            sent += len(part)
            yield request(part), len(part)


@cache
def _kind(index: int) -> _Kind:
    return _build(random.Random(f"kind {index}"))


@cache
def _resource() -> bytes:
    resource = Resource()
    _set(resource, {"service.name": "support-agent", "service.version": "2.14.0", "host.name": "worker-7"})
    return _field(1, resource.SerializeToString())


@cache
def _scope(index: int) -> bytes:
    return _field(1, InstrumentationScope(name=_SCOPES[index], version="1.0.0").SerializeToString())


def _field(number: int, data: bytes) -> bytes:
    size, length = len(data), bytearray()
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([number << 3 | 2]) + bytes(length) + bytes([size]) + data


class _Builder:
    """Spans of one session; times are offsets from its start, ids count up."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.spans: list[tuple[int, Span, int, int]] = []
        self.count = 0

    def span(self, scope: int, name: str, parent: bytes, start: int, length: int, said: dict[str, Any]) -> bytes:
        self.count += 1
        own = self.count.to_bytes(3, "big") + _SPAN
        span = Span(
            trace_id=(1).to_bytes(8, "big") + _TRACE, span_id=own, parent_span_id=parent, name=name, flags=256,
            kind=Span.SPAN_KIND_CLIENT if scope else Span.SPAN_KIND_INTERNAL,
        )  # fmt: skip
        _set(span, {at.SESSION_ID: f"session-{_TEXT.decode()}", at.USER_ID: "u-1741", **said})
        self.spans.append((scope, span, start, start + length))
        return own

    def app(self, parent: bytes, start: int) -> int:
        """What an application does while a tool runs; how long it takes."""
        length = self.chance.randint(2, 60) * 10**6
        said = {
            "http.request.method": "GET", "url.full": f"https://records.example/v2/accounts/{self.text(3)}",
            "server.address": "records.example", "server.port": 443, "http.response.status_code": 200,
            "network.protocol.version": "1.1", "user_agent.original": "records-client/5.2 (linux; x86_64)",
            "db.system.name": "postgresql", "db.query.summary": "select invoices", "thread.id": 140_117_884_120_832,
            "db.query.text": f"select id, region, total from invoices where note like '{self.text(40)}' limit 50",
            "code.function.name": "records.client.Client.fetch", "code.line.number": 214,
        }  # fmt: skip
        self.span(2, "GET /v2/accounts/{id}", parent, start, length, said)
        return length

    def text(self, words: int) -> str:
        return " ".join(self.chance.choice(_WORDS) for _ in range(words))


def _build(chance: random.Random) -> _Kind:
    made = _Builder(chance)
    tools = chance.sample(_TOOLS, 4)
    prompt: list[list[Any]] = [["d", 400 + 90 * index, tool, f"{index:012x}"] for index, tool in enumerate(tools)]
    prompt += [["s", 2400], ["u", chance.randint(80, 900)]]
    root, clock, tokens, base, requests = b"", 0, 0, None, chance.randint(4, 9)
    copied = billed = 0
    for turn in range(requests):
        calls = [] if turn == requests - 1 else [
            (chance.choice(tools), f"toolu_{_TEXT.decode()}_{turn:02}{index}") for index in range(chance.randint(1, 3))
        ]  # fmt: skip
        output = [["a", chance.randint(40, 400)], *(["c", chance.randint(30, 200), tool, id_] for tool, id_ in calls)]
        read, chars = tokens, sum(piece[1] for piece in prompt)
        tokens = chars // 4
        billed += tokens
        length = chance.randint(900, 6000) * 10**6
        delta = [[0, copied], *prompt[copied:]] if base else prompt
        said = {
            at.OPERATION: "chat", at.PROVIDER: "anthropic", at.REQUEST_MODEL: "claude-sonnet-4-5",
            at.RESPONSE_MODEL: "claude-sonnet-4-5-20250929", at.RESPONSE_ID: f"msg_{_TEXT.decode()}_{turn:02}",
            at.CONVERSATION_ID: f"session-{_TEXT.decode()}", at.REQUEST_MAX_TOKENS: 4096,
            at.INPUT_TOKENS: tokens, at.CACHE_READ_TOKENS: read, at.CACHE_WRITE_TOKENS: tokens - read - 3,
            at.OUTPUT_TOKENS: sum(piece[1] for piece in output) // 4, "server.address": "api.anthropic.com",
            at.ANTHROPIC_STOP_REASON: "tool_use" if calls else "end_turn",
            at.CONTEXT_DELTA: json.dumps(delta), at.CONTEXT_SEGMENTS: len(prompt), at.CONTEXT_CHARS: chars,
            at.OUTPUT_SEGMENTS: json.dumps(output),
        }  # fmt: skip
        if base:
            said[at.CONTEXT_BASE] = base.hex()
            first = max(copied - 3, 0)
            said[at.CONTEXT_RESTATED] = json.dumps([[first, *prompt[first:copied]]])
        base = made.span(1, "chat claude-sonnet-4-5", root, clock, length, said)
        copied = len(prompt)
        clock += length
        prompt += output
        if calls:
            clock, results = _tools(made, root, clock, calls)
            prompt += results
    made.span(0, "invoke_agent support", root, 0, clock, {at.OPERATION: "invoke_agent", at.AGENT_NAME: "support"})
    return _packed(made, requests, billed)


def _tools(made: _Builder, root: bytes, clock: int, calls: list[tuple[str, str]]) -> tuple[int, list[list[Any]]]:
    batch_said = {at.OPERATION: at.OPERATION_BATCH, at.BATCH_CALLS: len(calls), at.BATCH_FAILED: 0}
    results, longest = [], 0
    batch = made.span(0, "execute_tools", root, clock, 0, batch_said)
    for tool, id_ in calls:
        length = sum(made.app(batch, clock) for _ in range(made.chance.randint(1, 3)))
        chars = made.chance.randint(200, 6000)
        said = {
            at.OPERATION: "execute_tool", at.TOOL_NAME: tool, at.TOOL_TYPE: "function", at.TOOL_CALL_ID: id_,
            at.TOOL_VERSION: "aaaaaaaaaaaa", at.BATCH_ID: batch.hex(), at.TOOL_ATTEMPT: 1, at.TOOL_ARGUMENT_CHARS: 64,
            at.TOOL_RAW_RESULT_CHARS: chars + 500, at.TOOL_RESULT_CHARS: chars, "worker.note": made.text(70),
        }  # fmt: skip
        made.span(0, f"execute_tool {tool}", batch, clock, length, said)
        results.append(["r", chars, tool, id_])
        longest = max(longest, length)
    return clock + longest, results


def _packed(made: _Builder, requests: int, input_tokens: int) -> _Kind:
    data, ends, scopes, times = bytearray(), [], [], []
    for scope, span, start, end in sorted(made.spans, key=lambda each: each[3]):
        # Times that occur nowhere else, so that they can be found.
        marks = [(0xA7B6C5D4E3000000 + len(times) + index, offset) for index, offset in enumerate((start, end))]
        span.start_time_unix_nano, span.end_time_unix_nano = marks[0][0], marks[1][0]
        begin = len(data)
        data += _field(2, span.SerializeToString())
        times += [(data.index(struct.pack("<Q", mark), begin), offset) for mark, offset in marks]
        ends.append(len(data))
        scopes.append(scope)
    return _Kind(bytes(data), tuple(ends), tuple(scopes), tuple(times), requests, input_tokens)


def _set(message: Any, said: dict[str, Any]) -> None:
    for key, value in said.items():
        any_value = AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=value)
        message.attributes.append(KeyValue(key=key, value=any_value))
