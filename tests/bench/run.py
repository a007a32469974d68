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
ROUNDS = 5
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


def rounds(script: str, *sides: tuple[str, ...]) -> list[float]:
    """The median of each side over `ROUNDS` rounds, the sides taking turns."""
    figures: list[list[float]] = [[] for _ in sides]
    for _ in range(ROUNDS):
        for side, found in zip(sides, figures, strict=True):
            found.append(float(run(str(HERE / script), *side)))
    return [statistics.median(found) for found in figures]


def row(*cells: object) -> None:
    """One row of a table."""
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def main() -> None:
    """Prints the tables."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, median of {ROUNDS}\n")
    row("CPU per `messages.create`", "tracing off", "the SDK's own spans", "toolspend", "added over the SDK's own")
    row("---", "---", "---", "---", "---")
    for size, said in (("small", "one message"), ("large", "40 tools and 61 messages")):
        # Processes differ by tens of microseconds among themselves: one is no figure.
        found = [json.loads(run(str(HERE / "create.py"), size)) for _ in range(ROUNDS)]
        for index, threads in enumerate(("in the calling thread", "in all threads, to the spool")):
            bare, native, ours = (
                statistics.median(sides[side][index] for sides in found) for side in ("bare", "native", "toolspend")
            )
            row(f"{said}, {threads}", f"{bare:.0f} us", f"{native:.0f} us", f"{ours:.0f} us", f"{ours - native:.0f} us")
    print()
    row("CPU per tool call", "no span", "a bare span", "toolspend", "added over a bare span")
    row("---", "---", "---", "---", "---")
    bare, span, ours = rounds("tool_call.py", ("bare",), ("span",), ("toolspend",))
    row("async executor, 20 in a batch", f"{bare:.0f} us", f"{span:.0f} us", f"{ours:.0f} us", f"{ours - span:.0f} us")
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
