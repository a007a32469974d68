"""How true the bill by tool is: `python tests/accuracy/run.py [--seeds 1101,1102,1103] [--shapes cached,long]`.

Simulated sessions of known truth (tests/simulator), each attributed three ways in this one run: by characters, by fixed
ratios for each kind of content, and by densities learned from the bills, which is what the product does. Prints the
table of the README.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("instrumentation", "ingest", "sample_traces", "tests")]

from accuracy.estimators import Estimator, by_characters, by_ratios, learned, ledger_with  # noqa: E402
from simulator import SHAPES, Comparison, compare, ledger_rows, load, simulate  # noqa: E402
from toolspend_ingest import Store  # noqa: E402

OTHERS: Final[tuple[Estimator, ...]] = (by_characters, by_ratios)
MOST_MISATTRIBUTED: Final = 0.01
MOST_WRONG: Final = 0.05


def main() -> int:
    """Prints a row for each shape: the mean and the worst of its seeds."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    # Seeds that development did not use.
    parser.add_argument("--seeds", default="1101,1102,1103", help="numbers, comma between them")
    parser.add_argument("--shapes", default=",".join(SHAPES), help="names, comma between them")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many processes")
    options = parser.parse_args()
    shapes, seeds = options.shapes.split(","), [int(seed) for seed in options.seeds.split(",")]
    print("| shape | requests | by characters | by ratios | learned | worst seed | worst tool |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    every: list[list[Comparison]] = []
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        sessions = [(shape, seed) for shape in shapes for seed in seeds]
        found = pool.map(_compared, *zip(*sessions, strict=True))
        for shape in shapes:
            compared = [next(found) for _ in seeds]
            print(_row(shape, compared), flush=True)
            every += [each for _, each in compared]
    ours = [sides[-1] for sides in every]
    means = [statistics.mean(sides[way].misattributed_share for sides in every) for way in range(len(OTHERS) + 1)]
    medians = [statistics.median(sides[way].misattributed_share for sides in every) for way in range(len(OTHERS) + 1)]
    for name, figures in (("mean", means), ("median", medians)):
        print(f"| **{name}** | | {' | '.join(f'{each:.2%}' for each in figures)} | | |")
    good = sum(each.misattributed_share <= MOST_MISATTRIBUTED for each in ours)
    fair = sum(each.worst_tool_error <= MOST_WRONG for each in ours)
    print(
        f"\nOf {len(ours)} sessions, {good} have at most {MOST_MISATTRIBUTED:.0%} of their dollars with a wrong owner;"
        f" in {fair} no tool with over 2 % of the bill is off by more than {MOST_WRONG:.0%}."
    )
    return 0


def _compared(shape: str, seed: int) -> tuple[int, list[Comparison]]:
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "store.duckdb") as store:
        simulated = simulate(shape, seed, Path(folder))
        load(simulated, store)
        con = store.cursor()
        ledgers = [ledger_with(con, simulated.session_id, estimator) for estimator in OTHERS]
        stored = ledger_rows(store, simulated.session_id)
        again = compare(stored, ledger_with(con, simulated.session_id, learned))
    assert again.misattributed_share == 0, "the ledger of the store is not the one that is compared"
    requests = len({row.response_id for row in simulated.truth})
    return requests, [compare(simulated.truth, ledger) for ledger in (*ledgers, stored)]


def _row(shape: str, compared: Sequence[tuple[int, Sequence[Comparison]]]) -> str:
    shares = [[each.misattributed_share for each in sides] for _, sides in compared]
    means = [statistics.mean(way) for way in zip(*shares, strict=True)]
    worst_tool = max(sides[-1].worst_tool_error for _, sides in compared)
    requests, others = sum(each for each, _ in compared), " | ".join(f"{each:.1%}" for each in means[:-1])
    worst = max(each[-1] for each in shares)
    return f"| {shape} | {requests} | {others} | {means[-1]:.2%} | {worst:.2%} | {worst_tool:.1%} |"


if __name__ == "__main__":
    sys.exit(main())
