"""What a request says of its prompt: what is new against its base, and a little of what is not.

The forms are those of `toolspend.attributes.CONTEXT_DELTA` and `CONTEXT_RESTATED`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .head import Head
from .line import Tip

OVERLAP: Final = 4
"""Segments before the new ones that every request says again: one lost span then costs nothing."""
ROTATION: Final = 4
"""Further segments said again, a different slice each time: any loss is made good as the conversation goes on."""


def head_delta(head: Head, base: Head) -> list[str]:
    """Delta items for the head; none where the base has the very same, which the first copy of the messages covers."""
    return [] if head is base else _copies(head.prints, head.texts, base.prints, 0)


def message_delta(tip: Tip, base: Tip, copied: int) -> list[str]:
    """Delta items for the messages, of which the first `copied` are the first ones of the base."""
    chain, before = tip.chain, base.chain
    base_offset = len(base.head.texts)
    start = 0 if tip.head is base.head else base_offset
    segments = chain.reached[copied][1]
    end = base_offset + segments
    delta = [f"[{start},{end - start}]"] if end > start else []
    texts = chain.texts[segments:]
    if copied == base.count:
        return delta + texts
    return delta + _copies(chain.prints(copied, tip.count), texts, before.prints(copied, base.count), end)


def _copies(prints: Sequence[int], texts: list[str], base: Sequence[int], offset: int) -> list[str]:
    """Delta items for segments, their JSON `texts`: runs that `base` has too are copied, the rest is said."""
    places = {fingerprint: index for index, fingerprint in reversed(list(enumerate(base)))}
    delta: list[str] = []
    index = 0
    while index < len(prints):
        place = places.get(prints[index])
        if place is None:
            delta.append(texts[index])
            index += 1
            continue
        count = 1
        while (
            index + count < len(prints) and place + count < len(base) and prints[index + count] == base[place + count]
        ):
            count += 1
        delta.append(f"[{offset + place},{count}]")
        index += count
    return delta


def restate(tip: Tip, copied: int) -> str | None:
    """A slice of what the base had just before the new segments, and one that rotates through all the rest.

    The base has the first `copied` messages.
    """
    heads, chain = tip.head.texts, tip.chain
    texts = chain.texts
    offset = len(heads)
    end = offset + chain.reached[copied][1]
    if end == 0:
        return None
    begin = max(end - OVERLAP, 0)
    first = chain.rotation if chain.rotation < begin else 0
    last = chain.rotation = min(first + ROTATION, begin)
    said = [
        f"[{start},{','.join(texts[start - offset : stop - offset])}]"
        if start >= offset
        else f"[{start},{','.join(heads[start:stop] + texts[: max(stop - offset, 0)])}]"
        for start, stop in ((first, last), (begin, end))
        if stop > start
    ]
    return f"[{','.join(said)}]"
