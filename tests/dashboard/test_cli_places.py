"""Places that a command cannot use: it says so in one line, and changes nothing there."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import duckdb
import pytest
from packaging.requirements import Requirement

import otlp_requests
import served
from agent_trace import agent_spans
from otlp_requests import Made
from toolspend import _command
from toolspend._frames import encode
from transcript_lines import Transcript, text, usage

ROOT = Path(__file__).parents[2]


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """What a command that could not do its work said: one line of ours."""
    assert done.returncode == 2, done.stdout
    assert done.stderr.startswith("toolspend: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize("made", ["create table orders (id integer)", "create view answer as select 42 as x"])
@pytest.mark.parametrize("command", [["report"], ["sql", "select 1"], ["ingest"], ["doctor"], ["reattribute"]])
def test_a_database_of_something_else_is_refused_and_stays_as_it_is(
    tmp_path: Path, command: list[str], made: str
) -> None:
    """No command writes its tables into somebody's file."""
    file = tmp_path / "shop.duckdb"
    with duckdb.connect(str(file)) as con:
        con.execute(made)
    before = file.read_bytes()
    said = one_line(served.run_here(tmp_path / "home", *command, "--db", file))
    assert "something else" in said and "shop.duckdb" in said
    assert file.read_bytes() == before


@pytest.mark.parametrize("command", [["report"], ["sql", "select 1"], ["audit"]])
def test_a_store_that_was_named_and_is_not_there_is_not_made(tmp_path: Path, command: list[str]) -> None:
    """A typing error leaves the spool for the store that it belongs to."""
    home, named = tmp_path / "home", tmp_path / "other" / "typo.duckdb"
    (home / "spool").mkdir(parents=True)
    spool = home / "spool" / "agent-1.spool"
    spool.write_bytes(encode(otlp_requests.protobuf(agent_spans())))
    assert "no store at" in one_line(served.run_here(home, *command, "--db", named))
    assert not named.parent.exists()
    assert spool.exists()
    assert served.run_here(home, *command).returncode == 0


@pytest.mark.parametrize("command", [["report"], ["sql", "select 1"], ["ingest"], ["reattribute"]])
def test_a_home_that_is_not_utf_8_is_said(tmp_path: Path, command: list[str]) -> None:
    """DuckDB takes no such path."""
    home = Path(os.fsdecode(os.fsencode(tmp_path) + b"/h\xff"))
    home.mkdir()
    (home / "toolspend.duckdb").touch()
    assert "not UTF-8" in one_line(served.run_here(home, *command))


@pytest.mark.parametrize("command", [["report"], ["sql", "from llm_requests"], ["audit"]])
def test_a_store_that_can_only_be_read_is_asked_all_the_same(tmp_path: Path, command: list[str]) -> None:
    """In a folder that takes no files, or by its own permissions; what is in the spool stays, and that is said."""
    home, folder = tmp_path / "home", tmp_path / "shared"
    store, traces, spool = folder / "team.duckdb", tmp_path / "traces.json", home / "spool" / "agent-1.spool"
    traces.write_text(otlp_requests.json_text(agent_spans()), encoding="utf-8")
    assert served.run_here(home, "ingest", traces, "--db", store).returncode == 0
    before, well = served.bound_by_permissions(), served.run_here(home, *command, "--db", store).stdout
    written = store.read_bytes()
    folder.chmod(0o555)
    found = served.run(home, *command, "--db", store, before=before)
    assert (found.returncode, found.stdout, found.stderr) == (0, well, "")
    folder.chmod(0o755)
    store.chmod(0o444)
    spool.parent.mkdir(parents=True)
    spool.write_bytes(encode(otlp_requests.protobuf([Made(9, 1, "x")])))
    found = served.run(home, *command, "--db", store, before=before)
    assert (found.returncode, found.stdout) == (0, well)
    assert found.stderr == f"{store} can only be read: what is in the spool is not loaded\n"
    assert spool.exists() and store.read_bytes() == written


