"""Stores for the pages: an empty one and one with known sessions, among them tools with hostile names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

import synthetic_store
from otlp_requests import Made, protobuf
from toolspend_dashboard import state
from toolspend_ingest import Store, ingest
from toolspend_ingest.decode import decode

APP = Path(__file__).resolve().parents[2] / "dashboard" / "toolspend_dashboard" / "app.py"
SAMPLES = Path(__file__).resolve().parents[2] / "sample_traces"

Page = Callable[..., AppTest]


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store that nothing was loaded into."""
    with Store.open(tmp_path_factory.mktemp("empty") / "toolspend.duckdb") as store:
        yield store


@pytest.fixture(scope="session")
def sample_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with 24 sessions of three services; ask it, do not write to it."""
    with Store.open(tmp_path_factory.mktemp("sample") / "toolspend.duckdb") as store:
        with store.cursor() as cursor:
            synthetic_store.fill(cursor, hostile=True)
        yield store


@pytest.fixture(scope="session")
def unpriced_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store in which no request has a price."""
    with Store.open(tmp_path_factory.mktemp("unpriced") / "toolspend.duckdb") as store:
        ingest(store, [SAMPLES / "unknown_model.jsonl"])
        yield store


@pytest.fixture(scope="session")
def calls_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with five tool calls of two sessions over five days, one failed, and no model request."""
    spans = [
        Made(
            1 + number // 3,
            1 + number,
            "execute_tool search",
            {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search" if number else "fetch",
             "gen_ai.tool.call.id": f"c{number}", "user.id": "u-17", "toolspend.session.tags": ["eval"]},
            at_s=number * 86_400,
            status="error" if number == 4 else "ok",
        )
        for number in range(5)
    ]  # fmt: skip
    with Store.open(tmp_path_factory.mktemp("calls") / "toolspend.duckdb") as store:
        store.append(decode(protobuf(spans), "protobuf").spans, "test", "test", None)
        yield store


@pytest.fixture
def page(empty_store: Store) -> Iterator[Page]:
    """Runs a page of the app on a store: `page(store, "tools", tool="read_file")`."""

    def run(store: Store, name: str = "overview", **query: str) -> AppTest:
        app = AppTest.from_file(APP, default_timeout=30)
        if name != "overview":
            # A page can be switched to once the app has run; on the empty store that is quick.
            state.set_holder(SimpleNamespace(store=empty_store))
            app.run().switch_page(f"screens/{name}.py")
        state.set_holder(SimpleNamespace(store=store))
        app.query_params.update(query)
        return app.run()

    yield run
    state.set_holder(None)
