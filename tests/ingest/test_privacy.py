"""Content at the store's door: read, and not stored unless somebody asked for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from agent_trace import chat
from otlp_requests import Made, protobuf
from toolspend import attributes as at
from toolspend_ingest import Store, privacy, vocabularies
from toolspend_ingest.decode import decode

Fresh = Callable[[str], Store]
Rows = Callable[[str], list[dict[str, Any]]]
SECRET: Final = "the launch code is 0000"
DERIVED: Final = (
    "llm_requests",
    "tool_calls",
    "context_evidence",
    "context_ledger",
    "request_copies",
    "seen_definitions",
)
RECORDED: Final = ["genai/stream2", "logfire/stream2", "native-toolrunner/loop2", "openinf/stream2",
                   "openinference-langchain/stream2", "pydantic-ai/loop2", "traceloop/stream2",
                   "traceloop-langchain/loop2", "openinf/error404"]  # fmt: skip


def batch(*spans: Made) -> Any:
    return decode(protobuf(spans), "protobuf").spans


def rows_of(store: Store) -> list[Any]:
    cursor = store.cursor()
    return [cursor.execute(f"select * from {table} order by all").fetchall() for table in DERIVED]


SAYING: Final = {
    "the conventions": {at.OPERATION: "chat", at.INPUT_MESSAGES: json.dumps([{"role": "user", "content": SECRET}]),
                        at.SYSTEM_INSTRUCTIONS: SECRET},
    "the first conventions": {"gen_ai.system": "openai", "gen_ai.prompt": SECRET, "gen_ai.completion": SECRET},
    "a tool's run": {at.OPERATION: "execute_tool", at.TOOL_NAME: "t", at.TOOL_ARGUMENTS: SECRET,
                     at.TOOL_RESULT: SECRET},
    "by index": {"llm.request.type": "chat", "gen_ai.prompt.0.content": SECRET, "gen_ai.completion.0.content": SECRET},
    "OpenInference": {"openinference.span.kind": "LLM", "llm.input_messages.0.message.content": SECRET,
                      "input.value": SECRET, "output.value": SECRET},
    "a template": {"openinference.span.kind": "LLM", "llm.prompt_template.template": SECRET,
                   "llm.prompt_template.variables": SECRET, "llm.function_call": SECRET},
    "a template of Traceloop's": {"llm.request.type": "chat", "traceloop.prompt.template": SECRET,
                                  "traceloop.prompt.template_variables": SECRET},
    "a chain": {"openinference.span.kind": "CHAIN", "input.value": SECRET, "output.value": SECRET},
    "a task": {"traceloop.span.kind": "task", "traceloop.entity.input": SECRET, "gen_ai.task.output": SECRET},
    "the AI SDK": {"ai.operationId": "ai.generateText.doGenerate", "ai.prompt.messages": SECRET,
                   "ai.response.text": SECRET},
    "the AI SDK, around it": {"ai.operationId": "ai.generateText", "ai.prompt": SECRET, "ai.response.text": SECRET},
    "an agent of pydantic-ai": {at.OPERATION: "invoke_agent", "pydantic_ai.all_messages": SECRET,
                                "all_messages_events": SECRET, "final_result": SECRET},
    "LangSmith": {"langsmith.span.kind": "llm", "gen_ai.prompt": SECRET, "gen_ai.completion": SECRET},
}  # fmt: skip


@pytest.mark.parametrize("form", SAYING)
def test_content_is_not_stored(store: Store, rows: Rows, form: str) -> None:
    """Under whatever names it comes, and whether it can be read or not; what is beside it stays."""
    load = Made(1, 1, "span", {**SAYING[form], "http.route": "/v1"}, scope="somebody")
    store.append(batch(load), "test", "test", None)
    (row,) = rows("select attributes::varchar as attributes, events::varchar as events from spans")
    assert SECRET not in row["attributes"] + row["events"]
    assert json.loads(row["attributes"])["http.route"] == "/v1"


@pytest.mark.parametrize("name", RECORDED)
def test_what_is_derived_is_the_same_without_content(recordings: Path, fresh: Fresh, name: str,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    """Also when everything is computed again from what is stored; and with content kept, it is all there."""
    spans = decode((recordings / "emitter_matrix" / f"{name}.pb").read_bytes(), "protobuf").spans
    with fresh("without") as store:
        store.append(spans, "test", "test", None)
        without = rows_of(store)
        store.rederive()
        assert rows_of(store) == without
        words = "weather in San Francisco" if "error" not in name else "who are you"
        assert not store.cursor().execute(f"from spans where attributes::varchar like '%{words}%'").fetchall()
    monkeypatch.setenv(privacy.VARIABLE, "1")
    with fresh("kept") as store:
        store.append(spans, "test", "test", None)
        assert rows_of(store) == without
        stored = store.cursor().execute("select attributes::varchar, events::varchar from spans order by span_id")
        sent = sorted((row.span_id, row.attributes, row.events) for row in spans)
        assert stored.fetchall() == [row[1:] for row in sent]


@pytest.mark.parametrize(
    ("result", "shape"),
    [
        (SECRET, "text"),
        (f'{{"code": "{SECRET}"}}', "object"),
        (f'["{SECRET}"]', "array"),
        ("[]", "array"),
        (json.dumps([{"type": "text", "text": SECRET}]), "text"),
    ],
)
def test_the_shape_of_a_result_outlives_its_content(result: str, shape: str) -> None:
    """Whether it was a text, an object or an array: the audit asks whether a tool's results are alike."""
    said = {at.OPERATION: "execute_tool", at.TOOL_NAME: "t", at.TOOL_RESULT: result}
    [row] = privacy.without_content(batch(Made(1, 1, "execute_tool t", said, scope="other"))).rows
    assert SECRET not in row.attributes
    assert json.loads(row.attributes)[at.TOOL_RESULT_SHAPE] == shape


