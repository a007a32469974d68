"""What each emitter's spans say, in the forms that the recordings do not have: older conventions, other providers.

The spans are made by hand, from the published conventions and what the emitters' sources do.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest

from otlp_requests import Made, protobuf
from toolspend import attributes as at
from toolspend.evidence.segments import describe, pieces
from toolspend_ingest import Store
from toolspend_ingest.decode import decode
from toolspend_ingest.spans import SpanBatch
from toolspend_ingest.vocabularies import messages
from toolspend_ingest.vocabularies.emitters import Input, counting

Rows = Callable[[str], list[dict[str, Any]]]
PNG: Final = "iVBORw0KGgoAAAANSUhEUgAAAfQAAAEs" + "A" * 200
QUESTION: Final = "What is the weather in San Francisco, and what is in the picture? Be brief about it."
RESULT: Final = "It's sunny, 21 degrees, and the wind is from the west at 12 km/h."
TOOL: Final = {
    "name": "get_weather",
    "description": "Get the weather for a location.",
    "input_schema": {"type": "object", "properties": {"location": {"type": "string"}}},
}
CONVERSATION: Final[list[dict[str, Any]]] = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": QUESTION},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        ],
    },
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "The user wants the weather, so the tool has to be called."},
            {"type": "tool_use", "id": "c1", "name": "get_weather", "input": {"location": "San Francisco, CA"}},
            {"type": "tool_use", "id": "c2", "name": "get_time", "input": {}},
        ],
    },
    {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "c1", "content": RESULT},
            {"type": "tool_result", "tool_use_id": "c2", "content": "noon"},
        ],
    },
]
"""A conversation as the Messages API has it."""


def load(store: Store, *spans: Made, version: str | None = None, events: Mapping[int, Any] | None = None) -> None:
    rows = decode(protobuf(spans), "protobuf").spans
    with_events = events or {}
    store.append(
        SpanBatch(
            row._replace(
                scope_version=version,
                events=json.dumps(with_events.get(int(row.span_id, 16), [])),
            )
            for row in rows
        ),
        "test",
        "test",
        None,
    )


def usage_of(rows: Rows) -> tuple[Any, ...]:
    (row,) = rows("select input_tokens, uncached_tokens, cache_read_tokens, cache_write_5m_tokens,"
                  " cache_write_1h_tokens, output_tokens, thinking_tokens from llm_requests")  # fmt: skip
    return tuple(row.values())


def evidence_of(rows: Rows) -> tuple[Any, Any]:
    (row,) = rows("select delta, output from context_evidence")
    return json.loads(row["delta"] or "null"), json.loads(row["output"] or "null")


# --- Messages, in every form that emitters write them in ------------------------------------------------------------

CALLS: Final = [("c1", "get_weather", {"location": "San Francisco, CA"}), ("c2", "get_time", {})]
THOUGHT: Final = CONVERSATION[1]["content"][0]["thinking"]
FORMS: Final[dict[str, list[Any]]] = {
    "the Messages API": CONVERSATION,
    "parts of the conventions": [
        {"role": "user", "parts": [
            {"type": "text", "content": QUESTION},
            {"type": "blob", "modality": "image", "mime_type": "image/png", "content": PNG}]},
        {"role": "assistant", "parts": [
            {"type": "reasoning", "content": THOUGHT},
            *({"type": "tool_call", "id": id_, "name": name, "arguments": given} for id_, name, given in CALLS)]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": RESULT}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c2", "response": "noon"}]},
    ],
    "chat completions": [
        {"role": "user", "content": [
            {"type": "text", "text": QUESTION},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}]},
        {"role": "assistant", "content": None, "reasoning_content": THOUGHT, "tool_calls": [
            {"id": id_, "type": "function", "function": {"name": name, "arguments": json.dumps(given)}}
            for id_, name, given in CALLS]},
        {"role": "tool", "tool_call_id": "c1", "content": RESULT},
        {"role": "tool", "tool_call_id": "c2", "content": "noon"},
    ],
    "responses": [
        {"type": "message", "role": "user", "content": [
            {"type": "input_text", "text": QUESTION},
            {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": THOUGHT}]},
        *({"type": "function_call", "call_id": id_, "name": name, "arguments": json.dumps(given)}
          for id_, name, given in CALLS),
        {"type": "function_call_output", "call_id": "c1", "output": RESULT},
        {"type": "function_call_output", "call_id": "c2", "output": "noon"},
    ],
    "LangChain": [
        {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "HumanMessage"], "kwargs": {
            "type": "human", "content": [
                {"type": "text", "text": QUESTION},
                {"type": "image", "mime_type": "image/png", "data": PNG}]}},
        {"type": "ai", "data": {
            "content": [{"type": "thinking", "thinking": THOUGHT}],
            "tool_calls": [{"id": id_, "name": name, "args": given} for id_, name, given in CALLS]}},
        {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "ToolMessage"], "kwargs": {
            "type": "tool", "tool_call_id": "c1", "content": RESULT, "status": "success"}},
        {"type": "tool", "tool_call_id": "c2", "content": "noon"},
    ],
    "the AI SDK": [
        {"role": "user", "content": [
            {"type": "text", "text": QUESTION},
            {"type": "file", "mediaType": "image/png", "data": PNG}]},
        {"role": "assistant", "content": [
            {"type": "reasoning", "text": THOUGHT},
            *({"type": "tool-call", "toolCallId": id_, "toolName": name, "input": given}
              for id_, name, given in CALLS)]},
        {"role": "tool", "content": [
            {"type": "tool-result", "toolCallId": "c1", "toolName": "get_weather",
             "output": {"type": "text", "value": RESULT}},
            {"type": "tool-result", "toolCallId": "c2", "toolName": "get_time",
             "output": {"type": "text", "value": "noon"}}]},
    ],
}  # fmt: skip


def segments(conversation: list[dict[str, Any]]) -> list[Any]:
    """A conversation as our own agent describes it; which message a piece is in is not part of it."""
    calls: dict[str, str] = {}
    return [json.loads(describe(role, block, calls)[0]) for one in conversation for role, block in pieces(one)]


@pytest.mark.parametrize("form", FORMS)
def test_a_conversation_is_the_same_evidence_in_every_form(form: str) -> None:
    """Text, an image by its area, thinking, parallel calls and their results: as the agent itself measures them."""
    read = messages.read(json.dumps(FORMS[form]))
    assert read is not None
    assert segments(read) == segments(CONVERSATION)
    assert [segment[0] for segment in segments(CONVERSATION)] == ["u", "u", "t", "c", "c", "r", "r"]


def test_what_is_in_no_form_is_one_unknown_piece() -> None:
    """A block of a kind that nobody knows is measured, not dropped; what is no list of messages is none."""
    (segment,) = segments(messages.read([{"role": "user", "content": [{"type": "hologram", "depth": 3}]}]) or [])
    assert segment[:2] == ["o", len('{"depth":3,"type":"hologram"}')]
    for nonsense in (None, "no JSON", "{}", 7, "[[[", [3, None, "x"]):
        assert not messages.read(nonsense)


# --- The conventions, old and new -----------------------------------------------------------------------------------


def test_the_first_conventions_had_other_names(store: Store, rows: Rows) -> None:
    """`gen_ai.system`, `prompt_tokens`, `completion_tokens` and content in two events, without an operation."""
    said = {
        "gen_ai.system": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.response.id": "chatcmpl-AbC1",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.prompt_tokens": 90,
        "gen_ai.usage.completion_tokens": 12,
    }
    asked = [{"role": "user", "content": "Hello there"}]
    events = [
        {"name": "gen_ai.content.prompt", "attributes": {"gen_ai.prompt": json.dumps(asked)}},
        {"name": "gen_ai.content.completion",
         "attributes": {"gen_ai.completion": json.dumps([{"role": "assistant", "content": "Hi"}])}},
    ]  # fmt: skip
    load(store, Made(1, 1, "chat gpt-4o", said, scope="an.sdk", kind="client"), events={1: events})
    assert usage_of(rows) == (90, 90, 0, 0, 0, 12, None)
    (row,) = rows("select provider, model, response_id, stop_reason, scope from llm_requests")
    assert tuple(row.values()) == ("openai", "gpt-4o-2024-08-06", "chatcmpl-AbC1", "stop", "an.sdk")
    assert evidence_of(rows) == ([["o", 0, None, None, None, None, 80], ["u", 11]], [["a", 2]])


def test_messages_were_events_of_the_span(store: Store, rows: Rows) -> None:
    """Up to 1.36: one event a message, bodies as attributes or JSON text, the answer in `gen_ai.choice`."""
    call = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"location":"Rome"}'}}
    events = [
        {"name": "gen_ai.system.message", "attributes": {"content": "Be brief."}},
        {"name": "gen_ai.user.message", "attributes": {"content": "Weather?"}},
        {"name": "gen_ai.assistant.message", "attributes": {"tool_calls": json.dumps([call])}},
        {"name": "gen_ai.tool.message", "attributes": {"id": "c1", "content": "sunny"}},
        {"name": "gen_ai.choice", "attributes": {
            "finish_reason": "stop", "message": json.dumps({"role": "assistant", "content": "Sunny."})}},
        {"name": "exception", "attributes": {"exception.type": "x"}},
    ]  # fmt: skip
    said = {at.OPERATION: "chat", "gen_ai.system": "openai", at.INPUT_TOKENS: 30, at.OUTPUT_TOKENS: 4}
    load(store, Made(1, 1, "chat", said, scope="an.sdk"), events={1: events})
    prompt, output = evidence_of(rows)
    assert [segment[:4] for segment in prompt] == [
        ["s", 9], ["u", 8], ["c", 30, "get_weather", "c1"], ["r", 5, "get_weather", "c1"]
    ]  # fmt: skip
    assert output == [["a", 6]]
    (kept,) = rows("select events::varchar as events from spans")
    assert "sunny" not in kept["events"].lower(), "content goes"
    assert '"exception.type":"x"' in kept["events"]


def test_messages_may_be_in_one_event(store: Store, rows: Rows) -> None:
    """Since 1.37 one event may hold all of them, and the instructions and definitions, in place of the span."""
    event = {
        "name": "gen_ai.client.inference.operation.details",
        "attributes": {
            at.INPUT_MESSAGES: json.dumps(FORMS["parts of the conventions"]),
            at.OUTPUT_MESSAGES: json.dumps(
                [{"role": "assistant", "parts": [{"type": "text", "content": "Sunny."}], "finish_reason": "stop"}]
            ),
            at.SYSTEM_INSTRUCTIONS: json.dumps([{"type": "text", "content": "Be brief."}]),
            "gen_ai.tool.definitions": json.dumps([{**TOOL, "type": "function"}]),
        },
    }
    load(store, Made(1, 1, "chat", {at.OPERATION: "chat", at.PROVIDER: "openai"}, scope="an.sdk"), events={1: [event]})
    prompt, output = evidence_of(rows)
    assert [segment[0] for segment in prompt[:2]] == ["d", "s"]
    assert prompt[2:] == segments(CONVERSATION)
    assert output == [["a", 6]]
    (row,) = rows("select stop_reason, tools_offered, events::varchar as events from llm_requests "
                  "inner join spans on span_id = request_id")  # fmt: skip
    assert (row["stop_reason"], row["tools_offered"]) == ("stop", 1)
    assert QUESTION not in row["events"]


@pytest.mark.parametrize("operation", ["text_completion", "generate_content", "chat"])
def test_every_operation_of_a_model_is_a_request(store: Store, rows: Rows, operation: str) -> None:
    """And an agent's, a chain's or a workflow's is none, whatever it says of usage."""
    said = {at.PROVIDER: "openai", at.INPUT_TOKENS: 10, at.OUTPUT_TOKENS: 2}
    others = [
        Made(1, number, name, {**said, at.OPERATION: name}, scope="an.sdk")
        for number, name in enumerate(("invoke_agent", "create_agent", "invoke_workflow", "chain"), 2)
    ]
    load(store, Made(1, 1, operation, {**said, at.OPERATION: operation}, scope="an.sdk"), *others)
    assert usage_of(rows) == (10, 10, 0, 0, 0, 2, None)


