"""The disk fills and empties under load: `disk.py [ROUNDS]`, prints what clients, readers and store saw.

On a small file system of its own (needs the right to mount one): a file grows until nothing is left, so that DuckDB
gives the store up, and is removed again. The server has to go on without a restart, with nothing acknowledged lost or
doubled, and answer readers all the while.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("tests", "instrumentation", "ingest", "dashboard")]

from soak import harness  # noqa: E402

SIZE_MIB = 48


class CannotMount(Exception):
    """This user may not mount a file system, or the system has none in memory."""


@contextlib.contextmanager
def small_disk(folder: Path, size_mib: int = SIZE_MIB) -> Iterator[Path]:
    """A file system in memory of that size."""
    folder.mkdir(parents=True)
    mount = shutil.which("mount")
    if mount is None or sys.platform != "linux":
        raise CannotMount("there is no mount command for a file system in memory")
    made = subprocess.run(
        [mount, "-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if made.returncode:
        raise CannotMount(made.stderr.strip())
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def fill(disk: Path) -> None:
    """Take all the room that is left, down to a page."""
    with (disk / "ballast").open("ab", buffering=0) as file, contextlib.suppress(OSError):
        for size in (1 << 20, 1 << 12):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))


def run(disk: Path, rounds: int) -> tuple[harness.Tally, list[str], dict[str, Any]]:
    """Fill and empty it so many times, with the guard for free space off; what clients saw, and what is wrong."""
    home, port, grpc_port = disk / "home", harness.free_port(), harness.free_port()
    home.mkdir()
    seen: dict[str, Any] = {"failures": 0, "recovered_after_s": []}
    with harness.lean(home, port, grpc_port, min_free_mib=0) as process:
        assert harness.served.until(lambda: harness.is_up(port), within_s=60)
        # The spool is on the full disk too, where a writer drops and counts: that is another test's.
        with harness.Clients(port, grpc_port, home / "spool", has_spool=False) as clients:
            for _ in range(rounds):
                time.sleep(1.5)
                fill(disk)
                if harness.served.until(lambda: bool(harness.health(port).get("problem")), within_s=20):
                    seen["failures"] += 1
                time.sleep(1.0)
                (disk / "ballast").unlink()
                before, acknowledged = time.monotonic(), len(clients.tally.acknowledged)
                assert harness.served.until(lambda: harness.health(port).get("status") == "ok", within_s=30), (
                    harness.health(port)
                )
                assert harness.served.until(
                    lambda known=acknowledged: len(clients.tally.acknowledged) > known, within_s=60
                )
                seen["recovered_after_s"].append(round(time.monotonic() - before, 1))
                assert process.poll() is None
    return clients.tally, harness.faults(home / "toolspend.duckdb", clients.tally), seen


def main() -> int:
    """Prints the figures; 1 where anything is lost, doubled or wrong."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    try:
        with small_disk(Path(tempfile.mkdtemp(prefix="toolspend-disk-")) / "disk") as disk:
            tally, faults, seen = run(disk, rounds)
            spans, _ = harness.stored(disk / "home" / "toolspend.duckdb")
    except CannotMount as error:
        print(f"skipped: {error}")
        return 0
    print(
        f"disk filled {rounds} times, the store given up and opened again {seen['failures']} times, first "
        f"acknowledgement {max(seen['recovered_after_s'])} s after there was room at most; "
        f"{len(tally.acknowledged):,} sessions acknowledged, {tally.turned_away:,} requests turned away, "
        f"{spans:,} spans stored"
    )
    print("\n".join(faults) or "nothing lost, nothing doubled")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
