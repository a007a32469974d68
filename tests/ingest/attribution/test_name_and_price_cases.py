"""What others get wrong about models, tools, failures and sizes: spans in, the right figure beside the wrong one."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC
from decimal import Decimal
from typing import Any

import pytest

from agent_trace import chat, tool
from otlp_requests import SECOND, START, Made, protobuf
from toolspend import attributes as at
from toolspend_ingest import Store
from toolspend_ingest.decode import decode

Rows = Callable[[str], list[dict[str, Any]]]
PER_MTOK = Decimal(1) / 1_000_000


def load(store: Store, *spans: Made) -> None:
    store.append(decode(protobuf(spans), "protobuf").spans, "test", "test", None)


def asking(provider: str, model: str, tokens: int = 1000, **attributes: Any) -> Made:
    """A request of so many uncached tokens and no output."""
    span = chat(1, 2, 0, 1)
    usage = {at.INPUT_TOKENS: tokens, at.CACHE_READ_TOKENS: 0, at.CACHE_WRITE_TOKENS: 0, at.OUTPUT_TOKENS: 0}
    named = {at.PROVIDER: provider, at.REQUEST_MODEL: model, at.RESPONSE_MODEL: model}
    span.attributes = {**span.attributes, **usage, **named, **attributes}
    return span


def cost(rows: Rows) -> Decimal | None:
    (row,) = rows("select cost_usd, is_priced from llm_requests")
    assert row["is_priced"] == (row["cost_usd"] is not None)
    ledger = rows("select distinct cost_usd is null as is_unpriced from context_ledger")
    assert ledger == [{"is_unpriced": row["cost_usd"] is None}]
    found: Decimal | None = row["cost_usd"]
    return found


def test_case_16_an_unknown_model_has_no_price(store: Store, rows: Rows) -> None:
    """Its cost is NULL: neither 0 nor the price of a model with a similar name."""
    load(store, asking("anthropic", "claude-sonnet-99-mystery"))
    assert cost(rows) is None
    assert rows("select sum(tokens)::int as tokens from context_ledger") == [{"tokens": 1000}]
    (total,) = rows("select priced_requests, requests, cost_usd from sessions")
    assert total == {"priced_requests": 0, "requests": 1, "cost_usd": None}
    free, similar = Decimal(0), 1000 * 3 * PER_MTOK
    assert cost(rows) not in (free, similar)


@pytest.mark.parametrize(
    ("provider", "model", "usd_per_mtok"),
    [
        ("anthropic", "claude-sonnet-4-5-20250929", 3),
        ("aws.bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0", Decimal("3.3")),
        ("gcp.vertex_ai", "claude-sonnet-4-5@20250929", 3),
    ],
)
def test_case_16_ids_of_other_platforms_name_the_same_model(
    store: Store, rows: Rows, provider: str, model: str, usd_per_mtok: Decimal
) -> None:
    """Bedrock's and Vertex's ids have the model's price at that seller: compared as text they are unknown."""
    load(store, asking(provider, model))
    assert cost(rows) == 1000 * usd_per_mtok * PER_MTOK
    as_text = {"claude-sonnet-4-5": 3}.get(model)
    assert as_text is None


@pytest.mark.parametrize(("tokens", "usd_per_mtok"), [(200_000, 3), (200_001, 6)])
def test_case_16_the_long_context_price_begins_above_200000(
    store: Store, rows: Rows, tokens: int, usd_per_mtok: int
) -> None:
    """At exactly 200,000 the ordinary price, one more and all tokens have the tier's: not only those above it."""
    load(store, asking("anthropic", "claude-sonnet-4-5", tokens))
    assert cost(rows) == tokens * usd_per_mtok * PER_MTOK
    others = {200_000: 200_000 * 6 * PER_MTOK, 200_001: (200_000 * 3 + 6) * PER_MTOK}
    assert cost(rows) != others[tokens]


