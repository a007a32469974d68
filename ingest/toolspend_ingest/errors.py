"""What can go wrong, as one small tree; every message is one line that says what to do.

ToolspendError
├── StoreError                 the DuckDB file
│   ├── StoreMissing           there is none at that path
│   ├── StoreLocked            another process has it open
│   ├── StoreTooNew            a later version of toolspend wrote it
│   ├── StoreOutdated          an earlier version wrote it, and it was opened to read only
│   ├── StoreUnreadable        it is not a DuckDB file, or not one this DuckDB can read
│   │   └── StoreDamaged       it was one, and what it holds is damaged
│   ├── StoreForeign           a DuckDB file of something else
│   ├── StoreFailed            DuckDB gave up while writing (a full disk): reopen the store
│   ├── StoreClosed            it is being reopened, or closed for good
│   ├── NotDerived             what follows from stored spans could not be worked out; it is due still
│   └── SnapshotFailed         it cannot be copied
├── PricesInvalid              prices.toml cannot be used
├── SourceUnreadable           a file or folder given to load cannot be read
├── SessionsMissing            there are no session files of Claude Code where they should be
└── QueryError                 a statement given to the sandbox
    ├── QueryRefused           it is not one that may run
    ├── QueryFailed            DuckDB could not run it
    └── QueryTimeout           it took too long and was stopped
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class ToolspendError(Exception):
    """The root of every error that is meant for the user; its text is one line."""


class StoreError(ToolspendError):
    """Something about the DuckDB file; `path` is its path."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path


class StoreMissing(StoreError):
    """There is no store at the path."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, f"no store at {path}: run `toolspend ingest` or `toolspend up` first, or give --db PATH")


class StoreLocked(StoreError):
    """Another process has the store open; `pid` is its process id where DuckDB says it."""

    def __init__(self, path: Path, pid: int | None) -> None:
        holder = f"process {pid}" if pid is not None else "another process"
        super().__init__(
            path,
            f"{path} is open in {holder}: stop it, or give another --db PATH "
            "(beside a running `toolspend up`, `toolspend sql` and `report` work)",
        )
        self.pid = pid


class StoreTooNew(StoreError):
    """A later version of toolspend wrote the store; `found` and `known` are schema versions."""

    def __init__(self, path: Path, found: int, known: int) -> None:
        super().__init__(
            path,
            f"{path} has schema version {found}, this toolspend knows {known}: upgrade with "
            f"`pip install -U 'toolspend[dashboard]'`, or give another --db PATH",
        )
        self.found = found
        self.known = known


class StoreOutdated(StoreError):
    """An earlier version of toolspend wrote the store, and opening it to read cannot migrate it."""

    def __init__(self, path: Path, found: int, known: int) -> None:
        super().__init__(
            path,
            f"{path} has schema version {found}, this toolspend needs {known}: run `toolspend ingest` to migrate it",
        )
        self.found = found
        self.known = known


class StoreUnreadable(StoreError):
    """The file is not a store that this DuckDB can read."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            path,
            f"cannot open {path} as a store: {first_line(reason)}: give another --db PATH, "
            "or move it away to start anew",
        )


class StoreForeign(StoreError):
    """The DuckDB file has tables or views of something else; it was not changed."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            path, f"{path} is a DuckDB file of something else, and was left as it is: give another --db PATH"
        )


class StoreDamaged(StoreUnreadable):
    """What the file holds is damaged; nothing was written to it, and the spool is as it was."""

    def __init__(self, path: Path, reason: str) -> None:
        StoreError.__init__(
            self,
            path,
            f"{path} is damaged ({first_line(reason)}): move it and {path.name}.wal away and start again, or put a "
            "copy back; what is in the spool will be loaded",
        )
        self.reason = reason


class StoreFailed(StoreError):
    """DuckDB gave up while writing; nothing of the transaction was kept, and the store must be reopened."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            path,
            f"writing to {path} failed ({first_line(reason)}): free some disk space and try again; "
            "nothing that was acknowledged is lost",
        )


class StoreClosed(StoreError):
    """The store is being reopened, or was closed."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, f"{path} is closed: it is opened again as soon as it can be; try again in a moment")


class NotDerived(StoreError):
    """What follows from stored spans could not be worked out; they are stored, and it is due still."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, f"what follows from spans in {path} is not derived yet: {first_line(reason)}")


class SnapshotFailed(StoreError):
    """The store cannot be copied; the store itself is well."""

    def __init__(self, path: Path, to: Path, reason: str) -> None:
        super().__init__(path, f"cannot copy {path} to {to} ({reason}): free some disk space")


class PricesInvalid(ToolspendError):
    """A user's prices.toml cannot be used; the message names the file and the line."""

    def __init__(self, path: Path, line: int | None, reason: str) -> None:
        where = f"{path}:{line}" if line is not None else str(path)
        super().__init__(f"{where}: {reason}")
        self.path = path
        self.line = line


class SourceUnreadable(ToolspendError):
    """A file or folder given to load cannot be read."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot read {path}: {reason}")
        self.path = path


class SessionsMissing(ToolspendError):
    """Claude Code has no session files in any of the folders."""

    def __init__(self, folders: Sequence[Path]) -> None:
        places = " or ".join(map(str, folders))
        super().__init__(
            f"no Claude Code sessions in {places}: set CLAUDE_CONFIG_DIR to where Claude Code keeps its data, "
            "or give the folder as PATH"
        )


class QueryError(ToolspendError):
    """A statement given to the sandbox did not give a result."""


class QueryRefused(QueryError):
    """The statement is not one that may run: it writes, reaches outside the store, or is more than one."""


class QueryFailed(QueryError):
    """DuckDB could not run the statement, or it needed too much memory."""


class QueryTimeout(QueryError):
    """The statement took too long and was stopped."""


def first_line(text: str) -> str:
    """The first line of an error's text, without a trailing full stop or link."""
    line = text.strip().splitlines()[0] if text.strip() else "unknown reason"
    return line.split(". See also")[0].rstrip(".")
