"""The spool, fed to the writer as it grows."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future
from pathlib import Path

from toolspend_ingest import Store, Summary, ingest
from toolspend_ingest.errors import ToolspendError
from toolspend_ingest.sources import as_text

from .errors import Busy
from .writer import Writer

POLL_S = 0.7
TIDY_S = 30
SHOWN_FILES = 3
CHUNK_SPANS = 2_000
"""Spans of the spool to a transaction: who sends spans over the network waits for one at most."""

_log = logging.getLogger("toolspend")


class Watcher:
    """A thread that has the spool loaded whenever a file in it has appeared, grown or gone."""

    def __init__(self, writer: Writer, spool: Path, *, poll_s: float = POLL_S) -> None:
        self._writer = writer
        self._spool = spool
        self._poll_s = poll_s
        self._seen: dict[str, int] = {}
        self._unread: dict[str, str] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="toolspend-spool")
        self._loaded_at: float | None = None
        self.failure: str | None = None
        """Why the last load left something, one line; None when it did not."""

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Load nothing more; returns once a load that was under way has ended."""
        self._stop.set()
        self._thread.join()

    def waiting_bytes(self) -> int:
        """Size of what the spool holds that was not there, or could not be read, when it was last loaded."""
        read = {name: size for name, size in self._seen.items() if name not in self._unread}
        return sum(max(size - read.get(name, 0), 0) for name, size in self._sizes().items())

    def loaded_s_ago(self) -> float | None:
        """Seconds since the spool was last loaded; None where it has not been."""
        return None if self._loaded_at is None else round(time.monotonic() - self._loaded_at, 1)

    def load(self) -> Future[Summary]:
        """Have what the spool holds loaded, after what already waits."""
        return self._writer.call(self._load, is_alone=False)

    def load_now(self) -> None:
        """Load what the spool holds; `failure` says what could not be."""
        try:
            unread = list(self.load().result().unread.values())
            if unread:
                self._fail("; ".join(unread[:SHOWN_FILES]) + (" and more" if len(unread) > SHOWN_FILES else ""))
            else:
                self.failure = None
        except Busy:
            return
        except ToolspendError as error:
            self._fail(str(error))
        except Exception as error:
            self._fail(f"{type(error).__name__}: {error}")

    def _load(self, store: Store) -> Summary:
        sizes = self._sizes()
        summary = ingest(
            store,
            None,
            chunk_spans=CHUNK_SPANS,
            is_derived_later=True,
            progress=lambda *_: self._between_chunks(),
        )
        self._seen, self._unread = sizes, summary.unread
        self._loaded_at = time.monotonic()
        self._writer.changed(summary.spans)
        return summary

    def _between_chunks(self) -> None:
        # Spans that came over the network get their turn, and what was loaded is derived while more is.
        self._writer.commit_waiting()
        self._writer.changed(0)

    def _sizes(self) -> dict[str, int]:
        try:
            return {as_text(entry.name): entry.stat().st_size for entry in self._spool.glob("*.spool")}
        except OSError:  # a file was deleted while it was listed
            return {}

    def _run(self) -> None:
        loaded_at = time.monotonic()
        while not self._stop.is_set():
            sizes = self._sizes()
            # A file whose writer has gone does not grow, and is removed by the next load.
            if sizes != self._seen or (sizes and time.monotonic() - loaded_at > TIDY_S):
                self.load_now()
                loaded_at = time.monotonic()
            self._stop.wait(self._poll_s)

    def _fail(self, reason: str) -> None:
        if reason != self.failure:
            _log.warning("not all of the spool could be loaded: %s", reason)
        self.failure = reason
