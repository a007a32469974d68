"""The sessions that were attributed last, as far as they are needed to go on with them."""

from __future__ import annotations

from collections import OrderedDict

import duckdb
import pyarrow as pa

from .growth import Edges
from .known import Known

MOST_ELEMENTS = 4_000_000
"""Bounds what is kept: some 100 bytes an element, 30,000 elements for a session of 500 requests."""


class Memory:
    """What is known of sessions, for the transaction that is open and those that follow it.

    A session is taken out when it is touched, and kept again as it is then. Whoever rolls back or changes prices must
    `clear`: what is known here is what the store would say.
    """

    def __init__(self, limit: int = MOST_ELEMENTS) -> None:
        self.limit = limit
        self.steps = 0
        """How often a session went on without being attributed whole."""
        self.edges: dict[str, Edges] = {}
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return len(self._known)

    def take(self, session: str) -> Known | None:
        """What is known of a session, which is forgotten."""
        known = self._known.pop(session, None)
        if known is not None:
            self._size -= known.size
        return known

    def keep(self, session: str, known: Known) -> None:
        """Keeps a session; those that were longest untouched make room."""
        self.take(session)
        self._known[session] = known
        self._size += known.size
        while self._size > self.limit and self._known:
            self.take(next(iter(self._known)))

    def clear(self) -> None:
        """Forgets everything."""
        self._known.clear()
        self.edges.clear()
        self._size = 0

    def find_edges(self, con: duckdb.DuckDBPyConnection, query: str, models: pa.ChunkedArray) -> None:
        """Learns where the prices of models change."""
        for model in models.unique().to_pylist():
            if model is not None and model not in self.edges:
                rows = con.execute(query, {"model": model}).fetchall()
                times = [time for row in rows for time in row[1:] if time is not None]
                self.edges[model] = Edges(sorted(set(times)), sorted({row[0] for row in rows if row[0] > 0}))
