"""Sessions made by hand: a conversation whose requests send the evidence that an agent would."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

START: Final = datetime(2026, 5, 1, 12)
PRICES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "input": 3_000_000_000,
        "cache_read": 300_000_000,
        "cache_write_5m": 3_750_000_000,
        "cache_write_1h": 6_000_000_000,
        "output": 15_000_000_000,
        "fee": 10_000_000_000_000,
    }
)
"""Claude Sonnet 4.5, in nano-dollars per million tokens."""
Piece = list[Any]


@dataclass(frozen=True)
class Request:
    """A model request as billed: `read`, `write_1h`, `write_5m` and `input` are the tokens of its prompt."""

    request_id: str
    started_at: datetime
    service: str | None = "agent"
    agent: str | None = None
    model: str | None = "claude-sonnet-4-5"
    is_usage_known: bool = True
    unsaid: frozenset[str] = frozenset()
    """Columns of the usage that its span said nothing of, where it said some."""
    read: int = 0
    write_1h: int = 0
    write_5m: int = 0
    input: int = 0
    output: int | None = 0
    thinking: int | None = None
    web_searches: int | None = 0
    tools_offered: int | None = None
    stop_reason: str | None = None
    compressed_tool: str | None = None
    prices: Mapping[str, int] | None = field(default_factory=lambda: PRICES)
    """By rate; None where the model has no name in the price list."""
    compaction: tuple[int, int, int, int, int] | None = None
    """Hidden tokens within the above: read, written for an hour, for five minutes, uncached, output."""

    @property
    def prompt_tokens(self) -> int:
        """The whole billed prompt."""
        return self.read + self.write_1h + self.write_5m + self.input

    @property
    def by_rate(self) -> dict[str, int]:
        """What it is billed for, as far as it is known, by rate."""
        said = {
            "cache_read": "cache_read_tokens", "cache_write_1h": "cache_write_1h_tokens",
            "cache_write_5m": "cache_write_5m_tokens", "input": "uncached_tokens", "output": "output_tokens",
        }  # fmt: skip
        found = {rate: self.usage[name] or 0 for rate, name in said.items()}
        return {**found, "fee": (self.web_searches or 0) if self.has_usage else 0}

    @property
    def usage(self) -> dict[str, int | None]:
        """The columns of its usage."""
        whole = {
            "input_tokens": self.prompt_tokens, "uncached_tokens": self.input, "cache_read_tokens": self.read,
            "cache_write_5m_tokens": self.write_5m, "cache_write_1h_tokens": self.write_1h,
            "output_tokens": self.output,
        }  # fmt: skip
        return {
            name: None if not self.is_usage_known or name in self.unsaid else count for name, count in whole.items()
        }

    @property
    def has_usage(self) -> bool:
        """Whether anything is known at a rate."""
        said = any(count is not None for name, count in self.usage.items() if name != "input_tokens")
        return said or (self.is_usage_known and not self.unsaid)


@dataclass(frozen=True)
class Evidence:
    """What the agent said of one request's prompt and output; the lists as JSON text."""

    request_id: str
    started_at: datetime
    base: str | None
    delta: str | None
    restated: str | None
    segments: int | None
    chars: int | None
    output: str | None
    applied_edits: str | None = None


@dataclass(frozen=True)
class Call:
    """A run of a tool."""

    span_id: str
    tool_call_id: str | None
    tool: str
    request_id: str | None
    started_at: datetime
    argument_chars: int | None = None
    result_chars: int | None = None
    raw_result_chars: int | None = None


@dataclass(frozen=True)
class Compression:
    """A compression of a result, with the model requests made two spans below it."""

    span_id: str
    tool: str | None
    tool_call_id: str | None
    chars_before: int | None
    chars_after: int | None
    requests: tuple[str, ...] = ()


@dataclass(frozen=True)
class Selection:
    """A choice of tools out of a registry."""

    span_id: str
    offered_chars: int | None
    avoided_chars: int | None


@dataclass
class Session:
    """Everything that is known of one session."""

    session_id: str = "s"
    requests: list[Request] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    compressions: list[Compression] = field(default_factory=list)
    selections: list[Selection] = field(default_factory=list)


def bill(request_id: str, second: int = 0, **fields: Any) -> Request:
    """A request that starts so many seconds after `START`; the fields are those of `Request`."""
    return Request(request_id, START + timedelta(seconds=second), **fields)


class Conversation:
    """Grows turn by turn; each request's delta copies the one before and says what is new."""

    def __init__(self, session_id: str = "s", prefix: str = "q") -> None:
        self.session = Session(session_id)
        self.prompt: list[Piece] = []
        self.prefix = prefix

    def ask(
        self, *new: Piece, answer: Sequence[Piece] | None = None, base: bool = True,
        edits: Sequence[Mapping[str, Any]] = (), **fields: Any,
    ) -> Request:  # fmt: skip
        """One request with the pieces that it adds; `base=False` sends a keyframe, None for an answer says nothing."""
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
                json.dumps(list(answer)) if answer is not None else None,
                json.dumps(list(edits)) if edits else None,
            )
        )
        return request

    def call(self, tool: str, call_id: str, request_id: str | None, second: int | None = None, **sizes: int) -> None:
        """A run of a tool; `second` is its start, by default between the latest request and the next."""
        second = len(self.session.evidence) * 60 - 30 if second is None else second
        span_id = f"run-{len(self.session.calls):04}"
        at = START + timedelta(seconds=second)
        self.session.calls.append(Call(span_id, call_id, tool, request_id, at, **sizes))


def definition(tool: str, chars: int = 400, version: str = "v1") -> Piece:
    """A tool's definition."""
    return ["d", chars, tool, version]


def use(tool: str, call_id: str, chars: int = 40, flags: str | None = None) -> Piece:
    """A tool_use block."""
    return ["c", chars, tool, call_id, flags]


def result(tool: str | None, call_id: str, chars: int, flags: str | None = None) -> Piece:
    """A tool_result block."""
    return ["r", chars, tool, call_id, flags]