# --- What input tokens count ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "version", "provider", "expected"),
    [
        ("toolspend", "1", "anthropic", Input.INCLUDES),
        ("com.anthropic.sdk.python", "2.12.0", "anthropic", Input.INCLUDES),
        ("com.anthropic.sdk.python.bedrock", "2.14.0", "aws.bedrock", Input.INCLUDES),
        ("com.anthropic.sdk.python.vertex", "2.14.0", "gcp.vertex_ai", Input.INCLUDES),
        ("com.anthropic.sdk.typescript", "0.95.0", "anthropic", Input.INCLUDES),
        ("com.anthropic.claude-platform", None, "anthropic", Input.INCLUDES),
        ("opentelemetry.instrumentation.genai.anthropic", "1.3b0", "anthropic", Input.INCLUDES),
        ("opentelemetry.instrumentation.anthropic", "0.38.0", "anthropic", Input.INCLUDES),
        ("opentelemetry.instrumentation.langchain", "0.62.4", "anthropic", Input.INCLUDES),
        ("opentelemetry.instrumentation.langchain", "0.62.4", "aws.bedrock", Input.UNKNOWN),
        ("openinference.instrumentation.anthropic", "0.1.14", "anthropic", Input.UNKNOWN),
        ("openinference.instrumentation.anthropic", "3.1.0", "anthropic", Input.INCLUDES),
        ("openinference.instrumentation.langchain", "0.1.50", "anthropic", Input.UNKNOWN),
        ("openinference.instrumentation.langchain", "0.1.80", "anthropic", Input.INCLUDES),
        ("pydantic-ai", "0.2.15", "anthropic", Input.INCLUDES),
        ("ai", "5.0.76", "anthropic", Input.EXCLUDES),
        ("ai", "5.0.76", "openai", Input.INCLUDES),
        ("ai", "6.0.68", "anthropic", Input.INCLUDES),
        ("ai.koog", "1", "anthropic", Input.UNKNOWN),
        ("nobody", None, "anthropic", Input.UNKNOWN),
        ("nobody", None, "openai", Input.INCLUDES),
        (None, None, None, Input.UNKNOWN),
    ],
)
def test_what_is_counted_depends_on_emitter_version_and_provider(
    scope: str | None, version: str | None, provider: str | None, expected: Input
) -> None:
    """The same name means different things: who says it, in which version, of whose models."""
    assert counting(scope, version, provider).input is expected


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ({"cached_tokens": 1000, "cache_creation_tokens": 100}, (10, 1000, 100, 0)),
        ({"cached_tokens": 1000, "cache_creation_tokens": 100,
          "cache_creation_token_details": {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 70}},
         (10, 1000, 30, 70)),
        ({"cached_tokens": 1000, "cache_write_tokens": 100}, (10, 1000, 100, 0)),
        ({"cached_tokens": 1000}, (110, 1000, 0, 0)),
    ],
    ids=["LiteLLM", "LiteLLM with the split", "OpenRouter", "OpenAI"],
)  # fmt: skip
def test_what_a_gateway_wrote_into_a_cache_is_no_plain_input(
    store: Store, rows: Rows, details: dict[str, Any], expected: tuple[int, ...]
) -> None:
    """A client of OpenAI's that talks to another provider's model: the prompt's details have the writes too."""
    said = {"prompt_tokens": 1110, "completion_tokens": 5, "prompt_tokens_details": details}
    answer = {"id": "chatcmpl-AbC", "model": "claude-sonnet-4-5", "usage": said, "choices": []}
    span = {"openinference.span.kind": "LLM", "llm.system": "openai", "output.value": json.dumps(answer)}
    load(store, Made(1, 1, "ChatCompletion", span, scope="openinference.instrumentation.openai"), version="0.1.60")
    assert usage_of(rows) == (1110, *expected, 5, None)


