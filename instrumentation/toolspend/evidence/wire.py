"""A prompt recognised by the bytes that were sent for it, instead of by its Python objects.

The SDK encodes every body for the wire, and a turn's body begins with the messages of the turn before, byte for byte.
Comparing those bytes takes 5 us where looking at 61 messages and 40 definitions again takes 50 to 100, most of it for
memory that the SDK's own copying has pushed out of the caches. Nothing is described from bytes: they only say how many
leading messages, and which head, are known already.

Why equal bytes suffice: the bytes up to the end of a message leave a JSON parser within the array of messages, whatever
follows. So a body that begins like an earlier one, up to there, has the same messages up to there. Where messages moved
on (an edit, a cache breakpoint that moved), all from the last equal message on is looked at as if it were new.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from .head import Head
from .line import Chain, Tip
from .segments import look

MIN_BYTES: Final = 4_096
"""Below this, looking at the objects is as fast: it is not worth asking."""
MAX_BYTES: Final = 1 << 20
"""Longer bodies are mostly images and documents: hashing those is free, as Python keeps the hash of a string."""
MAX_KEPT_BYTES: Final = 8 << 20
"""Of all conversations together; beyond it, the least recently used are looked at by their objects again."""
_MAX_FRAMES: Final = 8
_MAX_BRANCHES: Final = 8
_UNMERGED: Final = 2
"""Pieces at the end in which single messages can still be told apart: where cache breakpoints move."""
_DICT: Final = {dict}
_SCALARS: Final = (str, int, float, bool, type(None))


class Piece(NamedTuple):
    """Consecutive messages as they were sent. `ends`: where each but the last ends, as `(offset, messages so far)`."""

    text: bytes
    messages: int
    ends: Sequence[tuple[int, int]]


class Frame(NamedTuple):
    """What stands before and after the messages of a body, and the head that it makes."""

    keys: list[str]
    before: bytes
    after: bytes
    head: Head


class Line:
    """The messages of a chain as they were last sent, in few pieces: comparing is one call for each."""

    __slots__ = ("chain", "marked", "pieces", "size")

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.pieces: list[Piece] = []
        self.marked: list[int] = []
        """Which messages carry a cache breakpoint."""
        self.size = 0


class Body:
    """A body as it was sent: where its messages lie, and what of it is known."""

    __slots__ = ("count", "end", "head", "line", "pieces", "position", "sent", "start")

    def __init__(self, sent: bytes, start: int, end: int, head: Head | None) -> None:
        self.sent = sent
        self.start = start
        self.end = end
        self.head = head
        self.count = 0
        """How many messages are known."""
        self.position = start
        """Where those end."""
        self.line: Line | None = None
        """The line that has them."""
        self.pieces: list[Piece] = []
        """Its pieces that they are."""

    def is_all_of(self, line: Line) -> bool:
        """Whether the body has all messages of `line`, as it nearly always does; notes how many it has, if most."""
        position, count, pieces, is_whole = _matched(line.pieces, self.sent, self.start)
        if count > self.count:
            self.count, self.position, self.line, self.pieces = count, position, line, pieces
        return is_whole


class Wires:
    """The bodies that this process remembers. Not safe for threads: its user holds a lock."""

    def __init__(self) -> None:
        self._frames: list[Frame] = []
        self._lines: OrderedDict[int, Line] = OrderedDict()
        self._branches: dict[int, list[Line]] = {}
        """The lines that begin with the same message, within one scope."""
        self._bytes = 0

    def read(self, body: Mapping[str, Any], sent: bytes, scope: int) -> Body | None:
        """`sent`, which is the JSON of `body`, and what of its messages is known within `scope`.

        None where that cannot be told for certain.
        """
        messages = body.get("messages")
        if len(sent) > MAX_BYTES or type(messages) is not list:
            return None
        for keys, before, after, head in self._frames:
            # With the same keys in the same order, and an end that cannot lie within a string, the rest is messages.
            if sent.endswith(after) and sent.startswith(before) and list(body) == keys:
                found = Body(sent, len(before), len(sent) - len(after), head)
                break
        else:
            place = _place(body, sent)
            if place is None:
                return None
            found = Body(sent, *place, None)
        latest = next(reversed(self._lines.values()), None)
        if latest is None or latest.chain.reached[0][0] != scope or not found.is_all_of(latest):
            self._recognise(scope, found, messages)
        return found if set(map(type, messages[found.count :])) <= _DICT else None

    def _recognise(self, scope: int, body: Body, messages: Sequence[Any]) -> None:
        """Looks for what is known of `messages`, those of `body`, on every line of this beginning."""
        if messages and type(messages[0]) is dict:
            first = look(messages[0].get("role"), messages[0].get("content"))[0]
            for line in self._branches.get(hash((scope, first)), ()):
                if body.is_all_of(line):
                    return

    def remember(self, tip: Tip, given: Mapping[str, Any], body: Body, marked: list[int]) -> None:
        """Keeps `body`, which is the JSON of `given`, as what was sent last of the chain of `tip`.

        `marked`: which of its messages carry a cache breakpoint.
        """
        if body.head is None:
            self._frames.insert(0, Frame(list(given), body.sent[: body.start], body.sent[body.end :], tip.head))
            del self._frames[_MAX_FRAMES:]
        pieces = body.pieces
        if body.position < body.end:
            text, messages = body.sent[body.position : body.end], given["messages"]
            # Breakpoints move from turn to turn. Where there are none, a piece that is not the same is looked at whole.
            ends = _ends(text, messages[body.count :]) if marked else ()
            pieces.append(Piece(text, len(messages) - body.count, ends))
            _merge(pieces)
        chain = tip.chain
        line = self._lines.get(id(chain)) or self._add(chain)
        self._lines.move_to_end(id(chain))
        size = body.end - body.start
        self._bytes += size - line.size
        line.pieces, line.marked, line.size = pieces, marked, size
        while self._bytes > MAX_KEPT_BYTES:
            self.forget(next(iter(self._lines.values())).chain)

    def forget(self, chain: Chain) -> None:
        """Forgets what was sent of `chain`."""
        line = self._lines.pop(id(chain), None)
        if line is None:
            return
        self._bytes -= line.size
        first = chain.reached[1][0]
        branches = self._branches[first]
        branches.remove(line)
        if not branches:
            del self._branches[first]

    def _add(self, chain: Chain) -> Line:
        line = self._lines[id(chain)] = Line(chain)
        branches = self._branches.setdefault(chain.reached[1][0], [])
        branches.insert(0, line)
        if len(branches) > _MAX_BRANCHES:
            self.forget(branches[-1].chain)
        return line


def _place(body: Mapping[str, Any], sent: bytes) -> tuple[int, int] | None:
    """Where in `sent` the messages begin and end, without the brackets of their array."""
    following: object = None
    is_after = False
    for key, value in body.items():
        if is_after:
            following = key
            break
        if key == "messages":
            is_after = True
        elif type(value) not in _SCALARS:
            return None  # it may have a key of that name within
    # A quote within a string is escaped, so neither of these can be text.
    start = sent.find(b'"messages":[')
    if start < 0:
        return None
    if following is None:
        return (start + 12, len(sent) - 2) if sent.endswith(b"]}") else None
    if not _is_plain(following):
        return None
    after = f'],"{following}":'.encode()
    # The array's end looks like this; if nothing else does, this is it.
    return (start + 12, sent.find(after)) if sent.count(after) == 1 else None


def _is_plain(key: object) -> bool:
    """Whether JSON has `key` as it is. That it begins with a letter also tells a key from the end of a string."""
    return type(key) is str and key.isascii() and key.isidentifier()


def _matched(pieces: list[Piece], sent: bytes, start: int) -> tuple[int, int, list[Piece], bool]:
    """How far `sent` has the messages of `pieces` from `start` on: position, messages, these as pieces, if all."""
    position, count = start, 0
    for index, (text, messages, ends) in enumerate(pieces):
        if sent.startswith(text, position):
            position += len(text)
            count += messages
            continue
        matched = pieces[:index]
        for place in range(len(ends) - 1, -1, -1):
            offset, messages = ends[place]
            if sent.startswith(text[:offset], position):
                matched.append(Piece(text[:offset], messages, ends[:place]))
                return position + offset, count + messages, matched, False
        return position, count, matched, False
    return position, count, pieces[:], True


def _ends(text: bytes, messages: Sequence[Mapping[str, Any]]) -> Sequence[tuple[int, int]]:
    """Where in `text` each of `messages` but the last ends, or nothing where that cannot be told for certain."""
    first = next(iter(messages[0]), None)
    if not _is_plain(first) or any(next(iter(message), None) != first for message in messages):
        return ()
    # Every message but the first begins like this; if nothing else does, these are their beginnings.
    between = f',{{"{first}":'.encode()
    ends: list[tuple[int, int]] = []
    place = text.find(between, 1)
    while place >= 0:
        ends.append((place, len(ends) + 1))
        place = text.find(between, place + 1)
    return ends if len(ends) == len(messages) - 1 else ()


def _merge(pieces: list[Piece]) -> None:
    """Joins pieces that are not much longer than the next: there are then as many as the logarithm of the length."""
    index = len(pieces) - 1 - _UNMERGED
    while index > 0 and len(pieces[index - 1].text) <= 2 * len(pieces[index].text):
        first, second = pieces[index - 1 : index + 1]
        pieces[index - 1 : index + 1] = [Piece(first.text + second.text, first.messages + second.messages, ())]
        index -= 1
