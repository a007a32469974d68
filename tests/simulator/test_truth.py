"""The truth is whole: what was billed is what its rows say, for every request and in the store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from simulator import SHAPES, Simulated, TruthRow, compare, ledger_rows, load, simulate
from simulator.truth import truth_of
from standin import Record
from toolspend_ingest import Store

Simulate = Callable[[str, int], Simulated]
SEED = 1


def by_rate(rows: list[TruthRow], response_id: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for row in rows:
        if row.response_id == response_id:
            found[row.rate] += row.tokens
    return found


def billed(record: Record) -> Counter[str]:
    """What the response's usage says, with its hidden iterations."""
    assert record.response is not None
    usage = record.response["usage"]
    spent = [usage, *(each for each in usage.get("iterations", ()) if each["type"] == "compaction")]
    found: Counter[str] = Counter()
    for each in spent:
        found["input"] += each["input_tokens"]
        found["cache_read"] += each["cache_read_input_tokens"]
        found["cache_write_5m"] += each["cache_creation"]["ephemeral_5m_input_tokens"]
        found["cache_write_1h"] += each["cache_creation"]["ephemeral_1h_input_tokens"]
        found["output"] += each["output_tokens"]
    found["fee"] = usage.get("server_tool_use", {}).get("web_search_requests", 0)
    return +found


@pytest.mark.parametrize("shape", SHAPES)
def test_the_truth_of_every_request_sums_to_its_usage(shape: str, simulated: Simulate) -> None:
    """By rate, tokens of the rows are those of the response's usage, none missing and none twice."""
    session = simulated(shape, SEED)
    assert session.records
    for record in session.records:
        if record.bill is not None and record.response is not None:
            assert by_rate(session.truth, record.response["id"]) == billed(record)


def test_the_store_bills_what_the_truth_says(simulated: Simulate, tmp_path: Path) -> None:
    """Tokens by rate of the store's requests and the dollars of its ledger are the truth's, session by session."""
    with Store.open(tmp_path / "store.duckdb", prices_file=tmp_path / "none.toml") as store:
        for shape in SHAPES:
            session = simulated(shape, SEED)
            load(session, store)
            for rows in (session.truth, ledger_rows(store, session.session_id)):
                assert {row.response_id for row in rows} == {row.response_id for row in session.truth}, shape
            requests = store.cursor().execute(
                "select response_id, cache_read_tokens, cache_write_1h_tokens, cache_write_5m_tokens, uncached_tokens, "
                "output_tokens, cost_usd from llm_requests where session_id = ? and response_id is not null",
                [session.session_id],
            )
            names = ("cache_read", "cache_write_1h", "cache_write_5m", "input", "output")
            for response_id, *tokens, cost_usd in requests.fetchall():
                true = by_rate(session.truth, response_id)
                assert tokens == [true[name] for name in names], shape
                cost_nano = sum(row.cost_nano for row in session.truth if row.response_id == response_id)
                assert int(cost_usd * 10**9) == cost_nano, shape


@pytest.mark.parametrize("shape", ["short", "resumed", "subagents", "server_compaction"])
def test_the_same_seed_gives_the_same_bytes(shape: str, simulated: Simulate, tmp_path: Path) -> None:
    """Spans and truth hang on shape and seed alone, also after other sessions."""
    first, second = simulated(shape, SEED), simulate(shape, SEED, tmp_path)
    assert first.payloads == second.payloads
    assert first.truth == second.truth


def test_another_seed_gives_another_session(simulated: Simulate) -> None:
    """Neither the spans nor the truth are those of another seed, and no ids are shared."""
    first, second = simulated("short", SEED), simulated("short", SEED + 1)
    assert first.payloads != second.payloads
    assert not {row.response_id for row in first.truth} & {row.response_id for row in second.truth}


def test_a_ledger_that_is_the_truth_is_not_wrong(simulated: Simulate) -> None:
    """Every figure is 0 for equal rows, and what is moved from one tool to another is counted once."""
    truth = simulated("cached", SEED).truth
    same = compare(truth, truth)
    assert (same.misattributed_share, same.misattributed_share_by_kind, same.worst_tool_error) == (0.0, 0.0, 0.0)
    tools = Counter[str]()
    for row in truth:
        tools[row.tool or ""] += row.cost_nano
    tools.pop("")
    (most, cost), (second, _) = tools.most_common(2)
    moved = compare(truth, [row._replace(tool=second) if row.tool == most else row for row in truth])
    total = sum(row.cost_nano for row in truth)
    assert moved.misattributed_share == pytest.approx(cost / total)
    assert moved.worst_tool_error >= 1.0


def test_position_decides_the_rate(simulated: Simulate) -> None:
    """In a cached session, definitions are read from the cache and a first result is not."""
    session = simulated("cached", SEED)
    record = next(each for each in reversed(session.records) if each.bill is not None and each.bill.prompt.read)
    rows = truth_of([record], session.started_at)
    assert {row.rate for row in rows if row.kind == "tool_definition"} == {"cache_read"}
    assert {row.rate for row in rows if row.kind == "system"} == {"cache_read"}
