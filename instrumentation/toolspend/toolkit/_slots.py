"""How many calls run at once: of a tool wherever it is called from, and of one batch."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any
from weakref import WeakKeyDictionary

_of_tools: WeakKeyDictionary[Any, tuple[asyncio.AbstractEventLoop, int, asyncio.Semaphore]] = WeakKeyDictionary()
"""Of each tool that bounds itself: one for all batches of a loop."""
_inside: ContextVar[frozenset[int]] = ContextVar("toolspend_inside", default=frozenset())
"""Tools in whose handlers this runs: a tool that calls itself must not wait for itself."""


class Slots:
    """The slots of one batch."""

    def __init__(self, max_concurrency: int, max_per_tool: int | Mapping[str, int] | None) -> None:
        self._max_concurrency = max_concurrency
        self._max_per_tool = max_per_tool
        self._all: asyncio.Semaphore | None = None
        self._per_tool: dict[str, asyncio.Semaphore] = {}

    def expect(self, calls: int) -> None:
        """So many calls are going to ask for slots."""
        if calls > self._max_concurrency:
            self._all = asyncio.Semaphore(self._max_concurrency)

    def of(self, name: str, tool: Any) -> list[asyncio.Semaphore]:
        """Those that a call of `tool` needs, in the order in which they are to be acquired.

        The tool's own first: a call that waits for it must not hold one that others could use.
        """
        if self._max_per_tool is None and getattr(tool, "max_concurrency", None) is None:
            return [] if self._all is None else [self._all]
        limit = None if id(tool) in _inside.get() else getattr(tool, "max_concurrency", None)
        asked = self._max_per_tool
        most = asked.get(name) if isinstance(asked, Mapping) else asked
        needed = []
        if limit is not None and (own := _of_tool(tool, limit)) is not None:
            needed.append(own)
        elif limit is not None:
            most = limit if most is None else min(most, limit)
        if most is not None:
            if name not in self._per_tool:
                self._per_tool[name] = asyncio.Semaphore(max(most, 1))
            needed.append(self._per_tool[name])
        if self._all is not None:
            needed.append(self._all)
        return needed


async def acquire(slots: list[asyncio.Semaphore], tool: Any) -> None:
    """Takes all of `slots` for a call of `tool`, or, cancelled, none."""
    for index, each in enumerate(slots):
        try:
            await each.acquire()
        except asyncio.CancelledError:
            for taken in slots[:index]:
                taken.release()
            raise
    _inside.set(_inside.get() | {id(tool)})


def _of_tool(tool: Any, limit: int) -> asyncio.Semaphore | None:
    """The slots of a tool itself; None where it is of a kind that nothing can be remembered of."""
    loop = asyncio.get_running_loop()
    try:
        known = _of_tools.get(tool)
        if known is None or known[0] is not loop or known[1] != limit:
            known = _of_tools[tool] = (loop, limit, asyncio.Semaphore(max(limit, 1)))
    except TypeError:
        return None
    return known[2]
