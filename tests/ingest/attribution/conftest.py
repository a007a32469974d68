"""Sessions of the simulator, each simulated once."""

from __future__ import annotations

from simulator.conftest import simulated

__all__ = ["simulated"]
