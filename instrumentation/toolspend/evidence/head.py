"""What stands before the messages of a prompt: tool definitions and system text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .. import attributes as at
from .definitions import Definition
from .segments import Described, describe, mark, marks_of, piece_print, pieces


class Head:
    """The definitions and the system text of a request, described once and compared from then on."""

    __slots__ = ("chars", "definitions", "marks", "prints", "segments", "system", "tools")

    def __init__(self, tools: Sequence[Any], system: Any) -> None:
        self.tools = _copied(tools)
        self.system = _copied(system)
        self.marks: list[tuple[int, str]] = []
        self.prints: list[int] = []
        self.segments: list[Described] = []
        self.definitions: list[Definition] = []
        for tool in tools:
            if not isinstance(tool, Mapping):
                continue
            definition = Definition(tool)
            self.definitions.append(definition)
            self._add(
                hash((at.SEGMENT_DEFINITION, definition.name, definition.version)),
                Described(
                    at.SEGMENT_DEFINITION,
                    definition.chars,
                    definition.name,
                    definition.version,
                    utf8_bytes=definition.utf8_bytes,
                ),
                tool,
            )
        message = {"role": "system", "content": system}
        self.marks.extend((len(self.segments) + index, ttl) for index, ttl in marks_of(message))
        for block in pieces(message):
            self._add(piece_print(block), describe(*block, {}), None)
        self.chars = sum(segment.chars for segment in self.segments)

    def is_of(self, tools: Sequence[Any], system: Any) -> bool:
        """Whether a request with `tools` and `system` has this head."""
        return bool(self.tools == tools and self.system == system)

    def _add(self, print_: int, segment: Described, block: Mapping[str, Any] | None) -> None:
        self.prints.append(print_)
        self.segments.append(segment)
        if block is not None:
            mark(self.marks, len(self.segments) - 1, block)


def _copied(value: Any) -> Any:
    """A copy of nested plain containers, so that a later change in place is noticed."""
    if isinstance(value, Mapping):
        return {key: _copied(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(each) for each in value]
    return value
