"""One call, one bill: which spans tell of the same request, which stands for it, and how the others are marked."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent_trace import chat, tool
from otlp_requests import Made, protobuf
from toolspend import attributes as at
from toolspend_ingest import Store
from toolspend_ingest.decode import decode

Fresh = Callable[[str], Store]
Rows = Callable[[str], list[dict[str, Any]]]
SDK: Final = "com.anthropic.sdk.python"
OTHER: Final = "opentelemetry.instrumentation.langchain"
ZERO_CACHE: Final = {at.CACHE_READ_TOKENS: 0, at.CACHE_WRITE_TOKENS: 0}


def load(store: Store, *spans: Made) -> None:
    store.append(decode(protobuf(spans), "protobuf").spans, "test", "test", None)


def sdk(trace: int, span: int, at_s: float = 0, *, asked: int = 100, made: int = 10, **more: Any) -> Made:
    """A request as the SDK tells it."""
    said = {at.OPERATION: "chat", at.PROVIDER: "anthropic", at.RESPONSE_MODEL: "claude-haiku-4-5-20251001",
            at.RESPONSE_ID: f"msg_{span}", at.INPUT_TOKENS: asked, at.OUTPUT_TOKENS: made, **ZERO_CACHE,
            **more.pop("attributes", {})}  # fmt: skip
    return Made(trace, span, "anthropic.messages.create", said, at_s=at_s, scope=more.pop("scope", SDK), **more)


def framework(trace: int, span: int, at_s: float = 0, *, asked: int = 100, made: int = 10, **more: Any) -> Made:
    """The same as a framework tells it, which has no id of the response and names the model that was asked for."""
    said = {at.RESPONSE_ID: None, at.RESPONSE_MODEL: "claude-haiku-4-5", **more.pop("attributes", {})}
    found = sdk(trace, span, at_s, asked=asked, made=made, attributes=said, scope=more.pop("scope", OTHER), **more)
    found.attributes = {key: value for key, value in found.attributes.items() if value is not None}
    return found


def billed(rows: Rows) -> list[int]:
    return [int(row["request_id"], 16) for row in rows("select request_id from llm_requests order by all")]


def copies(rows: Rows) -> dict[int, tuple[int, str]]:
    found = rows("select span_id, request_id, reason from request_copies")
    return {int(row["span_id"], 16): (int(row["request_id"], 16), row["reason"]) for row in found}


def test_a_request_within_a_request_is_the_same(store: Store, rows: Rows) -> None:
    """A framework's span around the SDK's; it says less, and is marked."""
    load(store, framework(1, 1, lasts_s=2), sdk(1, 2, 0.5, parent=1))
    assert billed(rows) == [2]
    assert copies(rows) == {1: (2, "nested")}


def test_three_that_lie_within_each_other_are_one(store: Store, rows: Rows) -> None:
    """A gateway, a framework and the SDK: one bill, two marked."""
    gateway = framework(1, 1, lasts_s=3, scope="a.gateway")
    load(store, gateway, framework(1, 2, 0.5, parent=1, lasts_s=2), sdk(1, 3, 1, parent=2))
    assert billed(rows) == [3]
    assert set(copies(rows)) == {1, 2}


def test_a_client_of_a_cloud_is_the_sdk_too(store: Store, rows: Rows) -> None:
    """What it says of the answer counts as what the SDK says elsewhere: its scope has the cloud's name behind."""
    gateway = framework(1, 1, lasts_s=2, scope="a.gateway", attributes={
        at.PROVIDER: "openai", at.RESPONSE_ID: "msg_2", at.OUTPUT_TOKENS: 11, at.USER_ID: "u", at.SERVICE_TIER: "x",
        at.FINISH_REASONS: ["stop"], at.OUTPUT_SEGMENTS: json.dumps([["a", 3]])})  # fmt: skip
    load(store, gateway, sdk(1, 2, 0.5, parent=1, scope=f"{SDK}.bedrock", attributes={at.PROVIDER: "aws.bedrock"}))
    assert rows("select output_tokens, is_usage_known from llm_requests") == [
        {"output_tokens": 10, "is_usage_known": True}
    ]


