"""What others get wrong about what was billed: spans in, the right figure beside the wrong one."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from agent_trace import SESSION, chat, tool
from otlp_requests import Made, protobuf
from simulator import simulate
from toolspend import attributes as at
from toolspend_ingest import Store
from toolspend_ingest.decode import decode

Rows = Callable[[str], list[dict[str, Any]]]
PER_TOKEN = {
    "input": Decimal("0.000003"),
    "cache_read": Decimal("0.0000003"),
    "cache_write_5m": Decimal("0.00000375"),
    "cache_write_1h": Decimal("0.000006"),
    "output": Decimal("0.000015"),
}
"""Claude Sonnet 4.5, in dollars."""
CONSERVATION = (Path(__file__).parents[2] / "conservation.sql").read_text(encoding="utf-8")
CACHE_CREATION = "gen_ai.usage.cache_creation.input_tokens"


def load(store: Store, *spans: Made) -> None:
    store.append(decode(protobuf(spans), "protobuf").spans, "test", "test", None)


def said(**usage: int | None) -> Made:
    """A request whose span says this of its usage, and nothing else."""
    names = {"input": at.INPUT_TOKENS, "read": at.CACHE_READ_TOKENS, "write": at.CACHE_WRITE_TOKENS,
             "output": at.OUTPUT_TOKENS, "five": at.ANTHROPIC_CACHE_WRITE_5M, "hour": at.ANTHROPIC_CACHE_WRITE_1H,
             "creation": CACHE_CREATION}  # fmt: skip
    span = chat(1, 2, 0, 1)
    attributes = {key: value for key, value in span.attributes.items() if key not in names.values()}
    span.attributes = attributes | {names[name]: value for name, value in usage.items() if value is not None}
    return span


def billed(rows: Rows) -> dict[str, int]:
    """Tokens by rate of the whole ledger."""
    found = rows("select rate, sum(tokens)::bigint as tokens from context_ledger group by rate")
    return {row["rate"]: row["tokens"] for row in found}


def cost(rows: Rows) -> Decimal:
    ((requests,),) = (row.values() for row in rows("select sum(cost_usd) from llm_requests"))
    ((ledger,),) = (row.values() for row in rows("select sum(cost_usd) from context_ledger"))
    assert requests == ledger
    return Decimal(requests)


def dollars(**tokens: int) -> Decimal:
    return sum((count * PER_TOKEN[rate] for rate, count in tokens.items()), Decimal(0))


RIGHT = {"input": 5, "cache_read": 128_955, "cache_write_5m": 1253, "output": 80}


def passed_on() -> Made:
    """The same request as an emitter tells it that passes on the provider's own figures, which leave the cache out."""
    span = said(output=80)
    span.scope, span.attributes = "ai", {
        at.RESPONSE_ID: "msg_1",
        at.CONVERSATION_ID: SESSION,
        "ai.operationId": "ai.generateText.doGenerate",
        "ai.model.provider": "anthropic.messages",
        "ai.model.id": "claude-sonnet-4-5-20250929",
        "ai.request.headers.user-agent": "ai/5.0.76",
        at.INPUT_TOKENS: 5,
        at.OUTPUT_TOKENS: 80,
        "ai.usage.cachedInputTokens": 128_955,
        "ai.response.providerMetadata": '{"anthropic":{"cacheCreationInputTokens":1253}}',
    }  # fmt: skip
    return span


@pytest.mark.parametrize("is_passed_on", [False, True], ids=["includes the cache", "excludes the cache"])
def test_case_01_input_tokens_with_and_without_the_cache_are_the_same_bill(
    store: Store, rows: Rows, is_passed_on: bool
) -> None:
    """5 uncached, 128,955 read and 1,253 written, as two emitters say it that are known to differ.

    Taking the total for the uncached bills the cache twice: nine times the cost.
    """
    load(store, passed_on() if is_passed_on else said(input=130_213, read=128_955, write=1253, output=80))
    assert billed(rows) == RIGHT
    assert cost(rows) == dollars(**RIGHT)
    twice = dollars(**{**RIGHT, "input": 130_213})
    assert twice > 9 * cost(rows)


