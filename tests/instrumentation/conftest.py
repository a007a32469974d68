"""Each test of the instrumentation leaves the process as it found it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from opentelemetry import context as otel_context

import seed_agent
import seed_tools
import toolspend
from toolspend import _config, _instrument, _provider, _stats, testing
from toolspend.targets import _calls, _wrapping

SEED = {
    (module.__name__, name): value
    for module in (seed_agent, seed_tools)
    for name, value in vars(module).items()
    if callable(value)
}


def assert_clean() -> None:
    """Nothing is instrumented, patched or running."""
    assert _provider.provider() is None
    assert _config.config() == _config.Config()
    assert not _instrument.instrumented()
    assert not _calls.running_batches()
    assert not otel_context.get_current()
    for module in (seed_agent, seed_tools):
        for name, value in vars(module).items():
            assert not isinstance(value, _wrapping.Wrapped), f"{module.__name__}.{name}"
            if callable(value):
                assert value is SEED[module.__name__, name]


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """Asserts a clean state before and after the test, and that no failure of ours was swallowed."""
    assert_clean()
    _stats.reset()
    yield
    failures = toolspend.stats()["failures"]
    _stats.reset()
    toolspend.uninstrument()
    assert_clean()
    assert not failures, failures


@pytest.fixture
def captured() -> Iterator[testing.Captured]:
    """The test's spans, in a fixed clock's time and with ids that count from 1."""
    with testing.capture() as captured:
        yield captured


@pytest.fixture
def swallow(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Failures of ours are swallowed as in production; what is logged of them."""
    monkeypatch.setenv("TOOLSPEND_RAISE", "0")
    caplog.set_level(logging.WARNING, logger="toolspend")
    return caplog
