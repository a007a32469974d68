"""Sessions made by hand: a conversation whose requests send the evidence that an agent would."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from toolspend_ingest.attribution.model import Call, Evidence, RequestBill, Session

START = datetime(2026, 5, 1, 12)
# Claude Sonnet 4.5, in nano-dollars per million tokens.
PRICES = {
    "input": 3_000_000_000,
    "cache_read": 300_000_000,
    "cache_write_5m": 3_750_000_000,
    "cache_write_1h": 6_000_000_000,
    "output": 15_000_000_000,
    "fee": 10_000_000_000_000,
}
Piece = list[Any]


def bill(request_id: str, second: int = 0, **fields: Any) -> RequestBill:
    """A request with usage; `read`, `write_1h`, `write_5m` and `input` are the tokens of its prompt."""
    prompt = tuple(fields.pop(name, 0) for name in ("read", "write_1h", "write_5m", "input"))
    known: dict[str, Any] = {
        "row": second,
        "request_id": request_id,
        "trace_id": "t",
        "started_at": START + timedelta(seconds=second),
        "service": "agent",
        "agent": None,
        "model": "claude-sonnet-4-5",
        "is_usage_known": True,
        "prompt": prompt,
        "output": 0,
        "thinking": None,
        "web_searches": 0,
        "tools_offered": None,
        "stop_reason": None,
        "compressed_tool": None,
        "prices": PRICES,
    }
    return RequestBill(**{**known, **fields})


class Conversation:
    """Grows turn by turn; each request's delta copies the one before and says what is new."""

    def __init__(self, session_id: str = "s", prefix: str = "q") -> None:
        self.session = Session(session_id, [])
        self.prompt: list[Piece] = []
        self.prefix = prefix

    def ask(self, *new: Piece, answer: Sequence[Piece] = (), base: bool = True, **fields: Any) -> RequestBill:
        """One request with the pieces that it adds; `base=False` sends a keyframe."""
        index = len(self.session.evidence)
        request = bill(f"{self.prefix}{index:04}", index * 60, **fields)
        copied = len(self.prompt)
        self.prompt = [*self.prompt, *new]
        is_delta = base and copied > 0
        delta = [[0, copied], *new] if is_delta else self.prompt
        self.session.requests.append(request)
        self.session.evidence.append(
            Evidence(
                request.request_id,
                request.started_at,
                f"{self.prefix}{index - 1:04}" if is_delta else None,
                json.dumps(delta),
                json.dumps([[max(copied - 4, 0), *self.prompt[max(copied - 4, 0) : copied]]]) if is_delta else None,
                len(self.prompt),
                sum(piece[1] for piece in self.prompt),
                json.dumps(list(answer)),
            )
        )
        return request

    def call(self, tool: str, call_id: str, request_id: str, second: int | None = None, **sizes: int) -> None:
        """A row of tool_calls; `second` is its start, by default between the latest request and the next."""
        second = len(self.session.evidence) * 60 - 30 if second is None else second
        self.session.calls.append(
            Call(
                len(self.session.calls),
                call_id,
                tool,
                None,
                request_id,
                START + timedelta(seconds=second),
                f"{len(self.session.calls):04}",
                sizes.get("argument_chars"),
                sizes.get("result_chars"),
                sizes.get("raw_result_chars"),
            )
        )


def definition(tool: str, chars: int = 400, version: str = "v1") -> Piece:
    """A tool's definition."""
    return ["d", chars, tool, version]


def use(tool: str, call_id: str, chars: int = 40, flags: str | None = None) -> Piece:
    """A tool_use block."""
    return ["c", chars, tool, call_id, flags]


def result(tool: str | None, call_id: str, chars: int, flags: str | None = None) -> Piece:
    """A tool_result block."""
    return ["r", chars, tool, call_id, flags]
