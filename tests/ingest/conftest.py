"""A fresh store for each test, and its rows as dictionaries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from toolspend_ingest import Store

Rows = Callable[[str], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A TOOLSPEND_HOME of the test's own."""
    folder = tmp_path / "home"
    monkeypatch.setenv("TOOLSPEND_HOME", str(folder))
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    with Store.open(tmp_path / "store" / "toolspend.duckdb") as opened:
        yield opened


@pytest.fixture
def rows(store: Store) -> Rows:
    """Run a query on the store."""

    def run(query: str) -> list[dict[str, Any]]:
        result = store.cursor().execute(query)
        names = [column[0] for column in result.description or ()]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    return run
