"""Pruning: whole sessions with their bill, content before them, and nothing that is younger."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent_trace import agent_spans, chat
from otlp_requests import START, Made, protobuf
from toolspend import attributes as at
from toolspend_ingest import Store, privacy, retention, schema
from toolspend_ingest.aside import Aside
from toolspend_ingest.decode import decode
from toolspend_ingest.retention import AgeInvalid, Keep, Pruned, age

Rows = Callable[[str], list[dict[str, Any]]]

DAY_S = 86_400.0
FIRST = datetime.fromtimestamp(START / 1e9, UTC).replace(tzinfo=None)


def put(store: Store, spans: list[Made]) -> None:
    store.append(decode(protobuf(spans), "protobuf").spans, "test", "test", None)


def prune(store: Store, keep: Keep, days: float, **more: Any) -> Pruned:
    """Prune as if it were so many days after the first span."""

    def read(work: Callable[[Any], Any]) -> Any:
        with store.reading() as cursor:
            return work(cursor)

    return retention.prune(read, store.write, keep, FIRST + timedelta(days=days), **more)


def session(name: str, trace: int, at_s: float) -> Made:
    """A request of a session of its own."""
    return chat(trace, trace, at_s, trace, attributes={at.CONVERSATION_ID: name})


def test_an_old_session_goes_with_everything_that_follows_from_it(store: Store, rows: Rows) -> None:
    """No table keeps a row of its traces; a younger session keeps all of its own."""
    put(store, agent_spans())
    put(store, [session("young", 9, 20 * DAY_S)])
    before = rows("select * from llm_requests where session_id = 'young'")
    assert prune(store, Keep(timedelta(days=10)), 25) == Pruned(spans=10)
    with store.reading() as cursor:
        tables = [row[0] for row in cursor.execute(schema.query("tables_of_traces")).fetchall()]
        left = {
            table: {row[0] for row in cursor.execute(f"select distinct trace_id from {table}").fetchall()}
            for table in tables
        }
    assert {"spans", "llm_requests", "context_ledger", "seen_calls", "cache_breaks"} <= set(tables)
    assert set().union(*left.values()) == {f"{9:032x}"}
    assert rows("select * from llm_requests") == before


def test_a_session_is_as_old_as_its_latest_span(store: Store) -> None:
    """A trace of ten days ago stays while another trace of its session is young."""
    put(store, [session("long", 1, 0), session("long", 2, 9 * DAY_S), Made(3, 1, "alone")])
    assert prune(store, Keep(timedelta(days=5)), 10) == Pruned(spans=1)
    assert prune(store, Keep(timedelta(days=5)), 15) == Pruned(spans=2)


def test_a_span_that_says_no_end_is_as_old_as_its_start(store: Store) -> None:
    """An end five centuries away, as the largest number is, keeps no session for ever."""
    endless = Made(1, 1, "execute_tool search", lasts_s=1.6e10)
    put(store, [endless, Made(2, 1, "young", at_s=9 * DAY_S)])
    assert prune(store, Keep(timedelta(days=5)), 10).spans == 1
    assert prune(store, Keep(timedelta(days=5)), 20).spans == 1


def test_what_is_left_is_the_same_as_if_the_rest_had_never_come(store: Store, rows: Rows) -> None:
    """Deriving again after pruning changes nothing."""
    put(store, agent_spans())
    put(store, [session("young", 9, 20 * DAY_S)])
    prune(store, Keep(timedelta(days=10)), 25)
    before = [rows(f"select * from {table} order by all") for table in ("llm_requests", "context_ledger")]
    store.rederive()
    assert [rows(f"select * from {table} order by all") for table in ("llm_requests", "context_ledger")] == before


def test_a_span_that_arrives_after_its_session_was_pruned_is_no_harm(store: Store, rows: Rows) -> None:
    """It is stored, and goes with the next pruning."""
    put(store, [session("old", 1, 0)])
    prune(store, Keep(timedelta(days=5)), 10)
    put(store, [session("old", 2, 60)])
    assert [row["requests"] for row in rows("select requests from sessions")] == [1]
    assert prune(store, Keep(timedelta(days=5)), 10) == Pruned(spans=1)


def test_large_amounts_go_in_small_transactions(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions are not cut in two."""
    monkeypatch.setattr(retention, "SPANS_AT_ONCE", 4)
    put(store, [Made(trace, span, "x", at_s=trace) for trace in range(1, 6) for span in range(1, 4)])
    sizes: list[int] = []
    original = retention._delete

    def counted(con: Any, trace_ids: list[str]) -> None:
        sizes.append(len(trace_ids))
        original(con, trace_ids)

    monkeypatch.setattr(retention, "_delete", counted)
    assert prune(store, Keep(timedelta(days=1)), 3) == Pruned(spans=15)
    assert sizes == [2, 2, 1]


