"""What every test may use."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# A failure of ours is swallowed and counted in production; here it fails the test, in child processes too.
os.environ.setdefault("TOOLSPEND_RAISE", "1")

# Where a change is judged, the examples are the same each time; elsewhere every run looks further.
settings.register_profile("judged", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("judged")

RECORDINGS = Path(__file__).resolve().parents[2] / "shared" / "recordings"


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of recorded traffic, which lies beside the repository and not in it."""
    if not RECORDINGS.is_dir():
        pytest.skip(f"no recordings at {RECORDINGS}")
    return RECORDINGS


@pytest.fixture(scope="session", autouse=True)
def fixed_provider() -> None:
    """The process's one tracer provider is the one with fixed ids, whichever test comes first."""
    from toolspend import testing

    with testing.capture():
        pass


@pytest.fixture(autouse=True)
def nothing_learned() -> Iterator[None]:
    """The bills of one test do not tell another how long texts are."""
    yield
    for module, name in (("_density", "learned"), ("_seen_bills", "seen")):
        if (loaded := sys.modules.get(f"toolspend.toolkit.{module}")) is not None:
            getattr(loaded, name).clear()
