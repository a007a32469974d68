"""What stands behind the pages and the receivers: the store with its one writer, what feeds it, and how it all is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolspend._home import spool_dir
from toolspend_ingest import Store
from toolspend_ingest.aside import Aside
from toolspend_ingest.errors import StoreLocked
from toolspend_ingest.retention import Keep

from . import address, snapshot, state
from .errors import AlreadyRunning
from .intake import Intake
from .pruner import Pruner
from .watch import Watcher
from .writer import Writer


@dataclass(frozen=True, slots=True)
class Backend:
    """The writer with its store, and what feeds it."""

    writer: Writer
    watcher: Watcher
    intake: Intake
    pruner: Pruner

    def status(self) -> dict[str, Any]:
        """How it is, as `/healthz` and the page about it say."""
        problem = self.writer.problem
        return {
            "status": "unavailable" if problem else "degraded" if self.watcher.failure else "ok",
            "problem": problem,
            "waiting_requests": self.writer.waiting_requests,
            "waiting_spans": self.writer.waiting_spans,
            "underived_spans": self.writer.underived_spans,
            "spool_waiting_bytes": self.watcher.waiting_bytes(),
            "spool_failure": self.watcher.failure,
            "commits": self.writer.commits,
            "last_load_s": self.watcher.loaded_s_ago(),
            "refused_kept_bytes": Aside().size(),
            "disk_free_bytes": self.writer.free_bytes(),
            "store_bytes": self.writer.store_bytes(),
            "pruned_spans": self.pruner.pruned.spans,
            "pruned_contents": self.pruner.pruned.contents,
            **self.intake.status(),
        }


def open_store(db: Path) -> Store:
    """The store, for the one process that serves it. Raises AlreadyRunning where another does, else a StoreError."""
    served = address.find(db)
    try:
        return Store.open(db)
    except StoreLocked as error:
        if served is not None:
            raise AlreadyRunning(db, served.url, served.pid) from error
        raise


@contextlib.contextmanager
def running(store: Store, keep: Keep | None = None) -> Iterator[Backend]:
    """Write to the store, and watch the spool; on leaving, commit what waits and close everything, the store too.

    It starts threads, of which some import pandas by way of DuckDB: whoever uses plotly imports that before.
    """
    path = store.path
    writer = Writer(store)
    watcher = Watcher(writer, spool_dir())
    watcher.start()
    pruner = Pruner(writer, keep or Keep())
    pruner.start()
    backend = Backend(writer, watcher, Intake(writer, Aside()), pruner)
    state.set_holder(writer)
    state.set_status(backend.status)
    try:
        yield backend
    finally:
        state.set_status(None)
        state.set_holder(None)
        watcher.stop()
        pruner.stop()
        writer.close()
        snapshot.discard(path)
