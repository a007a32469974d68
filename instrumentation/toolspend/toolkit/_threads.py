"""Synchronous handlers, each in a thread of its own.

A thread cannot be ended from outside at once. What can be done is done: its handler is told (`is_cancelled()`), nobody
waits for it any longer, it does not keep the process from exiting (a daemon), and it is counted, so that a tool whose
runs hang is refused before they pile up. Where the tool is interruptible, an exception comes up in its handler besides.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import ctypes
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

_ENDS_WITHIN_S: Final = 0.2
"""So long is waited for a handler that was interrupted: what it does in C has to come back first."""

_lock: Final = threading.Lock()
_abandoned: Final[set[Run]] = set()
_current: contextvars.ContextVar[Run | None] = contextvars.ContextVar("toolspend_thread", default=None)


class Interrupted(BaseException):
    """Comes up in a handler that nobody waits for any longer."""


class Run:
    """One run of tool `name` in a thread."""

    def __init__(self, name: str, *, is_interruptible: bool = False) -> None:
        self.name = name
        self.is_interruptible = is_interruptible
        self.is_over = False
        self._thread_id = 0

    async def of(self, function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
        """What `function(**arguments)` returns or raises there. Cancelled, the thread is interrupted or abandoned."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        future.add_done_callback(asyncio.Future.exception)  # seen, also where nobody waits for it any longer
        context = contextvars.copy_context()
        context.run(_current.set, self)

        def settle(result: Any, error: BaseException | None) -> None:
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        def work() -> None:
            result: Any = None
            failure: BaseException | None = None
            try:
                try:
                    if self._begin():
                        result = context.run(function, **arguments)
                except StopIteration as error:  # which a future cannot hold
                    failure = RuntimeError(f"StopIteration: {error}")
                except BaseException as error:
                    failure = error
                self._end()
            except Interrupted:  # once at most, and here after the handler's last line
                self._end()
            # The loop may have closed: then nobody is left to tell.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, result, failure)

        threading.Thread(target=work, name=f"tool {self.name}", daemon=True).start()
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            self._give_up()
            if self.is_interruptible:
                await asyncio.wait({future}, timeout=_ENDS_WITHIN_S)
            raise

    @property
    def is_abandoned(self) -> bool:
        """Whether it runs, and nobody waits for it."""
        return self in _abandoned

    def _begin(self) -> bool:
        with _lock:
            self._thread_id = threading.get_ident()
            return self not in _abandoned

    def _give_up(self) -> None:
        with _lock:
            if not self.is_over:
                _abandoned.add(self)
                if self.is_interruptible and self._thread_id:
                    _raise_in(self._thread_id, Interrupted)

    def _end(self) -> None:
        with _lock:
            self.is_over = True
            _abandoned.discard(self)
            if self.is_interruptible:
                _raise_in(self._thread_id, None)  # what has not come up by now is not to


def is_cancelled() -> bool:
    """Whether nobody waits any longer for the handler that asks: for long loops in synchronous handlers."""
    run = _current.get()
    return run is not None and run.is_abandoned


def abandoned(name: str | None = None) -> int:
    """How many threads, of tool `name` or of all, still run though their calls were given up."""
    with _lock:
        return sum(name is None or run.name == name for run in _abandoned)


def _raise_in(thread_id: int, error: type[BaseException] | None) -> None:
    """Has a thread raise `error` at its next line; None takes back what has not come up yet."""
    raised = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), raised)
