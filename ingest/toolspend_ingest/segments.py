"""Context evidence, read as far as the pipeline needs it: which calls and results a request names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

from toolspend import attributes as at

from . import json_text
from .rows import Evidence

Repeat: TypeAlias = tuple[int, int]
"""From where and to where of its base a prompt goes on."""


class Segment(NamedTuple):
    """One piece of a prompt or an output; see `toolspend.attributes` for the meaning."""

    kind: str
    chars: int
    tool: str | None
    id: str | None
    flags: str

    @property
    def is_error(self) -> bool:
        """Whether a result says that its call failed."""
        return at.FLAG_ERROR in self.flags

    @property
    def is_server(self) -> bool:
        """Whether the provider ran the tool itself."""
        return at.FLAG_SERVER in self.flags


def read(value: object) -> Segment | None:
    """A segment from its JSON array; None for what is none."""
    if type(value) is not list or len(value) < 2 or type(value[0]) is not str or type(value[1]) is not int:
        return None
    if len(value) == 2:
        return Segment(value[0], value[1], None, None, "")
    tool, id_, flags = (*value[2:5], None, None)[:3]
    return Segment(
        value[0],
        value[1],
        str(tool) if tool is not None else None,
        str(id_) if id_ is not None else None,
        str(flags) if flags is not None else "",
    )


def outputs(evidence: Evidence) -> list[Segment]:
    """What the response was made of."""
    return [segment for item in _list(evidence.output) if (segment := read(item)) is not None]


def prompt(evidence: Evidence) -> list[Segment | Repeat | None]:
    """What the prompt was made of: segments, and runs of the base's; None for what is neither."""
    return [found if (found := read(item)) is not None else _repeat(item) for item in _list(evidence.delta)]


def restated(evidence: Evidence) -> Iterator[Segment]:
    """The segments of the base that are said once more."""
    for run in _list(evidence.restated):
        for item in run[1:] if isinstance(run, list) else ():
            if (segment := read(item)) is not None:
                yield segment


def kinds(pieces: Sequence[Segment | Repeat | None], base: str | None) -> str | None:
    """The kind of every segment of a prompt, as one letter each; None where they are not all known."""
    found = []
    for piece in pieces:
        if isinstance(piece, Segment):
            found.append(piece.kind[:1] or at.SEGMENT_OTHER)
        elif piece is None or base is None or piece[1] > len(base):
            return None
        else:
            found.append(base[piece[0] : piece[1]])
    return "".join(found) if found else None


def _repeat(item: object) -> Repeat | None:
    """From where and to where of the base a `[from, count]` item repeats; None for what is none."""
    if not isinstance(item, list) or len(item) != 2:
        return None
    first, count = item
    if type(first) is not int or type(count) is not int or first < 0 or count < 0:
        return None
    return first, first + count


def _list(text: str | None) -> list[object]:
    value = json_text.read(text) if text is not None else []
    return value if isinstance(value, list) else []
