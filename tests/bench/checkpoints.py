"""How long commits wait while DuckDB writes its log into the file: `checkpoints.py [SECONDS]`, prints a table.

Batches of 512 rows of 1 KB are committed 50 times a second to a database of its own, for each size of the log and of
row groups. A checkpoint writes the last row group of a table again, however few of its rows are new, and no commit
goes on meanwhile, whichever connection asks for it.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa

ROWS = 512
EVERY_S = 0.02
SIZES = [("128MiB", 122_880), ("16MiB", 122_880), ("128MiB", 20_480), ("32MiB", 20_480), ("16MiB", 10_240)]
STALL_MS = 40


def batches(count: int) -> list[pa.Table]:
    """Rows of an id, a time and a text that compresses about as attributes do."""
    dice = random.Random(1)
    numbers = [[[dice.getrandbits(40) for _ in range(50)] for _ in range(ROWS)] for _ in range(count)]
    return [
        pa.table({
            "id": [f"{dice.getrandbits(64):016x}" for _ in range(ROWS)],
            "started_at": [datetime(2026, 1, 1, tzinfo=UTC)] * ROWS,
            "attributes": ["".join(f'"k{place}":{each},' for place, each in enumerate(row)) for row in rows],
        })
        for rows in numbers
    ]  # fmt: skip


def run(path: Path, log: str, row_group: int, made: list[pa.Table], seconds: float) -> tuple[list[float], float]:
    """How long each commit took, in ms, and bytes a row."""
    waits: list[float] = []
    with duckdb.connect(config={"memory_limit": "1GB", "checkpoint_threshold": log}) as con:
        con.execute(f"attach '{path}' as stored (row_group_size {row_group})")
        con.execute("use stored")
        con.execute("create table spans (id varchar, started_at timestamptz, attributes varchar)")
        end = time.perf_counter() + seconds
        while (began := time.perf_counter()) < end:
            con.from_arrow(made[len(waits) % len(made)]).insert_into("spans")
            waits.append((time.perf_counter() - began) * 1000)
            time.sleep(max(EVERY_S - waits[-1] / 1000, 0))
        con.execute("checkpoint")
    return waits, path.stat().st_size / (ROWS * len(waits))


def main(seconds: float) -> None:
    """Prints a line for each size."""
    made = batches(40)
    print(f"| log, rows of a group | checkpoints | longest | commits waited for them | bytes a row |\n{'| --- ' * 5}|")
    for log, row_group in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            waits, size = run(Path(folder) / "store.duckdb", log, row_group, made, seconds)
        stalls = [each for each in waits if each > STALL_MS]
        share = sum(stalls) / seconds / 1000
        print(f"| {log}, {row_group:,} | {len(stalls)} | {max(waits):.0f} ms | {share:.0%} of the time | {size:.0f} |")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 20.0)
