"""Simulated sessions that are loaded a little at a time, and a store where they settle early."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from relations import derived, tables
from simulator import Simulated
from toolspend_ingest import Store
from toolspend_ingest.attribution import densities
from toolspend_ingest.decode import decode
from toolspend_ingest.spans import SpanRow

SETTLED = 8
"""Requests after which sessions can be added to, here: simulated ones are short."""


def empty_stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Store]]:
    """Gives the one store without spans, of which nothing is known, where sessions settle early."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(densities, "ALL_EQUATIONS", SETTLED)
        with Store.open(folder / "toolspend.duckdb", prices_file=folder / "none.toml") as store:

            def empty() -> Store:
                cursor = store.cursor()
                for table in tables(cursor):
                    cursor.execute(f"delete from {table}")
                store.rederive()
                return store

            yield empty


def spans_of(session: Simulated) -> list[SpanRow]:
    """The spans in the order in which they ended; a batch of tools ends after them."""
    found = [span for payload in session.payloads for span in decode(payload, "protobuf").spans]
    return sorted(found, key=lambda span: (span.ended_at, span.name == "execute_tools", span.span_id))


def assert_whole(store: Store) -> None:
    found = derived(store)
    store.rederive()
    assert found == derived(store)
