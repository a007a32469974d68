"""Spans are encoded as OpenTelemetry's own encoder does."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from toolspend import _otlp

texts = st.text(max_size=200) | st.just("x" * 20_000)
scalars = st.one_of(
    texts,
    st.booleans(),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.sampled_from([0, 127, 128, 1 << 31]),
    st.floats(allow_nan=False),
)
values = st.one_of(
    scalars,
    scalars,
    st.lists(texts, max_size=3).map(tuple),
    st.lists(st.integers(-5, 5), max_size=3).map(tuple),
    st.none(),
    st.binary(max_size=5),
    st.dictionaries(texts, scalars, max_size=2),
)
attributes = st.dictionaries(st.text(min_size=1, max_size=20) | st.just("k" * 300), values, max_size=6)
RESOURCES = [Resource({"service.name": "a"}), Resource({"service.name": "b", "n": 1}, schema_url="https://s")]
SCOPES = [None, InstrumentationScope("toolspend", "1"), InstrumentationScope("other", schema_url="https://o")]
contexts = st.builds(
    SpanContext,
    trace_id=st.integers(1, (1 << 128) - 1),
    span_id=st.integers(1, (1 << 64) - 1),
    is_remote=st.booleans(),
    trace_flags=st.just(TraceFlags(1)),
    trace_state=st.sampled_from([TraceState(), TraceState([("vendor", "x")])]),
)


@st.composite
def spans(draw: st.DrawFn) -> ReadableSpan:
    """Spans as any library may make them."""
    given_attributes: Any = draw(attributes)
    return ReadableSpan(
        name=draw(texts),
        context=draw(contexts),
        parent=draw(st.none() | contexts),
        resource=draw(st.sampled_from(RESOURCES)),
        attributes=given_attributes,
        events=draw(st.sampled_from([(), (), (Event("e", {"k": "v"}, 5),)])),
        links=draw(st.sampled_from([(), (), (Link(SpanContext(1, 2, is_remote=True)),)])),
        kind=draw(st.sampled_from(SpanKind)),
        status=draw(
            st.sampled_from([Status(), Status(StatusCode.OK), Status(StatusCode.ERROR), Status(StatusCode.ERROR, "é")])
        ),
        start_time=draw(st.integers(0, (1 << 64) - 1)),
        end_time=draw(st.integers(0, (1 << 64) - 1)),
        instrumentation_scope=draw(st.sampled_from(SCOPES)),
    )


@settings(max_examples=200, deadline=None)
@given(st.lists(spans(), min_size=1, max_size=4))
def test_every_span_parses_to_the_same(batch: list[ReadableSpan]) -> None:
    """Kinds, parents, statuses, attributes of every type, resources and scopes are where OpenTelemetry puts them."""
    assert ExportTraceServiceRequest.FromString(_otlp.payload(batch)) == encode_spans(batch)


def test_spans_of_the_sdk_are_encoded_here() -> None:
    """The usual span does not fall back to the slow way, also when attributes were dropped."""
    kept = InMemorySpanExporter()
    provider = TracerProvider(span_limits=SpanLimits(max_span_attributes=3))
    provider.add_span_processor(SimpleSpanProcessor(kept))
    with provider.get_tracer("application").start_as_current_span("outer", kind=SpanKind.CLIENT) as span:
        span.set_attributes({"a": "b", "n": 1, "x": 0.5, "flags": ["a", "b"], "yes": True})
        span.set_status(StatusCode.OK)
    (ended,) = kept.get_finished_spans()
    assert _otlp._encoded(ended) is not None
    assert ExportTraceServiceRequest.FromString(_otlp.payload([ended])) == encode_spans([ended])
