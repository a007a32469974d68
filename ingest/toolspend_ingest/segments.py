"""Context evidence, read as far as the pipeline needs it: which calls and results a request names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from toolspend import attributes as at

from . import json_text
from .rows import Evidence


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
    if not isinstance(value, list) or len(value) < 2 or not isinstance(value[0], str):
        return None
    if not isinstance(value[1], int) or isinstance(value[1], bool):
        return None
    tool, id_, flags, *_ = (*value[2:5], None, None, None)
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


def spelled_out(evidence: Evidence) -> Iterator[Segment]:
    """The segments of the prompt that the evidence names itself, and not as a repeat of an earlier request's."""
    for item in _list(evidence.delta):
        if (segment := read(item)) is not None:
            yield segment
    for run in _list(evidence.restated):
        for item in run[1:] if isinstance(run, list) else ():
            if (segment := read(item)) is not None:
                yield segment


def prompt_kinds(row: Evidence, known: Mapping[str, str]) -> str | None:
    """The kind of every segment of a prompt, as one letter each; None where they are not all known."""
    if row.delta is None:
        return None
    base = known.get(row.base_request_id or "")
    parts = [_kinds(item, base) for item in _list(row.delta)]
    whole = [part for part in parts if part is not None]
    return "".join(whole) if whole and len(whole) == len(parts) else None


def _kinds(item: object, base: str | None) -> str | None:
    if (segment := read(item)) is not None:
        return segment.kind[:1] or at.SEGMENT_OTHER
    repeat = _repeat(item)
    if base is None or repeat is None or repeat[1] > len(base):
        return None
    return base[repeat[0] : repeat[1]]


def _repeat(item: object) -> tuple[int, int] | None:
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
