"""Where spans come from: the spool that instrumented processes write, and files of OTLP.

A source gives chunks in its order. The position after a chunk is stored in the transaction that stores its spans, so a
crash or a second run neither loses nor doubles any.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from ..decode import Decoded

CHUNK_SPANS = 10_000
"""Spans to a transaction: larger ones insert no faster (463k rows/s at 10,000, 340k at 100,000)."""
CHUNK_BYTES = 8 << 20


@dataclass(frozen=True)
class Chunk:
    """Some of a source: what it held, where it ends, and how many spans the sender said that it dropped.

    `share` is how much of the source is read with it, for showing progress.
    """

    decoded: Decoded
    identity: str
    position: int
    dropped: int = 0
    share: float = 1.0


def as_text(path: str) -> str:
    """A path or a name as text that can be stored: what of it is not UTF-8 becomes escapes, as `\\xe9`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


class Source(Protocol):
    """One file to read; `size` in bytes is for showing progress."""

    @property
    def name(self) -> str:
        """What the source is called in `ingest_log`."""
        ...

    @property
    def size(self) -> int:
        """Bytes on disk."""
        ...

    def chunks(self, stored: tuple[str, int] | None) -> Iterator[Chunk]:
        """What is new since the stored identity and position."""
        ...

    def finish(self) -> None:
        """Called when every chunk is stored."""
        ...
