"""A session file that is read while it is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relations import Rows, derived, tables
from toolspend_ingest import Store, ingest
from transcript_lines import Transcript, text, usage, use


def busy_session() -> Transcript:
    """Several lines a response, parallel calls, a subagent, a rewind, a compaction, an error, a bad line."""
    written = Transcript("session-1")
    written.user("Please look. " * 30)
    written.assistant(
        [text("Looking."), use("c1", command="ls"), use("c2", "Read", path="x")],
        usage(9, 80, write_5m=15_000),
        message_id="m1",
    )
    written.result("c2", "beta " * 200)
    asked = written.result("c1", "alpha " * 300, toolUseResult={"durationMs": 40})
    written.assistant([use("c3", "Task", prompt="Dig.", subagent_type="explorer")], usage(700, 30, read=15_009),
                      message_id="m2")  # fmt: skip
    main = written.tip
    written.common = {"isSidechain": True}
    written.user("Dig.", parent=False)
    written.assistant([{"type": "thinking", "thinking": "", "signature": "S" * 900}, use("c4", "Grep")],
                      usage(4, 190, write_1h=4_000), message_id="s1")  # fmt: skip
    written.result("c4", "hits " * 100, is_error=True)
    written.assistant([text("Dug.")], usage(150, 4, read=4_004), message_id="s2")
    written.common, written.tip = {}, main
    written.garbage('{"type": "user", "mess')
    written.result("c3", "Dug.")
    written.assistant([text("API Error: 500 {}")], usage(0, 0), message_id="e1", model="<synthetic>",
                      isApiErrorMessage=True)  # fmt: skip
    written.assistant([text("So.")], usage(40, 4, read=15_800), message_id="m3")
    written.tip = asked
    written.user("No, the other one.")
    written.assistant([use("c5", command="pwd")], usage(800, 20, read=15_009), message_id="m4")
    written.result("c5", "é漢 " * 50)
    written.compact("All was seen. " * 60)
    written.assistant([text("Right."), text("Done.")], usage(300, 9, read=14_900), message_id="m5")
    return written


LINES = busy_session().encoded()
DATA = b"".join(LINES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Claude Code would keep them."""
    found = tmp_path_factory.mktemp("claude") / "projects" / "-home-user-project"
    found.mkdir(parents=True)
    return found


@pytest.fixture(scope="module")
def store(folder: Path) -> Iterator[Store]:
    with Store.open(folder / "toolspend.duckdb", prices_file=folder / "none.toml") as opened:
        yield opened


def empty(store: Store) -> None:
    cursor = store.cursor()
    for name in [*tables(cursor), "source_positions", "ingest_log"]:
        cursor.execute(f"delete from {name}")


def read_in_parts(store: Store, path: Path, cuts: list[int]) -> tuple[Rows, int]:
    """The tables of an emptied store after the file was read at each of these lengths, and how much was refused."""
    empty(store)
    path.unlink(missing_ok=True)
    refused = 0
    for first, last in zip([0, *cuts], [*cuts, len(DATA)], strict=True):
        with path.open("ab") as file:
            file.write(DATA[first:last])
        refused += ingest(store, [path]).refused
    return derived(store), refused


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(1, len(DATA) - 1), max_size=6, unique=True).map(sorted))
def test_a_file_read_in_any_parts_gives_what_it_gives_at_once(store: Store, folder: Path, cuts: list[int]) -> None:
    """Cut anywhere, within a line too: nothing is lost, doubled or different, and the bad line is named once."""
    path = folder / "session-1.jsonl"
    whole, refused = read_in_parts(store, path, [])
    assert (len(whole["llm_requests"]), len(whole["tool_calls"]), refused) == (8, 5, 1)
    assert read_in_parts(store, path, cuts) == (whole, 1)


def test_half_a_last_line_waits(store: Store, folder: Path) -> None:
    """It is no error, and is read when the rest of it has come."""
    empty(store)
    path = folder / "session-1.jsonl"
    spans = []
    for end in (40, len(LINES[0]) + 40, len(b"".join(LINES[:3])) - 1):
        path.write_bytes(DATA[:end])
        summary = ingest(store, [path])
        assert summary.refused == 0
        spans.append(summary.spans)
    assert spans == [0, 0, 1]


def test_reading_again_loads_nothing(store: Store, folder: Path) -> None:
    """Neither the same file nor a copy of it under another name."""
    path = folder / "session-1.jsonl"
    before, _ = read_in_parts(store, path, [])
    copy = folder / "copied.jsonl"
    copy.write_bytes(DATA)
    again = ingest(store, [path, copy])
    assert (again.spans, again.duplicates, again.refused) == (0, 0, 0)
    assert derived(store) == before
