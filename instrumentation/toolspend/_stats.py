"""What this process has sent, lost and failed at, counted."""

from __future__ import annotations

import os
import threading
from typing import TypedDict


class Stats(TypedDict):
    """Spans exported and dropped by this process, and our own failures by place."""

    exported: int
    dropped: int
    failures: dict[str, int]


_lock = threading.Lock()
_spans = {"exported": 0, "dropped": 0}
_failures: dict[str, int] = {}


def count_exported(spans: int) -> None:
    """Adds `spans` to those that left this process, or reached the spool."""
    with _lock:
        _spans["exported"] += spans


def count_dropped(spans: int) -> None:
    """Adds `spans` to those that were lost."""
    with _lock:
        _spans["dropped"] += spans


def count_failure(where: str) -> bool:
    """Counts a failure of ours at `where`; whether it is the first there."""
    with _lock:
        _failures[where] = _failures.get(where, 0) + 1
        return _failures[where] == 1


def stats() -> Stats:
    """Counters of this process since its start: spans exported, spans dropped, our failures by place."""
    with _lock:
        return {"exported": _spans["exported"], "dropped": _spans["dropped"], "failures": dict(_failures)}


def reset() -> None:
    """Sets every counter back to zero."""
    with _lock:
        _spans.update(exported=0, dropped=0)
        _failures.clear()


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
