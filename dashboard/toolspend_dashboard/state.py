"""The store of this process, for pages that Streamlit runs as scripts and that nobody can pass an argument to."""

from __future__ import annotations

from typing import Protocol

from toolspend_ingest import Store

from .errors import NotServing


class Holder(Protocol):
    """Whatever has the store open; it may replace the store when DuckDB gave up on a file and it was reopened."""

    @property
    def store(self) -> Store:
        """The store that is open now."""
        ...


class _Current:
    holder: Holder | None = None


def set_holder(holder: Holder | None) -> None:
    """Make the holder's store the one that pages read; None when the server ends."""
    _Current.holder = holder


def holder() -> Holder:
    """What has the store open in this process; raises NotServing where nothing has."""
    if _Current.holder is None:
        raise NotServing
    return _Current.holder


def current_store() -> Store:
    """The store that this process serves; take a `cursor()` of it per query. Raises NotServing."""
    return holder().store
