"""The lines of a session file, as far as they say anything of the conversation; a bad line costs only itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

EPOCH: Final = datetime(1970, 1, 1)
SYNTHETIC: Final = "<synthetic>"
"""The model of what Claude Code says in the model's place: no request was made for it."""

_TYPES: Final = frozenset(
    (
        "assistant", "attachment", "custom-title", "file-history-snapshot", "last-prompt", "mode", "permission-mode",
        "progress", "queue-operation", "summary", "system", "user",
    )
)  # fmt: skip
_MARKS: Final = ("sessionId", "leafUuid", "messageId", "message", "uuid")
_LOOKED_AT: Final = 50


@dataclass(frozen=True, slots=True)
class Line:
    """One line; `end` is where it ends in the file."""

    number: int
    end: int
    kind: str
    uuid: str | None
    parent: str | None
    session: str | None
    agent: str | None
    at: datetime | None
    message: Mapping[str, Any]
    raw: Mapping[str, Any]

    def flag(self, name: str) -> bool:
        """Whether the line says so."""
        return self.raw.get(name) is True

    @property
    def content(self) -> str | list[Any] | None:
        """The content of its message, where that has the form of one."""
        content = self.message.get("content")
        return content if isinstance(content, str | list) else None


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot be read, and why."""

    number: int
    end: int
    reason: str


def lines(data: bytes) -> Iterator[Line | BadLine]:
    """The whole lines of a file. A last one without a line feed counts where it is whole JSON."""
    start, number = 0, 0
    while start < len(data):
        newline = data.find(b"\n", start)
        end = newline + 1 if newline >= 0 else len(data)
        text = data[start:end].strip()
        number += 1
        if text:
            line = _line(text, number, end)
            if newline < 0 and isinstance(line, BadLine):
                return  # still being written
            yield line
        start = end


def is_transcript(data: bytes) -> bool:
    """Whether a file that begins so is a session file: its first lines have the form of one."""
    start = 0
    for _ in range(_LOOKED_AT):
        newline = data.find(b"\n", start)
        end = newline if newline >= 0 else len(data)
        try:
            value = json.loads(data[start:end])
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            if _is_of_session(value):
                return True
            if any(str(name).startswith("resource") for name in value):
                return False  # OTLP, whose lines are long
        if newline < 0:
            return False
        start = newline + 1
    return False


def _is_of_session(value: Mapping[str, Any]) -> bool:
    kind = value.get("type")
    message = value.get("message")
    if kind is None:
        return isinstance(message, Mapping) and "sessionId" in value
    return isinstance(kind, str) and kind in _TYPES and any(mark in value for mark in _MARKS)


def _line(text: bytes, number: int, end: int) -> Line | BadLine:
    try:
        raw = json.loads(text)
    except UnicodeDecodeError as error:
        return BadLine(number, end, f"not UTF-8 at byte {error.start}")
    except json.JSONDecodeError as error:
        return BadLine(number, end, f"not valid JSON: {error.msg} at character {error.pos}")
    except (RecursionError, ValueError) as error:
        return BadLine(number, end, f"not usable JSON: {error}")
    if not isinstance(raw, dict):
        return BadLine(number, end, "not an object")
    message = raw.get("message")
    message = message if isinstance(message, dict) else {}
    kind = _text(raw.get("type")) or _text(message.get("role")) or ""
    forked = raw.get("forkedFrom")
    session = _text(forked.get("sessionId")) if isinstance(forked, dict) else None
    return Line(
        number=number,
        end=end,
        kind=kind,
        uuid=_text(raw.get("uuid")),
        parent=_text(raw.get("parentUuid")),
        # A fork begins with copies of the lines of the session that it left: they are still that session's.
        session=session or _text(raw.get("sessionId")),
        agent=_text(raw.get("agentId")),
        at=_moment(raw.get("timestamp")),
        message=message,
        raw=raw,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
        return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo is not None else found
    except (ValueError, OverflowError):
        return None
