"""What a request says of its prompt: what is new against its base, and a little of what is not.

The forms are those of `toolspend.attributes.CONTEXT_DELTA` and `CONTEXT_RESTATED`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .head import Head
from .line import Chain, Tip

OVERLAP: Final = 4
"""Segments before the new ones that every request says again: one lost span then costs nothing."""
ROTATION: Final = 4
"""Further segments said again, a different slice each time: any loss is made good as the conversation goes on."""


def head_delta(head: Head, base: Head) -> list[str]:
    """Delta items for the head; none where the base has the very same, which the first copy of the messages covers."""
    return [] if head is base else _copies(head.prints, head.texts, base.prints, 0)


def message_delta(tip: Tip, base: Tip, copied: int) -> list[str]:
    """Delta items for the messages, whose first `copied` segments are the first ones of the base."""
    base_offset = len(base.head.texts)
    start = 0 if tip.head is base.head else base_offset
    end = base_offset + copied
    delta = [f"[{start},{end - start}]"] if end > start else []
    texts = tip.chain.texts[copied : tip.length]
    if copied == base.length:
        return delta + texts
    return delta + _copies(tip.chain.prints[copied : tip.length], texts, base.chain.prints[copied : base.length], end)


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


def _slice(head: Head, chain: Chain, first: int, last: int) -> str:
    offset = len(head.texts)
    if first >= offset:
        texts = chain.texts[first - offset : last - offset]
    else:
        texts = head.texts[first:last] + chain.texts[: max(last - offset, 0)]
    return f"[{first},{','.join(texts)}]"


def restate(tip: Tip, copied: int) -> str | None:
    """A slice of what the base had just before the new segments, and one that rotates through all the rest."""
    head, chain = tip.head, tip.chain
    end = len(head.texts) + copied
    if end == 0:
        return None
    begin = max(end - OVERLAP, 0)
    overlap = _slice(head, chain, begin, end)
    if begin == 0:
        return f"[{overlap}]"
    first = chain.rotation if chain.rotation < begin else 0
    last = chain.rotation = min(first + ROTATION, begin)
    return f"[{_slice(head, chain, first, last)},{overlap}]"
