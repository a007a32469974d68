"""The spool: files that instrumented processes append frames to, each locked by its writer for as long as it lives."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from toolspend._frames import HEADER_BYTES, frame_bytes

from ..aside import Aside
from ..errors import SourceUnreadable
from . import CHUNK_SPANS, Chunk, as_text
from .framed import framed_chunks

SUFFIX = ".spool"


class SpoolFile:
    """One writer's file. When its writer is gone and all of it is stored, it is deleted."""

    def __init__(self, path: Path, aside: Aside | None = None, chunk_spans: int = CHUNK_SPANS) -> None:
        self._path = path
        self._chunk_spans = chunk_spans
        self._aside = aside
        self._read_to: int | None = None

    @property
    def name(self) -> str:
        """The file's name; names are never used twice."""
        return as_text(self._path.name)

    @property
    def size(self) -> int:
        """Bytes on disk; 0 when the file is gone."""
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    def chunks(self, stored: tuple[str, int] | None) -> Iterator[Chunk]:
        """What was written since the stored position. Raises SourceUnreadable."""
        start = stored[1] if stored is not None else 0
        try:
            with self._path.open("rb") as file:
                # Asked before reading: after the lock is free, nothing more is written.
                is_final = _is_free(file.fileno())
                file.seek(start)
                data = file.read()
        except FileNotFoundError:
            return
        except OSError as error:
            raise SourceUnreadable(self._path, error.strerror or str(error)) from error
        position = start
        keep = self._keep if self._aside is not None else None
        for chunk in framed_chunks(
            data, start, is_final=is_final, identify=lambda _: self.name, keep=keep, chunk_spans=self._chunk_spans
        ):
            yield chunk
            position = chunk.position
        self._read_to = position

    def finish(self) -> None:
        """Delete the file, where its writer is gone and nothing of it is left to read."""
        if self._read_to is None:
            return
        try:
            with self._path.open("rb") as file:
                if _is_free(file.fileno()) and os.fstat(file.fileno()).st_size <= self._read_to:
                    self._path.unlink(missing_ok=True)
        except OSError:
            # It stays, and is found wholly read the next time.
            return

    def _keep(self, data: bytes, suffix: str) -> str | None:
        return self._aside.keep(data, self._path.stem, suffix) if self._aside is not None else None


@dataclass(frozen=True)
class Backlog:
    """What of the spool is not loaded yet; of files that cannot be read, the names and no frames."""

    bytes: int = 0
    frames: int = 0
    unread: tuple[str, ...] = ()


def spool_files(folder: Path, aside: Aside | None = None, chunk_spans: int = CHUNK_SPANS) -> list[SpoolFile]:
    """The spool's files, the oldest first; none where there is no spool. Damage is kept in `aside`."""
    return [SpoolFile(path, aside, chunk_spans) for path in sorted(folder.glob(f"*{SUFFIX}")) if path.is_file()]


def backlog(folder: Path, read_to: Callable[[str], int]) -> Backlog:
    """What of the spool lies beyond the position that each file, by its name, was read to."""
    size = found = 0
    unread = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        source = SpoolFile(path)
        start, end = read_to(source.name), source.size
        if end <= start:
            continue
        try:
            with path.open("rb") as file:
                found += _frames_from(file, start, end)
        except FileNotFoundError:  # loaded and removed meanwhile
            continue
        except OSError:
            unread.append(source.name)
        size += end - start
    return Backlog(size, found, tuple(unread))


def _frames_from(file: BinaryIO, start: int, end: int) -> int:
    """How many frames begin from `start` on, by their headers; damage ends the count."""
    found = 0
    while start < end:
        file.seek(start)
        length = frame_bytes(file.read(HEADER_BYTES))
        if length is None:
            return found
        found, start = found + 1, start + length
    return found


def _is_free(fd: int) -> bool:
    """Whether no writer holds the file."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
