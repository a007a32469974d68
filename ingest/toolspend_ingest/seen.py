"""Which ids a table has had: eight bytes for each, so that it is not read for every batch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

import duckdb
import numpy as np

from . import schema

_LOOSE: Final = 10_000
"""So many numbers are kept one by one (100 bytes each) before they are put in order with the others."""


class Seen:
    """The ids whose numbers a query gives, those added since, and maybe some that are gone."""

    def __init__(self, con: duckdb.DuckDBPyConnection, query: str) -> None:
        table = con.sql(schema.query(query)).to_arrow_table()
        self._numbers = np.unique(table["number"].to_numpy())
        self._loose: set[int] = set()

    def __len__(self) -> int:
        return len(self._numbers) + len(self._loose)

    def add(self, ids: Iterable[str | None]) -> list[str]:
        """Keep these, without what is None; gives those that the table may have had before."""
        had = []
        for each in ids:
            if not each:
                continue
            if self._has(number := _number(each)):
                had.append(each)
            else:
                self._loose.add(number)
        if len(self._loose) > _LOOSE:
            more = np.sort(np.fromiter(self._loose, np.uint64, len(self._loose)))
            # Into five million that takes 20 ms, and `np.union1d` with them 10 s.
            self._numbers = np.insert(self._numbers, np.searchsorted(self._numbers, more), more)
            self._loose.clear()
        return had

    def may_have(self, ids: Iterable[str]) -> bool:
        """Whether the table may have one of these; where not, it has none."""
        return any(self._has(_number(each)) for each in ids)

    def _has(self, number: int) -> bool:
        if number in self._loose:
            return True
        place = int(np.searchsorted(self._numbers, np.uint64(number)))
        return place < len(self._numbers) and int(self._numbers[place]) == number


def _number(text: str) -> int:
    """As DuckDB's `md5_number_lower`."""
    return int.from_bytes(hashlib.md5(text.encode(errors="replace"), usedforsecurity=False).digest()[8:], "little")
