"""The dashboard's questions: one file each in `queries/`, run with bound values on a cursor, answered as a frame."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

import duckdb
import pandas as pd

_PARAMETER = re.compile(r"\$([a-z_]+)")


@dataclass(frozen=True)
class Filters:
    """Which part of the store is asked about; None means all of it. Times are UTC, `until` is exclusive."""

    since: datetime | None = None
    until: datetime | None = None
    service: str | None = None
    model: str | None = None
    session: str | None = None

    def parameters(self) -> dict[str, Any]:
        """The values by the names that the queries bind them to."""
        return {
            "since": self.since,
            "until": self.until,
            "service": self.service,
            "model": self.model,
            "session": self.session,
        }


@cache
def names() -> tuple[str, ...]:
    """The name of every query, sorted."""
    folder = files("toolspend_dashboard").joinpath("queries")
    return tuple(sorted(entry.name[:-4] for entry in folder.iterdir() if entry.name.endswith(".sql")))


@cache
def text(name: str) -> str:
    """The SQL of one query."""
    return files("toolspend_dashboard").joinpath("queries", f"{name}.sql").read_text(encoding="utf-8")


@cache
def parameters(name: str) -> frozenset[str]:
    """The names of the values that one query binds."""
    return frozenset(_PARAMETER.findall(text(name)))


@cache
def examples() -> dict[str, str]:
    """Questions to start from, the SQL by its title."""
    folder = files("toolspend_dashboard").joinpath("examples")
    entries = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda entry: entry.name)
    return {
        entry.name[:-4].replace("_", " ").capitalize(): entry.read_text(encoding="utf-8").strip() for entry in entries
    }


def records(frame: pd.DataFrame) -> Iterator[Any]:
    """The rows of a frame, each with its columns as attributes."""
    return iter(frame.itertuples(index=False))


def run(cursor: duckdb.DuckDBPyConnection, name: str, /, **values: Any) -> pd.DataFrame:
    """The answer of one query as a frame; of `values`, those that the query names are bound."""
    bound = {parameter: values[parameter] for parameter in parameters(name)}
    return cursor.execute(text(name), bound).df()
