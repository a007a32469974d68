"""One line of a conversation: its segments so far, and where each request stands on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TypeAlias

from .head import Head
from .segments import Said, Segment

Reached: TypeAlias = tuple[int, int, int, int, Sequence[int]]
"""The state of a chain after a message: the number that stands for all messages up to it, how many segments and how
many characters these have, the message's fingerprint, and the fingerprints of its segments."""


class Chain:
    """One line of a conversation: its messages and their segments so far, which only grow.

    A message is one tuple of numbers, a segment one string: few objects, which garbage collections soon leave alone.
    """

    __slots__ = ("reached", "rotation", "texts", "tools_by_call")

    def __init__(self, scope: int) -> None:
        self.reached: list[Reached] = [(scope, 0, 0, 0, ())]
        """`reached[m]`: the state after m messages. What stands for none of them is `scope`."""
        self.texts: list[str] = []
        """The segments as JSON."""
        self.tools_by_call: dict[str, str] = {}
        self.rotation = 0

    def branch(self, count: int) -> Chain:
        """A chain that begins with the first `count` messages of this one."""
        made = Chain(self.reached[0][0])
        made.reached = self.reached[: count + 1]
        made.texts = self.texts[: self.reached[count][1]]
        made.tools_by_call = dict(self.tools_by_call)
        return made

    def append(self, print_: int, place: int, said: Said) -> None:
        """Adds a message. `place` stands for all messages up to it."""
        texts, chars, prints = said
        self.texts += texts
        _, segments, total, _, _ = self.reached[-1]
        self.reached.append((place, segments + len(texts), total + chars, print_, prints))

    def segments(self, first: int, last: int) -> dict[int, Segment]:
        """The segments of the messages after the first `first` of the first `last`, by fingerprint."""
        texts = self.texts[self.reached[first][1] : self.reached[last][1]]
        return {
            print_: (text, json.loads(text)[1]) for print_, text in zip(self.prints(first, last), texts, strict=True)
        }

    def prints(self, first: int, last: int) -> list[int]:
        """The fingerprints of the segments of the messages after the first `first` of the first `last`."""
        return [print_ for reached in self.reached[first + 1 : last + 1] for print_ in reached[4]]


class Tip:
    """Where one request stands: its chain, how many of the chain's messages are its own, and its head.

    `is_held`: the provider keeps the history. `is_partial`: it has a beginning that this process has not seen.
    """

    __slots__ = ("answer", "chain", "conversation_id", "count", "head", "is_held", "is_partial", "key", "span_id")

    def __init__(
        self,
        chain: Chain,
        count: int,
        key: int,
        head: Head,
        span_id: str,
        conversation_id: str,
        is_held: bool,
        is_partial: bool,
    ) -> None:
        self.chain = chain
        self.count = count
        self.key = key
        self.head = head
        self.span_id = span_id
        self.conversation_id = conversation_id
        self.is_held = is_held
        self.is_partial = is_partial
        self.answer: tuple[int, Said] | None = None
        """The answer, once it is there: its fingerprint as a message, and its segments."""

    def prints(self) -> list[int]:
        """The fingerprints of the request's messages."""
        return [reached[3] for reached in self.chain.reached[1 : self.count + 1]]
