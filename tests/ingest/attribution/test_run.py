"""The edge to the database: rows in, rows out, within the caller's transaction."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from attributed import attribute, attributed, cost, emptied, ledger, pick, put, put_rows, rows_of, tokens
from conversations import PRICES, START, Compression, Conversation, Selection, Session, bill, definition, result, use
from toolspend_ingest.attribution import run


def conversation(session_id: str, **fields: Any) -> Session:
    talk = Conversation(session_id, f"{session_id}-")
    first = talk.ask(definition("search"), ["u", 100], answer=[use("search", "c1")], write_5m=2000, output=50, **fields)
    talk.call("search", "c1", first.request_id, raw_result_chars=8000)
    talk.ask(use("search", "c1"), result("search", "c1", 4000), answer=[["a", 40]], read=2000, input=1050, output=10,
             **fields)  # fmt: skip
    talk.ask(["a", 40], ["u", 40], read=3050, input=20, output=10, web_searches=2, **fields)
    return talk.session


def test_the_ledger_sums_to_the_requests() -> None:
    """Each request's cost is that of its rows, to the last decimal, and its tokens are those billed."""
    con = emptied()
    con.execute("begin transaction")
    put(con, conversation("one"))
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


def test_a_rolled_back_attribution_leaves_nothing() -> None:
    """What is written belongs to the caller's transaction."""
    con = emptied()
    con.execute("begin transaction")
    put(con, conversation("one"))
    run.attribute_sessions(con, ["one"])
    con.execute("rollback")
    assert attributed(con).ledger == []


