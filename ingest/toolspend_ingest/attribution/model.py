"""What the attribution works on: requests as billed, the evidence about them, and the ledger's codes.

Money is in integer nano-dollars; prices are in nano-dollars per million tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

KINDS: Final = (
    "tool_definition",
    "tool_use",
    "tool_result",
    "compression",
    "fee",
    "system",
    "user",
    "assistant",
    "thinking",
    "compaction",
    "overhead",
    "unattributed",
)
(DEFINITION, USE, RESULT, COMPRESSION, FEE, SYSTEM, USER, ASSISTANT, THINKING, COMPACTION, OVERHEAD, UNATTRIBUTED) = (
    range(len(KINDS))
)
"""Codes of the ledger's kinds: positions in `KINDS`."""

PROMPT_RATES: Final = ("cache_read", "cache_write_1h", "cache_write_5m", "input")
"""In the order of the prompt: what was read from the cache, then the writes (breakpoints of the longer time to live
must come first), then the rest."""
RATES: Final = (*PROMPT_RATES, "output", "fee")
OUTPUT_RATE: Final = RATES.index("output")
FEE_RATE: Final = RATES.index("fee")

BASES: Final = ("exact", "reconciled", "inferred", "unattributed")
(EXACT, RECONCILED, INFERRED, UNKNOWN) = range(len(BASES))
"""Codes of the ledger's bases: positions in `BASES`."""

MAX_TOKENS: Final = 10**12
"""A request that bills more is garbled, and its usage is not known."""


class Segment(NamedTuple):
    """One piece of a prompt or an output, as `toolspend.attributes` describes it; `chars` in characters."""

    kind: str
    chars: int
    tool: str | None = None
    id: str | None = None
    flags: str = ""
    utf8_bytes: int | None = None


class Evidence(NamedTuple):
    """What an emitter said about one request; the three documents are JSON text, as received."""

    request_id: str
    started_at: datetime
    base: str | None
    delta: str | None
    restated: str | None
    segments: int | None
    chars: int | None
    output: str | None


class Call(NamedTuple):
    """One row of `tool_calls`; `row` is its place there, sizes are in characters."""

    row: int
    tool_call_id: str | None
    tool: str
    tool_version: str | None
    request_id: str | None
    started_at: datetime
    order: str
    argument_chars: int | None
    result_chars: int | None
    raw_result_chars: int | None


class Compression(NamedTuple):
    """One row of `compressions`; `requests` are the model requests made beneath it."""

    row: int
    tool: str | None
    tool_call_id: str | None
    chars_before: int | None
    chars_after: int | None
    requests: tuple[str, ...]


class Selection(NamedTuple):
    """One row of `tool_selections`; sizes in characters."""

    row: int
    offered_chars: int | None
    avoided_chars: int | None


@dataclass(slots=True)
class RequestBill:
    """One billed model request: tokens and prices by rate.

    `prompt` has the tokens by `PROMPT_RATES`; `compaction` has those of them, and of the output, that hidden
    compaction iterations used. `prices` has only the rates that are known.
    """

    row: int
    request_id: str
    trace_id: str
    started_at: datetime
    service: str | None
    agent: str | None
    model: str | None
    is_usage_known: bool
    prompt: tuple[int, int, int, int]
    output: int | None
    thinking: int | None
    web_searches: int
    tools_offered: int | None
    stop_reason: str | None
    compressed_tool: str | None
    prices: Mapping[str, int] = field(default_factory=dict)
    compaction: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)

    @property
    def prompt_tokens(self) -> int:
        """All tokens of the prompt, cache included."""
        return sum(self.prompt)


@dataclass(slots=True)
class Session:
    """Everything that is known of one session, in the order of time."""

    session_id: str
    requests: list[RequestBill]
    evidence: list[Evidence] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    compressions: list[Compression] = field(default_factory=list)
    selections: list[Selection] = field(default_factory=list)


class LedgerRow(NamedTuple):
    """One row of `context_ledger` in words, for readers of a small ledger."""

    request_id: str
    kind: str
    tool: str | None
    tool_version: str | None
    is_first_send: bool
    rate: str
    tokens: int
    cost_nano: int | None
    basis: str


class CallRow(NamedTuple):
    """What one tool call came to; tokens and `cost_nano` are None where they are not known."""

    row: int
    argument_tokens: int | None
    result_tokens: int | None
    raw_result_tokens: int | None
    times_sent: int | None
    cost_nano: int | None
