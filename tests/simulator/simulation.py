"""Runs a shape in this process: real spans of the real SDK in, OTLP bytes and the truth about them out."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from unittest import mock

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

import standin
import toolspend
from simulator.agent import World
from simulator.shapes import SHAPES
from simulator.truth import TruthRow, truth_of
from toolspend import testing
from toolspend._scrub import scrubbed

START: Final = datetime(2026, 11, 2, 8)
SPANS_PER_PAYLOAD: Final = 64


@dataclass(frozen=True)
class Simulated:
    """A session that was simulated: its spans as `ExportTraceServiceRequest`s, and whose tokens were billed."""

    shape: str
    seed: int
    payloads: list[bytes]
    truth: list[TruthRow]
    records: list[standin.Record]

    @property
    def started_at(self) -> datetime:
        """When the session began: its prices are those of this time."""
        return START

    @property
    def session_id(self) -> str:
        return f"{self.shape}-{self.seed}"


def simulate(shape: str, seed: int, home: Path) -> Simulated:
    """Runs one session. The same shape and seed give the same bytes; `home` is where the process would spool to."""
    name = f"{shape}-{seed}"
    clock = testing.FixedClock(int(START.replace(tzinfo=UTC).timestamp()) * 1_000_000_000)
    # The SDK reads the clock itself for the time to the first chunk of a stream.
    now = mock.patch("time.time_ns", lambda: clock.now_ns)
    with _environment(home), now, testing.capture(clock) as captured:
        ids = captured.provider.id_generator
        if not isinstance(ids, testing.FixedIds):
            raise TypeError("simulate() needs the tracer provider of toolspend.testing: capture before anything else")
        # Sessions of one store must not share ids.
        ids.restart(int.from_bytes(hashlib.sha256(name.encode()).digest()[:5], "big") << 20)
        world = World(name, clock)
        world.start()
        try:
            with warnings.catch_warnings():
                # Some of the models are about to retire, and the SDK says so with each request.
                warnings.simplefilter("ignore", DeprecationWarning)
                SHAPES[shape](world)
        finally:
            toolspend.uninstrument()
        spans = [scrubbed(span) for span in captured.ended]
    payloads = [
        encode_spans(spans[first : first + SPANS_PER_PAYLOAD]).SerializeToString()
        for first in range(0, len(spans), SPANS_PER_PAYLOAD)
    ]
    records = world.api.requests
    return Simulated(shape, seed, payloads, truth_of(records, START, world.compressions), records)


@contextmanager
def _environment(home: Path) -> Iterator[None]:
    kept: Sequence[tuple[str, str]] = [
        (key, value) for key, value in os.environ.items() if not key.startswith(("OTEL_", "ANTHROPIC_"))
    ]
    with mock.patch.dict(os.environ, {**dict(kept), "TOOLSPEND_HOME": str(home)}, clear=True):
        yield
