"""How true the ledger is, by shape: `python tests/simulator/run.py [--seeds 101,102] [--shapes cached,long]`."""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("instrumentation", "ingest", "sample_traces", "tests")]

from simulator import SHAPES, Comparison, compare, ledger_rows, load, simulate  # noqa: E402
from toolspend_ingest import Store  # noqa: E402

HEAD = f"{'shape':<26}{'requests':>9}{'usd':>10}{'by owner':>10}{'by kind':>10}{'worst tool':>12}  which"


def main() -> int:
    """Prints a line for each shape, of several seeds their sum and the worst of each figure."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition(":")[0])
    parser.add_argument("--seeds", default="101", help="numbers, comma between them")
    parser.add_argument("--shapes", default=",".join(SHAPES), help="names, comma between them")
    parser.add_argument("--each", action="store_true", help="also a line for each seed")
    parser.add_argument(
        "--owners", action="store_true", help="also the dollars of every owner: true, and in the ledger"
    )
    options = parser.parse_args()
    shapes, seeds = options.shapes.split(","), [int(seed) for seed in options.seeds.split(",")]
    if unknown := sorted(set(shapes) - set(SHAPES)):
        parser.error(f"no shape called {', '.join(unknown)}; there are {', '.join(SHAPES)}")
    print(HEAD)
    found: list[Comparison] = []
    simulating_s = loading_s = 0.0
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "store.duckdb") as store:
        for shape in shapes:
            compared: list[tuple[int, Comparison]] = []
            for seed in seeds:
                started = time.perf_counter()
                simulated = simulate(shape, seed, Path(folder))
                simulated_at = time.perf_counter()
                load(simulated, store)
                simulating_s += simulated_at - started
                loading_s += time.perf_counter() - simulated_at
                one = compare(simulated.truth, ledger_rows(store, simulated.session_id))
                compared.append((len({row.response_id for row in simulated.truth}), one))
                if options.each or options.owners:
                    print(_line(f"  {shape} {seed}", compared[-1:]))
                if options.owners:
                    print(_owners(one))
            print(_line(shape, compared), flush=True)
            found += [each for _, each in compared]
    shares = [each.misattributed_share for each in found]
    print(f"\nby owner: median {statistics.median(shares):.2%}, worst {max(shares):.2%}; ", end="")
    print(f"worst tool {max(each.worst_tool_error for each in found):.1%}")
    print(f"simulated in {simulating_s:.1f} s, loaded in {loading_s:.1f} s")
    return 0


def _line(name: str, compared: Sequence[tuple[int, Comparison]]) -> str:
    requests, usd = sum(count for count, _ in compared), sum(each.total_usd for _, each in compared)
    by_owner = max(each.misattributed_share for _, each in compared)
    by_kind = max(each.misattributed_share_by_kind for _, each in compared)
    worst = max((each for _, each in compared), key=lambda each: each.worst_tool_error)
    return (
        f"{name:<26}{requests:>9}{usd:>10.4f}{by_owner:>10.2%}{by_kind:>10.2%}"
        f"{worst.worst_tool_error:>12.1%}  {worst.worst_tool or ''}"
    )


def _owners(compared: Comparison) -> str:
    ranked = sorted(compared.by_kind.items(), key=lambda item: -abs(item[1].ledger_usd - item[1].true_usd))
    return "\n".join(
        f"    {kind:<16}{tool or '':<34}{each.true_usd:>10.5f}{each.ledger_usd:>10.5f}"
        f"{(each.ledger_usd - each.true_usd) / compared.total_usd:>+9.2%}"
        for (kind, tool), each in ranked
    )


if __name__ == "__main__":
    sys.exit(main())
