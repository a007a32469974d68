"""The example agent of the tool layer: it runs offline, and what it did is in the dashboard's relations."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import spooled
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
    assert "find_trains: ToolCost(calls=1," in done.stdout
    monkeypatch.setenv("TOOLSPEND_HOME", str(home))
    with Store.open(home / "toolspend.duckdb") as store:
        assert not ingest(store, None).has_refused
        con = store.cursor()

        def rows(query: str) -> list[tuple[object, ...]]:
            return con.execute(query).fetchall()

        assert rows("select session_id, requests from sessions") == [("field-trip", 4)]
        assert rows("select tool, status from tool_calls where span_id is not null order by tool, status") == [
            ("book_train", "ok"),
            ("find_hotels", "error"),
            ("find_trains", "error"),
            ("find_trains", "ok"),
            ("read_bulletin", "unset"),
            ("stations", "error"),
            ("stations_v2", "unset"),
        ]
        assert rows("select calls from tool_batches order by started_at") == [(2,), (3,), (2,)]
        assert rows("select count(*) from tool_selections") == [(1,)]
        assert rows(
            "select strategy, cost_usd > 0 from compressions where strategy in ('json', 'model') order by 1"
        ) == [
            ("json", False),
            ("model", True),
        ]
        assert rows("select tool from tool_costs where compression_cost_usd > 0") == [("read_bulletin",)]
        assert rows("select family, declared_version from tool_versions where family = 'stations' and errors = 0") == [
            ("stations", "2")
        ]
