"""Makes what follows from stored spans, beside the thread that stores them: who sends spans does not wait for it."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
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
MOST_GATHER_S = 2.0
"""They gather twice as long as the last ones took, up to this: what comes often is then derived less often."""
TRY_AGAIN_S = 1.0
PREPARE_S = 10.0
"""After so long with nothing due, what derives is made ready for what comes. Not at the start: that takes a second of
CPU, which the first page would wait for."""

_log = logging.getLogger("toolspend")


class Deriver:
    """A thread that derives whenever spans were stored; what is due is known to the store, and survives a crash."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._at_work = threading.Lock()
        self._counting = threading.Lock()
        self._due = threading.Event()
        self._idle = threading.Event()
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="toolspend-deriver")
        self.waiting_spans = 0
        """Spans stored since it started of which what follows is not."""

    def start(self) -> None:
        """Begin with what an earlier process left."""
        self._due.set()
        self._thread.start()

    def add(self, spans: int) -> None:
        """Told that so many spans were stored."""
        with self._counting:
            self.waiting_spans += spans
            self._idle.clear()
            self._due.set()

    def settle(self, timeout_s: float) -> bool:
        """Wait until nothing is due; whether it came to that in time."""
        return self._idle.wait(timeout_s)

    def stop(self) -> None:
        """End, with a last piece of what is due; the rest is known to the store."""
        self._is_stopping.set()
        self._due.set()
        self._thread.join()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is derived meanwhile."""
        with self._at_work:
            yield

    def _run(self) -> None:
        gather_s = GATHER_S
        while not self._is_stopping.is_set():
            if not self._due.wait(PREPARE_S):
                self._prepare()
                self._due.wait()
            self._is_stopping.wait(gather_s)
            self._due.clear()
            before = time.monotonic()
            is_done = self._derive()
            gather_s = min(max(GATHER_S, 2 * (time.monotonic() - before)), MOST_GATHER_S)
            if not is_done:
                self._is_stopping.wait(TRY_AGAIN_S)
                self._due.set()

    def _prepare(self) -> None:
        with self._at_work:
            self._writer.store.prepare_to_derive()

    def _derive(self) -> bool:
        """Whether all that was due is done."""
        try:
            while self._writer.problem is None:
                with self._at_work:
                    seen = self.waiting_spans
                    due = self._writer.store.derive_pending(TRACES_AT_ONCE)
                self._writer.commits += due.done > 0
                if not due.left:
                    self._done(seen)
                    return True
                if self._is_stopping.is_set():
                    return True
        except (StoreDamaged, StoreFailed) as error:
            self._writer.give_up(error)
        except (StoreError, duckdb.Error) as error:
            _log.debug("not derived yet: %s", error)
        return False

    def _done(self, spans: int) -> None:
        with self._counting:
            self.waiting_spans -= spans
            if not self._due.is_set():
                self._idle.set()
