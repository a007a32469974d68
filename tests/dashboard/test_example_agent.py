"""The example agent of the tool layer, as the dashboard shows it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import spooled
from toolspend_ingest import Store, ingest

AGENT = Path(__file__).resolve().parents[2] / "sample_traces" / "agents" / "field_trip.py"

Page = Callable[..., AppTest]


def test_what_the_agent_did_is_on_the_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: Page) -> None:
    """Its tools with calls and errors, its session, its versions side by side, and the audit of what it offered."""
    home = tmp_path / "home"
    environment = spooled.environment(home)
    environment.pop("ANTHROPIC_API_KEY", None)
    subprocess.run([sys.executable, str(AGENT)], env=environment, capture_output=True, timeout=120, check=True)
    monkeypatch.setenv("TOOLSPEND_HOME", str(home))
    with Store.open(home / "toolspend.duckdb") as store:
        assert not ingest(store, None).has_refused
        tools = page(store, "tools")
        assert not tools.exception
        table = tools.dataframe[0].value.set_index("Tool")
        assert (table.loc["find_trains", "Calls"], table.loc["find_trains", "Errors"]) == (2, 50.0)
        assert table.loc["stations_v1", "Mostly"].startswith("Compression")
        versions = page(store, "tools", tool="stations_v2")
        assert not versions.exception
        assert any("Versions compared" in str(text.value) for text in versions.markdown)
        session = page(store, "session", session="field-trip")
        assert not session.exception
        assert "field-trip" in "".join(str(text.value) for text in session.markdown).replace("\\", "")
        audit = page(store, "audit")
        assert not audit.exception
        assert "find_hotels" in str([frame.value for frame in audit.dataframe])