def test_what_a_tool_asks_is_its_own(store: Store, rows: Rows) -> None:
    """A request of a tool that runs within a request's span, or of an agent, is another one."""
    agent = Made(1, 4, "invoke_agent", {at.OPERATION: "invoke_agent"}, 1, scope=OTHER)
    load(store, framework(1, 1, lasts_s=9), tool(1, 2, "ask", "c1", 1, parent=1), framework(1, 3, 2, parent=2),
         agent, framework(1, 5, 5, parent=4))  # fmt: skip
    assert billed(rows) == [1, 3, 5]
    assert copies(rows) == {}


def test_a_sum_is_never_added_to_what_it_is_of(store: Store, rows: Rows) -> None:
    """A span that says the usage of all requests within it is marked as their sum, however much else it says."""
    whole = framework(1, 1, asked=300, made=30, lasts_s=9, attributes={at.FINISH_REASONS: ["stop"], at.USER_ID: "u"})
    load(store, whole, sdk(1, 2, 1, parent=1), sdk(1, 3, 3, asked=200, made=20, parent=1))
    assert billed(rows) == [2, 3]
    assert copies(rows) == {1: (3, "sum")}
    assert rows("select sum(input_tokens)::bigint as tokens from llm_requests") == [{"tokens": 300}]


def test_a_sum_that_names_a_response_is_not_added_either(store: Store, rows: Rows) -> None:
    """It has the id of its last request, which says none itself; one that is no sum is a request beside those in it."""
    parts = [framework(1, 2, 1, parent=1), framework(1, 3, 3, asked=200, made=20, parent=1)]
    load(store, sdk(1, 1, asked=300, made=30, lasts_s=9, scope="a.gateway"), *parts)
    assert billed(rows) == [2, 3]
    assert copies(rows) == {1: (3, "sum")}
    load(store, sdk(2, 11, asked=301, made=30, lasts_s=9, scope="a.gateway"),
         framework(2, 12, 1, parent=11), framework(2, 13, 3, asked=200, made=20, parent=11))  # fmt: skip
    assert billed(rows) == [2, 3, 11, 12, 13]


@pytest.mark.parametrize("is_late", [True, False])
def test_a_run_that_two_emitters_tell_of_is_one_call(store: Store, rows: Rows, is_late: bool) -> None:
    """Side by side, in one trace or two, together or one after the other: by the call's id, and by when it ran."""
    asked = sdk(1, 1, attributes={at.CONVERSATION_ID: "s", at.OUTPUT_SEGMENTS: json.dumps([["c", 9, "search", "c1"]])})
    said = {at.CONVERSATION_ID: "s"}
    one = tool(1, 2, "search", "c1", 2, lasts_s=2, scope=OTHER, attributes=said)
    other = tool(2, 3, "search", "c1", 2.1, lasts_s=1.8, scope="a.server", status="ok",
                 attributes={**said, at.TOOL_SERVER: "library"})  # fmt: skip
    again = tool(1, 4, "search", "c1", 7, scope=OTHER, attributes=said)
    for spans in [[asked, one, again], [other]] if is_late else [[asked, other, again, one]]:
        load(store, *spans)
    assert rows("select span_id, server, status, duration_ms from tool_calls order by started_at") == [
        {"span_id": one.span_id, "server": "library", "status": "ok", "duration_ms": 2000.0},
        {"span_id": again.span_id, "server": None, "status": "unset", "duration_ms": 1000.0},
    ]


@pytest.mark.parametrize("id_", ["chatcmpl-123", "cmpl-7", "resp_904512"])
def test_an_id_that_others_have_too_names_no_response(store: Store, rows: Rows, id_: str) -> None:
    """Ollama draws ids from a thousand numbers: requests that share one are two, and two spans of one are one."""
    said = {at.RESPONSE_ID: id_, at.PROVIDER: "ollama", at.RESPONSE_MODEL: "qwen3"}
    load(store, framework(1, 1, attributes=said, lasts_s=2), sdk(1, 2, 0.5, parent=1, attributes=said),
         sdk(2, 3, 60, asked=300, attributes=said), sdk(3, 4, 90, attributes=said))  # fmt: skip
    assert billed(rows) == [1, 3, 4]
    assert copies(rows) == {2: (1, "nested")}


