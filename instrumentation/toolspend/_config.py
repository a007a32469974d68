"""What the user asked for, as every part of the instrumentation reads it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ._guard import record_failure

Redact: TypeAlias = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Config:
    """`export` is "auto", "spool", "otlp" or None; `redact` takes a text and returns what may leave of it."""

    capture_content: bool = False
    capture_definitions: bool = True
    redact: Redact | None = None
    export: str | None = "auto"

    def content(self, text: str) -> str | None:
        """What may leave the process of `text`: None unless content is captured, or where `redact` fails."""
        if not self.capture_content:
            return None
        try:
            redacted = text if self.redact is None else self.redact(text)
            if not isinstance(redacted, str):
                raise TypeError("redact returned no string")
        except Exception as error:
            record_failure("redact", error)
            return None
        # A lone surrogate, which JSON may hold, cannot be sent.
        left = redacted if redacted.isascii() else redacted.encode("utf-8", "replace").decode()
        _ready.append(hash(left))
        return left


_current = Config()
_ready: deque[int] = deque(maxlen=50_000)
"""Hashes of texts that `redact` has seen: another look must not redact them twice."""


def config() -> Config:
    """The settings in force."""
    return _current


def is_ready_to_leave(text: str) -> bool:
    """Whether `text` is as `Config.content` left it."""
    return hash(text) in _ready


def set_config(settings: Config) -> None:
    """Puts `settings` in force."""
    global _current
    _current = settings
