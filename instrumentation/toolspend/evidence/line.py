"""One line of a conversation: its segments so far, and where each request stands on it."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from .head import Head
from .segments import Row, Segment


class Chain:
    """One line of a conversation: its messages and their segments so far, which only grow.

    Numbers are kept in arrays: as objects they would lie all over memory, and every garbage collection visit them.
    """

    __slots__ = (
        "bounds",
        "keys",
        "messages",
        "places",
        "prints",
        "rotation",
        "texts",
        "tools_by_call",
        "totals",
    )

    def __init__(self, key: int) -> None:
        self.messages = array("q")
        """Fingerprints of the messages."""
        self.places = array("q", (key,))
        """`places[m]`: the number that stands for the first m messages, in their scope."""
        self.bounds = array("q", (0,))
        """`bounds[m]`: segments of the first m messages."""
        self.prints = array("q")
        """Fingerprints of the segments."""
        self.texts: list[str] = []
        """The segments as JSON. Strings in lists: objects of their own would be visited by every garbage collection."""
        self.totals = array("q", (0,))
        """`totals[k]`: characters of the first k segments."""
        self.tools_by_call: dict[str, str] = {}
        self.rotation = 0
        self.keys = array("q")
        """The numbers by which requests on this chain are found."""

    def append(self, message_print: int, place: int, rows: Sequence[Row]) -> None:
        """Adds a message and its segments, each with its fingerprint. `place` stands for all messages up to it."""
        total = self.totals[-1]
        for print_, text, chars in rows:
            self.prints.append(print_)
            self.texts.append(text)
            total += chars
            self.totals.append(total)
        self.messages.append(message_print)
        self.places.append(place)
        self.bounds.append(len(self.texts))

    def rows(self, message: int) -> list[Row]:
        """The segments of one message, each with its fingerprint."""
        return self._rows(self.bounds[message], self.bounds[message + 1])

    def segments_by_print(self, first: int, last: int) -> dict[int, Segment]:
        """The segments from `first` to before `last`, by fingerprint."""
        return {print_: (text, chars) for print_, text, chars in self._rows(first, last)}

    def _rows(self, first: int, last: int) -> list[Row]:
        totals = self.totals
        return [
            (self.prints[index], self.texts[index], totals[index + 1] - totals[index]) for index in range(first, last)
        ]


class Tip:
    """Where one request stands: its chain, how many of the chain's messages are its own, and its head.

    `is_partial`: the provider holds a beginning of the prompt that this process has not seen.
    """

    __slots__ = ("answer", "chain", "conversation_id", "count", "head", "is_partial", "key", "span_id")

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
        self.answer: tuple[int, Sequence[Row]] | None = None
        """The answer, once it is there: its fingerprint as a message, and its segments."""

    @property
    def length(self) -> int:
        """How many segments the request's messages have."""
        return self.chain.bounds[self.count]
