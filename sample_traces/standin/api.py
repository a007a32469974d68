"""The Messages API itself, without a network: bytes in, an answer out."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from standin.billing import Bill, Iteration
from standin.cache import PrefixCache, Split
from standin.context import COMPACT, cleared, edits_of, without_compacted
from standin.message import Output, bill_output, encode_event, events, new_id, whole, write_output
from standin.prompt import Json, Piece, compact, render
from standin.rules import STANDARD, Rules
from standin.script import Compaction, Failure, Reply, Script, Turn, in_turn
from standin.threads import Threads
from standin.validation import refused_body, refused_breakpoints, refused_key

FIRST_TOKEN_S: Final = 0.45
READ_TOKENS_PER_S: Final = 45_000
WRITE_TOKENS_PER_S: Final = (("claude-haiku", 160.0), ("claude-sonnet", 85.0), ("claude-opus", 62.0))


@dataclass(frozen=True)
class Answer:
    """A response: whole in one chunk, or the events of a stream. `is_cut`: the connection breaks after the last."""

    status: int
    headers: dict[str, str]
    chunks: Sequence[bytes]
    is_cut: bool = False
    first_chunk_after_s: float = 0.0
    next_chunk_after_s: float = 0.0


class Backend(Protocol):
    """What a transport or a server serves."""

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """Answers one HTTP request; header names are in lower case."""
        ...


@dataclass(frozen=True)
class Record:
    """The truth about one attempt: what was asked, what it cost piece by piece, and how it was answered.

    Where the API holds the conversation, `body` is the whole of it, not only what was sent.
    """

    path: str
    headers: dict[str, str]
    body: Json
    status: int
    request_id: str
    pieces: list[Piece] = field(default_factory=list)
    prompt: Split | None = None
    """The prompt by rate, in one pass: the bill's is more where the provider ran tools."""
    compacted: list[Piece] = field(default_factory=list)
    """The prompt of the iteration that compacted, which the bill has as `compaction`."""
    output: Output | None = None
    bill: Bill | None = None
    response: Json | None = None

    def prompt_tokens(self, owner: str, tool: str | None = None) -> int:
        """The tokens of the prompt that belong to `owner`, and to `tool` where one is named."""
        return sum(p.tokens for p in self.pieces if p.owner == owner and tool in (None, p.tool))


