"""A conversation as instrumentations of the conventions send it, its messages on the spans or as log records.

Spans and records are made by OpenTelemetry's own SDK and encoder, with the names, bodies and contexts that
opentelemetry-instrumentation-openai-v2 2.4b0, opentelemetry-util-genai 1.3b0 and OpenLLMetry 0.62 give them.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

from google.protobuf.json_format import MessageToDict
from opentelemetry import trace
from opentelemetry._logs import LogRecord
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import SpanKind

Form = Literal["attributes", "details", "messages", "around"]
"""Where the messages are: on the span, in one record, in a record each, in records of the span around the request."""
FORMS: Final[tuple[Form, ...]] = ("details", "messages", "around")
DETAILS: Final = "gen_ai.client.inference.operation.details"
SCOPE: Final = "opentelemetry.instrumentation.openai_v2"
SECOND: Final = 1_000_000_000
START: Final = 1_790_000_000 * SECOND
SECRET: Final = "the launch code is 0000"
SYSTEM: Final = "You help people find their way. Be brief, and look things up before you answer."
TOOL: Final = {
    "type": "function",
    "name": "get_route",
    "description": "Routes between two places, with the time they take.",
    "parameters": {"type": "object", "properties": {"start": {"type": "string"}, "end": {"type": "string"}}},
}
_WORDS: Final = ("north", "station", "bridge", "minutes", "left", "until", "platform", "river", "old", "market")


@dataclass(frozen=True)
class Emitted:
    """What an application exported: each span and each log record as a request of its own."""

    spans: tuple[ExportTraceServiceRequest, ...]
    logs: tuple[ExportLogsServiceRequest, ...]

    @property
    def all_spans(self) -> ExportTraceServiceRequest:
        """The spans in one request."""
        return ExportTraceServiceRequest(resource_spans=[each for one in self.spans for each in one.resource_spans])

    @property
    def all_logs(self) -> ExportLogsServiceRequest:
        """The records in one request."""
        return ExportLogsServiceRequest(resource_logs=[each for one in self.logs for each in one.resource_logs])


class _Ids(IdGenerator):
    def __init__(self) -> None:
        self._dice = random.Random(7)

    def generate_span_id(self) -> int:
        return self._dice.getrandbits(64) or 1

    def generate_trace_id(self) -> int:
        return self._dice.getrandbits(128) or 1


class _Application:
    """Emits, at times that are told."""

    def __init__(self, form: Form, with_tools: bool, is_captured: bool) -> None:
        resource = Resource({"service.name": "guide"})
        self._spans, self._logs = InMemorySpanExporter(), InMemoryLogRecordExporter()
        traces, logs = TracerProvider(resource=resource, id_generator=_Ids()), LoggerProvider(resource=resource)
        traces.add_span_processor(SimpleSpanProcessor(self._spans))
        logs.add_log_record_processor(SimpleLogRecordProcessor(self._logs))
        self.tracer, self._logger = traces.get_tracer(SCOPE, "2.4b0"), logs.get_logger(SCOPE, "2.4b0")
        self.own = traces.get_tracer("guide")
        self._form, self._with_tools, self._is_captured = form, with_tools, is_captured

    def request(self, number: int, messages: list[dict[str, Any]], answer: dict[str, Any], start: int) -> int:
        """One request below the current span, with its records; gives when it ended."""
        end = start + SECOND
        around = trace.get_current_span().get_span_context()
        said = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
        }
        span = self.tracer.start_span("chat gpt-4o-mini", kind=SpanKind.CLIENT, start_time=start, attributes=said)
        reason = "tool_calls" if "tool_calls" in answer else "stop"
        said |= {
            "gen_ai.response.id": f"chatcmpl-{number}",
            "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
            "gen_ai.response.finish_reasons": (reason,),
            "gen_ai.usage.input_tokens": 20 + sum(len(json.dumps(each)) for each in messages) // 4,
            "gen_ai.usage.output_tokens": 5 + len(json.dumps(answer)) // 4,
            "gen_ai.usage.cache_read.input_tokens": 0,
        }
        span.set_attributes(said)
        context = trace.set_span_in_context(
            trace.NonRecordingSpan(around if self._form == "around" else span.get_span_context())
        )
        if self._form in ("messages", "around"):
            for place, message in enumerate(messages):
                body = self._body(message)
                self._emit(
                    f"gen_ai.{message['role']}.message", {"gen_ai.system": "openai"}, body, start + place, context
                )
            choice = {
                "index": 0,
                "finish_reason": reason,
                "message": {"role": "assistant", **(self._body(answer) or {})},
            }
            self._emit("gen_ai.choice", {"gen_ai.system": "openai"}, choice, end - 1_000, context)
        elif self._form == "details":
            self._emit(DETAILS, {**said, **self._content(messages, answer, reason)}, None, end - 1_000, context)
        else:
            texts = {key: json.dumps(each) for key, each in self._content(messages, answer, reason).items()}
            span.set_attributes(texts)
        span.end(end)
        return end

    def _emit(self, name: str, said: dict[str, Any], body: Any, at_ns: int, context: Context) -> None:
        self._logger.emit(LogRecord(timestamp=at_ns, event_name=name, attributes=said, body=body, context=context))

    def _body(self, message: dict[str, Any]) -> Any:
        body: dict[str, Any] = {}
        if self._is_captured and message.get("content"):
            body["content"] = message["content"]
        if "tool_calls" in message:
            kept = ("name", "arguments") if self._is_captured else ("name",)
            body["tool_calls"] = [
                {**each, "function": {key: each["function"][key] for key in kept}} for each in message["tool_calls"]
            ]
        if message["role"] == "tool":
            body["id"] = message["tool_call_id"]
        return body or None

    def _content(self, messages: list[dict[str, Any]], answer: dict[str, Any], reason: str) -> dict[str, Any]:
        if not self._is_captured:
            return {}
        instructions = [{"type": "text", "content": each["content"]} for each in messages if each["role"] == "system"]
        tools = {"gen_ai.tool.definitions": [TOOL]} if self._with_tools else {}
        return {
            "gen_ai.system_instructions": instructions,
            "gen_ai.input.messages": [_in_parts(each) for each in messages if each["role"] != "system"],
            "gen_ai.output.messages": [{**_in_parts(answer), "finish_reason": reason}],
            **tools,
        }

    def emitted(self) -> Emitted:
        spans = tuple(encode_spans([each]) for each in self._spans.get_finished_spans())
        return Emitted(spans, tuple(encode_logs([each]) for each in self._logs.get_finished_logs()))


def _in_parts(message: dict[str, Any]) -> dict[str, Any]:
    if message["role"] == "tool":
        part = {"type": "tool_call_response", "id": message["tool_call_id"], "response": message["content"]}
        return {"role": "tool", "parts": [part]}
    parts: list[dict[str, Any]] = [{"type": "text", "content": message["content"]}] if message.get("content") else []
    for call in message.get("tool_calls", ()):
        arguments = json.loads(call["function"]["arguments"])
        parts.append({"type": "tool_call", "id": call["id"], "name": call["function"]["name"], "arguments": arguments})
    return {"role": message["role"], "parts": parts}


@lru_cache
def conversation(form: Form, requests: int = 3, *, with_tools: bool = False, is_captured: bool = True) -> Emitted:
    """A session of that many requests, in which all but the last ask for a route, or for two at once."""
    application, dice = _Application(form, with_tools, is_captured), random.Random(3)
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": f"How do I get home? {SECRET}"}]
    now = START
    root = application.own.start_span("turn", start_time=now, attributes={"session.id": "walk"})
    with trace.use_span(root, end_on_exit=False):
        for number in range(1, requests + 1):
            calls = [f"call_{number}_{each}" for each in range(0 if number == requests else 1 + (number % 3 == 0))]
            answer = _asking(calls) if calls else {"role": "assistant", "content": "Take the second bridge."}
            now = application.request(number, list(messages), answer, now + SECOND)
            messages.append(answer)
            for call_id in calls:
                text = " ".join(dice.choices(_WORDS, k=dice.randint(10, 90)))
                messages.append({"role": "tool", "tool_call_id": call_id, "content": text})
    root.end(now + SECOND)
    return application.emitted()


def _asking(call_ids: list[str]) -> dict[str, Any]:
    arguments = json.dumps({"start": "here", "end": "home"})
    function = {"name": "get_route", "arguments": arguments}
    return {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": each, "type": "function", "function": function} for each in call_ids],
    }


def as_json(request: ExportTraceServiceRequest | ExportLogsServiceRequest) -> bytes:
    """The request as OTLP/JSON, its ids in base64 as protobuf's own writer has them."""
    return json.dumps(MessageToDict(request)).encode()
