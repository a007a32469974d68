"""The one thread that writes to the store: requests wait in a bounded queue and are committed several at a time."""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from toolspend_ingest import Store
from toolspend_ingest.errors import StoreDamaged, StoreError, StoreFailed, ToolspendError
from toolspend_ingest.spans import SpanBatch
from toolspend_ingest.store import Load

from .deriver import Deriver
from .errors import Busy

T = TypeVar("T")

MAX_WAITING_REQUESTS = 1_000
MAX_WAITING_SPANS = 100_000
SPANS_PER_COMMIT = 20_000
MAX_UNDERIVED_SPANS = 1_000_000
"""Beyond this the bill lags too far behind what is stored, and spans are turned away."""
GATHER_S = 0.02
"""How long a commit waits for requests that are being read: one of 512 spans costs half of what four together do."""
MIN_FREE_DISK_BYTES = 64 * 1024 * 1024
"""Below this, spans are turned away: a full disk would make DuckDB give up the file until it is reopened."""
REOPEN_S = 1.0
"""How often a store that DuckDB gave up is tried again."""
RETRY_LATER_S = 5

_log = logging.getLogger("toolspend")


@dataclass(frozen=True, slots=True)
class _Spans:
    batch: SpanBatch
    source: str
    refused: int
    reason: str | None
    done: Future[None] = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class _Job:
    work: Callable[[Store], Any]
    is_alone: bool
    done: Future[Any] = field(default_factory=Future)


