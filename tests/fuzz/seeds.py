"""Whole inputs of each target, which a fuzzer changes, and the words that such inputs are made of."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any, Final

import pyarrow as pa
from google.protobuf.json_format import MessageToJson
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

import agent_trace
import otlp_requests
import recorded_messages
import transcript_lines
from toolspend import _frames
from toolspend_ingest.vocabularies import content, usage

from .targets import ENCODINGS

_NOW: Final = 1_790_000_000_000_000_000
_SAID: Final = {"input_tokens": 12, "output_tokens": 3, "cache_read_tokens": 4, "cost_usd": 0.01, "model": "claude-x"}
_MESSAGES: Final = [{"role": "user", "parts": [{"type": "text", "content": "What changed?"}]}]


def seeds(target: str) -> list[bytes]:
    """A few whole inputs."""
    spans = [*agent_trace.agent_spans(), *_foreign()]
    text, binary = otlp_requests.json_text(spans).encode(), otlp_requests.protobuf(spans)
    lines = b"\n".join(otlp_requests.json_text([span]).encode() for span in spans[:4])
    match target:
        case "protobuf":
            return [binary, otlp_requests.protobuf(spans[:1]), _logs().SerializeToString()]
        case "document":
            return [text, json.dumps(_jaeger()).encode(), json.dumps(_javascript()).encode()]
        case "lines":
            return [lines, json.dumps(_javascript()).encode()]
        case "file":
            frames = _frames.encode(otlp_requests.protobuf(spans[:2]), dropped=1)
            return [frames + frames, _transcript(), lines, json.dumps(_evaluation()).encode(), gzip.compress(text)]
        case "logs":
            messages = [recorded_messages.conversation(form).all_logs for form in recorded_messages.FORMS]
            return [each.SerializeToString() for each in (_logs(), *messages)] + [
                MessageToJson(each).encode() for each in (_logs(), *messages)
            ]
        case "metrics":
            return [_metrics().SerializeToString(), MessageToJson(_metrics()).encode()]
        case _:
            packed = (gzip.compress(text), zlib.compress(text), pa.compress(text, "zstd", asbytes=True), text)
            return [bytes((number,)) + each for number, each in zip(range(len(ENCODINGS)), packed, strict=True)]


def words() -> list[str]:
    """Names and values that readers look for."""
    names = {*content.NAMES, *usage.INPUT, *usage.OUTPUT, *usage.CACHE_READ, *usage.CACHE_WRITE}
    kinds = ("text", "tool_use", "tool_result", "image", "thinking", "assistant", "user", "system", "summary")
    keys = ("resourceSpans", "scopeSpans", "spans", "traceId", "spanId", "startTimeUnixNano", "endTimeUnixNano")
    more = ("attributes", "key", "value", "stringValue", "intValue", "doubleValue", "arrayValue", "kvlistValue")
    odd = ("1e999", "-1", "18446744073709551616", "null", "NaN", "\\ud800", "\\u0000", "[[[[", '{"a":', "0" * 32)
    return [*sorted(names), *kinds, *keys, *more, *odd]


def _foreign() -> list[otlp_requests.Made]:
    """Spans of other emitters' words."""
    made = otlp_requests.Made
    return [
        made(7, 1, "chat gpt", {"gen_ai.operation.name": "chat", "gen_ai.input.messages": json.dumps(_MESSAGES),
             "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 2}, scope="pydantic-ai"),
        made(7, 2, "LLM", {"openinference.span.kind": "LLM", "llm.token_count.prompt": 9,
             "llm.token_count.completion": 1, "llm.input_messages.0.message.role": "user",
             "llm.input_messages.0.message.content": "hello",
             "input.value": '{"messages": []}'}, scope="openinference.instrumentation.anthropic"),
        made(7, 3, "ai.generateText.doGenerate", {"ai.usage.promptTokens": 5, "ai.usage.completionTokens": 1,
             "ai.prompt.messages": json.dumps([{"role": "user", "content": "hi"}])}, scope="ai"),
        made(7, 4, "anthropic.chat", {"traceloop.span.kind": "llm", "gen_ai.prompt.0.content": "hi",
             "gen_ai.prompt.0.role": "user", "gen_ai.completion.0.content": "ho", "llm.usage.total_tokens": 3},
             scope="opentelemetry.instrumentation.anthropic"),
    ]  # fmt: skip


def _pairs(said: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=name, value=_value(value)) for name, value in said.items()]


def _value(value: Any) -> AnyValue:
    if isinstance(value, str):
        return AnyValue(string_value=value)
    return AnyValue(int_value=value) if isinstance(value, int) else AnyValue(double_value=value)


def _logs() -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    scope.scope.name = "com.anthropic.claude_code.events"
    said = {"event.name": "api_request", "session.id": "s", "event.sequence": 1, "request_id": "req_1", **_SAID}
    for name in ("api_request", "tool_result", "user_prompt"):
        record = scope.log_records.add(time_unix_nano=_NOW)
        record.body.string_value = f"claude_code.{name}"
        record.attributes.extend(_pairs({**said, "event.name": name, "tool_name": "Bash", "duration_ms": 3}))
    return request


def _metrics() -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    scope = request.resource_metrics.add().scope_metrics.add()
    scope.scope.name = "com.anthropic.claude_code"
    metric = scope.metrics.add(name="claude_code.token.usage")
    metric.sum.aggregation_temporality = 1
    for kind in ("input", "output", "cacheRead", "cacheCreation"):
        point = metric.sum.data_points.add(start_time_unix_nano=_NOW, time_unix_nano=_NOW + 10**9, as_int=5)
        point.attributes.extend(_pairs({"type": kind, "session.id": "s", "model": "claude-x"}))
    return request


def _transcript() -> bytes:
    written = transcript_lines.Transcript()
    written.user("What changed?")
    written.assistant(
        [transcript_lines.use("toolu_1", command="ls")], transcript_lines.usage(10, 5, write_5m=20), message_id="msg_1"
    )
    written.result("toolu_1", "a file")
    written.assistant([transcript_lines.text("A file.")], transcript_lines.usage(3, 4, read=20), message_id="msg_2")
    written.compact("It was a file.")
    return written.data()


def _jaeger() -> dict[str, Any]:
    tags = [{"key": "gen_ai.operation.name", "type": "string", "value": "chat"},
            {"key": "gen_ai.usage.input_tokens", "type": "int64", "value": 4}]  # fmt: skip
    span = {"traceID": "a" * 32, "spanID": "b" * 16, "operationName": "chat", "startTime": 1_790_000_000_000_000,
            "duration": 5, "processID": "p1", "tags": tags, "logs": [], "references": []}  # fmt: skip
    return {"data": [{"traceID": "a" * 32, "spans": [span], "processes": {"p1": {"serviceName": "s", "tags": []}}}]}


def _javascript() -> dict[str, Any]:
    return {"traceId": "a" * 32, "id": "b" * 16, "name": "chat", "kind": 2, "timestamp": 1_790_000_000_000_000,
            "duration": 5.5, "attributes": {"gen_ai.operation.name": "chat"}, "status": {"code": 0}, "events": [],
            "resource": {"attributes": {"service.name": "s"}}, "instrumentationScope": {"name": "ai"}}  # fmt: skip


def _evaluation() -> dict[str, Any]:
    called = [{"id": "t", "function": "bash", "arguments": {"cmd": "ls"}}]
    answer = {"role": "assistant", "content": "x", "tool_calls": called}
    output = {
        "model": "claude-x",
        "usage": {"input_tokens": 5, "output_tokens": 2, "input_tokens_cache_read": 1},
        "choices": [{"message": answer}],
    }
    call = {
        "event": "model",
        "uuid": "u1",
        "timestamp": "2026-09-01T10:00:00+00:00",
        "model": "anthropic/claude-x",
        "input": [{"role": "user", "content": "hi"}],
        "tools": [{"name": "bash", "description": "", "parameters": {}}],
        "output": output,
    }
    tool = {"event": "tool", "uuid": "u2", "timestamp": "2026-09-01T10:00:01+00:00", **called[0], "result": "a"}
    sample = {"id": 1, "epoch": 1, "uuid": "s", "events": [call, tool]}
    head = {"model": "anthropic/claude-x", "task": "t", "run_id": "r"}
    return {"version": 2, "status": "success", "eval": head, "samples": [sample]}
