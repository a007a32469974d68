"""How long each stage of ingestion takes alone, in one process: CPU a span, all threads together, and spans a second.

The same traffic as `receive.py` sends: decoded request by request, stored some thousand spans a commit, and derived in
one go, of which the attribution is told apart.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
COMMIT_REQUESTS = 20


class Clock:
    """Seconds of CPU, all threads together, and of wall time by stage."""

    def __init__(self) -> None:
        self.cpu: dict[str, float] = {}
        self.wall: dict[str, float] = {}

    def run(self, stage: str, work: Callable[[], T]) -> T:
        """The result of the work, whose time is added to that of the stage."""
        cpu, wall = time.process_time(), time.perf_counter()
        try:
            return work()
        finally:
            self.cpu[stage] = self.cpu.get(stage, 0.0) + time.process_time() - cpu
            self.wall[stage] = self.wall.get(stage, 0.0) + time.perf_counter() - wall


def stages(spans: int) -> dict[str, Any]:
    """By stage: microseconds of CPU a span, and spans a second."""
    import traffic
    from toolspend_ingest import Store
    from toolspend_ingest import store as store_module
    from toolspend_ingest.decode import decode
    from toolspend_ingest.spans import SpanBatch
    from toolspend_ingest.store import Load

    bodies = list(traffic.batches(0, 1, spans))
    count = sum(number for _, number in bodies)
    clock = Clock()
    attribute = store_module.attribution.attribute_sessions

    def timed(*given: Any, **named: Any) -> None:
        clock.run("attribute", lambda: attribute(*given, **named))

    with (
        tempfile.TemporaryDirectory(prefix="toolspend-bench-") as folder,
        Store.open(Path(folder) / "s.duckdb") as store,
    ):
        decode(bodies[0][0], "protobuf")  # what is made once
        batches = [clock.run("decode", lambda body=body: decode(body, "protobuf").spans) for body, _ in bodies]
        for first in range(0, len(batches), COMMIT_REQUESTS):
            batch = SpanBatch.joined(batches[first : first + COMMIT_REQUESTS])
            load = Load("bench", "bench", None)
            clock.run("store", lambda batch=batch, load=load: store.append_load(batch, load, is_derived_later=True))
        del batches
        store_module.attribution.attribute_sessions = timed
        try:
            clock.run("derive", store.derive_pending)
        finally:
            store_module.attribution.attribute_sessions = attribute
    for times in (clock.cpu, clock.wall):
        times["derive"] -= times["attribute"]
    return {
        stage: {
            "cpu_us_per_span": round(clock.cpu[stage] / count * 1e6, 1),
            "spans_per_s": round(count / clock.wall[stage]),
        }
        for stage in ("decode", "store", "derive", "attribute")
    }