def test_old_facts_and_what_was_kept_aside_go_too(store: Store, rows: Rows, home: Path) -> None:
    """The log, definitions that nobody sends any more, and refused input."""
    put(store, agent_spans())
    name = Aside().keep(b"refused", "test", ".pb")
    assert name is not None
    later = (datetime.now(UTC).replace(tzinfo=None) - FIRST) / timedelta(days=1)
    prune(store, Keep(timedelta(days=5)), later + 4)
    assert (len(rows("select * from ingest_log")), len(Aside().files())) == (1, 1)
    assert rows("select * from seen_definitions") == []
    prune(store, Keep(timedelta(days=5)), later + 6)
    assert (rows("select * from ingest_log"), Aside().files()) == ([], [])


def test_what_a_session_carried_goes_with_its_calls(store: Store, rows: Rows) -> None:
    """And stays where it has calls."""
    put(store, agent_spans())
    names = {row["session_id"] for row in rows("select session_id from seen_calls")}
    carries = [(name, 1, 0) for name in [*names, "gone"]]
    store.write(lambda con: con.executemany("insert into session_carries values (?, ?, ?)", carries))
    prune(store, Keep(timedelta(days=5)), 1)
    assert names
    assert {row["session_id"] for row in rows("select session_id from session_carries")} == names
    prune(store, Keep(timedelta(days=5)), 40)
    assert rows("select session_id from session_carries") == []


def test_content_goes_before_its_span_and_the_attribution_stays(store: Store, rows: Rows) -> None:
    """Messages, arguments and results are gone from the span, and deriving again gives the same ledger."""
    spans = agent_spans()
    content = {at.INPUT_MESSAGES: "what was said", at.OUTPUT_MESSAGES: "[]"}
    spans = [
        Made(**{**vars(span), "attributes": {**span.attributes, **content}}) if span.name.startswith("chat") else span
        for span in spans
    ]
    spans.append(
        Made(4, 1, "execute_tool x", {at.OPERATION: "execute_tool", at.TOOL_NAME: "x", at.TOOL_RESULT: "said"})
    )
    put(store, spans)
    tables = ("llm_requests", "context_ledger", "tool_calls", "context_evidence")
    before = [rows(f"select * from {table} order by all") for table in tables]
    assert prune(store, Keep(timedelta(days=30), timedelta(days=2)), 3) == Pruned(contents=4)
    texts = rows("select cast(attributes as varchar) as text from spans")
    assert not [row for row in texts if "said" in row["text"] or at.INPUT_MESSAGES in row["text"]]
    store.rederive()
    assert [rows(f"select * from {table} order by all") for table in tables] == before
    assert prune(store, Keep(timedelta(days=30), timedelta(days=2)), 3) == Pruned()


def test_content_of_every_emitter_goes(store: Store, rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kept when it came, in names of another dialect; what it said of sizes stays, and the bill with it."""
    monkeypatch.setenv(privacy.VARIABLE, "1")
    said = {
        "gen_ai.system": "Anthropic", "llm.request.type": "chat", "gen_ai.response.model": "claude-sonnet-4-5",
        "gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "a secret question",
        "gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.content": "a secret answer",
        "gen_ai.usage.input_tokens": 20, "gen_ai.usage.output_tokens": 5,
    }  # fmt: skip
    put(store, [Made(1, 1, "anthropic.chat", said, scope="opentelemetry.instrumentation.anthropic", kind="client")])
    assert "secret" in rows("select cast(attributes as varchar) as text from spans")[0]["text"]
    tables = ("llm_requests", "context_ledger", "context_evidence")
    before = [rows(f"select * from {table} order by all") for table in tables]
    assert all(before)
    assert prune(store, Keep(content=timedelta(days=2)), 3) == Pruned(contents=1)
    assert "secret" not in rows("select cast(attributes as varchar) as text from spans")[0]["text"]
    store.rederive()
    assert [rows(f"select * from {table} order by all") for table in tables] == before
    assert prune(store, Keep(content=timedelta(days=2)), 3) == Pruned()


def test_young_content_stays(store: Store, rows: Rows) -> None:
    """Only what is older than told is touched."""
    put(store, [Made(1, 1, "x", {at.TOOL_RESULT: "old"}), Made(2, 1, "x", {at.TOOL_RESULT: "young"}, at_s=5 * DAY_S)])
    assert prune(store, Keep(content=timedelta(days=3)), 6) == Pruned(contents=1)
    found = rows("select cast(attributes as varchar) as attributes from spans order by started_at")
    assert [json.loads(row["attributes"]) for row in found] == [{}, {at.TOOL_RESULT: "young"}]


def test_ages_are_hours_days_or_weeks() -> None:
    """Anything else is an error that says how to write one."""
    assert [age("12h"), age("30d"), age(" 8W ")] == [timedelta(hours=12), timedelta(days=30), timedelta(weeks=8)]
    assert datetime.now(UTC) - age("365000d") > datetime(1000, 1, 1, tzinfo=UTC)
    for text in ("", "30", "0d", "-1d", "1m", "30 days", "99999999999d", "999999d", "365001d", "9" * 5000 + "d"):
        with pytest.raises(AgeInvalid, match="give hours, days or weeks"):
            age(text)
