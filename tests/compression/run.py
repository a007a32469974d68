"""What is left of planted facts when results are compressed without a model: `make compression` prints the table."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT / folder) for folder in ("instrumentation", "tests", "sample_traces")]

from compression import corpus, planted  # noqa: E402 (after the path is set)
from toolspend.evidence.weight import weigh  # noqa: E402
from toolspend.toolkit.compressor import ResultStore, compress  # noqa: E402

KINDS = ("named", "id", "number", "error")
RATIO = 5.0


class Outcome(NamedTuple):
    """One document over all seeds: how much smaller, by what, and the facts kept and planted by kind."""

    name: str
    is_in_bodies: bool
    strategy: str
    tokens: int
    ratio: float
    kept: Counter[str]
    planted: Counter[str]


def outcomes(recordings: Path | None, seeds: range, ratio: float = RATIO) -> Iterator[Outcome]:
    """Every document with facts planted by every seed, compressed to a `ratio`-th of its tokens."""
    for document in corpus.documents(recordings):
        kept: Counter[str] = Counter()
        total: Counter[str] = Counter()
        before = after = 0
        strategies: set[str] = set()
        for seed in seeds:
            text, task, facts = planted.plant(document.kind, document.text, seed)
            tokens = weigh(text).tokens
            found = asyncio.run(compress(text, "tool", int(tokens / ratio), task=task, store=ResultStore()))
            before += tokens
            after += weigh(found.text).tokens
            strategies.add(found.strategy)
            body = found.text.rpartition("\n[shortened from")[0] or found.text
            for fact in facts:
                total[fact.kind] += 1
                kept[fact.kind] += planted.is_kept(fact, body)
        said = "/".join(sorted(strategies))
        yield Outcome(
            document.name, document.kind == planted.BODY, said, before // len(seeds), before / after, kept, total
        )


def folder() -> Path | None:
    """The folder of recorded traffic, which lies beside the repository; None where it does not."""
    found = ROOT.parent / "shared" / "recordings"
    return found if found.is_dir() else None


def main() -> None:
    """Prints the table."""
    recordings = folder()
    print("| result | strategy | tokens | smaller by | ids named by the task | other ids | numbers | errors |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    sums = {name: (Counter[str](), Counter[str]()) for name in ("anywhere", "in function bodies", "all")}
    for each in outcomes(recordings, range(100, 105)):
        cells = [f"{each.kept[kind]}/{each.planted[kind]}" for kind in KINDS]
        print(
            f"| {each.name} | {each.strategy} | {each.tokens:,} | {each.ratio:.1f}x | {' | '.join(cells)} |", flush=True
        )
        for name in ("in function bodies" if each.is_in_bodies else "anywhere", "all"):
            sums[name][0].update(each.kept)
            sums[name][1].update(each.planted)
    for name, (kept, total) in sums.items():
        cells = [f"{kept[kind]}/{total[kind]} = {kept[kind] / total[kind]:.1%}" for kind in KINDS]
        print(f"| **{name}: {kept.total() / total.total():.1%}** | | | | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
