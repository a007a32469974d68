"""Input that could not be read, kept as it came so that it can be looked at and tried again; bounded in size."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from pathlib import Path

from toolspend import _home

MAX_BYTES = 256 << 20
"""Most that is kept; the oldest makes room."""
MAX_FILE_BYTES = 32 << 20
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def folder() -> Path:
    """Where refused input of this user is kept."""
    return _home.home() / "refused"


class Aside:
    """A folder of refused input; a name says where it came from and is the same for the same bytes."""

    def __init__(self, path: Path | None = None, *, max_bytes: int = MAX_BYTES) -> None:
        self.path = path if path is not None else folder()
        self._max_bytes = max_bytes

    def keep(self, data: bytes, source: str, suffix: str) -> str | None:
        """Keep the bytes; what their file is called in TOOLSPEND_HOME, or None where it cannot be kept."""
        if not data or len(data) > min(MAX_FILE_BYTES, self._max_bytes):
            return None
        name = f"{_UNSAFE.sub('-', source)[-60:]}-{hashlib.sha256(data).hexdigest()[:12]}{suffix}"
        path = self.path / name
        partial = path.with_name(f".{name}.{os.getpid()}.part")
        try:
            if not path.exists():
                self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._make_room(len(data))
                with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                partial.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            return None
        return f"{self.path.name}/{name}"

    def named(self, reason: str | None, data: bytes, source: str, suffix: str) -> str:
        """The reason with where the bytes are kept, for `ingest_log`."""
        name = self.keep(data, source, suffix)
        return f"{reason or 'refused'}; {f'kept as {name}' if name else 'not kept'}"

    def files(self) -> list[Path]:
        """What is kept, the oldest first; folders that somebody made there are left alone."""
        found = []
        with contextlib.suppress(OSError):
            for path in self.path.iterdir():
                with contextlib.suppress(OSError):
                    if not path.name.startswith(".") and path.is_file():
                        found.append((path.stat().st_mtime, path))
        return [path for _, path in sorted(found)]

    def size(self) -> int:
        """Bytes kept."""
        return sum(_size(path) for path in self.files())

    def _make_room(self, needed: int) -> None:
        files = self.files()
        held = sum(_size(path) for path in files)
        for path in files:
            if held + needed <= self._max_bytes:
                return
            held -= _size(path)
            path.unlink(missing_ok=True)


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0