def test_files_whose_names_are_not_utf_8_are_loaded(tmp_path: Path) -> None:
    """Traces, a session of Claude Code and the spool: bytes are shown as escapes, and nothing is loaded twice."""
    home, folder = tmp_path / "home", tmp_path / "projects" / os.fsdecode(b"caf\xe9")
    for each in (folder, home / "spool"):
        each.mkdir(parents=True)
    (folder / "a.json").write_text(otlp_requests.json_text([Made(1, 1, "a")]), encoding="utf-8")
    (folder / os.fsdecode(b"b\xe9.json")).write_text(otlp_requests.json_text([Made(2, 1, "b")]), encoding="utf-8")
    session = Transcript(sessionId=None)  # the file's name says it
    session.user("Hello.")
    session.assistant([text("Hello.")], usage(10, 5), message_id="msg_1")
    (folder / os.fsdecode(b"c\xe9.jsonl")).write_bytes(session.data())
    (home / "spool" / os.fsdecode(b"d\xe9.spool")).write_bytes(encode(otlp_requests.protobuf([Made(4, 1, "d")])))
    assert served.run(home, "ingest", folder).stdout == "3 sources: 3 loaded, 0 already there, 0 refused\n"
    assert served.run(home, "ingest").stdout == "1 source: 1 loaded, 0 already there, 0 refused\n"
    assert served.run(home, "ingest", folder).stdout == (
        "3 sources: 0 loaded, 0 already there, 0 refused, 3 were read before\n"
    )
    sources = served.run(home, "sql", "select source from ingest_log order by source", "-f", "csv").stdout.split()[1:]
    shown = [f"{folder.parent}/caf\\xe9/{name}" for name in ("a.json", "b\\xe9.json", "c\\xe9.jsonl")]
    assert sources == [*shown, "d\\xe9.spool"]
    sessions = served.run(home, "sql", "select session_id from llm_requests", "-f", "csv").stdout.split()[1:]
    assert sessions == ["c\\xe9"]


def test_the_doctor_says_that_a_home_cannot_be_used(tmp_path: Path) -> None:
    """A file, a path below it, a folder that takes no files, and one whose name is not UTF-8; a fresh one is well."""
    file = tmp_path / "file"
    file.touch()
    bad = [file, file / "below", Path(os.fsdecode(os.fsencode(tmp_path) + b"/h\xff"))]
    if Path("/proc").is_dir():
        bad.append(Path("/proc/toolspend"))
    for home in bad:
        done = served.run_here(home, "doctor")
        assert done.returncode == 1, home
        assert "nothing can be stored there (" in done.stdout
    fresh = tmp_path / "fresh"
    assert served.run_here(fresh, "doctor").returncode == 0
    assert not fresh.exists()


def test_a_statement_of_an_unknown_kind_is_refused_in_one_line(tmp_path: Path) -> None:
    """Also one that is no text."""
    home = tmp_path / "home"
    assert "cannot run here" in one_line(served.run_here(home, "sql", "connect 'x'"))
    assert "not text" in one_line(served.run_here(home, "sql", "select '\udce9'"))


def test_every_package_of_the_extra_is_looked_for() -> None:
    """A package of the extra of which no module is looked for would be missed with a traceback."""
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    asked = map(Requirement, extra["dashboard"])
    wanted = {each.name.lower() for each in asked if each.marker is None or each.marker.evaluate()}
    imported = metadata.packages_distributions()
    covered = {package.lower() for name in _command._NEEDED for package in imported.get(name.partition(".")[0], ())}
    assert wanted <= covered


@pytest.mark.parametrize("name", ["msgspec", "ptars", "grpc", _command._ZSTD])
def test_an_extra_that_lacks_a_package_names_the_install_line(tmp_path: Path, name: str) -> None:
    """As where it is missing altogether."""
    hidden = f"import sys; sys.modules['{name}'] = None; "
    done = subprocess.run(
        [sys.executable, "-c", hidden + served.START, "report"],
        env=served.environment(tmp_path / "home"),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "pip install 'toolspend[dashboard]'" in done.stderr and done.stderr.count("\n") == 1


def test_files_that_are_not_read_are_counted(tmp_path: Path) -> None:
    """A folder with other files says how many, whether or not there is one to load."""
    home, folder = tmp_path / "home", tmp_path / "traces"
    folder.mkdir()
    for name in ("notes.txt", "picture.png"):
        (folder / name).write_text("x", encoding="utf-8")
    assert "2 files skipped" in served.run_here(home, "ingest", folder).stdout
    (folder / "traces.jsonl").write_text(otlp_requests.json_text(agent_spans()) + "\n", encoding="utf-8")
    done = served.run_here(home, "ingest", folder)
    assert done.stdout.startswith("1 source: 10 loaded") and "2 files of other kinds skipped" in done.stdout
    assert done.returncode == 0


def test_the_demo_never_removes_a_store_that_was_named(tmp_path: Path) -> None:
    """Its store is made anew each time, but not in place of somebody's."""
    own = tmp_path / "own.duckdb"
    own.write_bytes(b"mine")
    assert "nothing is yet" in one_line(served.run_here(tmp_path / "home", "demo", "--db", own))
    assert own.read_bytes() == b"mine"
