"""The server is killed at random moments under load: `kills.py [KILLS [SECONDS]] [--lean]`, prints what came of it.

Clients send whole sessions over HTTP and gRPC and send again what was not acknowledged; another process's spool grows
meanwhile. Afterwards everything acknowledged or spooled has to be in the store, once, and billed once.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("tests", "instrumentation", "ingest", "dashboard")]

from soak import harness  # noqa: E402
from toolspend_ingest import Store  # noqa: E402
from toolspend_ingest.sources.spool import spool_files  # noqa: E402
from toolspend_ingest.store import Load  # noqa: E402


def run(
    home: Path, kills: int, *, is_lean: bool, within_s: float = 3600, seed: int = 1, most_s: float = 5.0
) -> tuple[int, harness.Tally, list[str]]:
    """Kill it so many times; how often it was, what clients saw, and what is wrong with the store."""
    http_port, grpc_port = harness.free_port(), harness.free_port()
    start = harness.lean if is_lean else harness.whole

    def said(number: int) -> None:
        if number % 10 == 0:
            print(f"  {number} kills, {len(clients.tally.acknowledged)} sessions acknowledged", flush=True)

    with harness.Clients(http_port, grpc_port, home / "spool") as clients:
        killed = harness.kill_at_random(
            lambda: start(home, http_port, grpc_port), http_port, kills, seed, most_s, within_s, said
        )
    # What is in the spool still is loaded by the next command.
    with Store.open(home / "toolspend.duckdb") as store:
        for source in spool_files(home / "spool"):
            for chunk in source.chunks(store.position(source.name)):
                load = Load(source.name, chunk.identity, chunk.position)
                store.append_load(chunk.decoded.spans, load, is_derived_later=True)
    return killed, clients.tally, harness.faults(home / "toolspend.duckdb", clients.tally)


def main() -> int:
    """Prints the figures; 1 where anything is lost, doubled or wrong."""
    numbers = [int(each) for each in sys.argv[1:] if each.isdigit()]
    kills, within_s = (*numbers, *(100, 3600)[len(numbers) :])
    home = Path(tempfile.mkdtemp(prefix="toolspend-soak-")) / "home"
    before = time.monotonic()
    killed, tally, faults = run(home, kills, is_lean="--lean" in sys.argv, within_s=within_s)
    spans, requests = harness.stored(home / "toolspend.duckdb")
    print(
        f"{killed} kills in {time.monotonic() - before:.0f} s: {len(tally.acknowledged):,} sessions acknowledged, "
        f"{len(tally.spooled):,} spooled, {tally.unanswered:,} requests without an answer, {tally.turned_away:,} "
        f"turned away; {spans:,} spans and {requests:,} requests stored"
    )
    print("\n".join(faults) or "nothing lost, nothing doubled")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
