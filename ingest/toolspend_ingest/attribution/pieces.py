"""The pieces of a session's prompts: each has an identity for as long as it is re-sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from . import model as m
from .model import Ints, Segment

MICRO: Final = 1_000_000
"""Estimates of tokens are integers, in millionths of a token: sums of them are exact and depend on no order."""

# Prior sizes, before the bill says better. Per block: what tool_use and tool_result blocks of the recorded
# conversations cost beyond 0.25 to 0.35 tokens a character.
_TOKENS_PER_CHAR: Final = 0.25
_TOKENS_PER_EXTRA_BYTE: Final = 0.375
"""Non-English text: a Chinese character (2 bytes more) is about one token, a Cyrillic letter about 0.6."""
_TOKENS_PER_BLOCK: Final = {"c": 30, "r": 12, "d": 10, "u": 4, "a": 2}
_CHARS_PER_IMAGE_TOKEN: Final = 250
"""131,635 base64 characters cost 519 tokens in a recording; an image costs 1,600 tokens at most."""
_IMAGE_TOKENS: Final = (64, 1600)
_CHARS_PER_DOCUMENT_TOKEN: Final = 35
_LEAST_DOCUMENT_TOKENS: Final = 300

_KINDS: Final = {
    "d": m.DEFINITION,
    "s": m.SYSTEM,
    "u": m.USER,
    "a": m.ASSISTANT,
    "t": m.THINKING,
    "c": m.USE,
    "r": m.RESULT,
    "k": m.COMPACTION,
}
_OF_TOOLS: Final = frozenset("dcr")
_CARRIED: Final = frozenset("catk")
"""What the model wrote: first sent as output, so that in a prompt it is always a re-sending."""


def prior_size(segment: Segment) -> int:
    """A guess at a segment's tokens from its kind and length alone, in millionths."""
    kind, chars, _, _, flags, utf8_bytes = segment
    if flags and "i" in flags:
        low, high = _IMAGE_TOKENS
        return min(max(chars * MICRO // _CHARS_PER_IMAGE_TOKEN, low * MICRO), high * MICRO)
    if flags and "p" in flags:
        return max(chars * MICRO // _CHARS_PER_DOCUMENT_TOKEN, _LEAST_DOCUMENT_TOKENS * MICRO)
    tokens = chars * _TOKENS_PER_CHAR + _TOKENS_PER_BLOCK.get(kind, 0)
    if utf8_bytes is not None:
        tokens += (utf8_bytes - chars) * _TOKENS_PER_EXTRA_BYTE
    return int(tokens * MICRO)


@dataclass(slots=True)
class Columns:
    """The pieces of one session as arrays, one element a piece."""

    kind: Ints
    size: Ints
    chars: Ints
    is_blank: np.ndarray[tuple[int], np.dtype[np.bool_]]
    is_carried: np.ndarray[tuple[int], np.dtype[np.bool_]]


class Pieces:
    """Grows as a session is read. Piece 0 is the hidden tool prompt; a blank is a piece that is not known (yet)."""

    def __init__(self, tools_by_call: dict[str, str]) -> None:
        self.segments: list[Segment | None] = []
        self.kinds: list[int] = []
        self.tools: list[str | None] = []
        self.versions: list[str | None] = []
        self.calls: list[str | None] = []
        self.sizes: list[int] = []
        self.carried: list[bool] = []
        self._by_segment: dict[Segment, list[int]] = {}
        self._tools_by_call = tools_by_call
        self._append(m.OVERHEAD, None, None, None, 0, False)

    def __len__(self) -> int:
        return len(self.kinds)

    def known(self, segment: Segment) -> list[int]:
        """The pieces that look like this segment, oldest first."""
        return self._by_segment.get(segment, [])

    def add(self, segment: Segment, versions: Mapping[str, str | None]) -> int:
        """A new piece; `versions` are those of the tools that its prompt offers."""
        piece = self._append(m.UNATTRIBUTED, None, None, None, 0, False)
        self.resolve(piece, segment, versions)
        return piece

    def add_blank(self) -> int:
        """A new piece of which nothing is known. Its base was lost, and had it: it is a re-sending."""
        return self._append(m.UNATTRIBUTED, None, None, None, 0, True)

    def resolve(self, piece: int, segment: Segment, versions: Mapping[str, str | None]) -> None:
        """Says what a blank is; every prompt that holds it then knows."""
        kind, _, tool, id_, _, _ = segment
        self.segments[piece] = segment
        self._by_segment.setdefault(segment, []).append(piece)
        self.sizes[piece] = prior_size(segment)
        if kind in _CARRIED:
            self.carried[piece] = True
        if kind not in _OF_TOOLS:
            self.kinds[piece] = _KINDS.get(kind, m.UNATTRIBUTED)
            return
        if kind != "d" and id_ is not None:
            self.calls[piece] = id_
            tool = tool or self._tools_by_call.get(id_)
            if kind == "c" and tool is not None:
                self._tools_by_call.setdefault(id_, tool)
        if tool is not None:  # a result of which no one knows the tool stays unattributed
            self.kinds[piece] = _KINDS[kind]
            self.tools[piece] = tool
            self.versions[piece] = id_ if kind == "d" else versions.get(tool)

    def is_blank(self, piece: int) -> bool:
        """Whether nothing is known of the piece."""
        return self.segments[piece] is None and piece != 0

    def columns(self) -> Columns:
        """The pieces as arrays."""
        return Columns(
            np.array(self.kinds, dtype=np.int64),
            np.array(self.sizes, dtype=np.int64),
            np.array([0 if segment is None else segment.chars for segment in self.segments], dtype=np.int64),
            np.array([self.is_blank(piece) for piece in range(len(self))], dtype=np.bool_),
            np.array(self.carried, dtype=np.bool_),
        )

    def _append(
        self, kind: int, tool: str | None, version: str | None, call: str | None, size: int, is_carried: bool
    ) -> int:
        self.segments.append(None)
        self.kinds.append(kind)
        self.tools.append(tool)
        self.versions.append(version)
        self.calls.append(call)
        self.sizes.append(size)
        self.carried.append(is_carried)
        return len(self.kinds) - 1
