"""Traces of others, file by file: what is in them, and what is said of a file that is no OTLP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from otlp_requests import Made, protobuf
from toolspend import attributes as at
from toolspend_ingest import Store, ingest
from toolspend_ingest.decode import decode

Fresh = Callable[[str], Store]
Rows = Callable[[str], list[dict[str, Any]]]
CONSERVED: Final = (Path(__file__).parents[2] / "conservation.sql").read_text(encoding="utf-8")
FILES: Final = {
    "jaeger-fixtures": 3,
    "langfuse-framework-traces": 20,
    "openinference-genai": 5,
    "openinference-vercel-v6": 9,
    "opentelemetry-proto-examples": 4,
    "otlp2parquet-traces": 7,
}
SAME: Final = {"logs.pb": "log.json", "trace.pb": "trace.json", "traces.pb": "traces.jsonl"}
"""Binary files of which only the size is stated, and the JSON of the same."""
SENT: Final = "send the spans over OTLP"
NAMED: Final = {
    "langfuse-framework-traces": f"not an OTLP request but a trace exported from Langfuse's API: {SENT}",
    "openinference-genai": f"not an OTLP request but the attributes of one span, without the span: {SENT}",
    "capture-results.json": "not an OTLP request: it has no resourceSpans",
    "spans-by-operation.json": f"not an OTLP request but spans sorted under names of their own: {SENT}",
}


@pytest.mark.parametrize("folder", FILES)
def test_every_file_has_the_spans_that_are_stated(recordings: Path, fresh: Fresh, folder: str) -> None:
    """Spans, traces, names, services and scopes of each file; one that holds none is skipped, or refused by name."""
    stated = json.loads((recordings / "otlp_traces" / folder / "expected.json").read_text())["files"]
    assert len(stated) == FILES[folder]
    for name in stated:
        facts = stated[SAME.get(name, name)]
        with fresh(name) as store:
            summary = ingest(store, [recordings / "otlp_traces" / folder / name])
            cursor = store.cursor()
            assert summary.spans + summary.duplicates == facts["spans"], name
            assert summary.duplicates == facts["duplicate_span_ids"], name
            for column, key in (("service", "services"), ("scope", "scopes")):
                found = cursor.execute(f"select distinct {column} from spans where {column} is not null").fetchall()
                own = {"ai"} if folder == "openinference-vercel-v6" else set()
                assert {row[0] for row in found} - own == set(facts[key]), name
            names = dict(cursor.execute("select name, count(*) from spans group by name").fetchall())
            assert set(names) == set(facts["span_names"])
            counted = cursor.execute(
                "select count(distinct trace_id), count(*) filter (where status = 'error'),"
                " count(*) filter (where events::varchar <> '[]') from spans"
            ).fetchone()
            assert counted == (facts["traces"], facts["error_status"], facts["spans_with_events"]), name
            assert cursor.execute(CONSERVED).fetchall() == []
            if facts["spans"] == 0 and summary.refused:
                reason = NAMED.get(name) or NAMED[folder]
                assert summary.sources[0].reason == reason
            elif facts["spans"] == 0:
                assert summary.skipped == 1, name


def test_the_ai_sdk_is_billed_by_its_calls_and_once(recordings: Path, store: Store, rows: Rows) -> None:
    """`ai.usage.*` and `gen_ai.usage.*` are one figure, and the spans around a call only say it again."""
    folder = recordings / "otlp_traces" / "openinference-vercel-v6"
    stated = json.loads((folder / "expected.json").read_text())["files"]
    ingest(store, [folder / "all-spans.json"])
    by_id = {each["span_id"]: each for each in stated["all-spans.json"]["token_spans"]}
    found = rows("select s.name, r.* from llm_requests as r inner join spans as s on s.span_id = r.request_id")
    assert {row["name"] for row in found} == {
        "ai.generateText.doGenerate", "ai.generateObject.doGenerate", "ai.streamText.doStream", "ai.embed.doEmbed"
    }  # fmt: skip
    chats = [row for row in found if row["name"] != "ai.embed.doEmbed"]
    for row in chats:
        said = by_id[row["request_id"]]
        tokens = said["tokens"]
        assert (row["input_tokens"], row["output_tokens"]) == (
            tokens["gen_ai.usage.input_tokens"], tokens["gen_ai.usage.output_tokens"]
        )  # fmt: skip
        assert (row["model"], row["provider"], row["service_tier"]) == (said["model"], "openai", "default")
        assert row["response_id"].startswith("resp_")
        # A prompt of fewer than 1,024 tokens is in no cache of OpenAI's.
        assert row["is_usage_known"]
    sums = stated["all-spans.json"]["token_attribute_sums"]
    assert sum(row["input_tokens"] for row in chats) == sums["gen_ai.usage.input_tokens"]
    assert sum(row["output_tokens"] for row in chats) == sums["gen_ai.usage.output_tokens"]
    (embedded,) = (row for row in found if row["name"] == "ai.embed.doEmbed")
    assert (embedded["input_tokens"], embedded["output_tokens"], embedded["is_usage_known"]) == (10, 0, True)
    (first,) = (row for row in chats if row["name"] == "ai.streamText.doStream")
    assert round(first["time_to_first_token_ms"]) == 427


def pair(recordings: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        (recordings / "otlp_traces" / "openinference-genai" / f"{name}.json").read_text()
    )
    return found


def test_the_same_call_in_two_vocabularies_is_the_same_row(recordings: Path, fresh: Fresh) -> None:
    """The conventions, their older form, and OpenInference with messages or with whole payloads: one request, one
    prompt."""
    found = {}
    for name in (
        "otel_genai_client_span_tool_calls",
        "otel_genai_deprecated_client_span_tool_calls",
        "openinference_client_span_tool_calls",
        "openinference_client_span_input_output_only",
    ):
        with fresh(name) as store:
            # An emitter that says definitions where there are any, as only the whole payload does otherwise.
            scope = "openinference.instrumentation.openai"
            span = Made(1, 2, "chat gpt-4", pair(recordings, name), scope=scope, kind="client")
            store.append(decode(protobuf([span]), "protobuf").spans, "test", "test", None)
            found[name] = store.cursor().execute(
                "select provider, model, input_tokens, uncached_tokens, output_tokens, cost_usd, e.delta, e.output"
                " from llm_requests left join context_evidence as e using (request_id)"
            ).fetchall()  # fmt: skip
    assert len(set(map(str, found.values()))) == 1, found
    ((provider, model, input_tokens, uncached, output, _, delta, made),) = next(iter(found.values()))
    assert (provider, model, input_tokens, uncached, output) == ("openai", "gpt-4-0613", 97, 97, 52)
    kinds = [[segment[0], *segment[2:4]] for segment in json.loads(delta)]
    assert kinds == [["u"], ["a", None, None], ["c", "get_weather", "1234"], ["r", "get_weather", "1234"]]
    assert [segment[:2] for segment in json.loads(made)] == [["a", 67]]


def test_a_tools_run_in_the_conventions_has_its_sizes(recordings: Path, store: Store, rows: Rows) -> None:
    """Arguments and result under names of a framework's own are measured."""
    said = pair(recordings, "otel_genai_tool_execution_span")
    span = Made(1, 2, "execute_tool get_weather", said, scope="tests")
    store.append(decode(protobuf([span]), "protobuf").spans, "test", "test", None)
    (row,) = rows("select tool, tool_call_id, argument_chars, result_chars from tool_calls")
    assert tuple(row.values()) == ("get_weather", "1234", len(said["input"]), len(said["output"]))