def test_what_is_not_said_of_the_cache_by_who_is_not_known_is_not_none(store: Store, rows: Rows) -> None:
    """A figure of reads says nothing of writes: these stay unknown, as the rest of the prompt does."""
    said = {at.OPERATION: "chat", at.PROVIDER: "anthropic", at.REQUEST_MODEL: "claude-sonnet-4-5", at.OUTPUT_TOKENS: 7,
            at.INPUT_TOKENS: 1_000}  # fmt: skip
    load(
        store,
        Made(1, 1, "chat", {**said, at.CACHE_READ_TOKENS: 800}, scope="an.sdk"),
        Made(1, 2, "chat", {**said, at.CACHE_WRITE_TOKENS: 100}, scope="an.sdk", at_s=2),
    )
    found = rows("select input_tokens, cache_read_tokens, cache_write_5m_tokens as five, cache_write_1h_tokens as hour,"
                 " is_usage_known from llm_requests order by started_at")  # fmt: skip
    assert [tuple(row.values()) for row in found] == [(None, 800, None, None, False), (None, None, 100, 0, False)]


@pytest.mark.parametrize("provider", ["gcp.vertex_ai", "google", "azure.ai.inference"])
def test_a_cloud_that_runs_anothers_model_counts_as_that_does(store: Store, rows: Rows, provider: str) -> None:
    """Of its own models the cloud's figure is of the whole prompt; of Claude it may be without the cache: unknown."""
    said = {at.OPERATION: "chat", at.PROVIDER: provider, at.INPUT_TOKENS: 100, at.CACHE_READ_TOKENS: 40,
            at.OUTPUT_TOKENS: 5}  # fmt: skip
    load(
        store,
        Made(1, 1, "chat", {**said, at.REQUEST_MODEL: "claude-sonnet-4-5@20250929"}, scope="an.sdk"),
        Made(1, 2, "chat", {**said, at.REQUEST_MODEL: "gemini-2.5-pro"}, scope="an.sdk", at_s=2),
    )
    found = rows("select uncached_tokens, cache_read_tokens, is_usage_known from llm_requests order by started_at")
    assert [tuple(row.values()) for row in found] == [(None, 40, False), (60, 40, True)]


