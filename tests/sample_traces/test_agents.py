"""The example agent of the tool layer: it runs offline, and what it did is in the dashboard's relations."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import spooled
import standin
from toolspend_ingest import Store, ingest

AGENT = Path(__file__).resolve().parents[2] / "sample_traces" / "agents" / "field_trip.py"


def test_the_agent_runs_offline_and_its_spool_is_a_whole_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan, a selection, parallel calls, failures, compressions by rule and by model, versions: in one session."""
    home = tmp_path / "home"
    environment = spooled.environment(home)
    environment.pop("ANTHROPIC_API_KEY", None)
    done = subprocess.run(
        [sys.executable, str(AGENT)], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ST-057 saw the most rain.")
    assert "('find_trains', ToolCost(calls=1," in done.stdout
    assert "Context(used_tokens=" in done.stdout
    assert "warning: book_train: 1 of 1 parameter has no description: `train`." in done.stdout
    monkeypatch.setenv("TOOLSPEND_HOME", str(home))
    with Store.open(home / "toolspend.duckdb") as store:
        assert not ingest(store, None).has_refused
        con = store.cursor()

        def rows(query: str) -> list[tuple[object, ...]]:
            return con.execute(query).fetchall()

        assert rows("select session_id, requests from sessions") == [("field-trip", 6)]
        assert rows("select tool, error_type from tool_calls where span_id is not null order by tool, error_type") == [
            ("book_train", "budget_exceeded"),
            ("book_train", None),
            ("find_hotels", "unknown_tool"),
            ("find_tools", None),
            ("find_trains", "invalid_arguments"),
            ("find_trains", None),
            ("stations", None),
            ("stations_v1", None),
            ("stations_v2", None),
        ]
        assert rows("select calls, failed from tool_batches order by started_at") == [
            (2, 0), (2, 0), (3, 2), (1, 0), (1, 1),
        ]  # fmt: skip
        assert rows("select candidates, selected, is_unsure from tool_selections") == [(6, 4, False)]
        # What find_tools found is offered from the next turn on.
        assert rows(
            "select tool, count(distinct request_id) from context_ledger where kind = 'tool_definition' "
            "and tool in ('find_trains', 'find_tools', 'stations_v1') group by tool order by tool"
        ) == [("find_tools", 5), ("find_trains", 4)]
        assert rows(
            "select strategy, cost_usd > 0 from compressions where strategy in ('json', 'model') order by 1"
        ) == [
            ("json", False),
            ("json", False),
            ("model", True),
        ]
        assert rows("select tool from tool_costs where compression_cost_usd > 0") == [("stations_v1",)]
        # The default version was called by its own name and by the bare one.
        assert rows(
            "select tool, names, declared_version, calls from tool_versions where family = 'stations' order by tool"
        ) == [
            ("stations_v1", ["stations_v1"], "1", 1),
            ("stations_v2", ["stations", "stations_v2"], "2", 2),
        ]


def test_with_a_key_the_agent_asks_the_api_that_the_sdk_asks(tmp_path: Path) -> None:
    """The same file, with ANTHROPIC_API_KEY: every request goes out of the process, with the key."""
    sys.path.insert(0, str(AGENT.parent))
    try:
        import offline
    finally:
        sys.path.remove(str(AGENT.parent))
    api = standin.Api(list(offline.FIELD_TRIP))
    with standin.serve(api) as url:
        environment = spooled.environment(tmp_path / "home", ANTHROPIC_API_KEY="sk-a-key", ANTHROPIC_BASE_URL=url)
        done = subprocess.run(
            [sys.executable, str(AGENT)], env=environment, capture_output=True, text=True, timeout=120, check=False
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ST-057 saw the most rain.")
    assert [record.body["model"] for record in api.requests] == ["claude-haiku-4-5", *["claude-sonnet-5"] * 5]


def test_the_agent_is_about_sixty_lines() -> None:
    """Everything that an agent has to write is in one short file; who answers it offline is in another."""
    assert sum(bool(line.strip()) for line in AGENT.read_text(encoding="utf-8").splitlines()) <= 60