def test_two_emitters_side_by_side_are_matched_in_time(store: Store, rows: Rows) -> None:
    """Two parallel calls with the same tokens, each told twice: two bills, each of one of each emitter."""
    load(store,
         framework(1, 1, 0.0, lasts_s=2.0), sdk(1, 2, 0.1, lasts_s=1.8),
         framework(1, 3, 0.05, lasts_s=3.0), sdk(1, 4, 0.15, lasts_s=2.8))  # fmt: skip
    assert billed(rows) == [2, 4]
    assert copies(rows) == {1: (2, "twin"), 3: (4, "twin")}


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(framework(1, 1, asked=101, lasts_s=2), id="other tokens"),
        pytest.param(framework(1, 1, made=11, lasts_s=2), id="another answer"),
        pytest.param(framework(1, 1, lasts_s=2, attributes={at.RESPONSE_MODEL: "gpt-4o"}), id="another model"),
        pytest.param(framework(1, 1, lasts_s=2, attributes={at.RESPONSE_ID: "msg_9"}), id="another response"),
        pytest.param(framework(1, 1, 0.5, lasts_s=2), id="not around it"),
        pytest.param(framework(1, 1, lasts_s=2, scope=SDK), id="the same emitter"),
        pytest.param(framework(2, 1, lasts_s=2, service="another"), id="another service"),
    ],
)
def test_what_differs_is_two_requests(store: Store, rows: Rows, other: Made) -> None:
    """No match without the same time, model, tokens and service, from two emitters."""
    load(store, other, sdk(1, 2, 0.1))
    assert billed(rows) == [1, 2]
    assert copies(rows) == {}


def test_a_call_told_in_two_traces_is_one(store: Store, rows: Rows) -> None:
    """Where the context was lost, the SDK's span is a trace of its own; the one in its conversation stands."""
    conversation = Made(1, 9, "agent", {at.OPERATION: "invoke_agent", at.AGENT_NAME: "planner"}, scope=OTHER)
    load(store, conversation, framework(1, 1, parent=9, lasts_s=2))
    load(store, sdk(2, 2, 0.1, attributes={at.TIME_TO_FIRST_CHUNK: 0.25}))
    (row,) = rows("select request_id, response_id, model, agent, time_to_first_token_ms from llm_requests")
    assert tuple(row.values()) == (f"{1:016x}", "msg_2", "claude-haiku-4-5-20251001", "planner", 250)
    assert copies(rows) == {2: (1, "twin")}


@pytest.mark.parametrize(
    ("names", "requests"),
    [
        (("monday", "tuesday"), 2),
        (("monday", "monday"), 1),
        (("monday", None), 1),
        (("monday", f"{7:032x}"), 1),
    ],
    ids=["two", "one", "one that is not said", "one that is made of a trace's id"],
)
def test_calls_of_two_named_conversations_are_two(
    store: Store, rows: Rows, names: tuple[str, str | None], requests: int
) -> None:
    """Two users who ask the same at once, each told by another emitter in a trace of its own."""
    one, other = ({at.CONVERSATION_ID: name} if name else {} for name in names)
    load(store, framework(1, 1, lasts_s=2, attributes=one))
    load(store, sdk(2, 2, 0.1, attributes=other))
    assert len(billed(rows)) == requests


def test_a_span_with_something_above_it_is_no_lost_one(store: Store, rows: Rows) -> None:
    """Two workers of one service that ask the same at once, each in its own trace, are two."""
    load(store, Made(2, 9, "worker", {}), sdk(2, 2, 0.1, parent=9), framework(1, 1, lasts_s=2))
    assert billed(rows) == [1, 2]


