"""Payloads that wait to be decoded: those of spans as protobuf are decoded together, for two thirds of the time."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from toolspend_ingest.decode import Decoded, decode_together

MOST_TOGETHER_BYTES: Final = 2 << 20
"""Beyond this a payload more saves nothing, and those who wait for the first wait for all."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    payload: bytes
    decoded: Future[Decoded] = field(default_factory=Future)


class Decoders:
    """So many at work at the same time; whoever is next takes all that wait."""

    def __init__(self, at_once: int) -> None:
        self.slots = threading.BoundedSemaphore(at_once)
        self._threads = ThreadPoolExecutor(at_once, "toolspend-decoder")
        self._lock = threading.Lock()
        self._waiting: deque[_Waiting] = deque()

    def spans(self, payload: bytes) -> Decoded:
        """What an ExportTraceServiceRequest holds."""
        own = _Waiting(payload)
        with self._lock:
            self._waiting.append(own)
        self._threads.submit(self._work)
        return own.decoded.result()

    def _work(self) -> None:
        with self.slots:
            if group := self._next_group():
                _decode(group)

    def _next_group(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        size = 0
        with self._lock:
            while self._waiting and (not group or size + len(self._waiting[0].payload) <= MOST_TOGETHER_BYTES):
                group.append(self._waiting.popleft())
                size += len(group[-1].payload)
        return group


def _decode(group: list[_Waiting]) -> None:
    try:
        found = decode_together([each.payload for each in group])
    except BaseException as error:
        for each in group:
            each.decoded.set_exception(error)
    else:
        for each, decoded in zip(group, found, strict=True):
            each.decoded.set_result(decoded)
