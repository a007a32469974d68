"""One line of a conversation: its segments so far, and where each request stands on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from .head import Head
from .segments import Described

Row: TypeAlias = tuple[int, Described]
"""A segment and its fingerprint."""


class Chain:
    """One line of a conversation: its messages and their segments so far, which only grow."""

    __slots__ = ("bounds", "keys", "messages", "prints", "rotation", "segments", "tools_by_call", "totals")

    def __init__(self) -> None:
        self.messages: list[int] = []
        """Fingerprints of the messages."""
        self.bounds: list[int] = [0]
        """`bounds[m]`: segments of the first m messages."""
        self.prints: list[int] = []
        self.segments: list[Described] = []
        self.totals: list[int] = [0]
        """`totals[k]`: characters of the first k segments."""
        self.tools_by_call: dict[str, str] = {}
        self.rotation = 0
        self.keys: list[int] = []

    def append(self, message_print: int, rows: Sequence[Row]) -> None:
        """Adds a message and its segments, each with its fingerprint."""
        for print_, segment in rows:
            self.prints.append(print_)
            self.segments.append(segment)
            self.totals.append(self.totals[-1] + segment.chars)
        self.messages.append(message_print)
        self.bounds.append(len(self.segments))

    def rows(self, message: int) -> list[Row]:
        """The segments of one message, each with its fingerprint."""
        first, last = self.bounds[message], self.bounds[message + 1]
        return list(zip(self.prints[first:last], self.segments[first:last], strict=True))


class Tip:
    """Where one request stands: its chain, how many of the chain's messages are its own, and its head.

    `is_partial`: the provider holds a beginning of the prompt that this process has not seen.
    """

    __slots__ = ("chain", "conversation_id", "count", "head", "is_partial", "key", "span_id")

    def __init__(
        self, chain: Chain, count: int, key: int, head: Head, span_id: str, conversation_id: str, is_partial: bool
    ) -> None:
        self.chain = chain
        self.count = count
        self.key = key
        self.head = head
        self.span_id = span_id
        self.conversation_id = conversation_id
        self.is_partial = is_partial

    @property
    def length(self) -> int:
        """How many segments the request's messages have."""
        return self.chain.bounds[self.count]