def test_case_01_what_an_emitter_counts_is_not_guessed(store: Store, rows: Rows) -> None:
    """Of an emitter that nobody vouches for the prompt is not known: what is known at a rate is booked, and no more."""
    load(store, chat(1, 2, 0, 1, scope="somebody.else"))
    (row,) = rows("select input_tokens, uncached_tokens, is_usage_known from llm_requests")
    assert tuple(row.values()) == (None, None, False)
    assert "input" not in billed(rows)
    assert rows(CONSERVATION) == []


@pytest.mark.parametrize(
    "scope",
    ["toolspend", "somebody.else", "opentelemetry.instrumentation.anthropic"],
    ids=["known", "unknown", "known in sum"],
)
def test_what_a_prompt_of_unknown_size_carried_is_unknown(store: Store, rows: Rows, scope: str) -> None:
    """A call that such a prompt may have carried has no count and no cost, its tool no context: not 0, not a part."""
    asked = json.dumps([["c", 40, "search", "c1"]])
    prompt = json.dumps({"delta": [["u", 40]], "segments": 1, "chars": 40})
    sent = json.dumps({"delta": [["u", 40], *json.loads(asked), ["r", 900, "search", "c1"]],
                       "segments": 3, "chars": 980})  # fmt: skip
    first = {at.CONTEXT_EVIDENCE: prompt, at.OUTPUT_SEGMENTS: asked}
    requests = [
        chat(1, 2, 0, 1, scope=scope, attributes=first),
        chat(1, 4, 2, 2, scope=scope, attributes={at.CONTEXT_EVIDENCE: sent}),
    ]
    for each in requests:
        each.attributes = {key: value for key, value in each.attributes.items() if "cache" not in key}
    load(store, *requests, tool(1, 3, "search", "c1", 1))
    (call,) = rows("select times_sent, cost_usd from tool_calls")
    (costs,) = rows("select context_tokens from tool_costs where tool = 'search'")
    priced = {row["is_priced"] for row in rows("select is_priced from llm_requests")}
    is_known = scope == "toolspend"
    assert (call["times_sent"], call["cost_usd"] is not None) == ((1, True) if is_known else (None, False))
    assert (costs["context_tokens"] is not None) is is_known
    assert priced == {is_known}


@pytest.mark.parametrize("compressed", [False, True])
def test_what_a_compression_of_unknown_usage_read_leaves_calls_known(
    store: Store, rows: Rows, compressed: bool
) -> None:
    """It carries no call; a request of the agent's own that says nothing of its usage may have."""
    asked = json.dumps([["c", 40, "search", "c1"]])
    first = chat(1, 2, 0, 1, attributes={at.CONTEXT_DELTA: '[["u",40]]', at.OUTPUT_SEGMENTS: asked})
    squeeze = Made(1, 4, "compress_result search", {at.OPERATION: at.OPERATION_COMPRESS}, at_s=2)
    silent = chat(1, 5, 2, 2, parent=4 if compressed else 0)
    silent.attributes = {key: value for key, value in silent.attributes.items() if "usage" not in key}
    load(store, first, tool(1, 3, "search", "c1", 1), squeeze, silent)
    (call,) = rows("select times_sent, cost_usd is not null as is_known from tool_calls")
    assert tuple(call.values()) == ((0, True) if compressed else (None, False))


def test_what_a_call_cost_is_unknown_where_the_answer_that_asked_for_it_is(store: Store, rows: Rows) -> None:
    """A stream that was cut after a call: to write it was not for nothing, though what its re-sending cost is known."""
    asked = '[["c",40,"search","c1"]]'
    cut = chat(1, 2, 0, 1, attributes={at.CONTEXT_DELTA: '[["u",40]]', at.OUTPUT_SEGMENTS: asked})
    del cut.attributes[at.OUTPUT_TOKENS]  # type: ignore[attr-defined]
    sent = {at.CONTEXT_DELTA: f'[["u",40],{asked[1:-1]},["r",900,"search","c1"]]'}
    load(store, cut, tool(1, 3, "search", "c1", 1), chat(1, 4, 2, 2, attributes=sent))
    (call,) = rows("select argument_tokens, times_sent, cost_usd, result_tokens > 0 as has_result from tool_calls")
    assert tuple(call.values()) == (None, 1, None, True)