def observed(recordings: Path) -> Iterator[tuple[str, Mapping[str, Any], Made]]:
    """Each model request of the Langfuse exports whose span's attributes were kept, as the span that it was."""
    for file in sorted((recordings / "otlp_traces" / "langfuse-framework-traces").glob("*.trace.json")):
        for number, each in enumerate(json.loads(file.read_text())["observations"], 1):
            metadata = {key: unfolded(value) for key, value in unfolded(each["metadata"] or {}).items()}
            attributes, scope = metadata.get("attributes"), metadata.get("scope")
            if each["type"] == "GENERATION" and isinstance(attributes, dict) and isinstance(scope, dict):
                said = {key: folded(value) for key, value in attributes.items()}
                yield file.name, each, Made(1, number, each["name"], said, scope=scope["name"], kind="client")


def unfolded(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value[:1] == "{" else value


def folded(value: Any) -> Any:
    """Langfuse keeps every figure as text, and opens the JSON text that the emitters wrote."""
    if isinstance(value, dict):
        return json.dumps(value)
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def test_frameworks_that_langfuse_recorded_are_read(recordings: Path, fresh: Fresh) -> None:
    """Where the spans of 20 frameworks' runs say what they used, that is what is read."""
    checked = set()
    for name, observation, span in observed(recordings):
        if not {"llm.token_count.prompt", at.INPUT_TOKENS} & set(span.attributes):
            continue
        with fresh(f"{name}-{span.span}") as store:
            store.append(decode(protobuf([span]), "protobuf").spans, "test", "test", None)
            cursor = store.cursor()
            ((model, asked, given),) = cursor.execute(
                "select model, input_tokens, output_tokens from llm_requests"
            ).fetchall()
            assert cursor.execute(CONSERVED).fetchall() == []
        said = observation["usageDetails"]
        prompt = sum(said.get(key, 0) for key in ("input", "prompt_details.cache_read"))
        assert (model, asked, given) == (model, prompt, said["output"]), name
        names = (model, span.attributes.get(at.REQUEST_MODEL))
        assert observation["model"].rpartition("/")[2] in names, name
        checked.add(span.scope)
    assert len(checked) >= 8, checked
