"""The dashboard's questions: each can be asked of the real schema, and answers what its first line says."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import duckdb
import pytest

from toolspend_dashboard import queries
from toolspend_dashboard.queries import Filters
from toolspend_ingest import Store

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


def test_a_lost_cache_is_found_and_priced(empty_store: Store) -> None:
    """A request that writes again what was cached counts with the share of its writes that was there before."""
    with empty_store.cursor() as cursor:
        cursor.execute("begin")
        # The second request appends; the third has lost the cache and writes it all again.
        for number, (read, write) in enumerate([(0, 10_000), (10_000, 500), (0, 12_000)]):
            cursor.execute(
                """insert into llm_requests by name select $id as request_id, 't' as trace_id, 's' as session_id,
                timestamp '2026-11-01' + to_minutes(cast($n as bigint)) as started_at, 1 as duration_ms, 'm' as model,
                3 as tools_offered, $read as cache_read_tokens, $write as cache_write_5m_tokens,
                0 as cache_write_1h_tokens, 'ok' as status, true as is_priced, true as is_usage_known""",
                {"id": f"r{number}", "n": number, "read": read, "write": write},
            )
            cursor.execute(
                """insert into context_ledger by name select $id as request_id, 't' as trace_id, 's' as session_id,
                timestamp '2026-11-01' as started_at, 'user' as kind, true as is_first_send, 'cache_write_5m' as rate,
                $write as tokens, $write / 1e6 as cost_usd, 'exact' as basis""",
                {"id": f"r{number}", "write": write},
            )
        row = ask(cursor, "cache_rewrites").iloc[0]
        cursor.execute("rollback")
    assert (row["rewrites"], row["sessions"], row["largest_session_id"]) == (1, 1, "s")
    assert row["cost_usd"] == pytest.approx(0.0105)


def test_the_schema_names_every_public_relation(cursor: duckdb.DuckDBPyConnection) -> None:
    """What is listed beside the editor is the public surface, each relation and column with its comment."""
    schema = ask(cursor, "schema")
    assert set(schema["relation"]) == {
        "spans", "llm_requests", "tool_calls", "context_ledger", "tool_costs", "sessions", "tool_batches",
        "tool_definitions", "tool_selections", "compressions", "prices", "ingest_log",
    }  # fmt: skip
    assert schema["relation_comment"].notna().all()