def test_case_01_figures_that_cannot_be_are_unknown(store: Store, rows: Rows) -> None:
    """More from the cache than in all, from an emitter that counts all: one is wrong, and none tells which."""
    load(store, said(input=5, read=128_955, write=1253, output=80))
    (row,) = rows("select input_tokens, uncached_tokens, cache_read_tokens, output_tokens, is_usage_known "
                  "from llm_requests")  # fmt: skip
    assert tuple(row.values()) == (None, None, None, 80, False)


def test_case_02_nothing_is_clamped(store: Store, rows: Rows) -> None:
    """`max(input - cached, 0)` would hide the 5 tokens that were neither read nor written."""
    load(store, passed_on())
    clamped = max(5 - 128_955 - 1253, 0)
    assert billed(rows)["input"] == 5 != clamped
    assert sum(billed(rows).values()) == 5 + 128_955 + 1253 + 80


def test_case_03_output_is_said_and_not_a_difference(store: Store, rows: Rows) -> None:
    """Total less prompt would bill the cache as 130,288 tokens of output."""
    span = passed_on()
    span.attributes = {**span.attributes, "gen_ai.usage.total_tokens": 5 + 128_955 + 1253 + 80}
    load(store, span)
    assert billed(rows)["output"] == 80
    difference = 5 + 128_955 + 1253 + 80 - 5
    assert difference == 130_288
    assert dollars(output=difference) > 40 * cost(rows)


@pytest.mark.parametrize("name", ["write", "creation"])
def test_case_04_cache_writes_have_several_names(store: Store, rows: Rows, name: str) -> None:
    """Under either name they are writes; who does not know it bills them at the input rate."""
    load(store, said(input=1000, read=600, output=80, **{name: 300}))
    assert billed(rows) == {"input": 100, "cache_read": 600, "cache_write_5m": 300, "output": 80}
    unknown_name = dollars(input=400, cache_read=600, output=80)
    assert unknown_name < cost(rows)


def test_case_04_writes_for_an_hour_cost_more(store: Store, rows: Rows) -> None:
    """200 tokens for five minutes and 100 for an hour: as one rate it would be a fifth less."""
    load(store, said(input=300, write=300, five=200, hour=100, output=0))
    assert billed(rows) == {"cache_write_5m": 200, "cache_write_1h": 100}
    assert cost(rows) == dollars(cache_write_5m=200, cache_write_1h=100)
    at_one_rate = dollars(cache_write_5m=300)
    assert at_one_rate < Decimal("0.9") * cost(rows)


def test_case_04_without_a_split_all_writes_are_for_five_minutes(store: Store, rows: Rows) -> None:
    """The default of the provider, neither nothing nor an hour's."""
    load(store, said(input=300, write=300, output=0))
    assert billed(rows) == {"cache_write_5m": 300}
    assert cost(rows) not in (dollars(input=300), dollars(cache_write_1h=300))


def test_case_05_a_streams_usage_is_its_last(store: Store, tmp_path: Path) -> None:
    """`message_delta` is cumulative: what it says last was billed, and the sum with `message_start` is more."""
    session = simulate("streamed", 1, tmp_path)
    for number, payload in enumerate(session.payloads):
        store.append(decode(payload, "protobuf").spans, f"{number}", "test", None)
    found = dict(store.cursor().execute("select response_id, output_tokens from llm_requests").fetchall())
    streamed = [record for record in session.records if record.body.get("stream") and record.response is not None]
    assert len(streamed) > 5
    for record in streamed:
        assert record.response is not None and record.bill is not None
        last, at_start = record.bill.usage_at_end()["output_tokens"], record.bill.usage_at_start()["output_tokens"]
        assert found[record.response["id"]] == last
        summed = at_start + last
        assert summed > found[record.response["id"]]