@pytest.mark.parametrize("operation", ["chat.completions", "chat.streaming_completions", "text.completions"])
def test_semantic_kernel_has_names_of_its_own_for_requests(store: Store, rows: Rows, operation: str) -> None:
    """Before it said `chat`."""
    said = {at.OPERATION: operation, "gen_ai.system": "openai", at.REQUEST_MODEL: "gpt-4o", at.INPUT_TOKENS: 100,
            at.OUTPUT_TOKENS: 5, at.CACHE_READ_TOKENS: 0}  # fmt: skip
    load(store, Made(1, 1, operation, said, scope="semantic_kernel.utils.telemetry"))
    assert usage_of(rows) == (100, 100, 0, 0, 0, 5, None)


def test_an_emitter_that_is_silent_about_the_cache_leaves_its_share_unknown(store: Store, rows: Rows) -> None:
    """The whole prompt is known and its rates are not; a prompt that no cache would take is not in one."""
    said = {at.OPERATION: "chat", at.PROVIDER: "openai", at.REQUEST_MODEL: "gpt-4o", at.OUTPUT_TOKENS: 7}
    load(
        store,
        Made(1, 1, "chat", {**said, at.INPUT_TOKENS: 5_000}, scope="an.sdk"),
        Made(1, 2, "chat", {**said, at.INPUT_TOKENS: 500}, scope="an.sdk", at_s=2),
        Made(1, 3, "chat", {**said, at.INPUT_TOKENS: 5_000, at.CACHE_READ_TOKENS: 0}, scope="an.sdk", at_s=4),
    )
    found = rows("select input_tokens, uncached_tokens, is_usage_known from llm_requests order by started_at")
    assert [tuple(row.values()) for row in found] == [(5_000, None, False), (500, 500, True), (5_000, 5_000, True)]


# --- OpenLLMetry ----------------------------------------------------------------------------------------------------


def test_openllmetry_says_what_kind_of_request_it_is(store: Store, rows: Rows) -> None:
    """An embedding has no output, which is known; what ranks documents is no request to a model that is billed so."""
    said = {"gen_ai.system": "OpenAI", "gen_ai.request.model": "text-embedding-3-small"}
    embedding = {**said, "llm.request.type": "embedding", "gen_ai.usage.prompt_tokens": 100}
    rerank = {**said, "llm.request.type": "rerank", "gen_ai.request.model": "rerank-v3"}
    older = {
        **said,
        "llm.request.type": "unknown",
        "gen_ai.usage.prompt_tokens": 7,
        "gen_ai.usage.completion_tokens": 1,
    }
    scope = "opentelemetry.instrumentation.openai.v1"
    load(
        store,
        Made(1, 1, "openai.embeddings", embedding, scope=scope, kind="client"),
        Made(1, 2, "cohere.rerank", rerank, scope=scope, kind="client", at_s=2),
        Made(1, 3, "openai.chat", {**older, "gen_ai.request.model": "gpt-4o"}, scope=scope, kind="client", at_s=4),
    )
    assert rows(
        "select input_tokens, output_tokens, is_usage_known, is_priced from llm_requests order by started_at"
    ) == [
        {"input_tokens": 100, "output_tokens": 0, "is_usage_known": True, "is_priced": True},
        {"input_tokens": 7, "output_tokens": 1, "is_usage_known": True, "is_priced": True},
    ]


