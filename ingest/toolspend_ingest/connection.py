"""The one way in which a store's file is opened, and what it means where that, or a statement, fails."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Final

import duckdb

from .errors import StoreDamaged, StoreError, StoreFailed, StoreLocked, StoreUnreadable

_DAMAGED: Final = re.compile(r"Corrupt database file|Could not read enough bytes|replaying WAL")
_UNWRITTEN: Final = re.compile(r"Failed to commit: Could not")
_PID = re.compile(r"\(PID (\d+)\)")
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "python_enable_replacements": "false",
    # A file of another kind would have DuckDB fetch an extension for it.
    "autoinstall_known_extensions": "false",
    "memory_limit": os.environ.get("TOOLSPEND_MEMORY_LIMIT", "2GB"),
}
_LOG_MIB: Final = 128
"""How long the log grows before DuckDB works it into the file, which holds up commits: at its own 16 MiB that is every
other second of full load, and the last 122,880 rows are written anew each time."""
_LOG_SHARE: Final = 16
"""The log takes no more of what the disk has left than one part of so many."""


def connect(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    """A connection to the file at `path`. Raises StoreLocked, StoreDamaged and StoreUnreadable."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise StoreUnreadable(path, "the path is not UTF-8, as DuckDB needs it") from error
    try:
        if not read_only:
            path.parent.mkdir(parents=True, exist_ok=True)
        log_mib = max(min(_LOG_MIB, (shutil.disk_usage(path.parent).free >> 20) // _LOG_SHARE), 16)
        config = {**_CONFIG, "checkpoint_threshold": f"{log_mib}MiB"}
        return duckdb.connect(str(path), read_only=read_only, config=config)
    except duckdb.Error as error:
        text = str(error)
        if "lock on file" in text:
            holder = _PID.search(text)
            raise StoreLocked(path, int(holder.group(1)) if holder else None) from error
        if _DAMAGED.search(text):
            raise StoreDamaged(path, text) from error
        raise StoreUnreadable(path, text) from error
    except OSError as error:
        raise StoreUnreadable(path, error.strerror or str(error)) from error


def failure_of(error: Exception, con: duckdb.DuckDBPyConnection, path: Path) -> StoreError | None:
    """What has become of the store at `path`; None where the error is about a statement, and the store is as it was."""
    if _DAMAGED.search(str(error)):
        return StoreDamaged(path, str(error))
    if isinstance(error, duckdb.FatalException | duckdb.IOException | OSError) or _UNWRITTEN.search(str(error)):
        return StoreFailed(path, str(error))
    try:
        con.execute("select 1").fetchall()
    except duckdb.FatalException as fatal:
        return StoreFailed(path, str(fatal))
    except duckdb.Error:
        return None
    return None
