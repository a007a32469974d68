"""Synchronous handlers, each in a thread of its own.

A thread cannot be ended from outside. What can be done is done: its handler is told (`is_cancelled()`), nobody waits
for it any longer, it does not keep the process from exiting (a daemon), and it is counted, so that a tool whose runs
hang is refused before they pile up.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

_lock: Final = threading.Lock()
_abandoned: Final[Counter[str]] = Counter()
_current: contextvars.ContextVar[_Run | None] = contextvars.ContextVar("toolspend_thread", default=None)


class _Run:
    __slots__ = ("is_abandoned", "is_over")

    def __init__(self) -> None:
        self.is_abandoned = False
        self.is_over = False


def is_cancelled() -> bool:
    """Whether nobody waits any longer for the handler that asks: for long loops in synchronous handlers."""
    run = _current.get()
    return run is not None and run.is_abandoned


def abandoned(name: str | None = None) -> int:
    """How many threads, of tool `name` or of all, still run though their calls were given up."""
    with _lock:
        return _abandoned[name] if name is not None else _abandoned.total()


async def in_thread(name: str, function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """What `function(**arguments)` returns or raises in a thread. Cancelled, the thread is abandoned."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()
    run = _Run()
    context = contextvars.copy_context()
    context.run(_current.set, run)

    def settle(result: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def work() -> None:
        result: Any = None
        failure: BaseException | None = None
        try:
            result = context.run(function, **arguments)
        except StopIteration as error:  # which a future cannot hold
            failure = RuntimeError(f"StopIteration: {error}")
        except BaseException as error:
            failure = error
        with _lock:
            run.is_over = True
            if run.is_abandoned:
                _abandoned[name] -= 1
        # The loop may have closed: then nobody is left to tell.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=work, name=f"tool {name}", daemon=True).start()
    try:
        return await future
    except asyncio.CancelledError:
        with _lock:
            if not run.is_over:
                run.is_abandoned = True
                _abandoned[name] += 1
        raise