def test_openllmetry_spelled_lists_out_by_index(store: Store, rows: Rows) -> None:
    """0.38: prompts, completions and functions by number, blocks as JSON text, usage under older names."""
    blocks = [{"type": "tool_result", "tool_use_id": "c1", "content": RESULT}]
    said = {
        "llm.request.type": "chat",
        "gen_ai.system": "Anthropic",
        "gen_ai.request.model": "claude-3-5-sonnet-20241022",
        "gen_ai.response.id": "msg_1",
        "gen_ai.prompt.0.role": "system",
        "gen_ai.prompt.0.content": "Be brief.",
        "gen_ai.prompt.1.role": "user",
        "gen_ai.prompt.1.content": QUESTION,
        "gen_ai.prompt.2.role": "assistant",
        "gen_ai.prompt.2.tool_calls.0.id": "c1",
        "gen_ai.prompt.2.tool_calls.0.name": "get_weather",
        "gen_ai.prompt.2.tool_calls.0.arguments": '{"location": "San Francisco, CA"}',
        "gen_ai.prompt.10.role": "user",
        "gen_ai.prompt.10.content": json.dumps(blocks),
        "gen_ai.completion.0.role": "assistant",
        "gen_ai.completion.0.content": "Sunny.",
        "gen_ai.completion.0.finish_reason": "end_turn",
        "llm.request.functions.0.name": "get_weather",
        "llm.request.functions.0.description": TOOL["description"],
        "llm.request.functions.0.input_schema": json.dumps(TOOL["input_schema"]),
        "gen_ai.usage.prompt_tokens": 1_010,
        "gen_ai.usage.completion_tokens": 6,
        "gen_ai.usage.cache_read_input_tokens": 800,
        "gen_ai.usage.cache_creation_input_tokens": 200,
        "llm.usage.total_tokens": 1_016,
        "traceloop.association.properties.session_id": "s-1",
    }
    load(store, Made(1, 1, "anthropic.chat", said, scope="opentelemetry.instrumentation.anthropic"), version="0.38.0")
    assert usage_of(rows) == (1_010, 10, 800, 200, 0, 6, None)
    (row,) = rows("select provider, session_id, stop_reason, tools_offered from llm_requests")
    assert tuple(row.values()) == ("anthropic", "s-1", "end_turn", 1)
    prompt, output = evidence_of(rows)
    assert [segment[0] for segment in prompt] == ["d", "s", "u", "c", "r"]
    assert prompt[4][1:4] == [len(RESULT), "get_weather", "c1"]
    assert output == [["a", 6]]
    (definition,) = rows("select tool, description, input_schema from tool_definitions")
    assert definition["tool"] == "get_weather"
    assert json.loads(definition["input_schema"]) == TOOL["input_schema"]


def test_openllmetrys_tools_are_runs(store: Store, rows: Rows) -> None:
    """A span of kind `tool` is a run, named by its entity; one of kind `agent` names the agent; a task is none."""
    kind, entity = "traceloop.span.kind", "traceloop.entity.name"
    load(
        store,
        Made(1, 1, "planner.agent", {kind: "agent", entity: "planner"}, scope="opentelemetry.instrumentation.crewai"),
        Made(1, 2, "find.tool", {kind: "tool", entity: "find", "traceloop.entity.input": '{"q": 1}',
                                 "traceloop.entity.output": "four"}, 1, scope="traceloop.tracer"),
        Made(1, 3, "step.task", {kind: "task", entity: "step"}, 1, scope="traceloop.tracer"),
        Made(1, 4, "openai.chat", {"llm.request.type": "chat", "gen_ai.system": "OpenAI"}, 1,
             scope="opentelemetry.instrumentation.openai"),
    )  # fmt: skip
    (call,) = rows("select tool, argument_chars, result_chars from tool_calls")
    assert tuple(call.values()) == ("find", 8, 4)
    (request,) = rows("select agent, provider, is_usage_known from llm_requests")
    assert tuple(request.values()) == ("planner", "openai", False)


# --- OpenInference --------------------------------------------------------------------------------------------------


def openinference(**said: Any) -> Made:
    attributes = {"openinference.span.kind": "LLM", "llm.provider": "anthropic", **said}
    return Made(1, 1, "messages.create", attributes, scope="openinference.instrumentation.anthropic")