def test_the_one_that_stands_takes_what_it_lacks(store: Store, rows: Rows) -> None:
    """Definitions and the answer from the framework, the split of cache writes and the tier from the SDK."""
    parts = [{"role": "user", "parts": [{"type": "text", "content": "hello"}]}]
    answer = [{"role": "assistant", "parts": [{"type": "text", "content": "hi"}]}]
    definitions = [{"name": "search", "description": "Find.", "parameters": {"type": "object"}}]
    told = framework(1, 1, asked=400, lasts_s=2, attributes={
        at.CACHE_WRITE_TOKENS: 300, at.INPUT_MESSAGES: json.dumps(parts), at.OUTPUT_MESSAGES: json.dumps(answer),
        "gen_ai.tool.definitions": json.dumps(definitions)})  # fmt: skip
    own = sdk(1, 2, 0.1, asked=400, attributes={
        at.CACHE_WRITE_TOKENS: 300, at.ANTHROPIC_CACHE_WRITE_5M: 100, at.ANTHROPIC_CACHE_WRITE_1H: 200,
        at.ANTHROPIC_SERVICE_TIER: "standard", at.INPUT_MESSAGES: json.dumps(parts)})  # fmt: skip
    load(store, told, own)
    (row,) = rows("select request_id, cache_write_5m_tokens, cache_write_1h_tokens, service_tier, tools_offered, "
                  "segments, delta is not null as has_prompt, output from llm_requests "
                  "inner join context_evidence using (request_id)")  # fmt: skip
    assert tuple(row.values()) == (f"{2:016x}", 100, 200, "standard", 1, 2, True, '[["a",2]]')


def test_refused_calls_are_told_once(store: Store, rows: Rows) -> None:
    """An error has no id and no tokens: the two spans of it are matched by time and model."""
    failed = {at.INPUT_TOKENS: None, at.OUTPUT_TOKENS: None, at.RESPONSE_ID: None, at.CACHE_READ_TOKENS: None,
              at.CACHE_WRITE_TOKENS: None}  # fmt: skip
    one = framework(1, 1, lasts_s=2, status="error", attributes={**failed, at.ERROR_TYPE: "anthropic.RateLimitError"})
    own = framework(1, 2, 0.1, status="error", scope=SDK,
                    attributes={**failed, at.ERROR_TYPE: "rate_limit_error", at.HTTP_STATUS: 429})  # fmt: skip
    load(store, one, own)
    (row,) = rows("select error_type, input_tokens, output_tokens, cost_usd, is_usage_known from llm_requests")
    assert tuple(row.values()) == ("rate_limit_error", 0, 0, 0, True)
    assert len(copies(rows)) == 1


def test_a_resent_and_a_resumed_response_is_billed_once(store: Store, rows: Rows) -> None:
    """The same span again changes nothing; the same response in another session is a copy."""
    first, resumed = chat(1, 1, 0, 7), chat(2, 2, 500, 7, attributes={at.CONVERSATION_ID: "resumed"})
    for _ in range(2):
        load(store, first, resumed)
    assert billed(rows) == [1]
    assert copies(rows) == {2: (1, "response_id")}


SPANS: Final = [
    Made(1, 9, "agent", {at.OPERATION: "invoke_agent"}, lasts_s=60, scope=OTHER),
    framework(1, 1, 0, parent=9, lasts_s=2),
    sdk(2, 2, 0.1),
    framework(1, 3, 5, asked=200, parent=9, lasts_s=2),
    sdk(1, 4, 5.1, asked=200, parent=3),
    framework(1, 5, 10, asked=300, parent=9, lasts_s=2, scope="a.gateway"),
    framework(1, 6, 10.2, asked=300, parent=5, lasts_s=1.5),
    sdk(3, 7, 10.3, asked=300),
    chat(4, 8, 20, 77),
    chat(5, 10, 25, 77),
]


NUMBERS: Final = itertools.count()


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(SPANS), cuts=st.sets(st.integers(1, len(SPANS) - 1), max_size=4))
def test_the_bill_is_the_same_in_any_order_and_any_batches(fresh: Fresh, order: list[Made], cuts: set[int]) -> None:
    """The same rows, whichever spans come first and with whichever others."""
    found = []
    for spans, edges in ((SPANS, []), (order, sorted(cuts))):
        with fresh(f"store{next(NUMBERS)}") as store:
            for begin, end in itertools.pairwise([0, *edges, len(spans)]):
                load(store, *spans[begin:end])
            cursor = store.cursor()
            tables = ("llm_requests", "context_ledger", "request_copies")
            found.append([cursor.execute(f"select * from {table} order by all").fetchall() for table in tables])
    assert found[0] == found[1]
    assert [row[0] for row in found[0][0]] == [f"{number:016x}" for number in (1, 4, 5, 8)]