@pytest.mark.parametrize(
    ("said", "usd_per_mtok"),
    [
        ({at.SERVICE_TIER: "standard"}, Decimal(5)),
        ({at.SERVICE_TIER: "batch"}, Decimal("2.5")),
        ({at.SERVICE_TIER: "priority"}, None),
        ({at.USAGE_SPEED: "fast"}, Decimal(10)),
        ({at.USAGE_INFERENCE_GEO: "us"}, Decimal("5.5")),
        ({at.USAGE_INFERENCE_GEO: "us", at.SERVICE_TIER: "batch"}, Decimal("2.75")),
        ({at.USAGE_INFERENCE_GEO: "mars"}, None),
    ],
)
def test_case_16_tiers_and_modes_have_prices_of_their_own(
    store: Store, rows: Rows, said: dict[str, Any], usd_per_mtok: Decimal | None
) -> None:
    """Batch is half, fast twice, in the United States a tenth more; priority, whose price is not published, has none.

    Never has any the ordinary one.
    """
    span = asking("anthropic", "claude-opus-4-8", **said)
    span.at_s = 60 * 86_400  # the list has them from then on
    load(store, span)
    assert cost(rows) == (None if usd_per_mtok is None else 1000 * usd_per_mtok * PER_MTOK)
    ordinary = 1000 * 5 * PER_MTOK
    assert (cost(rows) == ordinary) == (said == {at.SERVICE_TIER: "standard"})


def test_case_16_a_price_holds_from_its_date(store: Store, rows: Rows) -> None:
    """Of two prices of one model each request has that of its day; the latest for all would be another bill."""
    changed = store.cursor().execute(
        "select a.provider, a.model, a.usd_per_mtok, b.usd_per_mtok, a.valid_to from prices a join prices b using "
        "(provider, model, rate, tier_start_tokens) where a.valid_to = b.valid_from and a.usd_per_mtok <> "
        "b.usd_per_mtok and rate = 'input' and tier_start_tokens = 0 and model not like '%(%' order by 5, 1, 2"
    )
    provider, model, before, after, day = changed.fetchall()[-1]
    second = int(day.replace(tzinfo=UTC).timestamp()) - START // SECOND
    names = {"anthropic": "anthropic", "google": "gcp.gen_ai", "openai": "openai"}
    spans = []
    for number, at_s in enumerate((second - 1, second)):
        span = asking(names.get(provider, provider), model)
        span.attributes = {**span.attributes, at.RESPONSE_ID: f"msg_{number}"}
        span.span, span.at_s = number + 2, at_s
        spans.append(span)
    load(store, *spans)
    found = [row["cost_usd"] for row in rows("select cost_usd from llm_requests order by started_at")]
    assert found == [1000 * before * PER_MTOK, 1000 * after * PER_MTOK]
    latest_for_all = 2 * 1000 * after * PER_MTOK
    assert sum(found) != latest_for_all


def test_case_18_failures_are_not_averaged_with_successes(store: Store, rows: Rows) -> None:
    """A failing call is the cheapest and the fastest: the tool's latency is that of the calls that worked.

    Over all calls the median would be 10 ms, and a call would seem to cost half of what one costs.
    """
    asked = [["c", 40, "search", f"c{n}"] for n in range(4)]
    answers = [["r", 8000, "search", "c0"], *(["r", 30, "search", f"c{n}", "e"] for n in (1, 2, 3))]
    first = chat(1, 1, 0, 1, attributes={at.CONTEXT_DELTA: '[["u",4000]]', at.OUTPUT_SEGMENTS: json.dumps(asked)})
    usage = {at.INPUT_TOKENS: 3400, at.CACHE_READ_TOKENS: 0, at.CACHE_WRITE_TOKENS: 0}
    second = chat(1, 2, 90, 2, attributes={at.CONTEXT_BASE: first.span_id, **usage,
                                           at.CONTEXT_DELTA: json.dumps([[0, 1], *asked, *answers])})  # fmt: skip
    runs = [tool(1, 10 + n, "search", f"c{n}", 2 + n, lasts_s=2.0 if n == 0 else 0.01) for n in range(4)]
    load(store, first, second, *runs)
    (row,) = rows("select calls, errors, p50_ms from tool_costs where tool = 'search'")
    assert row == {"calls": 4, "errors": 3, "p50_ms": 2000.0}
    over_all = rows("select median(duration_ms) as ms from tool_calls")[0]["ms"]
    assert over_all == 10.0
    by_status = rows("select status, avg(cost_usd) as usd from tool_calls group by status order by status")
    failed, worked = (row["usd"] for row in by_status)
    assert [row["status"] for row in by_status] == ["error", "ok"]
    assert worked > 10 * failed
    averaged = rows("select avg(cost_usd) as usd from tool_calls")[0]["usd"]
    assert averaged < worked / 2