def test_openinferences_payloads_say_what_its_attributes_leave_out(store: Store, rows: Rows) -> None:
    """Cache marks, the split of cache writes, the tier, the id and an image come from the request and the response."""
    marked = {"type": "text", "text": "Long instructions.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    request = {"model": "claude-sonnet-4-5", "system": [marked], "tools": [TOOL], "messages": CONVERSATION}
    response = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929",
        "stop_reason": "end_turn", "content": [{"type": "text", "text": "Sunny."}],
        "usage": {
            "input_tokens": 5, "cache_read_input_tokens": 700, "cache_creation_input_tokens": 300,
            "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
            "output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4}, "service_tier": "priority",
            "server_tool_use": {"web_search_requests": 2},
        },
    }  # fmt: skip
    said = {
        "input.value": json.dumps(request),
        "output.value": json.dumps(response),
        "llm.model_name": "claude-sonnet-4-5-20250929",
        "llm.token_count.prompt": 1_005,
        "llm.token_count.completion": 9,
        "llm.token_count.prompt_details.cache_read": 700,
        "llm.token_count.prompt_details.cache_write": 300,
    }
    load(store, openinference(**said), version="3.1.0")
    assert usage_of(rows) == (1_005, 5, 700, 100, 200, 9, 4)
    (row,) = rows("select response_id, stop_reason, service_tier, web_searches, tools_offered from llm_requests")
    assert tuple(row.values()) == ("msg_1", "end_turn", "priority", 2, 1)
    prompt, output = evidence_of(rows)
    assert prompt[2:] == segments(CONVERSATION)
    assert [segment[0] for segment in prompt[:2]] == ["d", "s"]
    assert output == [["a", 6]]
    (marks,) = rows("select cache_marks from context_evidence")
    assert json.loads(marks["cache_marks"]) == [[1, "1h"]]


@pytest.mark.parametrize("version", ["0.1.14", "3.1.0"])
def test_openinference_without_payloads_is_read_by_its_version(store: Store, rows: Rows, version: str) -> None:
    """With inputs and outputs hidden there are only counts, which older versions made otherwise."""
    said = {"llm.model_name": "claude-sonnet-4-5", "llm.token_count.prompt": 1_005, "llm.token_count.completion": 9,
            "input.value": "__REDACTED__", "output.value": "__REDACTED__"}  # fmt: skip
    load(store, openinference(**said), version=version)
    expected = (1_005, 1_005, 0, 0, 0) if version == "3.1.0" else (None,) * 5
    assert usage_of(rows) == (*expected, 9, None)
    assert rows("from context_evidence") == []


def test_openinferences_kinds_are_told_apart(store: Store, rows: Rows) -> None:
    """A tool is a run, an embedding a request without an output; agents, chains and guardrails are neither."""
    kind = "openinference.span.kind"
    scope = "openinference.instrumentation.crewai"
    load(
        store,
        Made(1, 1, "crew", {kind: "AGENT", "agent.name": "crew", "llm.token_count.prompt": 99}, scope=scope),
        Made(1, 2, "search", {kind: "TOOL", "tool.name": "search", "tool.parameters": '{"q": "x"}',
                              "tool_call.id": "c1", "output.value": "found"}, 1, scope=scope, status="error"),
        Made(1, 3, "embed", {kind: "EMBEDDING", "embedding.model_name": "text-embedding-3-small",
                             "llm.provider": "openai", "llm.token_count.prompt": 8}, 1, scope=scope),
        Made(1, 4, "chain", {kind: "CHAIN", "input.value": "secret"}, 1, scope=scope),
    )  # fmt: skip
    (call,) = rows("select tool, tool_call_id, argument_chars, result_chars, status from tool_calls")
    assert tuple(call.values()) == ("search", "c1", 10, 5, "error")
    (request,) = rows("select agent, model, input_tokens, output_tokens, is_usage_known from llm_requests")
    assert tuple(request.values()) == ("crew", "text-embedding-3-small", 8, 0, True)
    assert not rows("from spans where attributes::varchar like '%secret%'")


# --- Logfire and pydantic-ai ----------------------------------------------------------------------------------------


def test_logfire_had_the_payloads_whole(store: Store, rows: Rows) -> None:
    """Before it followed the conventions: `request_data` and `response_data`, the provider's usage within."""
    said = {
        "logfire.msg_template": "Message with {request_data[model]!r}",
        "gen_ai.system": "anthropic",
        "gen_ai.request.model": "claude-sonnet-4-5",
        "request_data": json.dumps({"model": "claude-sonnet-4-5", "tools": [TOOL], "messages": CONVERSATION}),
        "response_data": json.dumps({
            "message": {"role": "assistant", "content": "Sunny."},
            "usage": {"input_tokens": 5, "cache_read_input_tokens": 90, "cache_creation_input_tokens": 0,
                      "output_tokens": 3, "service_tier": "standard"}}),
    }  # fmt: skip
    load(store, Made(1, 1, "Message with {request_data[model]!r}", said, scope="logfire.anthropic"), version="3.0.0")
    assert usage_of(rows) == (95, 5, 90, 0, 0, 3, None)
    prompt, output = evidence_of(rows)
    assert prompt[1:] == segments(CONVERSATION)
    assert output == [["a", 6]]