class Api:
    """A stand-in for `api.anthropic.com`. `clock` gives seconds; with `is_timed`, answers take as long as real ones.

    `rules` say how many tokens everything has.
    """

    def __init__(
        self,
        script: Script | Sequence[Reply],
        *,
        clock: Callable[[], float] = time.time,
        seed: str = "standin",
        is_timed: bool = False,
        service_tier: str = "standard",
        rules: Rules = STANDARD,
    ) -> None:
        self.requests: list[Record] = []
        self._script = script if callable(script) else in_turn(script)
        self._cache = PrefixCache(clock)
        self._threads = Threads()
        self._seed = seed
        self._is_timed = is_timed
        self._service_tier = service_tier
        self._rules = rules
        self._lock = threading.Lock()

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """Answers one HTTP request and records the truth about it."""
        with self._lock:
            request_id = new_id("req", self._seed, len(self.requests))
            route = (method.upper(), path.partition("?")[0])
            request: Json = json.loads(body) if body else {}
            if route == ("POST", "/v1/messages"):
                answer, record = self._message(request_id, path, headers, request)
            elif route == ("POST", "/v1/messages/count_tokens"):
                answer, record = self._count(request_id, path, headers, request)
            else:
                failure = Failure(404, "not_found_error", "Not found")
                answer, record = _refuse(failure, request_id, path, headers, request)
            self.requests.append(record)
            return answer

    def _message(self, request_id: str, path: str, headers: dict[str, str], sent: Json) -> tuple[Answer, Record]:
        completed = self._threads.complete(sent)
        if isinstance(completed, Failure):
            return _refuse(completed, request_id, path, headers, sent)
        body = completed
        failure = refused_key(headers) or refused_body(body, counts_only=False)
        billed, applied = (body, []) if failure else cleared(without_compacted(body), self._prompt_tokens)
        pieces = [] if failure else render(billed, self._rules)
        reply = failure or refused_breakpoints(pieces) or self._script(body)
        if isinstance(reply, Failure):
            return _refuse(reply, request_id, path, headers, body)
        broken = reply.cut_after is not None or reply.error_after is not None
        if broken and not body.get("stream"):
            return _refuse(Failure(500, "api_error", "Internal server error"), request_id, path, headers, body)

        model = str(body["model"])
        message_id = new_id("msg", self._seed, len(self.requests))
        output = write_output(reply, message_id, body, self._rules)
        wait_s, write_s = self._times(model, sum(piece.tokens for piece in pieces), output.total_tokens)
        compaction, compacted = None, []
        if reply.blocks and isinstance(reply.blocks[0], Compaction):
            compaction, compacted = self._compact(model, reply.blocks[0], pieces, wait_s), pieces
            summary: Json = {"role": "assistant", "content": [output.blocks[0]]}
            pieces = [] if len(reply.blocks) == 1 else render(billed | {"messages": [summary]}, self._rules)
        prompt = self._cache.bill(model, pieces, first_token_after_s=wait_s)
        bill = bill_output(prompt, output, self._service_tier)
        bill = replace(bill, compaction=compaction, is_itemised=edits_of(body, COMPACT) is not None)
        message = whole(message_id, model, output, bill)
        if body.get("context_management"):
            message["context_management"] = {"applied_edits": applied}
        record = Record(
            path, headers, body, 200, request_id, pieces, prompt, compacted, output, bill=bill, response=message
        )
        if not broken:
            self._threads.hold(body, message)
        if not body.get("stream"):
            return _answer(200, request_id, message, after_s=wait_s + write_s), record
        return _stream(reply, list(events(message_id, model, output, bill)), request_id, wait_s, write_s), record

    def _compact(self, model: str, summary: Compaction, pieces: list[Piece], wait_s: float) -> Iteration:
        prompt = self._cache.bill(model, pieces, first_token_after_s=wait_s)
        written = self._rules.tokens_of_text(summary.summary, model) + self._rules.end_tokens
        return Iteration("compaction", prompt, written)

    def _prompt_tokens(self, body: Json) -> int:
        return sum(piece.tokens for piece in render(body, self._rules))

    def _count(self, request_id: str, path: str, headers: dict[str, str], body: Json) -> tuple[Answer, Record]:
        failure = refused_key(headers) or refused_body(body, counts_only=True)
        if failure:
            return _refuse(failure, request_id, path, headers, body)
        pieces = render(body, self._rules)
        count = {"input_tokens": sum(piece.tokens for piece in pieces)}
        return _answer(200, request_id, count), Record(path, headers, body, 200, request_id, pieces, response=count)

    def _times(self, model: str, prompt_tokens: int, output_tokens: int) -> tuple[float, float]:
        """Seconds until the first token and from there to the last; zero unless the stand-in is timed."""
        if not self._is_timed:
            return 0.0, 0.0
        speed = next((speed for prefix, speed in WRITE_TOKENS_PER_S if model.startswith(prefix)), 90.0)
        # Answers of one size differ by a third, as they do in life, but the same from run to run.
        spread = 0.85 + 0.3 * ((prompt_tokens * 31 + output_tokens * 17 + len(self.requests) * 7) % 101) / 100
        return (FIRST_TOKEN_S + prompt_tokens / READ_TOKENS_PER_S) * spread, output_tokens / speed * spread


def _stream(turn: Turn, sequence: list[Json], request_id: str, wait_s: float, write_s: float) -> Answer:
    is_cut = turn.cut_after is not None
    if turn.cut_after is not None:
        sequence = sequence[: turn.cut_after]
    elif turn.error_after is not None:
        error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
        sequence = [*sequence[: turn.error_after], error]
    chunks = [encode_event(event) for event in sequence]
    headers = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
    return Answer(200, headers | {"request-id": request_id}, chunks, is_cut, wait_s, write_s / max(len(chunks) - 1, 1))


def _answer(
    status: int, request_id: str, body: Json, extra: dict[str, str] | None = None, after_s: float = 0.0
) -> Answer:
    headers = {"content-type": "application/json", "request-id": request_id, **(extra or {})}
    return Answer(status, headers, [compact(body).encode()], first_chunk_after_s=after_s)


def _refuse(failure: Failure, request_id: str, path: str, headers: dict[str, str], body: Json) -> tuple[Answer, Record]:
    error: Json = {"type": failure.type, "message": failure.message}
    if failure.code is not None:
        error["details"] = {"error_code": failure.code}
    error = {"type": "error", "error": error, "request_id": request_id}
    extra = {"x-should-retry": "true" if failure.status in (408, 409, 429) or failure.status >= 500 else "false"}
    if failure.retry_after_s is not None:
        extra["retry-after"] = f"{failure.retry_after_s:g}"
    answer = _answer(failure.status, request_id, error, extra)
    return answer, Record(path, headers, body, failure.status, request_id, response=error)
