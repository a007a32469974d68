"""What stands before the messages of a prompt: tool definitions and system text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .. import attributes as at
from .definitions import Definition, definition_log
from .segments import Segment, describe, encoded, mark, marks_of, piece_print, pieces


class Head:
    """The definitions and the system text of a request, described once and compared from then on."""

    __slots__ = ("chars", "definitions", "marks", "prints", "sent_generation", "system", "texts", "tools")

    def __init__(self, tools: Sequence[Any], system: Any) -> None:
        self.tools = _copied(tools)
        self.system = _copied(system)
        self.marks: list[tuple[int, str]] = []
        self.prints: list[int] = []
        self.texts: list[str] = []
        self.chars = 0
        self.definitions: list[Definition] = []
        self.sent_generation = -1
        for tool in tools:
            if not isinstance(tool, Mapping):
                continue
            definition = Definition(tool)
            self.definitions.append(definition)
            self._add(
                hash((at.SEGMENT_DEFINITION, definition.name, definition.version)),
                encoded(
                    at.SEGMENT_DEFINITION,
                    definition.chars,
                    definition.name,
                    definition.version,
                    definition.flags or None,
                    definition.utf8_bytes,
                    definition.weight,
                ),
                tool,
            )
        message = {"role": "system", "content": system}
        self.marks.extend((len(self.texts) + index, ttl) for index, ttl in marks_of(message))
        for block in pieces(message):
            self._add(piece_print(*block), describe(*block, {}), None)

    def add_unsent(self, attributes: dict[str, Any]) -> None:
        """Adds the definitions that no span of this process carries yet to `attributes`.

        While `sent_generation` is that of the log, all are sent: there is no need to ask.
        """
        if (unsent := definition_log.unsent(self.definitions)) is not None:
            attributes[at.TOOL_DEFINITIONS] = unsent
        self.sent_generation = definition_log.generation

    def _add(self, print_: int, segment: Segment, block: Mapping[str, Any] | None) -> None:
        self.prints.append(print_)
        self.texts.append(segment[0])
        self.chars += segment[1]
        if block is not None:
            mark(self.marks, len(self.texts) - 1, block)


def _copied(value: Any) -> Any:
    """A copy of nested plain containers, so that a later change in place is noticed."""
    if isinstance(value, Mapping):
        return {key: _copied(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(each) for each in value]
    return value
