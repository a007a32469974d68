"""Copies of the store for queries that must not run where the store is written."""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from threading import Lock

from toolspend._home import spool_dir
from toolspend_ingest import Store, Summary, ingest
from toolspend_ingest.aside import Aside
from toolspend_ingest.errors import StoreDamaged, StoreLocked
from toolspend_ingest.ingest import retry as read_again
from toolspend_ingest.sources.spool import spool_files

from . import address
from .errors import NotServing, ServerError
from .state import holder
from .writer import Writer

SERVER_TIMEOUT_S = 60
SETTLE_S = 10

_log = logging.getLogger("toolspend")


class _Latest:
    lock = Lock()
    path: Path | None = None
    commits = -1


def snapshot_path(store: Path) -> Path:
    """Where the server keeps the snapshot of a store."""
    return store.with_name(f"{store.stem}.snapshot.duckdb")


def fresh() -> Path:
    """A read-only copy of the store this process serves that holds everything committed so far."""
    owner = holder()
    if not isinstance(owner, Writer):
        path = snapshot_path(owner.store.path)
        owner.store.snapshot(path)
        return path
    # Under lasting load something is always due; then the bill of the last moments is not in it.
    owner.settle(SETTLE_S)
    with _Latest.lock:
        path = snapshot_path(owner.store.path)
        commits = owner.commits
        if _Latest.path != path or commits != _Latest.commits or not path.exists():
            owner.call(lambda store: store.snapshot(path)).result()
            _Latest.path, _Latest.commits = path, commits
        return path


def retry() -> Summary:
    """Have what was refused and kept aside read again by the server of this process."""
    owner = holder()
    if not isinstance(owner, Writer):
        raise NotServing
    summary: Summary = owner.call(lambda store: read_again(store, Aside())).result()
    owner.commits += 1
    return summary


def discard(store: Path) -> None:
    """Remove the server's snapshot of a store."""
    snapshot_path(store).unlink(missing_ok=True)
    _Latest.path = None


@contextlib.contextmanager
def for_command(db: Path, *, load_spool: bool = True) -> Iterator[Path]:
    """A snapshot for a command of its own process, with the spool loaded first.

    A server that has the store open is asked for one; else the store is opened here, copied, and closed again. One that
    can only be read is asked itself.
    """
    with damage_told_of(db), tempfile.TemporaryDirectory(prefix="toolspend-") as folder:
        yield _served(db) or _made(db, Path(folder) / "snapshot.duckdb", load_spool)


@contextlib.contextmanager
def damage_told_of(db: Path) -> Iterator[None]:
    """What is found to be damaged in a copy of the store is said of the store."""
    try:
        yield
    except StoreDamaged as error:
        raise StoreDamaged(db, error.reason) from error


def to_read(db: Path) -> Path:
    """A path of the store that can be opened read-only now: a server's snapshot, or the file itself."""
    return _served(db) or db


def _served(db: Path) -> Path | None:
    """A snapshot by the server that has the store open; None where there is none."""
    running = address.find(db)
    return _ask(running) if running is not None else None


def _made(db: Path, to: Path, load_spool: bool) -> Path:
    try:
        if db.exists() and not _can_be_written(db):
            Store.open(db, read_only=True).close()
            if load_spool and spool_files(spool_dir()):
                _log.warning("%s can only be read: what is in the spool is not loaded", db)
            return db
        with Store.open(db) as store:
            if load_spool:
                for reason in ingest(store, None).unread.values():
                    _log.warning("%s", reason)
            store.snapshot(to)
    except StoreLocked:
        # A server that was starting when it was looked for has its address out by now.
        if (served := _served(db)) is None:
            raise
        return served
    return to


def _can_be_written(db: Path) -> bool:
    """Whether a store's file can be changed: DuckDB makes its log beside it."""
    return os.access(db, os.W_OK) and os.access(db.parent, os.W_OK)


def _ask(server: address.Address) -> Path | None:
    """The running server's snapshot, made for this call; None when nothing answers there."""
    request = urllib.request.Request(  # noqa: S310 - the URL is one that our own server wrote
        f"{server.url}/api/snapshot", method="POST", headers={"Authorization": f"Bearer {server.secret}"}
    )
    # No proxy of the environment may see a call to this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=SERVER_TIMEOUT_S) as response:
            return Path(json.load(response)["path"])
    except urllib.error.HTTPError as error:
        reason = error.read(500).decode("utf-8", "replace").strip()
        raise ServerError(f"the server at {server.url} gave no snapshot ({error.code}): {reason}") from error
    except (OSError, http.client.HTTPException, ValueError, KeyError):
        return None
