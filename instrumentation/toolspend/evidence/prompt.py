"""The messages of a request, numbered: two prompts of one beginning have the same numbers up to where they part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain as joined
from typing import Any

from .line import Chain
from .segments import fingerprints
from .wire import Body


class Prompt:
    """Messages and their numbers. The numbers of the first `count` are those of `chain`, and only looked up there.

    Copying them would touch every one of these numbers, which are no longer in the processor's caches: 20 us for 60.
    """

    __slots__ = ("_chain", "_count", "_places", "_prints", "last", "marked", "messages", "size")

    def __init__(
        self,
        messages: Sequence[Mapping[str, Any]],
        prints: list[int],
        marked: list[int],
        place: int,
        chain: Chain | None = None,
        count: int = 0,
    ) -> None:
        """`prints`: fingerprints of the messages from `count` on. `place` stands for those before."""
        self.messages = messages
        self.size = count + len(prints)
        self.marked = marked
        """Which messages carry a cache breakpoint."""
        self._chain = chain
        self._count = count
        self._prints = prints
        self._places = places = [place]
        for print_ in prints:
            place = hash((place, print_))
            places.append(place)
        self.last = place
        """The number that stands for all messages."""

    def place(self, count: int) -> int:
        """The number that stands for the first `count` messages, within their scope."""
        if self._chain is not None and count < self._count:
            return self._chain.places[count]
        return self._places[count - self._count]

    def places(self) -> Iterable[int]:
        """`place` of all messages, of all but the last, and so on down to none."""
        if self._chain is None:
            return reversed(self._places)
        return joined(reversed(self._places), reversed(self._chain.places[: self._count]))

    def since(self, index: int) -> Iterable[tuple[Mapping[str, Any], int, int]]:
        """The messages from `index` on: each, its fingerprint, and the number that stands for all up to it."""
        if index >= self._count:
            first = index - self._count
            return zip(self.messages[index:], self._prints[first:], self._places[first + 1 :], strict=True)
        return [(self.messages[each], self.print(each), self.place(each + 1)) for each in range(index, self.size)]

    def print(self, index: int) -> int:
        """The fingerprint of one message."""
        if self._chain is not None and index < self._count:
            return self._chain.messages[index]
        return self._prints[index - self._count]

    def prints(self) -> list[int]:
        """The fingerprints of all messages."""
        return self._prints if self._chain is None else [*self._chain.messages[: self._count], *self._prints]


def numbered(body: Mapping[str, Any], scope: int, wire: Body | None) -> Prompt:
    """The prompt of `body`. What `wire` shows to be known is not looked at."""
    if wire is None:
        messages = [each for each in body.get("messages") or () if type(each) is dict]
        return Prompt(messages, *fingerprints(messages), scope)
    if wire.line is None:
        return Prompt(body["messages"], *fingerprints(body["messages"]), scope)
    count, chain = wire.count, wire.line.chain
    prints, marked = fingerprints(body["messages"][count:])
    if marked:
        marked = [count + index for index in marked]
    if wire.line.marked:
        marked = [index for index in wire.line.marked if index < count] + marked
    return Prompt(body["messages"], prints, marked, chain.places[count], chain, count)


def continued(body: Mapping[str, Any], scope: int, history: Sequence[int], answer: int) -> Prompt:
    """The prompt of a `body` that goes on from an answer, where the provider holds the messages before it.

    `history` and `answer`: their fingerprints.
    """
    messages = [each for each in body.get("messages") or () if type(each) is dict]
    prints, marked = fingerprints(messages)
    first = len(history) + 1
    return Prompt([*({},) * first, *messages], [*history, answer, *prints], [first + index for index in marked], scope)
