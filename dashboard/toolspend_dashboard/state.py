"""The store of this process, for pages that Streamlit runs as scripts and that nobody can pass an argument to."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import duckdb

from toolspend_ingest import Store
from toolspend_ingest.errors import StoreClosed, StoreFailed

from .errors import NotServing

T = TypeVar("T")

REOPENED_WITHIN_S = 5.0
"""How long a question waits for a store that is being reopened."""


class Holder(Protocol):
    """Whatever has the store open; it may replace the store when DuckDB gave up on a file and it was reopened."""

    @property
    def store(self) -> Store:
        """The store that is open now."""
        ...


Status = Callable[[], dict[str, Any]]


class _Current:
    holder: Holder | None = None
    status: list[Status] = []  # noqa: RUF012 - of the process, as the holder; a bare function would be a method


def set_holder(holder: Holder | None) -> None:
    """Make the holder's store the one that pages read; None when the server ends."""
    _Current.holder = holder


def set_status(status: Status | None) -> None:
    """Make this what tells how the server is; None when it ends."""
    _Current.status = [] if status is None else [status]


def status() -> dict[str, Any] | None:
    """How the server of this process is, as `/healthz` says it; None where there is none."""
    return next((tell() for tell in _Current.status), None)


def holder() -> Holder:
    """What has the store open in this process; raises NotServing where nothing has."""
    if _Current.holder is None:
        raise NotServing
    return _Current.holder


def current_store() -> Store:
    """The store that this process serves; take a `cursor()` of it per query. Raises NotServing."""
    return holder().store


def read(question: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
    """The answer to a question asked on a cursor of the store; asked again where the store was reopened meanwhile.

    Raises a StoreError where it cannot be read for longer than a reader would wait.
    """
    deadline = time.monotonic() + REOPENED_WITHIN_S
    while True:
        try:
            with current_store().reading() as cursor:
                return question(cursor)
        except (StoreClosed, StoreFailed):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
