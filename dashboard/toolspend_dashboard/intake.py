"""What both receivers do with a payload: decode it, keep aside what is refused, and have the rest stored."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any, Literal

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from toolspend_ingest.aside import Aside
from toolspend_ingest.decode import Decoded, decode
from toolspend_ingest.ingest import reason_of
from toolspend_ingest.signals import decode_logs, decode_metrics

from .decoders import Decoders
from .errors import Busy
from .writer import RETRY_LATER_S, Writer

Media = Literal["protobuf", "json"]

MAX_HELD_BYTES = 128 << 20
"""Most that all requests under way may hold, as sent and decompressed; as rows they take about three times that."""
DECODERS = 2
"""Decoded at the same time: a JSON document takes ten times its size meanwhile."""
READERS = 8
"""Requests in threads at the same time: those that wait for a decoder are decoded together."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One of OTLP's signals: the names that its answers use, and what reads its payloads."""

    name: str
    rejected: str
    response: type[Any]
    service: str
    decode: Callable[[bytes, Media], Decoded]


SIGNALS = (
    Signal("traces", "rejected_spans", ExportTraceServiceResponse, "trace.v1.TraceService", decode),
    Signal("logs", "rejected_log_records", ExportLogsServiceResponse, "logs.v1.LogsService", decode_logs),
    Signal(
        "metrics", "rejected_data_points", ExportMetricsServiceResponse, "metrics.v1.MetricsService", decode_metrics
    ),
)
_SUFFIXES = {"protobuf": ".pb", "json": ".json"}


@dataclass(slots=True)
class Count:
    """What came of one signal since the server started.

    `skipped` counts payloads that hold nothing to store; `passed_over` the log records and metrics, of any payload,
    that say nothing of the bill.
    """

    requests: int = 0
    bytes: int = 0
    spans: int = 0
    refused: int = 0
    skipped: int = 0
    passed_over: int = 0


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a payload; `is_empty` where nothing of it could be read."""

    done: Future[None]
    refused: int
    reason: str | None
    is_empty: bool


class Held:
    """The bytes that one request holds in memory."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._bytes = 0

    def grow(self, size: int) -> None:
        """Hold more. Raises Busy where all requests together would hold too much; one alone may."""
        self._intake.hold(size, own=self._bytes)
        self._bytes += size

    def release(self) -> None:
        """Hold nothing any more."""
        self._intake.let_go(self._bytes)
        self._bytes = 0


class Intake:
    """Takes payloads of all signals, from any thread."""

    def __init__(self, writer: Writer, aside: Aside, max_held_bytes: int = MAX_HELD_BYTES) -> None:
        self._writer = writer
        self._aside = aside
        self._max_held_bytes = max_held_bytes
        self._held_bytes = 0
        self._turned_away = 0
        self._counts = {signal.name: Count() for signal in SIGNALS}
        self._lock = threading.Lock()
        self._decoders = Decoders(DECODERS)

    @contextlib.contextmanager
    def request(self) -> Iterator[Held]:
        """Account for one request's memory until it is answered. Raises Busy where nothing can be stored just now."""
        if (problem := self._writer.problem) is not None:
            raise self._busy(problem, RETRY_LATER_S)
        held = Held(self)
        try:
            yield held
        finally:
            held.release()

    def reading(self) -> AbstractContextManager[None]:
        """A request is all there, and is read within: those that are read beside it are committed with it."""
        return self._writer.expecting()

    def hold(self, size: int, own: int) -> None:
        """Account for `size` bytes more of a request that holds `own`. Raises Busy where that is too much."""
        with self._lock:
            others = self._held_bytes - own
            if not others or self._held_bytes + size <= self._max_held_bytes:
                self._held_bytes += size
                return
        raise self._busy(f"{others >> 20:,} MiB are waiting to be stored", 1)

    def let_go(self, size: int) -> None:
        """Account for that much less."""
        with self._lock:
            self._held_bytes -= size

    def take(self, signal: Signal, payload: bytes, media: Media, source: str) -> Taken:
        """Decode a payload and queue what it holds; `done` is told once that is on disk. Raises Busy."""
        if media == "protobuf" and signal.decode is decode:
            decoded = self._decoders.spans(payload)
        else:
            with self._decoders.slots:
                decoded = signal.decode(payload, media)
        reason = reason_of(decoded.refused, 0)
        if decoded.refused:
            reason = self._aside.named(reason, payload, source, _SUFFIXES[media])
        refused = len(decoded.refused)
        done = Future[None]()
        if len(decoded.spans) or refused:
            done = self._submit(decoded, source, reason)
        else:
            done.set_result(None)
        with self._lock:
            count = self._counts[signal.name]
            count.requests += 1
            count.bytes += len(payload)
            count.spans += len(decoded.spans)
            count.refused += refused
            count.skipped += decoded.skipped
            count.passed_over += decoded.passed_over.total()
        return Taken(done, refused, reason, is_empty=bool(refused and not len(decoded.spans)))

    def refuse(self, body: bytes, source: str, suffix: str, reason: str) -> None:
        """Keep a body aside of which nothing could be read, and log it."""
        with contextlib.suppress(Busy):
            named = self._aside.named(reason, body, source, suffix)
            self._submit(Decoded(), source, named, refused=1)

    def status(self) -> dict[str, Any]:
        """What came since the server started, and what is held now."""
        with self._lock:
            return {
                "received": {name: asdict(count) for name, count in self._counts.items()},
                "turned_away": self._turned_away,
                "held_bytes": self._held_bytes,
                "max_held_bytes": self._max_held_bytes,
            }

    def _submit(self, decoded: Decoded, source: str, reason: str | None, refused: int = 0) -> Future[None]:
        refused = refused or len(decoded.refused)
        try:
            return self._writer.submit(decoded.spans, source=source, refused=refused, reason=reason)
        except Busy:
            with self._lock:
                self._turned_away += 1
            raise

    def _busy(self, reason: str, retry_after_s: int) -> Busy:
        with self._lock:
            self._turned_away += 1
        return Busy(reason, retry_after_s)
