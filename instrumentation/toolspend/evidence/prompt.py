"""The messages of a request, numbered: two prompts of one beginning have the same numbers up to where they part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from .line import Chain
from .segments import look
from .wire import Body

_DICT: Final = {dict}


class Prompt:
    """Messages and their numbers. The first `known` are those of `chain`, and only looked up there.

    Copying their numbers would touch every one of them, and they are no longer in the processor's caches: 20 us for 60.
    """

    __slots__ = ("chain", "known", "marked", "messages", "pieces", "places", "prints", "size")

    def __init__(
        self,
        messages: Sequence[Mapping[str, Any]],
        place: int,
        chain: Chain | None = None,
        known: int = 0,
        answer: int | None = None,
    ) -> None:
        """`place` stands for the first `known` messages; `answer` is the fingerprint of a next one that is not here."""
        self.messages = messages
        self.chain = chain
        self.known = known
        self.size = len(messages)
        self.places = places = [place]
        """The numbers that stand for the first `known` messages, for one more, and so on up to all."""
        self.prints: list[int] = []
        """The fingerprints of the messages from `known` on."""
        self.pieces: list[Sequence[int]] = []
        """Those of the segments of each."""
        self.marked: list[int] = []
        """Which messages carry a cache breakpoint."""
        index = known
        if answer is not None:
            place = hash((place, answer))
            places.append(place)
            self.prints.append(answer)
            self.pieces.append(())
            index += 1
        for message in messages[index:] if index else messages:
            role, content = message.get("role"), message.get("content")
            if type(content) is str:
                print_ = hash((role, content))  # as `look` would, at once
                self.pieces.append((print_,))
            else:
                print_, pieces, is_marked = look(role, content)
                self.pieces.append(pieces)
                if is_marked:
                    self.marked.append(index)
            place = hash((place, print_))
            places.append(place)
            self.prints.append(print_)
            index += 1

    def first(self) -> int:
        """The number that stands for the first message."""
        return self.places[1] if self.chain is None or not self.known else self.chain.reached[1][0]

    def all_prints(self) -> list[int]:
        """The fingerprints of all messages."""
        if self.chain is None:
            return self.prints
        return [reached[3] for reached in self.chain.reached[1 : self.known + 1]] + self.prints


def _dicts(messages: Sequence[Any]) -> Sequence[Mapping[str, Any]]:
    """Those of `messages` that are messages, as all are."""
    if set(map(type, messages)) <= _DICT:
        return messages
    return [each for each in messages if type(each) is dict]


def numbered(body: Mapping[str, Any], scope: int, wire: Body | None) -> Prompt:
    """The prompt of `body`. What `wire` shows to be known is not looked at."""
    if wire is None:
        return Prompt(_dicts(body.get("messages") or ()), scope)
    if wire.line is None:
        return Prompt(body["messages"], scope)
    known, chain = wire.count, wire.line.chain
    prompt = Prompt(body["messages"], chain.reached[known][0], chain, known)
    if wire.line.marked:
        prompt.marked = [index for index in wire.line.marked if index < known] + prompt.marked
    return prompt


def continued(body: Mapping[str, Any], chain: Chain, known: int, answer: int) -> Prompt:
    """The prompt of a `body` that goes on from an answer, where the provider holds the messages before it.

    These are the first `known` of `chain`, and `answer` is the fingerprint of what followed.
    """
    messages = _dicts(body.get("messages") or ())
    return Prompt([*({},) * (known + 1), *messages], chain.reached[known][0], chain, known, answer)
