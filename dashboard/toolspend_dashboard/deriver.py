"""Makes what follows from stored spans, beside the thread that stores them: who sends spans does not wait for it."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import duckdb

from toolspend_ingest.errors import StoreDamaged, StoreError, StoreFailed

if TYPE_CHECKING:
    from .writer import Writer

TRACES_AT_ONCE = 1_000
"""Traces to a transaction: many share the cost of one, and pages see what is done with each."""
GATHER_S = 0.2
"""How long spans gather first: a session sends several times a second, and is derived whole each time."""
TRY_AGAIN_S = 1.0

_log = logging.getLogger("toolspend")


class Deriver:
    """A thread that derives whenever spans were stored; what is due is known to the store, and survives a crash."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._lock = threading.Lock()
        self._due = threading.Event()
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="toolspend-deriver")
        self.waiting_spans = 0

    def start(self) -> None:
        """Begin with what an earlier process left."""
        self._due.set()
        self._thread.start()

    def add(self, spans: int) -> None:
        """Told that so many spans were stored."""
        self.waiting_spans += spans
        self._due.set()

    def stop(self) -> None:
        """Derive what is due, and end."""
        self._is_stopping.set()
        self._due.set()
        self._thread.join()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is derived by the thread meanwhile."""
        with self._lock:
            yield

    def _run(self) -> None:
        while True:
            self._due.wait()
            is_last = self._is_stopping.wait(GATHER_S)
            self._due.clear()
            is_done = self._derive()
            if is_last:
                return
            if not is_done:
                self._is_stopping.wait(TRY_AGAIN_S)
                self._due.set()

    def _derive(self) -> bool:
        """Whether all that was due is done."""
        try:
            left = 1
            while left:
                with self._lock:
                    seen = self.waiting_spans
                    left = self._writer.store.derive_pending(TRACES_AT_ONCE)
                    self.waiting_spans -= 0 if left else seen
                    self._writer.commits += 1
        except (StoreDamaged, StoreFailed) as error:
            self._writer.give_up(error)
        except (StoreError, duckdb.Error) as error:
            _log.debug("not derived yet: %s", error)
        else:
            return True
        return False