class Writer:
    """Owns the store and the thread that writes to it; `close()` commits what waits and closes the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.derive_apart()
        self._problem: str | None = None
        self._is_damaged = False
        self._must_reopen = False
        self._spans: deque[_Spans] = deque()
        self._jobs: deque[_Job] = deque()
        self._waiting_spans = 0
        self._coming = 0
        self._is_closing = False
        self._changed = threading.Condition()
        self.commits = 0
        """Rises with every change of the store, so that a snapshot knows whether it is still fresh."""
        self._deriver = Deriver(self)
        self._thread = threading.Thread(target=self._run, name="toolspend-writer")
        self._thread.start()
        self._deriver.start()

    @property
    def store(self) -> Store:
        """The store that is open now; readers take a cursor of it."""
        return self._store

    @property
    def problem(self) -> str | None:
        """Why nothing can be stored just now, one line; None where all is well."""
        return self._problem or self._disk_problem()

    def free_bytes(self) -> int | None:
        """How much the store's disk has left; None where it does not say."""
        with contextlib.suppress(OSError):
            return shutil.disk_usage(self._store.path.parent).free
        return None

    def store_bytes(self) -> int:
        """Size of the store's file and its log."""
        path = self._store.path
        return _size(path) + _size(_log_of(path))

    @property
    def waiting_requests(self) -> int:
        """How many requests are not committed yet."""
        return len(self._spans)

    @property
    def waiting_spans(self) -> int:
        """How many spans are not committed yet."""
        return self._waiting_spans

    @property
    def underived_spans(self) -> int:
        """How many spans are stored since it started, and what follows from them is not."""
        return self._deriver.waiting_spans

    def settle(self, timeout_s: float) -> bool:
        """Wait until all that is stored is derived too; whether it came to that in time."""
        return self._deriver.settle(timeout_s)

    def changed(self, spans: int) -> None:
        """Told that so many spans were appended for later."""
        self.commits += 1
        self._deriver.add(spans)

    @contextlib.contextmanager
    def expecting(self) -> Iterator[None]:
        """Spans are being read that will be submitted within: a commit waits a little for them."""
        with self._changed:
            self._coming += 1
        try:
            yield
        finally:
            with self._changed:
                self._coming -= 1
                self._changed.notify()

    def submit(self, batch: SpanBatch, *, source: str, refused: int = 0, reason: str | None = None) -> Future[None]:
        """Queue spans; the future is done once they are on disk. Raises Busy when too many wait or the disk is full."""
        if (problem := self.problem) is not None:
            raise Busy(problem, RETRY_LATER_S)
        item = _Spans(batch, source, refused, reason)
        with self._changed:
            if self._is_closing:
                raise Busy("the server is stopping")
            if self._deriver.waiting_spans > MAX_UNDERIVED_SPANS:
                raise Busy(f"{self._deriver.waiting_spans:,} spans are waiting to be attributed", RETRY_LATER_S)
            # An empty queue takes a batch of any size: no batch can be refused for ever.
            if self._waiting_spans and self._waiting_spans + len(batch) > MAX_WAITING_SPANS:
                raise Busy(f"{self._waiting_spans:,} spans are waiting to be stored")
            if len(self._spans) >= MAX_WAITING_REQUESTS:
                raise Busy(f"{len(self._spans):,} requests are waiting to be stored")
            self._spans.append(item)
            self._waiting_spans += len(batch)
            self._changed.notify()
        return item.done

    def call(self, work: Callable[[Store], T], *, is_alone: bool = True) -> Future[T]:
        """Run `work` with the store in the writing thread, between commits.

        Nothing is derived meanwhile, unless it need not be alone: work that only appends for later.
        """
        job = _Job(work, is_alone)
        with self._changed:
            if self._is_closing:
                raise Busy("the server is stopping")
            self._jobs.append(job)
            self._changed.notify()
        return job.done

    def commit_waiting(self) -> None:
        """Commit the spans that wait now; for long work that `call` runs, so that nobody waits for all of it."""
        while group := self._next_group():
            self._commit(group)

    def close(self) -> None:
        """Commit what waits, end the thread, close the store."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join()
        self._deriver.stop()
        self._store.close()

    def _disk_problem(self) -> str | None:
        path = self._store.path
        # A checkpoint writes once more what is in the log.
        free, needed = self.free_bytes(), MIN_FREE_DISK_BYTES + _size(_log_of(path))
        return f"the disk of {path} is full, free some space" if free is not None and free < needed else None

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._spans or self._jobs or self._is_closing or self._must_reopen,
                    REOPEN_S if self._problem else None,
                )
                job = self._jobs.popleft() if self._jobs else None
                if job is None and not self._spans and self._is_closing:
                    return
                if self._spans:
                    self._changed.wait_for(self._has_enough, GATHER_S)
            if self._problem is not None and not self._is_damaged:
                self._reopen()
            self.commit_waiting()
            if job is not None:
                self._work(job)

    def _has_enough(self) -> bool:
        return not self._coming or self._waiting_spans >= SPANS_PER_COMMIT or self._is_closing

    def _next_group(self) -> list[_Spans]:
        """The requests to commit together: those of one source that wait, up to `SPANS_PER_COMMIT` spans."""
        group: list[_Spans] = []
        others: list[_Spans] = []
        spans = 0
        with self._changed:
            while self._spans and spans < SPANS_PER_COMMIT:
                item = self._spans.popleft()
                if group and item.source != group[0].source:
                    others.append(item)
                    continue
                spans += len(item.batch)
                group.append(item)
            self._spans.extendleft(reversed(others))
        return group

    def _commit(self, group: Sequence[_Spans]) -> None:
        try:
            self._append(group)
        except (StoreError, Busy) as error:
            self._finish(group, error)
        except Exception as error:
            if len(group) == 1:
                _log.exception("a request of %d spans could not be stored", len(group[0].batch))
                self._finish(group, error)
            else:
                # One of them cannot be stored; alone, it costs only itself.
                for entry in group:
                    self._commit([entry])
        else:
            self._finish(group, None)

    def _append(self, group: Sequence[_Spans]) -> None:
        batch = SpanBatch.joined(entry.batch for entry in group)
        refused = sum(entry.refused for entry in group)
        reason = next((entry.reason for entry in group if entry.reason), None)
        source = group[0].source
        with self._guarded():
            load = Load(source, source, None, refused=refused, reason=reason)
            self._store.append_load(batch, load, is_derived_later=True)
        self.changed(len(batch))

    def _finish(self, group: Sequence[_Spans], error: BaseException | None) -> None:
        with self._changed:
            self._waiting_spans -= sum(len(entry.batch) for entry in group)
        for entry in group:
            # The client may have gone, and its future with it.
            if entry.done.set_running_or_notify_cancel():
                if error is None:
                    entry.done.set_result(None)
                else:
                    entry.done.set_exception(error)

    def _work(self, job: _Job) -> None:
        if not job.done.set_running_or_notify_cancel():
            return
        try:
            with self._deriver.paused() if job.is_alone else contextlib.nullcontext(), self._guarded():
                result = job.work(self._store)
        except BaseException as error:
            job.done.set_exception(error)
        else:
            job.done.set_result(result)

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """After DuckDB has given up on the file (a full disk), every statement fails until it is opened anew."""
        if self._problem is not None:
            raise Busy(self._problem, RETRY_LATER_S)
        try:
            yield
        except (StoreDamaged, StoreFailed) as error:
            self.give_up(error)
            raise

    def give_up(self, error: StoreDamaged | StoreFailed) -> None:
        """Nothing is written until the store is opened anew, which the writing thread does."""
        _log.warning("%s", error)
        with self._changed:
            self._problem = str(error)
            # Opening a damaged one again would not help; what can be read of it is shown.
            self._is_damaged = isinstance(error, StoreDamaged)
            # Not here: a job that this commit runs within goes on with the store that it has.
            self._must_reopen = not self._is_damaged
            self._changed.notify()

    def _reopen(self) -> None:
        """Open the store again where there is room, else only to read, so that pages go on."""
        self._must_reopen = False
        has_room = self._disk_problem() is None
        if not has_room and self._store.is_read_only:
            return
        path = self._store.path
        # Both at once cannot be open, and readers of the old instance would drop the lock of the new one.
        self._store.close()
        try:
            self._store = Store.open(path, read_only=not has_room)
            self._store.derive_apart()
            self._problem = None if has_room else self._problem
        except ToolspendError as error:
            self._problem = str(error)


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.wal")


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0