def test_case_05_a_stream_closed_early_has_an_unknown_output(store: Store, rows: Rows) -> None:
    """Its prompt is billed; its output is NULL and counted as unknown, where others write 0."""
    load(store, said(input=1000, read=600, write=300))
    (row,) = rows("select output_tokens, is_usage_known from llm_requests")
    assert row == {"output_tokens": None, "is_usage_known": False}
    assert billed(rows) == {"input": 100, "cache_read": 600, "cache_write_5m": 300}
    as_zero = 0
    assert row["output_tokens"] != as_zero
    (session,) = rows("select requests, usage_known_requests from sessions")
    assert session == {"requests": 1, "usage_known_requests": 0}


def test_case_06_one_response_is_billed_once(store: Store, rows: Rows) -> None:
    """A gateway's span, the SDK's, a copy in a resumed session, a batch sent again and the agent's own sum.

    Added up they would be five times the bill.
    """
    sdk = chat(1, 3, 1, 1, parent=2)
    agent = Made(1, 1, "invoke_agent", {at.OPERATION: "invoke_agent", at.INPUT_TOKENS: 1000, at.OUTPUT_TOKENS: 80,
                                        at.CACHE_READ_TOKENS: 600, at.CACHE_WRITE_TOKENS: 300})  # fmt: skip
    gateway = chat(1, 2, 1, 1, parent=1)
    resumed = chat(2, 4, 500, 1, attributes={at.CONVERSATION_ID: "resumed"})
    spans = [agent, gateway, sdk, resumed]
    load(store, *spans)
    load(store, *spans)
    once = dollars(input=100, cache_read=600, cache_write_5m=300, output=80)
    assert cost(rows) == once
    assert len(rows("from llm_requests")) == 1
    assert rows("select distinct session_id from context_ledger") == [{"session_id": SESSION}]
    added_up = sum(once for span in spans if at.INPUT_TOKENS in span.attributes)
    assert added_up == 4 * once


def test_case_07_hidden_iterations_are_in_the_bill(store: Store, rows: Rows) -> None:
    """83,555 tokens read to compact and 139 written, which the top of the usage leaves out, and never twice."""
    iterations = [
        {"type": "compaction", "input_tokens": 83_555, "output_tokens": 139},
        {"type": "message", "input_tokens": 9, "output_tokens": 9},
    ]
    span = said(input=9, output=9)
    span.attributes = {
        **span.attributes,
        at.USAGE_ITERATIONS: json.dumps(iterations),
        "anthropic.usage.compaction.input_tokens": 83_555,
        at.CONTEXT_DELTA: '[["u",30]]',
        at.OUTPUT_SEGMENTS: '[["k",300],["a",20]]',
    }
    load(store, span)
    assert billed(rows) == {"input": 83_564, "output": 148}
    compacted = rows("select rate, tokens from context_ledger where kind = 'compaction' and basis = 'exact' order by 1")
    assert [tuple(row.values()) for row in compacted] == [("input", 83_555), ("output", 139)]
    at_the_top = dollars(input=9, output=9)
    assert cost(rows) > 1000 * at_the_top


def summed_up(**usage: int) -> Made:
    """A request whose prompt the provider summed up first, for so many tokens; it answers 9 with 9."""
    span = said(input=9, output=9)
    iterations = [{"type": "compaction", **usage}, {"type": "message", "input_tokens": 9, "output_tokens": 9}]
    span.attributes = {
        **span.attributes,
        at.USAGE_ITERATIONS: json.dumps(iterations),
        at.CONTEXT_DELTA: '[["u",30]]',
        at.OUTPUT_SEGMENTS: '[["k",300],["a",20]]',
    }
    return span


def test_case_07_what_the_sdk_says_of_a_compaction_is_the_compactions(store: Store, rows: Rows) -> None:
    """Its own spans have sums instead of iterations: they are no part of the prompt that followed either."""
    span = said(input=9, output=9)
    span.attributes = {
        **span.attributes,
        "anthropic.usage.compaction.input_tokens": 83_555,
        "anthropic.usage.compaction.output_tokens": 139,
        at.CONTEXT_DELTA: '[["u",30]]',
        at.OUTPUT_SEGMENTS: '[["k",300],["a",20]]',
    }
    load(store, span)
    compacted = rows("select rate, tokens from context_ledger where kind = 'compaction' and basis = 'exact' order by 1")
    assert [tuple(row.values()) for row in compacted] == [("input", 83_555), ("output", 139)]
    assert billed(rows) == {"input": 83_564, "output": 148}
    assert rows(CONSERVATION) == []


