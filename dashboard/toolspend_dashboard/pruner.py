"""Keeps the store to what it was told to keep, while the server runs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb

from toolspend_ingest import retention
from toolspend_ingest.errors import ToolspendError
from toolspend_ingest.retention import Keep, Pruned

from .errors import Busy
from .writer import Writer

EVERY_S = 600.0
LATE = timedelta(days=2)
"""Content of spans that arrive later than this after they started is found when the server starts anew."""

_log = logging.getLogger("toolspend")


class Pruner:
    """A thread that prunes when it starts and every `EVERY_S`; it removes a little at a time, between commits."""

    def __init__(self, writer: Writer, keep: Keep, *, every_s: float = EVERY_S) -> None:
        self._writer = writer
        self._keep = keep
        self._every_s = every_s
        self._started_at = datetime.now(UTC).replace(tzinfo=None)
        self._started_s = time.monotonic()
        self._emptied_to: datetime | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="toolspend-pruner")
        self.pruned = Pruned()
        """What went since the server started."""

    def start(self) -> None:
        """Begin to prune, where anything is to be pruned."""
        if self._keep != Keep():
            self._thread.start()

    def stop(self) -> None:
        """Prune nothing more; returns once what was under way has ended."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def now(self) -> datetime:
        """The present, UTC; a clock that was put forward since the start is not believed, or all would be old."""
        steady = self._started_at + timedelta(seconds=time.monotonic() - self._started_s)
        return min(steady, datetime.now(UTC).replace(tzinfo=None))

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._prune()
            except Busy:
                _log.debug("nothing is pruned while nothing can be written", exc_info=True)
            except (ToolspendError, duckdb.Error) as error:
                _log.warning("pruning failed: %s", error)
            self._stop.wait(self._every_s)

    def _prune(self) -> None:
        now = self.now()
        since = self._emptied_to - LATE if self._emptied_to is not None else None
        found = retention.prune(self._read, self._write, self._keep, now, since=since)
        self._emptied_to = now - self._keep.content if self._keep.content is not None else None
        self.pruned.spans += found.spans
        self.pruned.contents += found.contents

    def _read(self, work: Callable[[duckdb.DuckDBPyConnection], Any]) -> Any:
        with self._writer.store.reading() as cursor:
            return work(cursor)

    def _write(self, work: Callable[[duckdb.DuckDBPyConnection], Any]) -> Any:
        if self._stop.is_set():
            raise Busy("the server is stopping")
        result = self._writer.call(lambda store: store.write(work)).result()
        self._writer.commits += 1
        return result
