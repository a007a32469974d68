"""Our failures, in production and in tests."""

from __future__ import annotations

import asyncio

import pytest

import toolspend
from toolspend import _stats
from toolspend._guard import guarded


def test_a_failure_is_logged_once_and_counted(swallow: pytest.LogCaptureFixture) -> None:
    """Swallowed as a block and as a decorator, logged once per place without its message, counted every time."""

    @guarded("there")
    def fail() -> int:
        raise ValueError("secret")

    for _ in range(3):
        with guarded("here"):
            raise KeyError("secret")
        assert fail() is None
    assert toolspend.stats()["failures"] == {"here": 3, "there": 3}
    assert len(swallow.records) == 2
    assert "secret" not in swallow.text
    _stats.reset()


def test_under_pytest_it_is_raised() -> None:
    """Our own bugs show in tests."""
    with pytest.raises(KeyError), guarded("here"):
        raise KeyError
    _stats.reset()


@pytest.mark.parametrize("error", [asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_failure_passes(error: type[BaseException], swallow: pytest.LogCaptureFixture) -> None:
    """A cancellation or an exit is never swallowed, nor counted."""
    with pytest.raises(error), guarded("here"):
        raise error
    assert toolspend.stats()["failures"] == {}
