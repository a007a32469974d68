"""`toolspend ingest --claude-code` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import served
from transcript_lines import Transcript, text, usage, use


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A TOOLSPEND_HOME of the test's own."""
    return tmp_path / "home"


def session(folder: Path, name: str, **common: object) -> Path:
    """A session file in one of Claude Code's folders."""
    written = Transcript(name, **common)
    written.user("Please look.")
    written.assistant([use(f"{name}-call")], usage(10, 60, write_5m=20_000), message_id=f"msg_{name}_1")
    written.result(f"{name}-call", "word " * 300)
    written.assistant([text("Done.")], usage(400, 5, read=20_010), message_id=f"msg_{name}_2")
    path = folder / "projects" / "-home-user-project" / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(written.data())
    return path


def test_the_sessions_of_this_machine_are_found_and_their_bill_is_said(home: Path, tmp_path: Path) -> None:
    """In both usual folders; a second run finds the same and loads nothing."""
    user = tmp_path / "user"
    session(user / ".claude", "one")
    session(user / ".config" / "claude", "two")
    first, second = (
        served.run_here(home, "ingest", "--claude-code", HOME=str(user), CLAUDE_CONFIG_DIR="", XDG_CONFIG_HOME="")
        for _ in range(2)
    )
    assert first.returncode == 0, first.stderr
    loaded, said = first.stdout.splitlines()
    assert loaded == "2 sources: 6 loaded, 0 already there, 0 refused"
    assert said.startswith("Claude Code: 2 sessions, 4 requests, 2 tool calls, $0.1")
    assert "`toolspend report`" in said
    assert second.stdout.splitlines() == ["2 sources: 0 loaded, 0 already there, 0 refused, 2 were read before", said]
    report = json.loads(served.run_here(home, "report", "--json").stdout)
    assert [tool["tool"] for tool in report["tools"]] == ["Bash"]


def test_several_folders_may_be_named(home: Path, tmp_path: Path) -> None:
    """CLAUDE_CONFIG_DIR lists them, and the usual ones are then not looked into."""
    user = tmp_path / "user"
    session(user / ".claude", "one")
    session(tmp_path / "a", "two")
    session(tmp_path / "b", "three", agentId="a1", isSidechain=True)
    listed = f"{tmp_path / 'a'}, {tmp_path / 'b' / 'projects'}"
    done = served.run_here(home, "ingest", "--claude-code", HOME=str(user), CLAUDE_CONFIG_DIR=listed)
    assert "Claude Code: 2 sessions, 4 requests" in done.stdout


def test_a_folder_of_sessions_may_be_given_and_what_lies_beside_them_is_no_error(home: Path, tmp_path: Path) -> None:
    """Indexes and long results that Claude Code keeps there are passed over."""
    path = session(tmp_path / ".claude", "one")
    (path.parent / "sessions-index.json").write_text('{"version": 1, "entries": []}')
    (path.parent / "one" / "tool-results").mkdir(parents=True)
    (path.parent / "one" / "tool-results" / "call.json").write_text('{"much": "text"}')
    (path.parent / "one" / "subagents").mkdir()
    (path.parent / "one" / "subagents" / "agent-a1.meta.json").write_text('{"agentType": "Explore"}')
    done = served.run_here(home, "ingest", tmp_path / ".claude" / "projects")
    said = "1 source: 3 loaded, 0 already there, 0 refused, 3 files of other kinds skipped\n"
    assert (done.returncode, done.stdout) == (0, said), done.stderr


def test_without_sessions_one_line_says_where_they_were_looked_for(home: Path, tmp_path: Path) -> None:
    """And how to say where they are."""
    done = served.run_here(home, "ingest", "--claude-code", HOME=str(tmp_path / "user"), CLAUDE_CONFIG_DIR="")
    assert done.returncode == 2
    assert done.stderr.startswith("toolspend: no Claude Code sessions in ") and done.stderr.count("\n") == 1
    assert "CLAUDE_CONFIG_DIR" in done.stderr and ".claude" in done.stderr
    assert not home.exists()


def test_quiet_says_nothing(home: Path, tmp_path: Path) -> None:
    """Where all went well."""
    session(tmp_path / "a", "one")
    done = served.run_here(home, "ingest", "--claude-code", "--quiet", CLAUDE_CONFIG_DIR=str(tmp_path / "a"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