def test_case_18_a_handler_that_throws_is_still_a_call(store: Store, rows: Rows) -> None:
    """It has a row, a cost and an error; counting results that came back well would leave it out."""
    asked = [["c", 40, "search", "c1"]]
    first = chat(1, 1, 0, 1, attributes={at.CONTEXT_DELTA: '[["u",4000]]', at.OUTPUT_SEGMENTS: json.dumps(asked)})
    load(store, first, tool(1, 2, "search", "c1", 2, status="error", attributes={at.ERROR_TYPE: "TimeoutError"}))
    (row,) = rows("select status, error_type, argument_tokens > 0 as is_billed, cost_usd > 0 as costs from tool_calls")
    assert row == {"status": "error", "error_type": "TimeoutError", "is_billed": True, "costs": True}
    came_back_well = rows("from tool_calls where status = 'ok'")
    assert came_back_well == []


def test_case_19_names_with_underscores_are_whole(store: Store, rows: Rows) -> None:
    """`mcp__books__find__all` is the tool `find__all` of the server `books`, and has its definition's tokens.

    Taking the last part for the tool would make it `all` of the server `books__find`.
    """
    name = "mcp__books__find__all"
    asked = [["c", 40, name, "c1"]]
    prompt = json.dumps([["d", 400, name, "v1"], ["u", 100]])
    first = chat(1, 1, 0, 1, attributes={at.CONTEXT_DELTA: prompt, at.OUTPUT_SEGMENTS: json.dumps(asked)})
    run = Made(1, 2, "tools/call find__all", {at.MCP_METHOD: "tools/call", at.TOOL_NAME: "find__all"}, 1, 2.0,
               scope="mcp-python-sdk", kind="client")  # fmt: skip
    load(store, first, run)
    assert rows("select tool, server, tool_call_id from tool_calls") == [
        {"tool": name, "server": "books", "tool_call_id": "c1"}
    ]
    assert rows("select distinct tool from context_ledger where tool is not null") == [{"tool": name}]
    server, _, last = name.removeprefix("mcp__").rpartition("__")
    assert (server, last) == ("books__find", "all")


def test_case_19_one_name_on_two_servers_is_two_tools(store: Store, rows: Rows) -> None:
    """Each has its own definition, results and cost; by the bare name they would be one tool."""
    names = ["mcp__books__search", "mcp__films__search"]
    asked = [["c", 40, name, f"c{n}"] for n, name in enumerate(names)]
    prompt = [*(["d", 400, name, f"v{n}"] for n, name in enumerate(names)), ["u", 100]]
    answers = [["r", 8000, names[0], "c0"], ["r", 800, names[1], "c1"]]
    first = chat(1, 1, 0, 1, attributes={at.CONTEXT_DELTA: json.dumps(prompt), at.OUTPUT_SEGMENTS: json.dumps(asked)})
    usage = {at.INPUT_TOKENS: 3300, at.CACHE_READ_TOKENS: 0, at.CACHE_WRITE_TOKENS: 0}
    second = chat(1, 2, 90, 2, attributes={at.CONTEXT_BASE: first.span_id, **usage,
                                           at.CONTEXT_DELTA: json.dumps([[0, 3], *asked, *answers])})  # fmt: skip
    load(store, first, second)
    calls = rows("select tool, server, result_tokens from tool_calls order by tool")
    assert [(row["tool"], row["server"]) for row in calls] == list(zip(names, ("books", "films"), strict=True))
    assert calls[0]["result_tokens"] > 5 * calls[1]["result_tokens"]
    costs = rows("select tool, total_cost_usd as usd from tool_costs order by tool")
    assert [row["tool"] for row in costs] == names
    assert len({name.rpartition("__")[2] for name in names}) == 1