def test_a_stream_that_logfire_saw_no_end_of_is_unknown(store: Store, rows: Rows) -> None:
    """Of two calls at once one was read to its end: its record is that one's, and the other's usage is not known."""
    asked = {at.OPERATION: "chat", at.PROVIDER: "anthropic", at.REQUEST_MODEL: "claude-sonnet-4-5",
             "logfire.msg_template": "Message with {request_data[model]!r}"}  # fmt: skip
    one, other = ({at.INPUT_MESSAGES: json.dumps([{"role": "user", "parts": [{"type": "text", "content": text}]}])}
                  for text in ("first", "the second"))  # fmt: skip
    record = {
        **asked, **other, "logfire.span_type": "log", "duration": 3.0, at.INPUT_TOKENS: 9, at.OUTPUT_TOKENS: 2,
        "logfire.msg_template": "streaming response from {request_data[model]!r} took {duration:.2f}s",
        "gen_ai.usage.raw": '{"input_tokens":9,"output_tokens":2,"cache_read_input_tokens":0}',
    }  # fmt: skip
    load(
        store,
        Made(1, 1, "agent", {}, scope="mine"),
        Made(1, 2, "Message with", {**asked, **one}, 1, 0, 0.1, scope="logfire.anthropic"),
        Made(1, 3, "Message with", {**asked, **other}, 1, 0, 0.1, scope="logfire.anthropic"),
        Made(1, 4, "streaming response", record, 1, 5, 0, scope="logfire.anthropic"),
        version="5.2.0",
    )
    found = rows("select request_id, input_tokens, duration_ms from llm_requests order by request_id")
    assert [tuple(row.values()) for row in found] == [(f"{2:016x}", None, 100.0), (f"{4:016x}", 9, 5000.0)]
    (copy,) = rows("select span_id, request_id, reason from request_copies")
    assert tuple(copy.values()) == (f"{3:016x}", f"{4:016x}", "stream")


def test_pydantic_ai_had_its_messages_as_one_list_of_events(store: Store, rows: Rows) -> None:
    """Its first format: events in an attribute, tools in the request's parameters, runs without an operation, and an
    agent's span with the sum of its requests."""
    call = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": {"location": "Rome"}}}
    events = [
        {"event.name": "gen_ai.user.message", "role": "user", "content": "Weather?", "gen_ai.message.index": 0},
        {
            "event.name": "gen_ai.assistant.message",
            "role": "assistant",
            "tool_calls": [call],
            "gen_ai.message.index": 1,
        },
        {"event.name": "gen_ai.tool.message", "role": "tool", "id": "c1", "name": "get_weather", "content": "sunny"},
        {"event.name": "gen_ai.choice", "index": 0, "message": {"role": "assistant", "content": "Sunny."}},
    ]
    parameters = {
        "function_tools": [{"name": "get_weather", "description": "", "parameters_json_schema": TOOL["input_schema"]}]
    }
    said = {
        at.OPERATION: "chat", "gen_ai.system": "anthropic", at.REQUEST_MODEL: "claude-sonnet-4-5",
        "model_request_parameters": json.dumps(parameters), "events": json.dumps(events),
        at.INPUT_TOKENS: 1_005, at.OUTPUT_TOKENS: 6, "gen_ai.usage.details.cache_read_input_tokens": 900,
    }  # fmt: skip
    run = {at.TOOL_NAME: "get_weather", at.TOOL_CALL_ID: "c1", "tool_arguments": '{"location":"Rome"}',
           "tool_response": "sunny"}  # fmt: skip
    agent = {"agent_name": "weather", "model_name": "claude", at.INPUT_TOKENS: 9_999, at.OUTPUT_TOKENS: 99}
    load(
        store,
        Made(1, 1, "weather run", agent, scope="pydantic-ai"),
        Made(1, 2, "running tool", run, 1, scope="pydantic-ai"),
        Made(1, 3, "chat claude-sonnet-4-5", said, 1, 2, scope="pydantic-ai", kind="client"),
        Made(1, 4, "running 1 tool", {"tools": ["get_weather"]}, 1, scope="pydantic-ai"),
        version="0.2.15",
    )
    assert usage_of(rows) == (1_005, 105, 900, 0, 0, 6, None)
    (request,) = rows("select agent, tools_offered from llm_requests")
    assert tuple(request.values()) == ("weather", 1)
    (ran,) = rows("select tool, tool_call_id, argument_chars, result_chars from tool_calls")
    assert tuple(ran.values()) == ("get_weather", "c1", 19, 5)
    prompt, output = evidence_of(rows)
    assert [segment[0] for segment in prompt] == ["d", "u", "c", "r"]
    assert output == [["a", 6]]


# --- The AI SDK and LangSmith ---------------------------------------------------------------------------------------


def ai_sdk(**said: Any) -> dict[str, Any]:
    return {"ai.operationId": "ai.generateText.doGenerate", "ai.model.provider": "anthropic.messages",
            "ai.model.id": "claude-sonnet-4-5", **said}  # fmt: skip


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(
            {"ai.request.headers.user-agent": "ai/5.0.76", at.INPUT_TOKENS: 5, "ai.usage.cachedInputTokens": 128_955,
             "ai.response.providerMetadata": '{"anthropic":{"cacheCreationInputTokens":1253}}'},
            id="5 passes the provider's figure on",
        ),
        pytest.param(
            {at.INPUT_TOKENS: 130_213, "ai.usage.inputTokenDetails.cacheReadTokens": 128_955,
             "ai.usage.inputTokenDetails.cacheWriteTokens": 1253},
            id="6 counts the whole prompt",
        ),
        pytest.param(
            {"ai.request.headers.user-agent": "ai/6.0.68", "ai.usage.inputTokens": 130_213,
             "ai.response.providerMetadata": json.dumps({"anthropic": {"usage": {
                 "input_tokens": 5, "cache_read_input_tokens": 128_955, "cache_creation_input_tokens": 1253,
                 "output_tokens": 80}}})},
            id="the provider's own usage is beside it",
        ),
    ],
)  # fmt: skip
def test_the_ai_sdk_is_read_by_its_version(store: Store, rows: Rows, said: dict[str, Any]) -> None:
    """5 uncached, 128,955 read and 1,253 written from each; the outer span that adds its steps up is no request."""
    own = ai_sdk(**said, **{at.OUTPUT_TOKENS: 80})
    outer = {**own, "ai.operationId": "ai.generateText", "ai.telemetry.metadata.sessionId": "s-1"}
    load(store, Made(1, 1, "ai.generateText", outer, scope="ai"), Made(1, 2, "doGenerate", own, 1, scope="ai"))
    assert usage_of(rows) == (130_213, 5, 128_955, 1253, 0, 80, None)
    (row,) = rows("select session_id, provider from llm_requests")
    assert tuple(row.values()) == ("s-1", "anthropic")