@pytest.mark.parametrize(("status", "words"), [("error", 10), ("ok", None)])
def test_how_much_a_failure_says_outlives_its_content(status: str, words: int | None) -> None:
    """The audit asks whether errors tell the model what to do."""
    said = {
        at.OPERATION: "execute_tool",
        at.TOOL_NAME: "t",
        at.TOOL_RESULT: f"nothing named {SECRET}, call `list` first",
    }
    [row] = privacy.without_content(batch(Made(1, 1, "execute_tool t", said, scope="other", status=status))).rows
    assert SECRET not in row.attributes
    assert json.loads(row.attributes).get(at.TOOL_ERROR_WORDS) == words


def test_content_that_an_agent_was_told_to_capture_is_kept(store: Store, rows: Rows) -> None:
    """Our own spans, and those that we enriched, have content only where `capture_content` asked for it."""
    said = {at.INPUT_MESSAGES: json.dumps([{"role": "user", "parts": [{"type": "text", "content": SECRET}]}])}
    own = chat(1, 1, 0, 1, attributes=said)
    enriched = chat(1, 2, 1, 2, scope=at.ANTHROPIC_SCOPE, attributes={**said, at.CONTEXT_DELTA: '[["u",23]]'})
    bare = chat(1, 3, 2, 3, scope=at.ANTHROPIC_SCOPE, attributes=said)
    store.append(batch(own, enriched, bare), "test", "test", None)
    found = rows(f"select span_id from spans where attributes::varchar like '%{SECRET}%' order by 1")
    assert [int(row["span_id"], 16) for row in found] == [1, 2]


def test_spans_that_say_nothing_of_models_are_left_alone() -> None:
    """The same object goes through: not parsed, not translated, not copied, whatever its attributes are called."""
    spans = batch(
        Made(1, 1, "GET /messages", {"http.route": "/messages", "input": SECRET, "output": SECRET}, scope="web"),
        Made(1, 2, "query", {"db.statement": "select completion from prompts"}, scope="db"),
        Made(1, 3, "execute_tools", {at.OPERATION: at.OPERATION_BATCH}),
    )
    for before, after in zip(spans, privacy.without_content(spans), strict=True):
        assert after is before


@pytest.mark.parametrize(
    "garbage", ["", "[", "{}", "[[]]", '[{"role":5,"content":{"a":[]}}]', "[null]", '"x"', "\ud800"]
)
@pytest.mark.parametrize("form", SAYING)
def test_garbage_for_content_costs_only_itself(form: str, garbage: str) -> None:
    """Whatever a content attribute holds, the span goes through, and without it."""
    said = {key: garbage if value is SECRET or SECRET in str(value) else value for key, value in SAYING[form].items()}
    (row,) = decode(json.dumps({"resourceSpans": [{"scopeSpans": [{"scope": {"name": "somebody"}, "spans": [{
        "traceId": "1" * 32, "spanId": "2" * 16, "name": "span", "startTimeUnixNano": "1",
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in said.items()]}]}]}]}
    ).encode(), "json").spans  # fmt: skip
    (after,) = privacy.without_content(type(batch())([row]))
    left = json.loads(after.attributes)
    assert not any(vocabularies.content.is_content(name) for name in left)
