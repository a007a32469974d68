"""Runs the stories and writes their spans as OTLP JSON lines: `python sample_traces/generate.py [--check] [NAME]`.

Every byte is the same every time. Each story runs in a process of its own, on a virtual clock, with ids that follow
from its name, against the stand-in API inside the process.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
STORIES = {
    "coding": "coding-agent",
    "research": "research-assistant",
    "support_cached": "support-bot",
    "support_uncached": "support-bot-legacy",
    "failures": "incident-responder",
    "compression": "analytics-copilot",
    "unknown_model": "contract-review",
    "mcp_tools": "release-notes",
    "market_watch": "market-watch",
    "tool_runner": "travel-desk",
}
"""Each story and the service that it runs as."""

MADE_WITH = HERE / "made_with.toml"
"""The versions of the packages that the spans hang on: another version may say other things on its spans."""
PACKAGES = ("anthropic", "mcp", "opentelemetry-sdk")

START_NS = 1_793_491_200 * 1_000_000_000  # 2026-11-01T00:00:00Z, before the first session of any story


def main(arguments: list[str] | None = None) -> int:
    """Writes the files, or with `--check` compares them; 1 when a file differs from what its story gives."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("stories", nargs="*", metavar="NAME", help="only these stories")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is not up to date")
    parser.add_argument("--to", type=Path, default=HERE, metavar="DIR", help="where the files are")
    parser.add_argument("--truth", type=Path, metavar="DIR", help="also write whose tokens were billed, by response id")
    parser.add_argument("--record", type=Path, metavar="DIR", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    names = options.stories or list(STORIES)
    if unknown := sorted(set(names) - set(STORIES)):
        parser.error(f"no story called {', '.join(unknown)}; there are {', '.join(STORIES)}")
    if options.record:
        return _record(names, options.record)
    with tempfile.TemporaryDirectory() as folder:
        _run(names, Path(folder))
        if options.truth:
            for name in names:
                (options.truth / f"{name}.truth.json").write_bytes(Path(folder, f"{name}.truth.json").read_bytes())
        return _compare(names, Path(folder), options.to) if options.check else _write(names, Path(folder), options.to)


def _write(names: Sequence[str], made: Path, to: Path) -> int:
    for name in names:
        (to / f"{name}.jsonl").write_bytes((made / f"{name}.jsonl").read_bytes())
    if to == HERE:
        MADE_WITH.write_text("".join(f'{name} = "{version}"\n' for name, version in installed().items()), "utf-8")
    return 0


def installed() -> dict[str, str]:
    """The installed versions of the packages that the spans hang on, and of Python where it tells docstrings apart."""
    python = "3.11" if sys.version_info < (3, 13) else "3.13"  # which takes the indentation from docstrings
    return {**{name: importlib.metadata.version(name) for name in PACKAGES}, "python": python}


def _compare(names: Sequence[str], made: Path, to: Path) -> int:
    stale = 0
    for name in names:
        path = to / f"{name}.jsonl"
        if not path.exists() or path.read_bytes() != (made / path.name).read_bytes():
            print(f"{path} is not what its story gives; run python sample_traces/generate.py", file=sys.stderr)
            stale = 1
    return stale


def _run(names: Sequence[str], folder: Path) -> None:
    """Makes the files in `folder`, by new processes without what could show of this one's environment."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "ANTHROPIC_"))}
    environment = kept | {"PYTHONHASHSEED": "0", "TOOLSPEND_HOME": str(folder / "home")}
    command = [sys.executable, "-W", "ignore::DeprecationWarning", __file__, "--record", str(folder)]

    def run(group: Sequence[str]) -> None:
        done = subprocess.run([*command, *group], env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"a story of {', '.join(group)} failed:\n{done.stderr}")

    # Two seconds of imports a process are shared by the stories of a group, where a process can fork.
    groups = [names[0::2], names[1::2]] if hasattr(os, "fork") else [[name] for name in names]
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(run, [group for group in groups if group]))


def _record(names: Sequence[str], folder: Path) -> int:
    # The clock goes in before the first import of anything that keeps a reference to `time.time_ns`.
    sys.path[:0] = [str(HERE), str(HERE.parent / "instrumentation")]
    from virtual_time import VirtualTime

    clock = VirtualTime(START_NS)
    clock.install()
    from recording import record

    if len(names) == 1:
        record(names[0], STORIES[names[0]], clock, folder)
        return 0
    failed = 0
    for name in names:
        child = os.fork()
        if child == 0:
            try:
                record(name, STORIES[name], clock, folder)
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
                os._exit(1)
            os._exit(0)
        failed |= os.waitpid(child, 0)[1]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
