"""Transcripts that others recorded: what is Claude Code's gives the sums stated beside it, the rest is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from toolspend_ingest import Store, ingest
from toolspend_ingest.claude_code.lines import BadLine, lines

RECORDINGS = Path(__file__).resolve().parents[4] / "shared" / "recordings" / "transcripts"
CONSERVED = (Path(__file__).parents[2] / "conservation.sql").read_text(encoding="utf-8")


@cache
def stated(folder: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RECORDINGS / folder / "expected.json").read_text())["files"]
    return found


def listed(*folders: str) -> list[tuple[str, str]]:
    if not RECORDINGS.is_dir():
        return []
    return [(folder, name) for folder in folders for name in stated(folder)]


CLAUDE_CODE = [(folder, name) for folder, name in listed("claude-code-log", "ccusage") if "codex" not in name]


@pytest.fixture(scope="module")
def loaded(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Loads one recorded file into a store of its own."""
    opened: list[Store] = []

    @cache
    def load(folder: str, name: str) -> tuple[Any, Any]:
        store = Store.open(tmp_path_factory.mktemp("store") / "toolspend.duckdb")
        opened.append(store)
        return ingest(store, [recordings / "transcripts" / folder / name]), store.cursor()

    yield load
    for store in opened:
        store.close()


@pytest.mark.parametrize(("folder", "name"), CLAUDE_CODE)
def test_a_session_is_billed_as_stated(loaded: Any, folder: str, name: str) -> None:
    """Tokens by class with each message once, messages, and lines that cannot be read."""
    expected = stated(folder)[name]
    summary, cursor = loaded(folder, name)
    assert summary.refused == expected["unparsable_lines"]
    [found] = cursor.execute(
        "select count(*), sum(uncached_tokens), sum(output_tokens),"
        " sum(cache_write_5m_tokens + cache_write_1h_tokens), sum(cache_read_tokens) from llm_requests"
    ).fetchall()
    sums = expected["usage_sum_dedup_by_message_id"]
    assert found == (
        expected["assistant_messages_distinct_id"],
        sums["input_tokens"],
        sums["output_tokens"],
        sums["cache_creation_input_tokens"],
        sums["cache_read_input_tokens"],
    )
    assert cursor.execute(CONSERVED).fetchall() == []


@pytest.mark.parametrize(("folder", "name"), CLAUDE_CODE)
def test_tool_calls_and_results_are_as_stated(loaded: Any, folder: str, name: str) -> None:
    """Calls by name, results that came back, and those that say that they failed."""
    expected = stated(folder)[name]
    _, cursor = loaded(folder, name)
    calls = cursor.execute("select tool, count(*) from tool_calls group by tool").fetchall()
    assert dict(calls) == expected["tool_calls"]
    [found] = cursor.execute(
        "select count(*) filter (where status <> 'unset'), count(*) filter (where status = 'error') from tool_calls"
    ).fetchall()
    results = min(expected["tool_results"], len(calls) and sum(expected["tool_calls"].values()))
    assert found == (results, expected["tool_results_error"])


@pytest.mark.parametrize(("folder", "name"), CLAUDE_CODE)
def test_lines_are_as_stated(recordings: Path, folder: str, name: str) -> None:
    """How many there are, of which types, and how many tell of a subagent."""
    expected = stated(folder)[name]
    found = list(lines((recordings / "transcripts" / folder / name).read_bytes()))
    good = [line for line in found if not isinstance(line, BadLine)]
    assert len(found) == expected["lines"]
    assert len(found) - len(good) == expected["unparsable_lines"]
    types = [str(line.raw["type"]) if "type" in line.raw else "null" for line in good]
    assert {kind: types.count(kind) for kind in types} == expected["types"]
    assert sum(line.flag("isSidechain") for line in good) == expected["sidechain_lines"]


@pytest.mark.parametrize(
    ("folder", "name", "words"),
    [
        ("ccusage", "codex__sessions__project-alpha__session-alpha.jsonl", "a session of Codex"),
        ("logfire-claude-agent-sdk", "basic_conversation.json", "control protocol"),
        ("logfire-claude-agent-sdk", "tool_use_conversation.json", "control protocol"),
        ("mini-swe-agent", "github_issue.traj.json", "without usage"),
        ("mini-swe-agent", "local.traj.json", "without usage"),
        ("inspect-ai", "log_formats.json", "without events of model calls"),
        ("inspect-ai", "log_tool_call_error.json", "without events of model calls"),
    ],
)
def test_what_is_not_read_is_named_and_loads_nothing(loaded: Any, folder: str, name: str, words: str) -> None:
    """One refusal, which says what the file is and what to do."""
    summary, cursor = loaded(folder, name)
    assert summary.refused == 1
    assert words in summary.sources[0].reason and "toolspend" in summary.sources[0].reason
    assert "\n" not in summary.sources[0].reason
    assert cursor.execute("select count(*) from spans").fetchone() == (0,)


@pytest.mark.parametrize("name", [name for _, name in listed("inspect-ai") if name.startswith("2025")])
def test_an_evaluation_is_billed_as_its_own_statistics_say(loaded: Any, name: str) -> None:
    """Model events sum to the log's usage by model; tools ran as often; every sample is a session."""
    expected = stated("inspect-ai")[name]
    summary, cursor = loaded("inspect-ai", name)
    assert summary.refused == 0
    [usage] = expected["stats_model_usage"].values()
    [found] = cursor.execute(
        "select count(*), sum(input_tokens), sum(cache_read_tokens), sum(uncached_tokens), sum(output_tokens)"
        " from llm_requests"
    ).fetchall()
    whole, read = usage["input_tokens"], usage["input_tokens_cache_read"]
    assert found == (expected["events"]["model"], whole, read, whole - read, usage["output_tokens"])
    calls = cursor.execute("select tool, count(*) from tool_calls where status = 'ok' group by tool").fetchall()
    assert dict(calls) == expected["tool_calls"]
    assert cursor.execute("select count(*) from sessions").fetchone() == (expected["samples"],)
    assert cursor.execute("select count(*) from llm_requests where cost_usd is null").fetchone() == (0,)
    assert cursor.execute(CONSERVED).fetchall() == []
