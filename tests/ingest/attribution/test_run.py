"""The edge to the database: rows in, rows out, within the caller's transaction."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from conversations import START, Conversation, definition, result, use
from toolspend_ingest import schema
from toolspend_ingest.attribution import run
from toolspend_ingest.attribution.model import Session

PRICES = [("input", "3"), ("cache_read", "0.3"), ("cache_write_5m", "3.75"), ("output", "15"), ("fee", "10000")]


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty store in memory."""
    with duckdb.connect(":memory:") as connection:
        for migration in schema.migrations():
            connection.execute(migration.sql)
        for rate, usd in PRICES:
            row = ["anthropic", "claude-sonnet-4-5", rate, Decimal(usd), 0, None, None, "test"]
            connection.execute("insert into prices values (?, ?, ?, ?, ?, ?, ?, ?)", row)
        yield connection


def insert(con: duckdb.DuckDBPyConnection, table: str, **values: Any) -> None:
    relation = con.table(table)
    assert set(values) <= set(relation.columns)
    names, marks = ", ".join(values), ", ".join("?" for _ in values)
    con.execute(f"insert into {table} ({names}) values ({marks})", list(values.values()))


def rows_of(session: Session, price_model: str | None) -> list[tuple[str, dict[str, Any]]]:
    rows: list[tuple[str, dict[str, Any]]] = []
    for each in session.requests:
        common = {"trace_id": f"trace-{session.session_id}", "session_id": session.session_id}
        read, write_1h, write_5m, uncached = each.prompt
        request = {
            "request_id": each.request_id, **common, "service": each.service, "model": each.model,
            "price_model": price_model, "started_at": each.started_at, "duration_ms": 5.0, "uncached_tokens": uncached,
            "input_tokens": each.prompt_tokens, "cache_read_tokens": read, "cache_write_5m_tokens": write_5m,
            "cache_write_1h_tokens": write_1h, "output_tokens": each.output, "web_searches": each.web_searches,
            "compressed_tool": each.compressed_tool, "status": "ok", "is_priced": False,
            "is_usage_known": each.is_usage_known,
        }  # fmt: skip
        rows.append(("llm_requests", request))
    for evidence in session.evidence:
        rows.append(
            (
                "context_evidence",
                {
                    "request_id": evidence.request_id, **common, "started_at": evidence.started_at,
                    "base_request_id": evidence.base, "delta": evidence.delta, "restated": evidence.restated,
                    "segments": evidence.segments, "chars": evidence.chars, "output": evidence.output,
                },
            )
        )  # fmt: skip
    for call in session.calls:
        rows.append(
            (
                "tool_calls",
                {
                    "span_id": f"span-{call.row}", **common, "request_id": call.request_id,
                    "tool_call_id": call.tool_call_id, "tool": call.tool, "started_at": call.started_at,
                    "duration_ms": 1.0, "status": "ok", "raw_result_chars": call.raw_result_chars,
                },
            )
        )  # fmt: skip
    return rows


def conversation(session_id: str) -> Session:
    talk = Conversation(session_id, f"{session_id}-")
    first = talk.ask(definition("search"), ["u", 100], answer=[use("search", "c1")], write_5m=2000, output=50)
    talk.call("search", "c1", first.request_id, raw_result_chars=8000)
    talk.ask(use("search", "c1"), result("search", "c1", 4000), read=2000, input=1050, output=10)
    talk.ask(["a", 40], ["u", 40], read=3050, input=20, output=10, web_searches=2)
    return talk.session


def store(con: duckdb.DuckDBPyConnection, rows: Sequence[tuple[str, dict[str, Any]]]) -> None:
    for table, values in rows:
        insert(con, table, **values)


