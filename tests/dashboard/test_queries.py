"""The dashboard's questions: each can be asked of the real schema, and answers what its first line says."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from toolspend_dashboard import queries
from toolspend_dashboard.queries import Filters
from toolspend_ingest import Store, ingest

SAMPLES = Path(__file__).resolve().parents[2] / "sample_traces"
OTHERS: dict[str, Any] = {"bucket_s": 86_400, "max_rows": 1_000, "tool": "read_file"}


@pytest.fixture
def cursor(sample_store: Store) -> duckdb.DuckDBPyConnection:
    """A reader of the store with known sessions."""
    return sample_store.cursor()


def ask(cursor: duckdb.DuckDBPyConnection, name: str, filters: Filters | None = None, **values: Any) -> Any:
    """The answer of one query, with values for all that it may bind."""
    return queries.run(cursor, name, **{**(filters or Filters()).parameters(), **OTHERS, **values})


def value(cursor: duckdb.DuckDBPyConnection, sql: str, *bound: Any) -> Any:
    """The one value that a statement returns."""
    row = cursor.execute(sql, list(bound)).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize("name", queries.names())
@pytest.mark.parametrize("is_filtered", [False, True])
def test_every_query_runs_on_the_real_schema_empty(empty_store: Store, name: str, is_filtered: bool) -> None:
    """Each file is valid SQL for the schema, with and without filters, and an empty store is no error."""
    filters = Filters(datetime(2026, 1, 1), datetime(2027, 1, 1), "a", "b", "c") if is_filtered else Filters()
    ask(empty_store.cursor(), name, filters)


@pytest.mark.parametrize("sql", [*map(queries.text, queries.names()), *queries.examples().values()])
def test_every_file_says_what_one_row_is(sql: str) -> None:
    """The first line of each query and example states its grain."""
    assert sql.startswith("-- One row per ")


@pytest.mark.parametrize("title", queries.examples())
def test_every_example_runs_and_finds_something_or_is_a_check(sample_store: Store, title: str) -> None:
    """The questions offered to start from work as they stand; the one that looks for faults finds none."""
    rows = sample_store.cursor().execute(queries.examples()[title]).fetchall()
    assert (len(rows) == 0) == (title == "Ledger against bill")


def test_the_ledger_by_bucket_sums_to_the_bill(cursor: duckdb.DuckDBPyConnection) -> None:
    """Cut into buckets, parts and tools, nothing is lost or doubled, in dollars or in tokens."""
    ledger = ask(cursor, "ledger")
    assert ledger["cost_usd"].sum() == pytest.approx(float(value(cursor, "select sum(cost_usd) from llm_requests")))
    assert ledger["context_tokens"].sum() == value(cursor, "select sum(input_tokens) from llm_requests")
    assert ledger["output_tokens"].sum() == value(cursor, "select sum(output_tokens) from llm_requests")


def test_parts_agree_with_the_public_view(cursor: duckdb.DuckDBPyConnection) -> None:
    """What the pages call carry, result, call and definition is what `tool_costs` calls so."""
    ledger = ask(cursor, "ledger")
    for part in ("definition", "call", "result", "carry"):
        seen = ledger.loc[(ledger["part"] == part), "cost_usd"].sum()
        assert seen == pytest.approx(float(value(cursor, f"select sum({part}_cost_usd) from tool_costs")))


def test_totals_count_what_is_unknown(cursor: duckdb.DuckDBPyConnection) -> None:
    """Requests without usage and requests without a price are counted apart."""
    totals = ask(cursor, "totals").iloc[0]
    assert totals["requests"] - totals["known_requests"] == value(
        cursor, "select count(*) from llm_requests where not is_usage_known"
    )
    assert totals["unpriced_models"] == "house-model-1"
    assert totals["unpriced_requests"] == value(
        cursor, "select count(*) from llm_requests where model = 'house-model-1' and is_usage_known"
    )


def test_filters_select_what_they_name(cursor: duckdb.DuckDBPyConnection) -> None:
    """Service, model, session and time each cut the selection to what matches, for requests and for calls."""
    day = datetime(2026, 11, 12)
    cases = {
        "service = 'coding-agent'": Filters(service="coding-agent"),
        "session_id = 'research-4719'": Filters(session="research-4719"),
        "started_at >= timestamp '2026-11-12'": Filters(since=day),
        "started_at < timestamp '2026-11-12'": Filters(until=day),
    }
    for condition, filters in cases.items():
        totals = ask(cursor, "totals", filters).iloc[0]
        assert totals["requests"] == value(cursor, f"select count(*) from llm_requests where {condition}") > 0
        assert totals["calls"] == value(cursor, f"select count(*) from tool_calls where {condition}") > 0
    by_model = ask(cursor, "totals", Filters(model="claude-haiku-4-5")).iloc[0]
    assert by_model["calls"] == value(
        cursor,
        "select count(*) from tool_calls where request_id in "
        "(select request_id from llm_requests where model = 'claude-haiku-4-5')",
    )


@pytest.mark.parametrize("name", queries.names())
def test_values_are_bound_and_never_read_as_sql(cursor: duckdb.DuckDBPyConnection, name: str) -> None:
    """A hostile value is compared like any other text, and the store is as it was."""
    hostile = "'; drop table spans; --"
    before = value(cursor, "select count(*) from spans")
    ask(cursor, name, Filters(service=hostile, model=hostile, session=hostile), tool=hostile)
    assert value(cursor, "select count(*) from spans") == before


def test_sessions_come_most_expensive_first_and_the_unknown_last(cursor: duckdb.DuckDBPyConnection) -> None:
    """A session whose cost is not known is no cheap one."""
    sessions = ask(cursor, "sessions")
    known = sessions["cost_usd"].dropna()
    assert known.is_monotonic_decreasing
    assert sessions["cost_usd"].isna().iloc[-1]
    assert sessions["session_id"].iloc[-1] == "support-4705" or len(known) == len(sessions) - 1


def test_uncached_sessions_are_those_that_never_read_the_cache(cursor: duckdb.DuckDBPyConnection) -> None:
    """Every fifth session of the known ones has no cache."""
    row = ask(cursor, "uncached").iloc[0]
    assert (row["sessions"], row["uncached_sessions"]) == (24, 5)
    assert row["uncached_tokens"] == value(cursor, "select sum(tokens) from context_ledger where rate = 'input'")


def test_what_caching_saves_is_what_it_saved_in_truth(tmp_path: Path) -> None:
    """The same conversations run once without the cache and once with it: the estimate for the one meets the other."""
    with Store.open(tmp_path / "toolspend.duckdb") as store:
        ingest(store, [SAMPLES / "support_cached.jsonl", SAMPLES / "support_uncached.jsonl"])
        cursor = store.cursor()
        bills = dict(cursor.execute("select service, sum(cost_usd) from llm_requests group by service").fetchall())
        row = ask(cursor, "uncached", Filters(service="support-bot-legacy")).iloc[0]
    saved = float(bills["support-bot-legacy"] - bills["support-bot"])
    assert row["saved_usd"] == pytest.approx(saved, rel=0.1)


def test_the_longer_cache_is_weighed_against_what_it_costs_to_write(empty_store: Store) -> None:
    """A loss of 100,000 tokens for $0.345 against 60 % more for the other 100,000 that were written: $0.225."""
    requests = """insert into llm_requests by name select ? as request_id, 't' as trace_id, 's' as session_id,
        timestamp '2026-11-01' as started_at, 'ok' as status, ? as price_model,
        100000 as cache_write_5m_tokens, true as is_priced, true as is_usage_known"""
    breaks = """insert into cache_breaks by name select 'b' as request_id, 't' as trace_id, 's' as session_id,
        timestamp '2026-11-01' as started_at, 'a' as base_request_id, 'expiry' as cause, ? as gap_ms,
        100000 as lost_tokens, 0.345 as cost_usd"""
    found = []
    priced = "anthropic/claude-sonnet-4-5"
    for gap_ms, model in ((600_000, priced), (5_000_000, priced), (600_000, None)):
        with empty_store.cursor() as cursor:
            cursor.execute("begin")
            cursor.executemany(requests, [["a", priced], ["b", model]])
            cursor.execute(breaks, [gap_ms])
            found.append(ask(cursor, "expired").iloc[0])
            cursor.execute("rollback")
    within, beyond, unknown = found
    assert (within["sessions"], within["saved_usd"]) == (1, pytest.approx(0.345 - 0.225))
    assert beyond["sessions"] == 0
    assert unknown["sessions"] == 1 and pd.isna(unknown["saved_usd"])
    assert [row["paying_sessions"] for row in found] == [1, 0, 0]


def test_the_longer_cache_is_advised_for_the_sessions_that_it_pays_in(empty_store: Store) -> None:
    """What another session wrote would cost $2.25 more, for a loss of $0.345: it is in neither figure."""
    with empty_store.cursor() as cursor:
        cursor.execute("begin")
        cursor.executemany(
            """insert into llm_requests by name select ? as request_id, 't' as trace_id, ? as session_id,
            timestamp '2026-11-01' as started_at, 'ok' as status, 'anthropic/claude-sonnet-4-5' as price_model,
            ? as cache_write_5m_tokens, true as is_priced, true as is_usage_known""",
            [["a", "pays", 200_000], ["b", "does not", 1_100_000]],
        )
        cursor.executemany(
            """insert into cache_breaks by name select ? as request_id, 't' as trace_id, ? as session_id,
            timestamp '2026-11-01' as started_at, 'a' as base_request_id, 'expiry' as cause, 600000 as gap_ms,
            100000 as lost_tokens, 0.345 as cost_usd""",
            [["a", "pays"], ["b", "does not"]],
        )
        row = ask(cursor, "expired").iloc[0]
        cursor.execute("rollback")
    assert (row["sessions"], row["paying_sessions"]) == (2, 1)
    assert row["saved_usd"] == pytest.approx(0.345 - 0.225)


def test_compressions_are_of_the_services_and_models_that_are_asked_for(empty_store: Store) -> None:
    """They say neither, but their sessions do."""
    request = """insert into llm_requests by name select ? as request_id, 't' as trace_id, ? as session_id,
        ? as service, ? as model, timestamp '2026-11-01' as started_at, 'ok' as status, true as is_priced,
        true as is_usage_known"""
    compression = """insert into compressions by name select ? as span_id, 't' as trace_id, ? as session_id,
        ? as tool, timestamp '2026-11-01' as started_at, -0.1 as saved_usd"""
    with empty_store.cursor() as cursor:
        cursor.execute("begin")
        for name in ("a", "b"):
            cursor.execute(request, [name, name, f"service-{name}", f"model-{name}"])
            cursor.execute(compression, [name, name, f"tool-{name}"])
        selections = (Filters(), Filters(service="service-a"), Filters(model="model-b"), Filters(service="nobody"))
        found = [ask(cursor, "compressions", each)["tool"].tolist() for each in selections]
        cursor.execute("rollback")
    assert found == [["tool-a", "tool-b"], ["tool-a"], ["tool-b"], []]


def test_a_session_lasts_as_its_public_relation_says(cursor: duckdb.DuckDBPyConnection) -> None:
    """A call that runs on after the last answer counts in both."""
    cursor.execute("begin")
    cursor.execute("update seen_calls set duration_ms = 3600000 where session_id = 'coding-4700'")
    sessions = ask(cursor, "sessions").set_index("session_id")
    public = cursor.execute("select session_id, started_at, ended_at from sessions").fetchall()
    cursor.execute("rollback")
    told = sessions[["started_at", "ended_at"]].apply(tuple, axis=1).to_dict()
    assert {session: told[session] for session, *_ in public} == {session: (at, end) for session, at, end in public}


def test_calls_of_other_times_are_not_counted(cursor: duckdb.DuckDBPyConnection) -> None:
    """What a row says of calls is of the selection that the rest of the row is of."""
    half = value(cursor, "select median(started_at) from tool_calls where session_id = 'research-4704'")
    filters = Filters(since=half, session="research-4704")
    (row,) = ask(cursor, "sessions", filters).to_dict("records")
    calls = "select count(*) from tool_calls where session_id = 'research-4704' and started_at >= ?"
    assert row["calls"] == value(cursor, calls, half) < value(cursor, calls, datetime(2000, 1, 1))
    tool = value(cursor, "select min(tool) from tool_calls where session_id = 'research-4704'")
    of_tool = ask(cursor, "sessions_of_tool", filters, tool=tool)["calls"].sum()
    assert of_tool == value(cursor, f"{calls} and tool = ?", half, tool)


def test_sessions_of_calls_are_those_that_are_selected(cursor: duckdb.DuckDBPyConnection) -> None:
    """By the model that asked for them as well."""
    filters = Filters(model="claude-haiku-4-5")
    listed = ask(cursor, "sessions_of_calls", filters, max_rows=1_000)
    totals = ask(cursor, "totals", filters).iloc[0]
    assert (listed["calls"].sum(), len(listed)) == (totals["calls"], totals["sessions_with_calls"])


def test_lost_caches_are_summed_by_cause_and_by_the_tool_that_changed(empty_store: Store) -> None:
    """The dearest first, each with the session that lost most; the tool of an edit is no row of its own."""
    rows = [
        ("r1", "s1", "definitions", "search", 1_000, 0.1),
        ("r2", "s2", "definitions", "search", 5_000, 0.4),
        ("r3", "s1", "definitions", "fetch", 2_000, 0.2),
        ("r4", "s1", "edit", "search", 2_000, 0.3),
        ("r5", "s1", "edit", None, 2_000, 0.3),
        ("r6", "s3", "expiry", None, 9_000, None),
    ]
    with empty_store.cursor() as cursor:
        cursor.execute("begin")
        cursor.executemany(
            """insert into cache_breaks by name select ? as request_id, 't' as trace_id, ? as session_id,
            timestamp '2026-11-01' as started_at, 'b' as base_request_id, ? as cause, ? as tool, 1.0 as gap_ms,
            ? as lost_tokens, ? as cost_usd""",
            rows,
        )
        found = ask(cursor, "cache_breaks")
        one = ask(cursor, "session_breaks", session="s1")
        cursor.execute("rollback")
    columns = ["cause", "breaks", "sessions", "lost_tokens", "largest_session_id"]
    assert found[columns].to_numpy().tolist() == [
        ["edit", 2, 1, 4_000, "s1"],
        ["definitions", 2, 2, 6_000, "s2"],
        ["definitions", 1, 1, 2_000, "s1"],
        ["expiry", 1, 1, 9_000, "s3"],
    ]
    assert [tool if isinstance(tool, str) else None for tool in found["tool"]] == [None, "search", "fetch", None]
    assert found["cost_usd"].astype(float).tolist()[:3] == pytest.approx([0.6, 0.5, 0.2])
    assert found["cost_usd"].isna().tolist() == [False, False, False, True]
    assert one["request_id"].tolist() == ["r1", "r3", "r4", "r5"]


def test_a_sender_is_as_late_as_its_latest_credible_end(empty_store: Store) -> None:
    """A span that ends in some centuries tells of its start alone."""
    span = (
        "insert into spans by name select 't' as trace_id, ? as span_id, 'x' as name, 'internal' as kind,"
        " timestamp '2026-11-02' as started_at, cast(? as timestamp) as ended_at, 1.0 as duration_ms,"
        " 'ok' as status, '{}' as attributes, '{}' as resource_attributes, '[]' as events"
    )
    with empty_store.cursor() as cursor:
        cursor.execute("begin")
        for number, ended_at in enumerate(("2026-11-02 00:05:00", "2554-07-21")):
            cursor.execute(span, [f"{number}", ended_at])
        senders = ask(cursor, "emitters")
        cursor.execute("rollback")
    assert senders["last_at"].tolist() == [datetime(2026, 11, 2, 0, 5)]


def test_the_schema_names_every_public_relation(cursor: duckdb.DuckDBPyConnection) -> None:
    """What is listed beside the editor is the public surface, each relation and column with its comment."""
    schema = ask(cursor, "schema")
    assert set(schema["relation"]) == {
        "spans", "llm_requests", "tool_calls", "context_ledger", "tool_costs", "sessions", "tool_batches",
        "tool_definitions", "tool_selections", "compressions", "prices", "ingest_log", "cache_breaks",
        "request_copies", "tool_versions",
    }  # fmt: skip
    assert schema["relation_comment"].notna().all()
