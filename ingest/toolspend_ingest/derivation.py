"""What makes the derived rows of new spans, and knows meanwhile the sessions that go on: here, or in `apart`."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import duckdb

from . import pipeline
from .attribution import run as attribution
from .attribution.memory import Memory
from .continued import Continued
from .news import News


class Steps(NamedTuple):
    """How often a session was derived, and how often attributed, without its earlier requests."""

    derived: int = 0
    attributed: int = 0


class Derivation(Protocol):
    """Makes what follows from spans, within a transaction of the caller's."""

    @property
    def steps(self) -> Steps:
        """What it did since it was made."""
        ...

    def prepare(self) -> None:
        """Do now what the next step would have to wait for."""

    def go_on(self, con: duckdb.DuckDBPyConnection, news: News) -> list[str]:
        """Make what follows from the news; gives the traces that were derived whole."""
        ...

    def forget(self) -> None:
        """What is known of sessions is not what is stored of them any more."""

    def close(self) -> None:
        """Release what it holds; it is not used again."""


class Here:
    """Derives in this process, in the thread that asks for it."""

    def __init__(self) -> None:
        self._continued = Continued()
        self._memory = Memory()

    @property
    def steps(self) -> Steps:
        """What it did since it was made."""
        return Steps(self._continued.steps, self._memory.steps)

    @property
    def knows_any(self) -> bool:
        """Whether it knows of a session that could go on."""
        return bool(self._continued.sessions)

    def prepare(self) -> None:
        """Nothing is needed."""

    def go_on(self, con: duckdb.DuckDBPyConnection, news: News) -> list[str]:
        """Make what follows from the news; gives the traces that were derived whole."""
        derived = pipeline.go_on(con, news.spans, self._continued, sorted(news.changed))
        attribution.attribute_sessions(con, derived.session_ids, self._memory, derived.growths)
        return derived.trace_ids

    def forget(self) -> None:
        """What is known of sessions is not what is stored of them any more."""
        self._continued.clear()
        self._memory.clear()

    def close(self) -> None:
        """Nothing is held."""
