"""Sessions that several tests look at, simulated once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from simulator import Simulated, simulate

Simulate = Callable[[str, int], Simulated]


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Simulate:
    """Simulates a shape and seed, or gives what was simulated before."""
    home: Path = tmp_path_factory.mktemp("home")
    return cache(lambda shape, seed: simulate(shape, seed, home))
