"""Load the spool, or files and folders of OTLP, into a store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from toolspend import _home

from .decode import Refusal
from .sources import CHUNK_BYTES, CHUNK_SPANS, Chunk, Source
from .sources.files import otlp_files
from .sources.spool import spool_files
from .store import Load, Store

Progress: TypeAlias = Callable[[str, int, int], None]
"""Told the source's name, the bytes of the sources that are done, and the bytes of all of them."""

_SHOWN_REASONS = 5


@dataclass
class SourceSummary:
    """What became of one source: spans stored, there already, refused, dropped by the sender, and payloads skipped
    because they hold logs or metrics; `reason` says what was wrong, in one line."""

    source: str
    spans: int = 0
    duplicates: int = 0
    refused: int = 0
    dropped: int = 0
    skipped: int = 0
    refusals: list[Refusal] = field(default_factory=list)

    @property
    def reason(self) -> str | None:
        """The first refusals, and how many more there are; None where nothing was refused."""
        return reason_of(self.refusals, self.dropped)


@dataclass
class Summary:
    """What became of every source, in the order they were read."""

    sources: list[SourceSummary] = field(default_factory=list)

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
    def has_refused(self) -> bool:
        """Whether anything could not be read."""
        return self.refused > 0


def ingest(store: Store, paths: Sequence[Path] | None, *, progress: Progress | None = None) -> Summary:
    """Load the spool (`paths` None), or these files and folders; a second run of the same loads nothing.

    Raises `SourceUnreadable` before anything is loaded where a path given is not there, `StoreFailed` where the store
    cannot be written. What cannot be read within a source is refused and counted, never raised.
    """
    sources: list[Source] = []
    if paths is None:
        sources.extend(spool_files(_home.spool_dir()))
    else:
        for path in paths:
            sources.extend(otlp_files(path, store.has_read))
    total, done = sum(source.size for source in sources), 0
    summary, waiting = Summary(), _Waiting(store)
    for source in sources:
        size = source.size
        if progress is not None:
            progress(source.name, done, total)
        summary.sources.append(SourceSummary(source.name))
        for chunk in source.chunks(store.position(source.name)):
            waiting.add(summary.sources[-1], chunk)
        waiting.finish(source)
        done += size
    waiting.store()
    if progress is not None and sources:
        progress(sources[-1].name, total, total)
    return summary


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

    def __init__(self, store: Store) -> None:
        self._store = store
        self._chunks: list[tuple[SourceSummary, Chunk]] = []
        self._spans = self._size = 0
        self._read: list[Source] = []

    def add(self, summary: SourceSummary, chunk: Chunk) -> None:
        """Take a chunk, and store what waits where that is much."""
        self._chunks.append((summary, chunk))
        self._spans += len(chunk.decoded.spans)
        self._size += sum(len(row.attributes) for row in chunk.decoded.spans)
        if self._spans >= CHUNK_SPANS or self._size >= CHUNK_BYTES:
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
                    refused=len(chunk.decoded.refused),
                    dropped=chunk.dropped,
                    reason=reason_of(chunk.decoded.refused, chunk.dropped),
                ),
            )
            for summary, chunk in self._chunks
        ]
        stored = self._store.append_loads(loads) if loads else []
        for (summary, chunk), appended in zip(self._chunks, stored, strict=True):
            summary.spans += appended.spans
            summary.duplicates += appended.duplicates
            summary.refused += len(chunk.decoded.refused)
            summary.dropped += chunk.dropped
            summary.skipped += chunk.decoded.skipped
            summary.refusals.extend(chunk.decoded.refused)
        for source in self._read:
            source.finish()
        self._chunks, self._read, self._spans, self._size = [], [], 0, 0
