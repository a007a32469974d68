"""Time that passes only when something waits: hours of an agent's life in seconds, and the same to the nanosecond."""

from __future__ import annotations

import asyncio
import math
import selectors
import threading
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar, TypeVarTuple

T = TypeVar("T")
A = TypeVarTuple("A")

TICK_NS: Final = 20_000
"""What each reading of the wall clock takes, so that no two spans start in the same nanosecond."""


class VirtualTime:
    """A clock of its own for this process. `install` before anything else is imported: modules copy `time_ns`."""

    def __init__(self, start_ns: int) -> None:
        self._origin_ns = start_ns
        self._now_ns = start_ns
        self._main_thread = threading.get_ident()

    def install(self) -> None:
        """Puts this clock behind the `time` module and behind every event loop made from here on."""
        replacements: dict[str, Callable[..., Any]] = {
            "time": lambda: self._now_ns / 1e9,
            "time_ns": self._read_ns,
            "monotonic": self._elapsed_s,
            "perf_counter": self._elapsed_s,
            "monotonic_ns": lambda: self._now_ns - self._origin_ns,
            "perf_counter_ns": lambda: self._now_ns - self._origin_ns,
            "sleep": self.sleep,
        }
        for name, replacement in replacements.items():
            setattr(time, name, replacement)

    def set(self, now_ns: int) -> None:
        """Moves to `now_ns`, which must not lie in the past."""
        if now_ns < self._now_ns:
            raise ValueError(f"virtual time cannot go back by {(self._now_ns - now_ns) / 1e9:.0f} s")
        self._now_ns = now_ns

    def sleep(self, seconds: float) -> None:
        """Passes `seconds` at once."""
        self._now_ns += math.ceil(seconds * 1e9)

    def run(self, main: Any) -> Any:
        """Runs the coroutine `main` on an event loop whose timers follow this clock."""
        with asyncio.Runner(loop_factory=lambda: _Loop(_Selector(self))) as runner:
            return runner.run(main)

    def _read_ns(self) -> int:
        # Other threads read without a tick: when they do is not the same from run to run.
        if threading.get_ident() == self._main_thread:
            self._now_ns += TICK_NS
        return self._now_ns

    def _elapsed_s(self) -> float:
        return (self._now_ns - self._origin_ns) / 1e9


class _Selector(selectors.SelectSelector):
    """Waits for the next timer by moving the clock there."""

    def __init__(self, clock: VirtualTime) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            return super().select(None)
        self._clock.sleep(timeout)
        return []


class _Loop(asyncio.SelectorEventLoop):
    """An event loop without threads: what is handed to one runs at once, or the clock would run ahead of it."""

    def run_in_executor(self, executor: object, func: Callable[[*A], T], *args: *A) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future
