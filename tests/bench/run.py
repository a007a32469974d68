"""Every figure of the README, as Markdown tables: `make bench`. Each comparison runs both sides in turn, in one run."""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 5
"""How many processes of each kind; a first look takes one."""
IMPORT = (
    "import sys, time; t = time.perf_counter(); import toolspend; print((time.perf_counter() - t) * 1000); "
    "assert not {'duckdb', 'pandas', 'streamlit', 'numpy'} & set(sys.modules)"
)


def run(*arguments: str) -> str:
    """The last line that a child process prints."""
    path = os.pathsep.join(str(ROOT / folder) for folder in ("instrumentation", "ingest", "dashboard", "sample_traces"))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout.strip().splitlines()[-1]


def medians(sides: dict[str, list[float]]) -> list[str]:
    """Each side's median over its blocks."""
    return [f"{statistics.median(blocks):.0f} us" for blocks in sides.values()]


def added(ours: list[float], theirs: list[float]) -> str:
    """What one side adds to the other: the median over pairs of blocks that followed one another."""
    low, middle, high = statistics.quantiles([one - other for one, other in zip(ours, theirs, strict=True)], n=4)
    return f"{middle:.0f} us (half of the pairs: {low:.0f} to {high:.0f})"


def row(*cells: object) -> None:
    """One row of a table."""
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def tool_layer() -> None:
    """Prints what the toolkit costs, traced by nobody: its executor beside asyncio, its selection beside bm25s."""
    found = [json.loads(run(str(HERE / "toolkit_executor.py"))) for _ in range(ROUNDS)]
    sides = {side: [block for process in found for block in process[side]] for side in found[0]}
    row("CPU per call of `execute_tool_calls`, 20 in a batch", "asyncio alone", "the toolkit", "added")
    row("---", "---", "---", "---")
    for name, said in (("toolkit", "all at once"), ("bounded", "eight at once")):
        row(said, *medians({side: sides[side] for side in ("asyncio", name)}), added(sides[name], sides["asyncio"]))
    print()
    row("five independent calls of 200 ms", "time over that of one")
    row("---", "---")
    row("`execute_tool_calls`", f"{statistics.median(sides['wall']):.3f}")
    print()
    found = [json.loads(run(str(HERE / "toolkit_selection.py"))) for _ in range(ROUNDS)]
    sides = {side: [block for process in found for block in process[side]] for side in found[0]}
    row(
        "CPU per selection of 15 from 1,000 tools",
        "plain bm25s",
        "the registry",
        "added",
        "traced",
        "a task asked before",
    )
    row("---", "---", "---", "---", "---", "---")
    plain, ours, traced, again = medians({side: sides[side] for side in ("plain", "select", "traced", "again")})
    row("a task never asked before", plain, ours, added(sides["select"], sides["plain"]), traced, again)
    row("the first, with its index", "", medians({"index": sides["index"]})[0], "", "", "")


def main() -> None:
    """Prints the tables."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, median of {ROUNDS}\n")
    row("CPU per `messages.create`", "tracing off", "the SDK's own spans", "toolspend", "added over the SDK's own")
    row("---", "---", "---", "---", "---")
    for size, said in (("small", "one message"), ("large", "40 tools and 61 messages")):
        # Processes differ by tens of microseconds among themselves: one is no figure.
        found = [json.loads(run(str(HERE / "create.py"), size)) for _ in range(ROUNDS)]
        for index, threads in enumerate(("in the calling thread", "in all threads, to the spool")):
            sides = {
                side: [block[index] for process in found for block in process[side]]
                for side in ("bare", "native", "toolspend")
            }
            row(f"{said}, {threads}", *medians(sides), added(sides["toolspend"], sides["native"]))
    print()
    row("CPU per tool call", "no span", "a bare span", "toolspend", "added over a bare span")
    row("---", "---", "---", "---", "---")
    found = [json.loads(run(str(HERE / "tool_call.py"))) for _ in range(ROUNDS)]
    calls = {side: [block for process in found for block in process[side]] for side in ("bare", "span", "toolspend")}
    row("async executor, 20 in a batch", *medians(calls), added(calls["toolspend"], calls["span"]))
    print()
    tool_layer()
    print()
    sizes = json.loads(run(str(HERE / "exported.py")))
    row("bytes exported per request, 40 tools", *(f"turn {turn}" for turn in sizes))
    row("---", *("---" for _ in sizes))
    row("content off", *sizes.values())
    print()
    row("attribution, sessions of 30 requests", "time", "most memory")
    row("---", "---", "---")
    for sessions in (2_500, 5_000, 10_000):
        figures = json.loads(run(str(HERE / "attribution.py"), str(sessions)))
        row(f"{sessions:,}", f"{figures['seconds']:.1f} s", f"{figures['memory_mb']:.0f} MB")
    print()
    row("one more request in a session of 500", "time", "CPU")
    row("---", "---", "---")
    for name, said in (
        ("whole", "attributed with all of its session"),
        ("alone", "attributed alone"),
        ("one_trace", "stored, derived and attributed, in the trace of all others"),
        ("many_traces", "the same in a trace of its own"),
    ):
        row(said, f"{figures[f'{name}_ms']:.1f} ms", f"{figures[f'{name}_cpu_ms']:.1f} ms")
    print()
    row("start", "time")
    row("---", "---")
    row("`import toolspend`", f"{statistics.median(float(run('-c', IMPORT)) for _ in range(ROUNDS)):.0f} ms")
    if shutil.which("chromium"):
        seconds = statistics.median(float(run(str(HERE / "first_page.py"))) for _ in range(3))
        row("`toolspend up` to the first page in Chromium", f"{seconds:.1f} s")


if __name__ == "__main__":
    main()