def test_case_07_a_compactions_sum_is_not_billed_as_if_nothing_was_cached(store: Store, rows: Rows) -> None:
    """The SDK's own spans add what a compaction read from the cache: at the input rate that costs up to ten times."""
    span = said(input=1_009, read=1_000, write=0, output=9)
    span.attributes = {**span.attributes, "anthropic.usage.compaction.input_tokens": 83_555}
    load(store, span)
    (row,) = rows("select input_tokens, uncached_tokens, output_tokens, is_usage_known, is_priced from llm_requests")
    assert tuple(row.values()) == (84_564, None, 9, False, False)
    assert billed(rows) == {"output": 9}
    assert rows(CONSERVATION) == []


@pytest.mark.parametrize("hour", [None, 300], ids=["no split", "some for an hour"])
def test_case_04_what_a_compaction_wrote_is_its_own_without_a_split_as_well(
    store: Store, rows: Rows, hour: int | None
) -> None:
    """1,000 tokens written while summing up are no part of the prompt that followed, which had 9."""
    split = {"cache_creation": {"ephemeral_1h_input_tokens": hour}} if hour is not None else {}
    load(store, summed_up(input_tokens=70, cache_creation_input_tokens=1_000, output_tokens=139, **split))
    found = rows("select rate, tokens from context_ledger where kind = 'compaction' and basis = 'exact'")
    written = {"cache_write_5m": 1_000 - (hour or 0), "cache_write_1h": hour or 0}
    written = {rate: tokens for rate, tokens in written.items() if tokens}
    assert {row["rate"]: row["tokens"] for row in found} == {"input": 70, "output": 139, **written}
    assert billed(rows) == {"input": 79, "output": 148, **written}
    assert rows(CONSERVATION) == []


@pytest.mark.parametrize(("tokens", "per_token"), [(199_995, "0.000003"), (200_001, "0.000006")])
def test_case_16_a_prompt_that_was_summed_up_and_the_next_are_two_lengths(
    store: Store, rows: Rows, tokens: int, per_token: str
) -> None:
    """199,995 tokens summed up and 9 sent then are over 200,000 together, and none of the two is."""
    load(store, summed_up(input_tokens=tokens, output_tokens=0))
    (row,) = rows("select sum(cost_usd) as usd from context_ledger where rate = 'input'")
    assert row["usd"] == (tokens + 9) * Decimal(per_token)
    assert rows(CONSERVATION) == []


