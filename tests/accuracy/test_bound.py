"""The command that says how much of an error no bill tells of."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

BOUND = Path(__file__).with_name("bound.py")


def test_what_is_known_is_no_longer_off() -> None:
    """Of one request's bill the definitions get too little; known, they are right, and so is all that is known."""
    command = [sys.executable, str(BOUND), "--shapes", "one_request", "--seeds", "13", "--jobs", "1"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    assert done.returncode == 0, done.stderr
    row = next(line for line in done.stdout.splitlines() if line.startswith("| **misattributed"))
    as_it_is, definitions, densities, both = map(float, re.findall(r"([\d.]+)%", row))
    assert as_it_is > densities > definitions
    assert both <= definitions + 0.05 < 0.5
