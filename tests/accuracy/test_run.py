"""The command that the README's table comes from."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

RUN = Path(__file__).with_name("run.py")


def test_it_compares_three_ways_with_the_truth() -> None:
    """Its row says what each way has wrong, and the densities have less wrong than characters and ratios."""
    command = [sys.executable, str(RUN), "--shapes", "cached", "--seeds", "1", "--jobs", "1"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    assert done.returncode == 0, done.stderr
    row = next(line for line in done.stdout.splitlines() if line.startswith("| cached |"))
    by_characters, by_ratios, learned = map(float, re.findall(r"([\d.]+) ?%", row)[:3])
    assert 0 < learned < min(by_characters, by_ratios)