ADVICE = [
    {"type": "message", "input_tokens": 9, "output_tokens": 5},
    {"type": "advisor_message", "model": "claude-opus-4-6", "input_tokens": 823, "output_tokens": 1612,
     "cache_read_input_tokens": 0, "cache_creation_input_tokens": 200,
     "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 0}},
    {"type": "message", "input_tokens": 0, "output_tokens": 4},
]  # fmt: skip


def advised(trace: int = 1, at_s: float = 0, number: int = 1, **model: str) -> Made:
    """A request within which the provider asked another model for advice."""
    span = chat(trace, 2, at_s, number)
    span.attributes = {
        **{key: value for key, value in span.attributes.items() if "cache" not in key},
        at.INPUT_TOKENS: 9, at.OUTPUT_TOKENS: 9, at.CONTEXT_DELTA: '[["u",30]]',
        at.OUTPUT_SEGMENTS: '[["c",2,"advisor","s1","s"],["r",2400,"advisor","s1","s"],["a",20]]',
        at.USAGE_ITERATIONS: json.dumps([{**each, **(model if "model" in each else {})} for each in ADVICE]),
    }  # fmt: skip
    return span


def test_case_07_advice_is_billed_at_the_prices_of_the_model_that_gave_it(store: Store, rows: Rows) -> None:
    """823 tokens read, 200 written and 1,612 answered by Opus for 18 of Sonnet's: at Sonnet's prices, or not at all."""
    load(store, advised())
    told = rows("select request_id, model, input_tokens, output_tokens, advising_tool, is_priced from llm_requests "
                "order by request_id")  # fmt: skip
    span_id = f"{2:016x}"
    assert [tuple(row.values()) for row in told] == [
        (span_id, "claude-sonnet-4-5-20250929", 9, 9, None, True),
        (f"{span_id}/0", "claude-opus-4-6", 1023, 1612, "advisor", True),
    ]
    opus = Decimal(823 * 5 + 1612 * 25) / 10**6 + 200 * Decimal("6.25") / 10**6
    assert cost(rows) == dollars(input=9, output=9) + opus
    assert rows(CONSERVATION) == []
    (row,) = rows("select fee_cost_usd, compression_cost_usd from tool_costs where tool = 'advisor'")
    assert tuple(row.values()) == (opus, None)
    assert {row["basis"] for row in rows("from context_ledger where kind = 'fee'")} == {"exact"}
    assert opus > 200 * dollars(input=9, output=9)


def test_case_07_advice_is_told_once_by_two_emitters(store: Store, rows: Rows) -> None:
    """The answer's copies are its advice's."""
    copy = advised(trace=2)
    copy.scope = "com.anthropic.sdk.python"
    load(store, advised(), copy)
    assert rows("select count(*) as n from llm_requests") == [{"n": 2}]
    assert rows("select count(*) as n from request_copies") == [{"n": 2}]


def test_case_16_advice_of_an_unknown_model_has_no_price(store: Store, rows: Rows) -> None:
    """The request that it was given to has one."""
    load(store, advised(model="nobody-1"))
    told = rows("select is_priced, cost_usd is null as is_unknown from llm_requests order by request_id")
    assert [tuple(row.values()) for row in told] == [(True, False), (False, True)]
    assert rows("select unpriced_tokens from tool_costs where tool = 'advisor'") == [{"unpriced_tokens": 2635}]


@pytest.mark.parametrize("status", [429, 529, 400])
def test_case_17_what_failed_before_generation_is_not_billed(store: Store, rows: Rows, status: int) -> None:
    """The provider bills nothing for an error; an estimate by the length of the prompt would bill 130,213 tokens."""
    failed = said()
    failed.attributes = {**failed.attributes, at.HTTP_STATUS: status, at.CONTEXT_DELTA: '[["u",520852]]'}
    failed.attributes.pop(at.RESPONSE_ID)
    failed.status = "error"
    load(store, failed)
    (row,) = rows("select input_tokens, output_tokens, is_usage_known, cost_usd from llm_requests")
    assert row == {"input_tokens": 0, "output_tokens": 0, "is_usage_known": True, "cost_usd": 0}
    assert rows("from context_ledger") == []
    by_length = dollars(input=520_852 // 4)
    assert by_length > 0


def test_case_17_retries_within_a_call_are_not_requests(store: Store, tmp_path: Path) -> None:
    """Attempts that failed are in no bill: fewer requests are billed than were sent."""
    session = simulate("flaky", 1, tmp_path)
    for number, payload in enumerate(session.payloads):
        store.append(decode(payload, "protobuf").spans, f"{number}", "test", None)
    ((requests, tokens),) = (
        store.cursor().execute("select count(*), sum(input_tokens) from llm_requests where cost_usd > 0").fetchall()
    )
    answered = [record for record in session.records if record.bill is not None]
    assert requests == len(answered)
    assert tokens == sum(record.bill.prompt.total for record in answered if record.bill is not None)
    by_attempts = len(session.records)
    assert by_attempts > requests


def test_case_17_an_answer_from_a_local_cache_is_not_billed_again(store: Store, rows: Rows) -> None:
    """The stored response keeps its id: it was billed when it was made, in whichever trace it is shown again."""
    load(store, chat(1, 1, 0, 1), *(chat(trace, trace, 100 * trace, 1) for trace in (2, 3)))
    once = dollars(input=100, cache_read=600, cache_write_5m=300, output=80)
    assert cost(rows) == once
    thrice = 3 * once
    assert thrice != cost(rows)