def ledger(con: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    return con.execute("select * from context_ledger").fetchall()


def test_the_ledger_sums_to_the_requests(con: duckdb.DuckDBPyConnection) -> None:
    """Each request's cost is that of its rows, to the last decimal, and its tokens are those billed."""
    con.execute("begin transaction")
    store(con, rows_of(conversation("one"), "anthropic/claude-sonnet-4-5"))
    run.attribute_sessions(con, ["one"])
    con.execute("commit")
    found = con.execute(
        "select r.request_id, r.cost_usd, sum(l.cost_usd), r.input_tokens + r.output_tokens + r.web_searches,"
        " sum(l.tokens), r.is_priced from llm_requests r join context_ledger l using (request_id)"
        " group by all order by 1"
    ).fetchall()
    assert found == [
        ("one-0000", Decimal("0.00825"), Decimal("0.00825"), 2050, 2050, True),
        ("one-0001", Decimal("0.0039"), Decimal("0.0039"), 3060, 3060, True),
        ("one-0002", Decimal("0.021125"), Decimal("0.021125"), 3082, 3082, True),
    ]


def test_calls_get_their_tokens_and_their_whole_cost(con: duckdb.DuckDBPyConnection) -> None:
    """A call costs what it was written for, its first sending and each re-sending."""
    store(con, rows_of(conversation("one"), "anthropic/claude-sonnet-4-5"))
    run.attribute_sessions(con, ["one"])
    columns = "argument_tokens, result_tokens, raw_result_tokens, times_sent, cost_usd"
    assert con.execute(f"select {columns} from tool_calls").fetchall() == [
        (50, 1000, 2000, 2, Decimal("0.00075") + Decimal("0.00315") + Decimal("0.000315"))
    ]


def test_the_order_of_arrival_does_not_matter(con: duckdb.DuckDBPyConnection) -> None:
    """The same rows in other orders and batches, and attributed twice, give the same ledger in the same order."""
    rows = [row for name in ("one", "two") for row in rows_of(conversation(name), "anthropic/claude-sonnet-4-5")]
    store(con, rows)
    run.attribute_sessions(con, ["two", "one"])
    expected = ledger(con)
    assert len({row[2] for row in expected}) == 2
    for seed in range(3):
        for table in ("llm_requests", "context_evidence", "tool_calls", "context_ledger"):
            con.execute(f"delete from {table}")
        random.Random(seed).shuffle(rows)
        store(con, rows[:5])
        run.attribute_sessions(con, ["one", "two", "one"])
        store(con, rows[5:])
        run.attribute_sessions(con, ["one", "two"])
        assert ledger(con) == expected


def test_a_session_that_is_gone_leaves_no_rows(con: duckdb.DuckDBPyConnection) -> None:
    """A session whose requests moved elsewhere keeps nothing in the ledger."""
    store(con, rows_of(conversation("one"), None))
    run.attribute_sessions(con, ["one"])
    con.execute("delete from llm_requests")
    run.attribute_sessions(con, ["one", "never seen"])
    assert ledger(con) == []


def test_unpriced_requests_are_null(con: duckdb.DuckDBPyConnection) -> None:
    """Without a price the cost is null in the ledger and on the request and its calls, and is said to be unpriced."""
    store(con, rows_of(conversation("one"), "anthropic/claude-unheard-of"))
    run.attribute_sessions(con, ["one"])
    assert con.execute("select distinct cost_usd, is_priced from llm_requests").fetchall() == [(None, False)]
    assert con.execute("select count(*), count(cost_usd) from context_ledger").fetchone() == (len(ledger(con)), 0)
    assert con.execute("select result_tokens, cost_usd from tool_calls").fetchall() == [(1000, None)]


def test_definitions_get_the_average_of_what_they_were_billed_for(con: duckdb.DuckDBPyConnection) -> None:
    """A definition's tokens are per request that carried it."""
    insert(con, "tool_definitions", tool="search", tool_version="v1", first_seen_at=START, last_seen_at=START)
    store(con, rows_of(conversation("one"), None))
    run.attribute_sessions(con, ["one"])
    total = con.execute("select sum(tokens) from context_ledger where kind = 'tool_definition'").fetchone()
    assert total is not None
    assert con.execute("select definition_tokens from tool_definitions").fetchall() == [(round(total[0] / 3),)]


def test_compressions_find_the_requests_beneath_them(con: duckdb.DuckDBPyConnection) -> None:
    """A model call two spans below a compression is its cost; selections get tokens too."""
    session = conversation("one")
    rows = rows_of(session, "anthropic/claude-sonnet-4-5")
    helper = {**rows[0][1], "request_id": "helper", "uncached_tokens": 1000, "cache_write_5m_tokens": 0,
              "input_tokens": 1000, "output_tokens": 100, "compressed_tool": "search"}  # fmt: skip
    store(con, [*rows, ("llm_requests", helper)])
    common = {"trace_id": "trace-one", "session_id": "one", "started_at": START}
    empty = {"attributes": "{}", "resource_attributes": "{}", "events": "[]"}
    for span, parent in (("helper", "middle"), ("middle", "squeeze"), ("squeeze", None)):
        insert(con, "spans", trace_id="trace-one", span_id=span, parent_span_id=parent, name="x", kind="internal",
               started_at=START, ended_at=START, duration_ms=0, status="ok", **empty)  # fmt: skip
    insert(con, "compressions", span_id="squeeze", tool="search", tool_call_id="c1", chars_before=8000,
           chars_after=4000, **common)  # fmt: skip
    insert(con, "tool_selections", span_id="choice", offered_chars=400, avoided_chars=800, **common)
    run.attribute_sessions(con, ["one"])
    saved = 1000 * 3 + Decimal("0.3") * 1000 - 1000 * 3 - 100 * 15
    assert con.execute("select tokens_before, tokens_after, cost_usd, saved_usd from compressions").fetchall() == [
        (2000, 1000, Decimal("0.0045"), saved / 1_000_000)
    ]
    ((offered, avoided),) = con.execute("select offered_tokens, avoided_tokens from tool_selections").fetchall()
    assert avoided in (2 * offered - 1, 2 * offered, 2 * offered + 1)


def test_compaction_iterations_are_read_from_the_span(con: duckdb.DuckDBPyConnection) -> None:
    """The tokens of hidden iterations of kind compaction, and never more than were billed."""
    talk = Conversation("one")
    talk.ask(["u", 900], answer=[["k", 200], ["a", 50]], input=1224, output=160)
    store(con, rows_of(talk.session, None))
    iterations = [
        {"type": "compaction", "input_tokens": 1000, "output_tokens": 10**9, "cache_creation": {"x": 1}},
        {"type": "message", "input_tokens": 224, "output_tokens": 22},
        "junk",
    ]
    insert(con, "spans", trace_id="trace-one", span_id="q0000", name="chat", kind="client", started_at=START,
           ended_at=START, duration_ms=0, status="ok", resource_attributes="{}", events="[]",
           attributes=json.dumps({"toolspend.usage.iterations": json.dumps(iterations)}))  # fmt: skip
    run.attribute_sessions(con, ["one"])
    assert con.execute("select kind, rate, tokens from context_ledger order by all").fetchall() == [
        ("compaction", "input", 1000),
        ("compaction", "output", 160),
        ("user", "input", 224),
    ]


def test_hostile_names_are_data(con: duckdb.DuckDBPyConnection) -> None:
    """Session ids, tools and models that look like SQL are stored as they are."""
    name = "'; drop table context_ledger; --"
    talk = Conversation(name)
    talk.ask(definition(name), ["u", 10], input=900, output=1, model=name)
    store(con, rows_of(talk.session, name))
    run.attribute_sessions(con, [name])
    assert (name, name, name) in con.execute("select session_id, tool, model from context_ledger").fetchall()


@pytest.mark.parametrize("name", sorted(run.queries()))
def test_every_query_says_what_a_row_is(name: str) -> None:
    """The first line of each statement names what one row stands for."""
    assert run.query(name).startswith("-- One row per ")
