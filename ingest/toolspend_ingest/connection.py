"""The one way in which a store's file is opened, and what it means where that, or a statement, fails."""

from __future__ import annotations

import os
import re
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
    # Of log, before DuckDB works it into the file, which holds up commits for a tenth of a second or two.
    "checkpoint_threshold": "32MiB",
}
_STORE: Final = "store"
"""What the file is called beside the connection's own database, which is in memory and holds nothing."""
_ROW_GROUP: Final = 30_720
"""Rows of a table that DuckDB writes at once. A checkpoint writes the last ones again, and nothing is committed
meanwhile: of its own 122,880 that is half a second and more. Fewer take more room: 24 % more at 10,240."""


def connect(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    """A connection to the file at `path`. Raises StoreLocked, StoreDamaged and StoreUnreadable."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise StoreUnreadable(path, "the path is not UTF-8, as DuckDB needs it") from error
    con = None
    try:
        if not read_only:
            path.parent.mkdir(parents=True, exist_ok=True)
        con = duckdb.connect(config={**_CONFIG, "temp_directory": f"{path}.tmp"})
        how = "read_only" if read_only else "read_write"
        con.execute(f"attach {_quoted(path)} as {_STORE} (type duckdb, {how}, row_group_size {_ROW_GROUP})")
        return _using_store(con)
    except duckdb.Error as error:
        if con is not None:
            con.close()
        text = str(error)
        if "lock on file" in text:
            holder = _PID.search(text)
            raise StoreLocked(path, int(holder.group(1)) if holder else None) from error
        if "already attached" in text:
            raise StoreLocked(path, os.getpid()) from error
        if _DAMAGED.search(text):
            raise StoreDamaged(path, text) from error
        raise StoreUnreadable(path, text) from error
    except OSError as error:
        raise StoreUnreadable(path, error.strerror or str(error)) from error


def cursor_of(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Another connection to the file of `con`, a connection of `connect`."""
    return _using_store(con.cursor())


def _using_store(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    con.execute(f"use {_STORE}")
    con.execute("set enable_progress_bar = false")
    return con


def _quoted(path: Path) -> str:
    text = str(path).replace("'", "''")
    return f"'{text}'"


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
