"""The server is killed at random moments under load: `kills.py [KILLS] [--lean]`, prints what clients and store saw.

Clients send whole sessions over HTTP and gRPC and send again what was not acknowledged; another process's spool grows
meanwhile. Afterwards everything acknowledged or spooled has to be in the store, once, and billed once.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("tests", "instrumentation", "ingest", "dashboard")]

from soak import harness  # noqa: E402


def run(
    home: Path, kills: int, *, is_lean: bool, seed: int = 1, most_s: float = 3.0
) -> tuple[harness.Tally, list[str]]:
    """Kill it so many times; what clients saw, and what is wrong with the store."""
    http_port, grpc_port = harness.free_port(), harness.free_port()
    start = harness.lean if is_lean else harness.whole
    store = home / "toolspend.duckdb"

    def said(number: int) -> None:
        if number % 10 == 0:
            print(f"  {number} kills, {len(clients.tally.acknowledged)} sessions acknowledged", flush=True)

    with harness.Clients(http_port, grpc_port, home / "spool") as clients:
        harness.kill_at_random(lambda: start(home, http_port, grpc_port), http_port, kills, seed, most_s, said)
    # What is in the spool still is loaded by the next start.
    loaded = harness.served.run(home, "ingest")
    assert loaded.returncode == 0, loaded.stderr
    return clients.tally, harness.faults(store, clients.tally)


def main() -> int:
    """Prints the figures; 1 where anything is lost, doubled or wrong."""
    numbers = [int(each) for each in sys.argv[1:] if each.isdigit()]
    kills, is_lean = (numbers or [100])[0], "--lean" in sys.argv
    home = Path(tempfile.mkdtemp(prefix="toolspend-soak-")) / "home"
    before = time.monotonic()
    tally, faults = run(home, kills, is_lean=is_lean)
    spans, requests = harness.stored(home / "toolspend.duckdb")
    print(
        f"{kills} kills in {time.monotonic() - before:.0f} s: {len(tally.acknowledged):,} sessions acknowledged, "
        f"{len(tally.spooled):,} spooled, {tally.unanswered:,} requests without an answer, {tally.turned_away:,} "
        f"turned away; {spans:,} spans and {requests:,} requests stored; acknowledged after "
        f"{statistics.median(tally.waits_ms):.0f} ms in the median"
    )
    print("\n".join(faults) or "nothing lost, nothing doubled")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
