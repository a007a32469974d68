"""A fresh store for each test, and its rows as dictionaries."""

from __future__ import annotations

import shutil
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


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an empty store, made once: prices and schema take most of a second."""
    path = tmp_path_factory.mktemp("empty") / "toolspend.duckdb"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOOLSPEND_HOME", str(path.parent))
        Store.open(path).close()
    return path


@pytest.fixture
def fresh(tmp_path: Path, empty_file: Path) -> Callable[[str], Store]:
    """Makes an empty store of a name."""

    def make(name: str) -> Store:
        path = tmp_path / name / "toolspend.duckdb"
        path.parent.mkdir(parents=True)
        shutil.copyfile(empty_file, path)
        return Store.open(path)

    return make


@pytest.fixture
def store(fresh: Callable[[str], Store]) -> Iterator[Store]:
    """An empty store."""
    with fresh("store") as opened:
        yield opened


@pytest.fixture
def rows(store: Store) -> Rows:
    """Run a query on the store."""

    def run(query: str) -> list[dict[str, Any]]:
        result = store.cursor().execute(query)
        names = [column[0] for column in result.description or ()]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    return run