def test_calls_get_their_tokens_and_their_whole_cost() -> None:
    """A call costs what it was written for, its first sending and each re-sending."""
    found = attribute(conversation("one"))
    (call,) = found.calls
    rows = [row for row in found.ledger if row.kind in ("tool_use", "tool_result")]
    assert call.argument_tokens == tokens(rows, rate="output")
    assert call.argument_tokens == pytest.approx(48, abs=4)
    assert call.result_tokens == tokens(rows, kind="tool_result", is_first_send=True)
    assert call.result_tokens == pytest.approx(990, abs=15)
    assert call.raw_result_tokens == 2 * call.result_tokens  # 8,000 characters before, 4,000 sent
    assert call.times_sent == 2
    assert call.cost_nano == cost(rows) == sum(row.tokens * PRICES[row.rate] // 1_000_000 for row in rows)
    assert {row.rate for row in rows} == {"output", "input", "cache_read"}


def test_what_is_not_known_of_a_call_stays_unknown() -> None:
    """Without a raw size there are no raw tokens; a call that no prompt and no output has costs nothing known."""
    session = conversation("one")
    talk = Conversation("one")
    talk.session = session
    first = session.requests[0].request_id
    session.calls.clear()
    talk.call("search", "c1", first, second=30)
    talk.call("search", "c9", "another", second=31)
    ran, loose = attribute(session).calls
    assert ran.result_tokens == pytest.approx(990, abs=15)
    assert ran.raw_result_tokens is None
    assert loose[3:] == (None, None, None, None, None)


def test_the_order_of_arrival_does_not_matter() -> None:
    """The same rows in other orders and batches, and attributed twice, give the same ledger in the same order."""
    con = emptied()
    rows = [row for name in ("one", "two") for row in rows_of(conversation(name))]
    put_rows(con, rows)
    run.attribute_sessions(con, ["two", "one"])
    expected = attributed(con)
    assert len({row.session_id for row in expected.ledger}) == 2
    for seed in range(3):
        emptied()
        random.Random(seed).shuffle(rows)
        put_rows(con, rows[:5])
        run.attribute_sessions(con, ["one", "two", "one"])
        put_rows(con, rows[5:])
        run.attribute_sessions(con, ["one", "two"])
        assert attributed(con) == expected


def test_a_session_that_is_gone_leaves_no_rows() -> None:
    """A session whose requests moved elsewhere keeps nothing in the ledger."""
    con = emptied()
    put(con, conversation("one", prices=None))
    run.attribute_sessions(con, ["one"])
    con.execute("delete from llm_requests")
    run.attribute_sessions(con, ["one", "never seen"])
    assert attributed(con).ledger == []


def test_nothing_to_attribute_is_nothing() -> None:
    """No sessions, or none that has any rows, is no error."""
    con = emptied()
    run.attribute_sessions(con, [])
    run.attribute_sessions(con, ["never seen"])
    assert attributed(con).ledger == []


def test_unpriced_requests_are_null() -> None:
    """Without a price the cost is null in the ledger and on the request and its calls, and is said to be unpriced."""
    found = attribute(conversation("one", prices=None))
    assert {(row.cost_nano, row.is_priced) for row in found.requests} == {(None, False)}
    assert {row.cost_nano for row in found.ledger} == {None}
    (call,) = found.calls
    assert call.cost_nano is None
    assert call.result_tokens == pytest.approx(990, abs=15)


def test_definitions_have_the_average_of_what_they_were_billed_for() -> None:
    """A definition's tokens are per request that carried it."""
    con = emptied()
    seen = {"tool": "search", "tool_version": "v1", "first_seen_at": START, "last_seen_at": START}
    put_rows(con, [*rows_of(conversation("one")), ("seen_definitions", seen)])
    run.attribute_sessions(con, ["one"])
    total = tokens(attributed(con).ledger, kind="tool_definition")
    assert con.execute("select definition_tokens from tool_definitions").fetchall() == [(round(total / 3),)]


def test_a_compression_is_the_tools_cost_and_its_saving_is_net() -> None:
    """The model call that compressed a result is booked on the tool; what it saved is net of it.

    A saving at full price each time would be almost twice that.
    """
    talk = Conversation()
    first = talk.ask(definition("search"), ["u", 100], answer=[use("search", "c1")], input=2000, output=50)
    talk.call("search", "c1", first.request_id, raw_result_chars=20_000, result_chars=2000)
    talk.ask(use("search", "c1"), result("search", "c1", 2000), answer=[["a", 40]], input=2550, output=10)
    talk.ask(["a", 40], ["u", 40], read=2550, input=20, output=10)
    talk.session.requests.append(bill("helper", 45, input=5000, output=500, compressed_tool="search"))
    talk.session.compressions.append(Compression("squeeze", "search", "c1", 20_000, 2000, ("helper",)))
    found = attribute(talk.session)

    assert {(row.kind, row.tool, row.tokens) for row in pick(found.ledger, request_id="helper")} == {
        ("compression", "search", 5000),
        ("compression", "search", 500),
    }
    spent = 5000 * 3000 + 500 * 15_000
    (call,) = found.calls
    sent = call.result_tokens or 0
    assert sent == pytest.approx(490, abs=15)
    assert call.raw_result_tokens == 10 * sent
    (row,) = found.compressions
    assert (row.tokens_before, row.tokens_after, row.cost_nano) == (10 * sent, sent, spent)
    left_out = 9 * sent
    gross = left_out * 3000 + left_out * 300  # sent once at the input rate, once read from the cache
    assert row.saved_nano == pytest.approx(gross - spent, abs=gross // 100)
    assert row.saved_nano == 9 * cost(found.ledger, kind="tool_result") - spent
    at_full_price = 2 * left_out * 3000 - spent
    assert at_full_price > row.saved_nano


@pytest.mark.parametrize(("is_asked", "saved"), [(True, -5000 * 3000), (False, None)])
def test_of_a_result_that_is_in_no_prompt_a_saving_is_known_where_a_model_asked(
    is_asked: bool, saved: int | None
) -> None:
    """One that a model asked for was never sent on; a plan's result may be in the user's next words."""
    talk = Conversation()
    first = talk.ask(definition("search"), ["u", 100], answer=[use("search", "c1")], input=2000, output=50)
    asked_by = first.request_id if is_asked else None
    talk.call("search", "c1" if is_asked else "plan", asked_by, raw_result_chars=20_000, result_chars=2000)
    talk.session.requests.append(bill("helper", 45, input=5000, output=0, compressed_tool="search"))
    call_id = "c1" if is_asked else "plan"
    talk.session.compressions.append(Compression("squeeze", "search", call_id, 20_000, 2000, ("helper",)))
    (row,) = attribute(talk.session).compressions
    assert row.saved_nano == saved


@pytest.mark.parametrize("unsaid", ["output_tokens", "uncached_tokens"])
def test_what_a_compression_cost_is_unknown_where_its_request_says_a_part(unsaid: str) -> None:
    """What is known of it is booked on the tool, and is not the whole cost."""
    session = conversation("one")
    session.requests.append(
        bill("helper", 45, read=100, input=5000, output=50, compressed_tool="search", unsaid=frozenset({unsaid}))
    )
    session.compressions.append(Compression("squeeze", "search", "c1", 8000, 4000, ("helper",)))
    found = attribute(session)
    (row,) = found.compressions
    assert (row.cost_nano, row.saved_nano) == (None, None)
    assert cost(found.ledger, kind="compression") > 0


def test_selections_are_measured_by_prompts_that_are_known() -> None:
    """A request of which only the output is known says nothing of what a definition's characters cost."""
    found = []
    for unsaid in ((), ("input_tokens", "uncached_tokens", "cache_read_tokens")):
        session = conversation("one")
        last = session.requests[-1]
        session.requests[-1] = replace(last, unsaid=frozenset(unsaid))
        session.selections.append(Selection("choice", 4000, 8000))
        found.append(attribute(session).selections[0].offered_tokens or 0)
    assert found[1] == pytest.approx(found[0], rel=0.1)


def test_compressions_without_requests_cost_nothing() -> None:
    """A compression by rules asks no model: its cost is 0, which is known."""
    session = conversation("one")
    session.compressions.append(Compression("squeeze", "search", "c1", 8000, 4000))
    (row,) = attribute(session).compressions
    assert row.cost_nano == 0
    assert row.tokens_before == pytest.approx(2 * (row.tokens_after or 0), abs=1)
    assert (row.saved_nano or 0) > 0


def test_selections_get_the_tokens_of_their_definitions() -> None:
    """At the density of the session's definitions, what was left out has twice the tokens of what was offered."""
    session = conversation("one")
    session.selections.append(Selection("choice", 400, 800))
    found = attribute(session)
    (row,) = found.selections
    assert row.offered_tokens == pytest.approx(tokens(found.ledger, kind="tool_definition") / 3, abs=2)
    assert row.avoided_tokens == pytest.approx(2 * (row.offered_tokens or 0), abs=1)


def test_compaction_iterations_never_exceed_the_bill() -> None:
    """The tokens of hidden iterations of kind compaction, and never more than were billed."""
    talk = Conversation("one")
    talk.ask(["u", 900], answer=[["k", 200], ["a", 50]], input=1224, output=160, compaction=(5, 0, 0, 1000, 10**9))
    rows = ledger(talk.session)
    assert {(row.kind, row.rate, row.tokens) for row in pick(rows, kind="compaction", basis="exact")} == {
        ("compaction", "input", 1000),
        ("compaction", "output", 160),
    }
    assert tokens(rows) == 1224 + 160


def test_hostile_names_are_data() -> None:
    """Session ids, tools and models that look like SQL are stored as they are."""
    name = "'; drop table context_ledger; --"
    talk = Conversation(name)
    talk.ask(definition(name), ["u", 10], input=900, output=1, model=name)
    con = emptied()
    put(con, talk.session)
    run.attribute_sessions(con, [name])
    assert (name, name, name) in con.execute("select session_id, tool, model from context_ledger").fetchall()


@pytest.mark.parametrize("name", sorted(run.queries()))
def test_every_query_says_what_a_row_is(name: str) -> None:
    """The first line of each statement names what one row stands for."""
    assert run.query(name).startswith("-- One row per ")


def test_nothing_temporary_is_left() -> None:
    """A connection that has attributed before attributes again, and has no tables of its own afterwards."""
    con = emptied()
    for _ in range(2):
        con.execute("delete from llm_requests")
        con.execute("delete from context_evidence")
        con.execute("delete from seen_calls")
        put(con, conversation("one"))
        run.attribute_sessions(con, ["one"])
    assert con.execute("select count(*) from duckdb_tables() where temporary").fetchone() == (0,)
