"""An agent that is told to end ends as it would without us, and has left behind what it could."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import spooled
import toolspend
from toolspend import _provider

AGENT = """
    import asyncio, signal, sys, time
    import toolspend
    from opentelemetry import trace

    def end(*_):
        sys.exit(7)

    {before}
    found = signal.getsignal(signal.SIGTERM)
    toolspend.instrument()
    assert signal.getsignal(signal.SIGTERM) is found
    trace.get_tracer("t").start_span("work").end()
    {after}
    """


def ended(home: Path, before: str, after: str, *, is_written: bool) -> int:
    """Runs the agent, tells it to end once it is ready (and its span is written), and returns its exit code."""
    home.mkdir(exist_ok=True)
    script = textwrap.dedent(AGENT).format(before=before, after=after)
    process = subprocess.Popen(
        [sys.executable, "-c", script], env=spooled.environment(home), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    until = time.monotonic() + 30
    while is_written and not spooled.files(home / "spool") and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    return process.returncode


def test_the_default_ending_stays_what_it_is(tmp_path: Path) -> None:
    """Without a handler of its own the agent ends by the signal; what had been written by then is read."""
    after = "print('ready', flush=True); time.sleep(60)"
    assert ended(tmp_path, "pass", after, is_written=True) == -signal.SIGTERM
    assert spooled.names(tmp_path / "spool", whole=False) == ["work"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("signal.signal(signal.SIGTERM, end)", "print('ready', flush=True); time.sleep(60)"),
        ("pass", "signal.signal(signal.SIGTERM, end); print('ready', flush=True); time.sleep(60)"),
        (
            "async def main(): stop = asyncio.Event(); asyncio.get_running_loop().add_signal_handler(15, stop.set); "
            "print('ready', flush=True); await stop.wait(); end()",
            "asyncio.run(main())",
        ),
    ],
)
def test_an_application_that_exits_leaves_everything(tmp_path: Path, before: str, after: str) -> None:
    """With a handler of its own, set before or after, or by its loop: its exit code, and every span."""
    assert ended(tmp_path, before, after, is_written=False) == 7
    assert spooled.names(tmp_path / "spool") == ["work"]


def test_the_spool_waits_a_tenth_of_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A span is on its way into the file 100 ms after it ended: what a killed process may lose."""
    monkeypatch.setenv("TOOLSPEND_HOME", str(tmp_path))
    toolspend.instrument(export="spool")
    ours = _provider._ours(_provider.provider())
    assert ours is not None
    batches = ours.outlets["spool"]._batches
    assert batches is not None
    assert batches._batch_processor._schedule_delay_millis == 100