def test_the_ai_sdks_tools_and_answers_are_read(store: Store, rows: Rows) -> None:
    """A run with its sizes, tied to the call in the answer before it."""
    asked = ai_sdk(**{
        "ai.prompt.messages": json.dumps(FORMS["the AI SDK"]),
        "ai.prompt.tools": [json.dumps({"type": "function", "name": "get_weather", "description": TOOL["description"],
                                        "inputSchema": TOOL["input_schema"]})],
        "ai.response.toolCalls": json.dumps(
            [{"toolCallId": "c9", "toolName": "get_weather", "input": {"location": "Rome"}}]),
        "ai.response.text": "Let me see.",
        "ai.usage.outputTokenDetails.reasoningTokens": 3,
    })  # fmt: skip
    run = {"ai.operationId": "ai.toolCall", "ai.toolCall.name": "get_weather", "ai.toolCall.id": "c9",
           "ai.toolCall.args": '{"location":"Rome"}', "ai.toolCall.result": '"sunny"'}  # fmt: skip
    load(store, Made(1, 1, "doGenerate", asked, scope="ai"), Made(1, 2, "ai.toolCall", run, 0, 2, scope="ai"))
    prompt, output = evidence_of(rows)
    assert prompt[1:] == segments(CONVERSATION)
    assert [segment[0] for segment in output] == ["a", "c"]
    (call,) = rows("select tool, tool_call_id, argument_chars, result_chars, request_id from tool_calls")
    assert tuple(call.values()) == ("get_weather", "c9", 19, 5, f"{1:016x}")


@pytest.mark.parametrize("details", ["{'cache_read': 700, 'ephemeral_1h_input_tokens': 300}", None])
def test_langsmiths_usage_is_known_by_its_details(store: Store, rows: Rows, details: str | None) -> None:
    """Details, as Python shows them, say that the prompt is whole; without them it may be a figure passed on."""
    said = {
        "langsmith.span.kind": "llm",
        "gen_ai.system": "anthropic",
        "gen_ai.request.model": "claude-sonnet-4-5",
        "langsmith.metadata.thread_id": "t-1",
        at.INPUT_TOKENS: 1_005,
        at.OUTPUT_TOKENS: 9,
        "gen_ai.prompt": json.dumps({"messages": [FORMS["LangChain"]]}),
        "gen_ai.completion": json.dumps(
            {"generations": [[{"message": {"kwargs": {"content": "Sunny.", "response_metadata": {"id": "msg_1"}}}}]]}
        ),
    }
    if details is not None:
        said["gen_ai.usage.input_token_details"] = details
    run = {"langsmith.span.kind": "tool", "langsmith.trace.name": "get_weather", "gen_ai.system": "langchain",
           "gen_ai.completion": json.dumps({"output": {"kwargs": {"tool_call_id": "c1", "content": "sunny"}}}),
           }  # fmt: skip
    load(store, Made(1, 1, "ChatAnthropic", said, scope="langsmith"), Made(1, 2, "run", run, 1, scope="langsmith"))
    expected = (1_005, 5, 700, 0, 300) if details is not None else (None,) * 5
    assert usage_of(rows) == (*expected, 9, None)
    (row,) = rows("select session_id, response_id from llm_requests")
    assert tuple(row.values()) == ("t-1", "msg_1")
    prompt, output = evidence_of(rows)
    # What the bill has beyond the messages is nobody's: the definitions are not said.
    assert [each for each in prompt if each[0] != "o"] == segments(CONVERSATION)
    assert len(prompt) - len(segments(CONVERSATION)) == (details is not None)
    assert output == [["a", 6]]
    (call,) = rows("select tool, tool_call_id, result_chars from tool_calls where span_id is not null")
    assert tuple(call.values()) == ("get_weather", "c1", 5)


def test_a_collector_may_have_dropped_the_scope(store: Store, rows: Rows) -> None:
    """A dialect is known by its own names too; what a figure counts is then known of providers alone."""
    said = {"openinference.span.kind": "LLM", "llm.provider": "openai", "llm.token_count.prompt": 100,
            "llm.token_count.completion": 5}  # fmt: skip
    load(store, Made(1, 1, "llm", said, scope=""))
    assert usage_of(rows) == (100, 100, 0, 0, 0, 5, None)
