"""Which responses requests have had: eight bytes for each, so that the table is not read for every batch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

import duckdb
import numpy as np

from . import schema

_LOOSE: Final = 10_000
"""So many numbers are kept one by one (100 bytes each) before they are put in order with the others."""


class Responses:
    """The responses of all requests, and maybe some whose requests are gone."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        table = con.sql(schema.query("numbers_of_responses")).to_arrow_table()
        self._numbers = np.unique(table["number"].to_numpy())
        self._loose: set[int] = set()

    def __len__(self) -> int:
        return len(self._numbers) + len(self._loose)

    def add(self, ids: Iterable[str | None]) -> None:
        """Requests got these responses."""
        self._loose.update(_number(each) for each in ids if each)
        if len(self._loose) > _LOOSE:
            self._numbers = np.union1d(self._numbers, np.array(list(self._loose), dtype=np.uint64))
            self._loose.clear()

    def may_have(self, ids: Iterable[str]) -> bool:
        """Whether a request may have one of these responses; where not, none has."""
        return any(self._has(_number(each)) for each in ids)

    def _has(self, number: int) -> bool:
        place = int(np.searchsorted(self._numbers, np.uint64(number)))
        return number in self._loose or (place < len(self._numbers) and int(self._numbers[place]) == number)


def _number(text: str) -> int:
    """As DuckDB's `md5_number_lower`."""
    return int.from_bytes(hashlib.md5(text.encode(errors="replace"), usedforsecurity=False).digest()[8:], "little")
