"""The store: one DuckDB file. Nothing writes to it but on this module's behalf."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import duckdb

from . import layout, pipeline, privacy, schema
from .apart import Apart
from .arrow import pc, registered
from .attribution import run as attribution
from .connection import connect, cursor_of, failure_of
from .derivation import Derivation, Here
from .errors import (
    SnapshotFailed,
    StoreClosed,
    StoreMissing,
)
from .news import News
from .spans import SpanBatch, SpanRow
from .statements import execute
from .writing import FEW, Together

DERIVATION = "11"
"""Rises with every change of the rules that make derived rows; a store made with others is recomputed on open."""

Progress = Callable[[int, int], None]
"""Told how many traces are done, of how many."""

T = TypeVar("T")

READERS_S = 10
"""How long closing waits for those who read; an invalidated or interrupted query ends within milliseconds."""
_TRACES_AT_ONCE = 5_000


@dataclass(frozen=True)
class Appended:
    """What became of a batch: spans stored, and spans that were there already."""

    spans: int
    duplicates: int


@dataclass(frozen=True)
class Due:
    """What became of traces that were to be derived: how many were, and how many still are to be."""

    done: int
    left: int


@dataclass(frozen=True)
class Load:
    """Where a batch comes from and how its reading went, for `ingest_log` and `source_positions`.

    `position` is in bytes (None: the source has no position, as a network request); `reason` says what was refused.
    """

    source: str
    identity: str
    position: int | None
    refused: int = 0
    dropped: int = 0
    reason: str | None = None


class Store:
    """A DuckDB file with the relations that are documented as public; one thread writes, readers take cursors."""

    def __init__(self, path: Path, con: duckdb.DuckDBPyConnection, *, is_read_only: bool) -> None:
        self.path = path
        self.is_read_only = is_read_only
        self._con = con
        self._file: FileIO | None = None
        self._derivation: Derivation = Here()
        self._fresh = News()
        self._order = threading.Lock()
        """Held by a commit of spans for later, and while it is seen which of them there are."""
        self._readers: dict[int, duckdb.DuckDBPyConnection] = {}
        self._changed = threading.Condition()
        self._is_closed = False

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False, prices_file: Path | None = None) -> Store:
        """Open the store at `path`, made and migrated where needed; raises a `StoreError` or `PricesInvalid`.

        `prices_file` is the user's prices.toml; None means the one in TOOLSPEND_HOME, where it exists.
        """
        if read_only and not path.exists():
            raise StoreMissing(path)
        con = connect(path, read_only=read_only)
        store = cls(path, con, is_read_only=read_only)
        try:
            store._prepare(prices_file)
        except BaseException:
            store.close()
            raise
        return store

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection of its own to the same data, for one reading thread."""
        return cursor_of(self._con)

    @contextlib.contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor that `close` interrupts and waits for, for threads that read while another one may close.

        Raises `StoreClosed` where the store is closed, or is closed meanwhile; `StoreFailed` and `StoreDamaged`.
        """
        with self._changed:
            if self._is_closed:
                raise StoreClosed(self.path)
            cursor = self.cursor()
            self._readers[id(cursor)] = cursor
        try:
            with self._failing_as_store():
                yield cursor
        except duckdb.InterruptException as error:
            if self._is_closed:
                raise StoreClosed(self.path) from error
            raise
        finally:
            with self._changed:
                cursor.close()
                del self._readers[id(cursor)]
                self._changed.notify_all()

    def position(self, source: str) -> tuple[str, int] | None:
        """What made the source the same when it was last read, and how many bytes of it are stored."""
        with self._failing_as_store():
            row = self._con.execute(schema.query("position_of_source"), [source]).fetchone()
        return (str(row[0]), int(row[1])) if row else None

    def has_read(self, identity: str, position: int) -> bool:
        """Whether a source of this identity was read to this position, whatever it was called."""
        with self._failing_as_store():
            return self._con.execute(schema.query("read_to_position"), [identity, position]).fetchone() is not None

    def append(self, batch: SpanBatch, source: str, identity: str, position: int | None) -> Appended:
        """Store a batch and all that follows from it in one transaction; returns once it is on disk."""
        return self.append_load(batch, Load(source, identity, position))

    def append_load(self, batch: SpanBatch, load: Load, *, is_derived_later: bool = False) -> Appended:
        """Like `append`, with what was refused or dropped on the way; see `append_loads`."""
        return self.append_loads([(batch, load)], is_derived_later=is_derived_later)[0]

    def append_loads(
        self, loads: Sequence[tuple[SpanBatch, Load]], *, is_derived_later: bool = False
    ) -> list[Appended]:
        """Like `append_load` for several sources in one transaction: what follows from all of them is derived once.

        With `is_derived_later` what follows from the spans is left to `derive_pending`; that it is due is stored with
        them, in the same transaction.
        """
        news = News()
        if is_derived_later:
            with self._order:
                with self._transaction(forgets=False):
                    appended = [self._append(batch, load, news) for batch, load in loads]
                    if news.has_any:
                        self._con.execute(schema.query("add_pending_traces"), [sorted(news.trace_ids())])
                self._fresh.add(news)
            return appended
        with self._transaction():
            appended = [self._append(batch, load, news) for batch, load in loads]
            if news.has_any:
                self._derivation.go_on(self._con, news)
        return appended

    @property
    def went_on(self) -> tuple[int, int]:
        """How often a session was derived, and how often attributed, without its earlier requests."""
        return self._derivation.steps

    def derive_apart(self) -> None:
        """From now on have a process of its own derive, so that this one's interpreter is free meanwhile."""
        self._derivation.close()
        self._derivation = Apart(self.path)

    def prepare_to_derive(self) -> None:
        """Start that process now, which takes a second; else what is due starts it. Nothing may derive beside this."""
        with self._changed:
            if not self._is_closed:
                self._derivation.prepare()

    def derive_pending(self, most: int | None = None) -> Due:
        """Make what is due of `most` traces (None: of all), some thousand in a transaction.

        It has a connection of its own, and may run beside a thread that appends for later; not beside other writing.
        """
        done = 0
        while True:
            with self.reading() as con, contextlib.ExitStack() as stack:
                with self._order:  # what is fresh is then what this transaction sees
                    stack.enter_context(self._transaction(con))
                    pending = [row[0] for row in con.execute(schema.query("pending_traces")).fetchall()]
                    part = pending[: _TRACES_AT_ONCE if most is None else min(_TRACES_AT_ONCE, most - done)]
                    news = self._fresh.take(part)
                if part:
                    derived = self._derivation.go_on(con, news)
                    con.execute(schema.query("delete_pending_traces"), [[*part, *derived]])
            done += len(part)
            left = len(pending) - len(part)
            if not left or done == most:
                return Due(done, left)

    def write(self, work: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """Run `work` in one transaction; returns once it is on disk. Nothing may be derived beside it."""
        with self._transaction():
            self._forget()
            return work(self._con)

    def rederive(self, *, progress: Progress | None = None) -> None:
        """Compute every derived row again from the spans and prices, in one transaction."""
        with self._transaction():
            self._derive_all(progress)

    def snapshot(self, to: Path) -> None:
        """Put a consistent copy of the store at `to`; readers of an older copy there keep theirs."""
        with self._failing_as_store():
            self._con.execute("checkpoint")
        partial = to.with_name(f"{to.name}.{os.getpid()}.part")
        try:
            to.parent.mkdir(parents=True, exist_ok=True)
            self._copy(partial)
            partial.replace(to)
        except OSError as error:
            raise SnapshotFailed(self.path, to, error.strerror or str(error)) from error
        finally:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)

    def close(self) -> None:
        """Release the file, once those who are `reading` have been stopped."""
        with self._changed:
            self._is_closed = True
            for cursor in self._readers.values():
                cursor.interrupt()
            # A cursor that outlives this keeps the old instance, and closing it later drops the lock on the file.
            self._changed.wait_for(lambda: not self._readers, READERS_S)
        self._derivation.close()
        self._con.close()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _copy(self, to: Path) -> None:
        # POSIX drops a process's lock on a file when any descriptor of it is closed, and with it DuckDB's guard
        # against a second process that writes: so the one that copies stays open as long as the store.
        if self._file is None:
            self._file = self.path.open("rb", buffering=0)
        self._file.seek(0)
        with to.open("wb") as copy:
            shutil.copyfileobj(self._file, copy, 1 << 20)

    def _prepare(self, prices_file: Path | None) -> None:
        with self._failing_as_store():
            found = layout.check(self._con, self.path, is_read_only=self.is_read_only)
        if self.is_read_only:
            return
        with self._transaction():
            layout.bring_up(self._con, found)
            made_with = f"{DERIVATION} {layout.load_prices(self._con, prices_file)}"
            if layout.fact(self._con, "derivation") != made_with:
                self._derive_all()
                layout.set_fact(self._con, "derivation", made_with)

    def _append(self, batch: SpanBatch, load: Load, news: News) -> Appended:
        unique, together = batch.unique(), Together(self._con)
        appended = self._insert(
            unique if privacy.is_content_kept() else privacy.without_content(unique), len(batch), news, together
        )
        now = datetime.now(UTC).replace(tzinfo=None)
        if load.position is not None:
            self._con.execute(schema.query("delete_position"), [load.source])
            self._con.execute(schema.query("set_position"), [load.source, load.identity, load.position, now])
        if len(batch) or load.refused or load.dropped or load.reason:
            together.change(
                schema.query("log_load"),
                [load.source, now, appended.spans, appended.duplicates, load.refused, load.dropped, load.reason],
            )
        together.run()
        return appended

    def _insert(self, unique: SpanBatch, received: int, news: News, together: Together) -> Appended:
        """Store the spans, a few with what else is done `together`; what changed by it joins `news`."""
        if not len(unique):
            return Appended(0, 0)
        if len(unique) <= FEW:
            rows = unique.rows
            starts, ids = [row.started_at for row in rows], [row.span_id for row in rows]
            if not execute(self._con, schema.query("stored_spans"), [ids, min(starts), max(starts)]).fetchall():
                together.insert_values("spans", dict(zip(SpanRow._fields, zip(*rows, strict=True), strict=True)))
                news.spans.extend(unique)
                return Appended(len(rows), received - len(rows))
        table = unique.to_arrow()
        bounds = list(pc.min_max(table["started_at"]).as_py().values())
        with registered(self._con, incoming=table):
            replaced, inserted = 0, _count(self._con.execute(schema.query("insert_new_spans"), bounds))
            if inserted < len(unique):
                replaced = _count(self._con.execute(schema.query("delete_poorer_spans"), bounds))
            if replaced:
                inserted += _count(self._con.execute(schema.query("insert_new_spans"), bounds))
        if inserted:
            if inserted == len(unique) and not replaced:
                news.spans.extend(unique)
            else:
                news.changed |= unique.trace_ids()
        new = inserted - replaced
        return Appended(new, received - new)

    def _derive(self, trace_ids: Sequence[str]) -> list[str]:
        derived = pipeline.derive(self._con, trace_ids)
        attribution.attribute_sessions(self._con, derived.session_ids)
        return derived.trace_ids

    def _derive_all(self, progress: Progress | None = None) -> None:
        self._forget()
        pending = dict.fromkeys(row[0] for row in self._con.execute(schema.query("traces_in_order")).fetchall())
        total = len(pending)
        while pending:
            for trace_id in self._derive(list(pending)[:_TRACES_AT_ONCE]):
                pending.pop(trace_id, None)
            if progress is not None:
                progress(total - len(pending), total)
        self._con.execute("delete from pending_traces")
        self._fresh = News()

    def _forget(self) -> None:
        """What is known of sessions is what is stored of them: not so after a rollback, nor while all is made again."""
        self._derivation.forget()

    @contextlib.contextmanager
    def _transaction(self, con: duckdb.DuckDBPyConnection | None = None, *, forgets: bool = True) -> Iterator[None]:
        con = con or self._con
        with self._failing_as_store():
            con.execute("begin transaction")
            try:
                yield
                con.execute("commit")
            except BaseException:
                if forgets:
                    self._forget()
                with contextlib.suppress(duckdb.Error):
                    con.execute("rollback")
                raise

    @contextlib.contextmanager
    def _failing_as_store(self) -> Iterator[None]:
        try:
            yield
        except (duckdb.Error, OSError) as error:
            if (failure := failure_of(error, self._con, self.path)) is None:
                raise
            raise failure from error


def _count(result: duckdb.DuckDBPyConnection) -> int:
    row = result.fetchone()
    return int(row[0]) if row else 0
