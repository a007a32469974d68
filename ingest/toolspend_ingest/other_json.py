"""JSON that is not OTLP and holds spans all the same, put into OTLP; and the names of what holds none.

Jaeger's answers (`data`, with `processes`), and spans as OpenTelemetry for JavaScript has them in memory and tools dump
them (`spanContext`, times as seconds and nanoseconds).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

_JAEGER_TAGS: Final = {"otel.scope.name", "otel.scope.version", "otel.status_code", "otel.status_description",
                       "otel.library.name", "otel.library.version", "span.kind"}  # fmt: skip
_JAEGER_KINDS: Final = ("unspecified", "internal", "server", "client", "producer", "consumer")


def to_otlp(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """The document as an OTLP request; None where it holds no spans in a form that is known."""
    if isinstance(document.get("spanContext"), Mapping) and "startTime" in document:
        return _of_javascript(document)
    traces = document.get("data")
    if (
        isinstance(traces, list)
        and traces
        and all(isinstance(each, Mapping) and "processes" in each for each in traces)
    ):
        return {"resourceSpans": [spans for each in traces for spans in _of_jaeger(each)]}
    return None


def name_of(document: Mapping[str, Any]) -> str | None:
    """What the document is, where that is known and it is not a form that spans are read from."""
    if isinstance(document.get("trace"), Mapping) and isinstance(document.get("observations"), list):
        return "a trace exported from Langfuse's API"
    if any(str(name).startswith(("gen_ai.", "llm.", "openinference.")) for name in document):
        return "the attributes of one span, without the span"
    if document and all(isinstance(value, list) and value and _is_javascript(value[0]) for value in document.values()):
        return "spans sorted under names of their own"
    return None


def _is_javascript(value: object) -> bool:
    return isinstance(value, Mapping) and "spanContext" in value


def _of_javascript(span: Mapping[str, Any]) -> dict[str, Any]:
    context, parent = span["spanContext"], span.get("parentSpanContext")
    resource = span.get("resource")
    kind = span.get("kind")
    made = {
        "traceId": context.get("traceId"),
        "spanId": context.get("spanId"),
        "parentSpanId": parent.get("spanId") if isinstance(parent, Mapping) else span.get("parentSpanId"),
        "name": span.get("name"),
        # They count the kinds from 0.
        "kind": kind + 1 if isinstance(kind, int) else None,
        "startTimeUnixNano": _nanoseconds(span["startTime"]),
        "endTimeUnixNano": _nanoseconds(span.get("endTime")),
        "attributes": span.get("attributes"),
        "status": span.get("status"),
        "events": [
            {
                "name": each.get("name"),
                "timeUnixNano": _nanoseconds(each.get("time")),
                "attributes": each.get("attributes"),
            }
            for each in span.get("events") or ()
            if isinstance(each, Mapping)
        ],
    }
    scope = span.get("instrumentationScope") or span.get("instrumentationLibrary")
    owner = {"attributes": resource.get("attributes")} if isinstance(resource, Mapping) else None
    return {"resourceSpans": [{"resource": owner, "scopeSpans": [{"scope": scope, "spans": [made]}]}]}


def _nanoseconds(value: object) -> object:
    """A time of seconds and nanoseconds; another value as it is, to be refused where times are read."""
    if isinstance(value, list) and len(value) == 2 and all(type(each) is int for each in value):
        return value[0] * 1_000_000_000 + value[1]
    return value


def _of_jaeger(trace: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    processes = trace["processes"] if isinstance(trace["processes"], Mapping) else {}
    for span in trace.get("spans") or ():
        if not isinstance(span, Mapping):
            yield {"scopeSpans": [{"spans": [span]}]}
            continue
        process = processes.get(span.get("processID"))
        owner = _tags(process.get("tags")) if isinstance(process, Mapping) else {}
        if isinstance(process, Mapping):
            owner["service.name"] = process.get("serviceName")
        tags = _tags(span.get("tags"))
        scope = {
            "name": tags.get("otel.scope.name", tags.get("otel.library.name")),
            "version": tags.get("otel.scope.version", tags.get("otel.library.version")),
        }
        yield {"resource": {"attributes": owner}, "scopeSpans": [{"scope": scope, "spans": [_jaeger_span(span, tags)]}]}


def _jaeger_span(span: Mapping[str, Any], tags: Mapping[str, Any]) -> dict[str, Any]:
    parents = [
        each.get("spanID")
        for each in span.get("references") or ()
        if isinstance(each, Mapping)
        and each.get("refType") == "CHILD_OF"
        and each.get("traceID") == span.get("traceID")
    ]
    start = _microseconds(span.get("startTime"))
    kind = tags.get("span.kind")
    status = "ERROR" if tags.get("error") in (True, "true") else str(tags.get("otel.status_code") or "UNSET")
    return {
        "traceId": span.get("traceID"),
        "spanId": span.get("spanID"),
        "parentSpanId": parents[0] if parents else None,
        "name": span.get("operationName"),
        "kind": _JAEGER_KINDS.index(kind) if kind in _JAEGER_KINDS else None,
        "startTimeUnixNano": start,
        "endTimeUnixNano": start + _microseconds(span.get("duration")),
        "attributes": {name: value for name, value in tags.items() if name not in _JAEGER_TAGS},
        "status": {"code": f"STATUS_CODE_{status}", "message": tags.get("otel.status_description")},
        "events": [_jaeger_event(each) for each in span.get("logs") or () if isinstance(each, Mapping)],
    }


def _jaeger_event(log: Mapping[str, Any]) -> dict[str, Any]:
    fields = _tags(log.get("fields"))
    name = fields.pop("event", "")
    return {"name": name, "timeUnixNano": _microseconds(log.get("timestamp")), "attributes": fields}


def _microseconds(value: object) -> int:
    return value * 1_000 if isinstance(value, int) and not isinstance(value, bool) else 0


def _tags(tags: object) -> dict[str, Any]:
    listed = tags if isinstance(tags, list) else []
    return {str(each.get("key")): each.get("value") for each in listed if isinstance(each, Mapping)}
