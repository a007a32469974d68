"""What the model says, and what goes wrong: the story decides, request by request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from standin.prompt import Json


@dataclass(frozen=True)
class Text:
    """A text block."""

    text: str


@dataclass(frozen=True)
class Thinking:
    """A thinking block; `tokens` is what the reasoning cost where the text is only its summary."""

    text: str
    tokens: int | None = None


@dataclass(frozen=True)
class ToolUse:
    """A call of one of the client's tools."""

    name: str
    input: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class WebSearch:
    """A search that the provider runs inside the request; `pages` are (title, url, characters of the page)."""

    query: str
    pages: Sequence[tuple[str, str, int]]


@dataclass(frozen=True)
class ToolSearch:
    """A search among the deferred tools that the provider runs inside the request; `found` are names of tools."""

    pattern: str
    found: Sequence[str]


@dataclass(frozen=True)
class Compaction:
    """The provider sums up everything so far before the model goes on; only as the first block of a turn.

    A turn of nothing else is a pause after the compaction.
    """

    summary: str


Block = Text | Thinking | ToolUse | WebSearch | ToolSearch | Compaction


@dataclass(frozen=True)
class Turn:
    """A message of the model. The stop reason follows from its blocks where none is given.

    `cut_after` ends a stream after so many events, as a broken connection does; `error_after` ends it with an
    `error` event of type `overloaded_error`. A request without streaming fails as a whole in both cases.
    """

    blocks: Sequence[Block]
    stop_reason: str | None = None
    cut_after: int | None = None
    error_after: int | None = None


@dataclass(frozen=True)
class Failure:
    """An error instead of a message. `retry_after_s` goes into the `retry-after` header, `code` into its details."""

    status: int
    type: str
    message: str
    retry_after_s: float | None = None
    code: str | None = None


Reply = Turn | Failure
Script = Callable[[Json], Reply]


def say(*blocks: Block | str, stop_reason: str | None = None) -> Turn:
    """A turn of these blocks; a plain string is text."""
    return Turn([Text(block) if isinstance(block, str) else block for block in blocks], stop_reason)


def rate_limited(retry_after_s: float = 1.0) -> Failure:
    """429, with the seconds to wait."""
    return Failure(429, "rate_limit_error", "This request would exceed your organization's rate limit.", retry_after_s)


def overloaded() -> Failure:
    """529, without a hint when to come back."""
    return Failure(529, "overloaded_error", "Overloaded")


def internal_error() -> Failure:
    """500."""
    return Failure(500, "api_error", "Internal server error")


def in_turn(replies: Iterable[Reply]) -> Script:
    """A script that gives `replies` one after the other, whatever is asked."""
    remaining = iter(list(replies))

    def script(request: Json) -> Reply:
        reply = next(remaining, None)
        if reply is None:
            return Failure(500, "api_error", "The script has no reply left for this request.")
        return reply

    return script
