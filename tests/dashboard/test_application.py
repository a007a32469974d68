"""The application behind the door, in a process of its own, as it is when the server starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import served

LIVE = """
import asyncio, gc, sys
from pathlib import Path
from toolspend_dashboard import application, backend

application.UNCOLLECTED_S = 0.05
application.import_framework()
seen = [gc.isenabled()]
with backend.running(backend.open_store(Path(sys.argv[1]))) as behind:
    made = application.create(behind, "secret")

    async def live():
        async with made.life:
            seen.append(gc.isenabled())
            await asyncio.sleep(0.5)

    asyncio.run(live())
print(*seen, gc.isenabled(), gc.get_freeze_count() > 100_000, "toolspend_dashboard.data" in sys.modules)
"""
IMPORT = """
import gc, sys
from toolspend._command import main

seen = []
gc.callbacks.append(lambda *_: seen.append("toolspend_dashboard.cli.up" in sys.modules))
sys.argv = ["toolspend", "--version"]
assert main() == 0
print(all(seen), gc.isenabled())
"""


def run(home: Path, code: str, *arguments: str) -> list[str]:
    """The last line that the code prints, where it says nothing of problems."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env=served.environment(home), capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()[-1].split()


def test_no_cycles_are_looked_for_until_the_first_page_is_made(tmp_path: Path) -> None:
    """Then they are again, but not in what was imported; and the pages' caches found the runtime, without a warning."""
    assert run(tmp_path, LIVE, str(tmp_path / "one.duckdb")) == ["False", "False", "True", "True", "True"]


def test_no_cycles_are_looked_for_while_commands_are_imported(tmp_path: Path) -> None:
    """Once they are, they are looked for as ever."""
    assert run(tmp_path, IMPORT) == ["True", "True"]
