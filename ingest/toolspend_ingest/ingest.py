"""Load the spool, or files and folders of OTLP, into a store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from toolspend import _home

from .aside import Aside
from .decode import Refusal
from .errors import SourceUnreadable
from .sources import CHUNK_BYTES, CHUNK_SPANS, Chunk, Source
from .sources.files import otlp_files
from .sources.spool import spool_files
from .store import Load, Store

Progress: TypeAlias = Callable[[str, int, int, int], None]
"""Told the source's name, the bytes that are done, the bytes of all sources, and the spans stored; after each chunk."""

_SHOWN_REASONS = 5


@dataclass
class SourceSummary:
    """What became of one source: spans stored, there already, refused, dropped by the sender, and payloads skipped
    because they hold logs or metrics; `reason` says what was wrong, in one line. `is_known` where it has something, and
    all of that was read before."""

    source: str
    spans: int = 0
    duplicates: int = 0
    refused: int = 0
    dropped: int = 0
    skipped: int = 0
    is_known: bool = False
    refusals: list[Refusal] = field(default_factory=list)

    @property
    def reason(self) -> str | None:
        """The first refusals, and how many more there are; None where nothing was refused."""
        return reason_of(self.refusals, self.dropped)


@dataclass
class Summary:
    """What became of every source, in the order they were read."""

    sources: list[SourceSummary] = field(default_factory=list)
    passed_over: int = 0
    """Files of the folders that are not read, by their names."""
    unread: dict[str, str] = field(default_factory=dict)
    """Files of the spool that could not be read and wait there, by name: why, in one line."""

    @property
    def spans(self) -> int:
        """Spans stored."""
        return sum(each.spans for each in self.sources)

    @property
    def duplicates(self) -> int:
        """Spans that were there already."""
        return sum(each.duplicates for each in self.sources)

    @property
    def refused(self) -> int:
        """Records that could not be read."""
        return sum(each.refused for each in self.sources)

    @property
    def dropped(self) -> int:
        """Spans that the senders said they had to drop."""
        return sum(each.dropped for each in self.sources)

    @property
    def skipped(self) -> int:
        """Payloads of logs or metrics."""
        return sum(each.skipped for each in self.sources)

    @property
    def known(self) -> int:
        """Sources that have nothing that was not read before."""
        return sum(each.is_known for each in self.sources)

    @property
    def has_refused(self) -> bool:
        """Whether anything could not be read."""
        return self.refused > 0 or bool(self.unread)


def ingest(
    store: Store,
    paths: Sequence[Path] | None,
    *,
    again: bool = False,
    chunk_spans: int = CHUNK_SPANS,
    is_derived_later: bool = False,
    progress: Progress | None = None,
) -> Summary:
    """Load the spool (`paths` None), or these files and folders; a second run of the same loads nothing.

    With `again` files are read anew from their start, whatever was read of them before, and what is refused again is
    not logged again. A transaction takes about `chunk_spans` of the spool; `is_derived_later` leaves to the store's
    `derive_pending` what follows from the spans, else that is done for all that is due. Raises `SourceUnreadable`
    before anything is loaded where a path given is not there, `StoreFailed` where the store cannot be written. What
    cannot be read within a source is refused and counted, never raised.
    """
    sources: list[Source] = []
    passed_over = 0
    if paths is None:
        sources.extend(spool_files(_home.spool_dir(), Aside(), chunk_spans))
    else:
        for path in paths:
            files, others = otlp_files(path, _never if again else store.has_read)
            sources.extend(files)
            passed_over += others
    total, done = sum(source.size for source in sources), 0
    summary, waiting = Summary(passed_over=passed_over), _Waiting(store, chunk_spans, is_derived_later, again)
    for source in sources:
        size = source.size

        def told(share: float, name: str = source.name, before: int = done, size: int = size) -> None:
            if progress is not None:
                progress(name, before + round(size * share), total, summary.spans + waiting.spans)

        told(0.0)
        found = SourceSummary(source.name, is_known=size > 0)
        summary.sources.append(found)
        try:
            for chunk in source.chunks(None if again else store.position(source.name)):
                found.is_known = False
                waiting.add(found, chunk)
                told(chunk.share)
        except SourceUnreadable as error:
            found.is_known = False
            summary.unread[source.name] = str(error)
        waiting.finish(source)
        done += size
    waiting.store()
    if progress is not None and sources:
        progress(sources[-1].name, total, total, summary.spans)
    if not is_derived_later:
        store.derive_pending()
    return summary


def retry(store: Store, aside: Aside, *, progress: Progress | None = None) -> Summary:
    """Load what was refused before and kept aside; what is readable now leaves the folder."""
    files = aside.files()
    summary = ingest(store, files, again=True, progress=progress)
    for path, source in zip(files, summary.sources, strict=True):
        if not source.refused:
            path.unlink(missing_ok=True)
    return summary


def _never(_identity: str, _position: int) -> bool:
    return False


def reason_of(refusals: Sequence[Refusal], dropped: int) -> str | None:
    """Refusals and drops in one line; None where there are none."""
    parts = [str(refusal) for refusal in refusals[:_SHOWN_REASONS]]
    if len(refusals) > _SHOWN_REASONS:
        parts.append(f"and {len(refusals) - _SHOWN_REASONS} more")
    if dropped:
        parts.append(f"{dropped} spans were dropped by the sender")
    return "; ".join(parts) or None


class _Waiting:
    """Chunks that are stored together: what follows from the spans of many small files takes as long as for one."""

    def __init__(self, store: Store, most_spans: int, is_derived_later: bool, is_known: bool) -> None:
        self.spans = 0
        self._store = store
        self._most_spans = most_spans
        self._is_derived_later = is_derived_later
        self._is_known = is_known
        self._chunks: list[tuple[SourceSummary, Chunk]] = []
        self._size = 0
        self._read: list[Source] = []

    def add(self, summary: SourceSummary, chunk: Chunk) -> None:
        """Take a chunk, and store what waits where that is much."""
        self._chunks.append((summary, chunk))
        self.spans += len(chunk.decoded.spans)
        self._size += chunk.decoded.spans.attribute_bytes
        if self.spans >= self._most_spans or self._size >= CHUNK_BYTES:
            self.store()

    def finish(self, source: Source) -> None:
        """Tell a source, once all of it is stored."""
        self._read.append(source)
        if not self._chunks:
            self.store()

    def store(self) -> None:
        """Store what waits."""
        loads = [
            (
                chunk.decoded.spans,
                Load(
                    source=summary.source,
                    identity=chunk.identity,
                    position=chunk.position or None,
                    refused=len(refused),
                    dropped=chunk.dropped,
                    reason=reason_of(refused, chunk.dropped),
                ),
            )
            for summary, chunk in self._chunks
            for refused in ([] if self._is_known else chunk.decoded.refused,)
        ]
        stored = self._store.append_loads(loads, is_derived_later=self._is_derived_later) if loads else []
        for (summary, chunk), appended in zip(self._chunks, stored, strict=True):
            summary.spans += appended.spans
            summary.duplicates += appended.duplicates
            summary.refused += len(chunk.decoded.refused)
            summary.dropped += chunk.dropped
            summary.skipped += chunk.decoded.skipped
            summary.refusals.extend(chunk.decoded.refused)
        for source in self._read:
            source.finish()
        self._chunks, self._read, self.spans, self._size = [], [], 0, 0