def test_case_20_sizes_are_those_before_any_truncation(store: Store, rows: Rows) -> None:
    """The evidence says 400,000 characters; the attribute with the content was cut to 1,000 on its way."""
    asked = [["c", 40, "dump", "c1"]]
    first = chat(1, 1, 0, 1, attributes={at.CONTEXT_DELTA: '[["u",4000]]', at.OUTPUT_SEGMENTS: json.dumps(asked)})
    usage = {at.INPUT_TOKENS: 101_100, at.CACHE_READ_TOKENS: 0, at.CACHE_WRITE_TOKENS: 0}
    delta = json.dumps([[0, 1], *asked, ["r", 400_000, "dump", "c1"]])
    second = chat(1, 2, 90, 2, attributes={at.CONTEXT_BASE: first.span_id, at.CONTEXT_DELTA: delta, **usage})
    run = tool(1, 3, "dump", "c1", 2, attributes={at.TOOL_RESULT: "x" * 1000, at.TOOL_RESULT_CHARS: 400_000})
    load(store, first, second, run)
    (row,) = rows("select result_chars, result_tokens from tool_calls")
    assert row["result_chars"] == 400_000
    assert row["result_tokens"] == pytest.approx(100_000, rel=0.01)
    of_the_cut_text = 1000 // 4
    assert row["result_tokens"] > 100 * of_the_cut_text


HUGE = 2**63 - 1
POISON: dict[str, dict[str, Any]] = {
    "a number that is none": {at.CONTEXT_DELTA: '[["u",NaN],["s",Infinity]]'},
    "half a character": {at.CONTEXT_DELTA: '[["d",5,"\\ud800","v1"]]'},
    "half a character that was asked for": {at.OUTPUT_SEGMENTS: '[["c",5,"\\udc00","c1"]]'},
    "half a character in a definition": {at.TOOL_DEFINITIONS: '[{"name":"\\ud800","version":"v1"}]'},
    "half a character in a message": {
        at.INPUT_MESSAGES: '[{"role":"user","parts":[{"type":"tool_call","name":"\\ud800","id":"c1"}]}]'
    },
    "the null character": {at.CONTEXT_DELTA: '[["d",5,"a\\u0000b","v1"]]'},
    "a number of 5,000 digits": {at.CONTEXT_DELTA: f'[["u",{"9" * 5000}]]'},
    "lists within lists": {at.CONTEXT_DELTA: "[" * 900 + "]" * 900},
    "objects for runs": {at.CONTEXT_BASE: "lost", at.CONTEXT_DELTA: "[]", at.CONTEXT_RESTATED: '[{"a":1},[0,{}],7]'},
    "counts beyond all bounds": {at.CONTEXT_DELTA: '[["u",5]]', at.CONTEXT_SEGMENTS: HUGE, at.CONTEXT_CHARS: HUGE},
    "usage beyond all bounds": {at.INPUT_TOKENS: HUGE, at.CACHE_READ_TOKENS: HUGE, at.CACHE_WRITE_TOKENS: HUGE},
    "searches beyond all bounds": {at.USAGE_WEB_SEARCHES: HUGE},
    "iterations that are none": {at.OUTPUT_SEGMENTS: '[["k",5]]', at.USAGE_ITERATIONS: '[NaN,{"type":"compaction"}]'},
}


@pytest.mark.parametrize("attributes", POISON.values(), ids=POISON)
def test_case_20_one_poisonous_span_never_drops_its_batch(store: Store, rows: Rows, attributes: dict[str, Any]) -> None:
    """The other requests of the batch, also those of its own session, are billed to the last token.

    A batch that is refused as a whole would lose them all.
    """
    usage = {at.CONTEXT_DELTA: '[["d",400,"search","v1"],["u",100]]'}
    spans = [
        chat(1, 1, 0, 1, attributes=attributes),
        chat(1, 2, 9, 2, attributes=usage),
        chat(5, 5, 50, 5, attributes={**usage, at.CONVERSATION_ID: "another"}),
    ]
    load(store, *spans)
    found = rows("select request_id, sum(tokens)::int as tokens from context_ledger group by 1 order by 1")
    good = [row for row in found if row["request_id"] != spans[0].span_id]
    assert good == [{"request_id": span.span_id, "tokens": 1080} for span in spans[1:]]
    dropped: list[dict[str, Any]] = []
    assert good != dropped
    assert rows("select count(*)::int as spans from spans") == [{"spans": 3}]
