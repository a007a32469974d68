"""Rows in tables: a few by value, many as columns; and what is kept so that fewer statements do."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import duckdb
import pytest

from attributed import emptied
from toolspend_ingest.rows import LlmRequest, RequestCopy
from toolspend_ingest.seen import Seen
from toolspend_ingest.statements import execute
from toolspend_ingest.writing import FEW, Together, insert_rows

AT = datetime(2026, 1, 1)


@pytest.mark.parametrize("count", [1, FEW, FEW + 1])
def test_few_rows_and_many_are_inserted_alike(count: int) -> None:
    """What is null stays null, lists and text stay as they are, and further columns join those of the class."""
    rows = [
        LlmRequest(f"r'{place}", "t;--", AT, 1.5, "ok", tags=["a", "b"] if place else None, input_tokens=place or None)
        for place in range(count)
    ]
    con = emptied()
    costs = [Decimal(place).scaleb(-9) if place else None for place in range(count)]
    insert_rows(con, LlmRequest, rows, {"cost_usd": costs, "is_priced": [True] * count})
    insert_rows(con, LlmRequest, [])
    found = con.execute(
        "select request_id, trace_id, started_at, tags, input_tokens, output_tokens, cost_usd, is_priced"
        " from llm_requests order by rowid"
    ).fetchall()
    assert found == [
        (f"r'{place}", "t;--", AT, ["a", "b"] if place else None, place or None, None, costs[place], True)
        for place in range(count)
    ]


def test_changes_made_together_are_those_made_one_by_one() -> None:
    """Inserts of few and of many rows, and a change of another row, in one statement."""
    con = emptied()
    insert_rows(con, LlmRequest, [LlmRequest("old", "t", AT, 1.0, "ok")])
    together = Together(con)
    together.run()
    together.insert(LlmRequest, [LlmRequest("new", "t", AT, 2.0, "ok")])
    together.insert(LlmRequest, [LlmRequest(f"many{place}", "t", AT, 3.0, "ok") for place in range(FEW + 1)])
    together.insert(RequestCopy, [RequestCopy("copy", "t", "new", "t", None, "nested")])
    together.change("update llm_requests set status = ? where request_id = ?", ["error", "old"])
    together.run()
    together.run()
    found = con.execute("select status, count(*), sum(duration_ms) from llm_requests group by status order by status")
    assert found.fetchall() == [("error", 1, 1.0), ("ok", FEW + 2, 2.0 + 3.0 * (FEW + 1))]
    assert con.execute("select span_id from request_copies").fetchall() == [("copy",)]


def test_a_statement_is_parsed_once_and_sees_the_tables_of_each_connection() -> None:
    """What it names may be another table with other columns the next time."""
    sql = "select * from kept where number >= ?"
    for columns in ("1 as number", "'x' as name, 2 as number"):
        with duckdb.connect() as con:
            con.execute(f"create table kept as select {columns}")
            assert execute(con, sql, [1]).fetchall() == con.execute("from kept").fetchall()


def test_responses_are_known_without_asking_for_each() -> None:
    """Those that were there, those that came, and those of no request; also beyond what is kept one by one."""
    con = emptied()
    odd = ["msg_1", "é\ud800"]
    insert_rows(con, LlmRequest, [LlmRequest("r", "t", AT, 1.0, "ok", response_id="msg_1")])
    responses = Seen(con, "numbers_of_responses")
    assert (responses.may_have(["msg_1"]), responses.may_have(["msg_2"]), responses.may_have([])) == (
        True,
        False,
        False,
    )
    responses.add([None, *odd, *(f"more-{number}" for number in range(10_001))])
    responses.add(["last"])
    assert len(responses) == 10_004
    assert all(responses.may_have([each]) for each in (*odd, "more-0", "more-10000", "last"))
    assert not responses.may_have(["more-10001", ""])
    assert responses.add(["new", "msg_1", None, "more-0"]) == ["msg_1", "more-0"]
