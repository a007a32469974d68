"""Versions called by their own name, the bare name and an alias, from the agent over the store to the Tools page."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import spooled
from toolspend_dashboard import queries
from toolspend_ingest import Store, ingest

SAMPLES = Path(__file__).resolve().parents[2] / "sample_traces"

AGENT = """
import asyncio

import standin
import toolspend
from toolspend.toolkit import ToolRegistry, ToolVersions, execute_tool_calls

searches = ToolVersions("search")


@searches.version("1")
async def by_words(query: str) -> str:
    return query


@searches.version("2.0-beta")
async def by_meaning(query: str) -> list[str]:
    return [query] * 20


searches.set_default("2.0-beta")
searches.alias("look", "1")
registry = ToolRegistry()
registry.register_versions(searches)
toolspend.instrument(registry=registry)

NAMES = ["search_v1", "look", "search_v1", "search", "search_v2_0_beta", "search_v2_0_beta", "search"]
client = standin.client(standin.Api([standin.say(*(standin.ToolUse(name, {"query": "x"}) for name in NAMES))]))
with toolspend.session("library"):
    answer = client.messages.create(
        model="claude-haiku-4-5", max_tokens=500, messages=[{"role": "user", "content": "Look for x."}],
        tools=registry.get_tool_definitions(registry.get_tools_for_task()),
    )
    for call in answer.content:
        asyncio.run(execute_tool_calls([call], registry))
"""


def test_a_version_is_one_row_by_whatever_name_it_was_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: Callable[..., AppTest]
) -> None:
    """One row a family and version in `tool_versions`; every name leads to the comparison, which has the same rows."""
    home = tmp_path / "home"
    done = spooled.run(home, AGENT, PYTHONPATH=os.pathsep.join(map(str, (spooled.INSTRUMENTATION, SAMPLES))))
    assert done.returncode == 0, done.stderr
    monkeypatch.setenv("TOOLSPEND_HOME", str(home))
    with Store.open(home / "toolspend.duckdb") as store:
        assert not ingest(store, None).has_refused
        with store.cursor() as cursor:
            rows = cursor.execute(
                "select family, tool, names, declared_version, calls, previous_tool from tool_versions order by tool"
            ).fetchall()
            compared = {
                name: list(queries.run(cursor, "version_comparison", tool=name, max_rows=8)["calls"])
                for name in ("search", "search_v1", "search_v2_0_beta", "look")
            }
        shown = {name: page(store, "tools", tool=name) for name in ("search", "look")}
    assert rows == [
        ("search", "search_v1", ["look", "search_v1"], "1", 3, None),
        ("search", "search_v2_0_beta", ["search", "search_v2_0_beta"], "2.0-beta", 4, "search_v1"),
    ]
    assert all(calls == [3, 4] for calls in compared.values())
    for app in shown.values():
        assert not app.exception
        assert any("from `search_v1 v1` to `search_v2_0_beta v2.0-beta`" in each.value for each in app.caption)
