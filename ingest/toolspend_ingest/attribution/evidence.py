"""Evidence as JSON text -> segments; whatever cannot be read costs only itself."""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

from .model import Segment

MAX_CHARS: Final = 2**25
"""A request is at most 32 MB: longer segments are garbled, and taken for this long."""


class Copy(NamedTuple):
    """An item of a delta that repeats `length` segments of the base from index `start`."""

    start: int
    length: int


UNREADABLE: Final = Segment("o", 0)
"""Stands where a segment should be, so that those after it keep their index."""


def read_list(text: str | None) -> list[Any] | None:
    """The JSON array in `text`, or None when it holds none."""
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if type(value) is list else None


def read_segment(item: Any) -> Segment:
    """One segment of an evidence document; `UNREADABLE` where it is none."""
    if type(item) is not list or len(item) < 2:
        return UNREADABLE
    fields: list[Any] = [*item, None, None, None, None]
    kind, chars, tool, id_, flags, utf8_bytes = fields[:6]
    if type(kind) is not str or type(chars) is not int or chars < 0:
        return UNREADABLE
    return Segment(
        kind,
        min(chars, MAX_CHARS),
        (tool or None) if type(tool) is str else None,
        (id_ or None) if type(id_) is str else None,
        flags if type(flags) is str else "",
        min(utf8_bytes, 4 * MAX_CHARS) if type(utf8_bytes) is int and utf8_bytes > chars else None,
    )


def read_delta(text: str | None) -> list[Copy | Segment] | None:
    """The items of a delta, or None when it is unreadable as a whole."""
    items = read_list(text)
    if items is None:
        return None
    return [
        Copy(max(item[0], 0), max(item[1], 0))
        if type(item) is list and len(item) == 2 and type(item[0]) is int and type(item[1]) is int
        else read_segment(item)
        for item in items
    ]


def read_segments(text: str | None) -> list[Segment] | None:
    """The segments of an output, or None when nothing is said about it."""
    items = read_list(text)
    return None if items is None else [read_segment(item) for item in items]


def read_restated(text: str | None) -> list[tuple[int, Segment]]:
    """Restated segments with their index in the prompt."""
    found: list[tuple[int, Segment]] = []
    for each in read_list(text) or ():
        if type(each) is list and each and type(each[0]) is int and each[0] >= 0:
            found.extend((each[0] + offset, read_segment(item)) for offset, item in enumerate(each[1:]))
    return found
