"""OTLP over gRPC, as the generated clients speak it."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

import otlp_requests
import recorded_messages
from otlp_requests import Made
from toolspend_dashboard import writer as writing
from toolspend_dashboard.intake import Intake
from toolspend_dashboard.otlp_grpc import GrpcServer
from toolspend_dashboard.writer import Writer
from toolspend_ingest import Store
from toolspend_ingest.aside import Aside

WAIT_S = 20


@pytest.fixture
def writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Writer]:
    """A writer on an empty store."""
    monkeypatch.setenv("TOOLSPEND_HOME", str(tmp_path))
    made = Writer(Store.open(tmp_path / "toolspend.duckdb"))
    yield made
    made.close()


@pytest.fixture
def intake(writer: Writer) -> Intake:
    """What takes payloads for the writer."""
    return Intake(writer, Aside())


@pytest.fixture
def address(intake: Intake) -> Iterator[str]:
    """Where a server without a token listens."""
    server = GrpcServer("127.0.0.1", 0, None)
    server.start(intake)
    yield f"127.0.0.1:{server.port}"
    server.stop()


@pytest.fixture
def channel(address: str) -> Iterator[grpc.Channel]:
    """A connection to it."""
    with grpc.insecure_channel(address, options=[("grpc.max_send_message_length", -1)]) as made:
        yield made


def names(writer: Writer) -> list[str]:
    """The names of the stored spans."""
    with writer.store.reading() as cursor:
        return [row[0] for row in cursor.execute("select name from spans order by name").fetchall()]


def test_spans_are_stored_when_they_are_acknowledged(channel: grpc.Channel, writer: Writer) -> None:
    """The generated client gets an empty response, plain and gzipped, and the spans are there."""
    stub = TraceServiceStub(channel)
    for number, compression in enumerate((grpc.Compression.NoCompression, grpc.Compression.Gzip), 1):
        request = otlp_requests.request([Made(number, 1, f"span {number}")])
        answer = stub.Export(request, compression=compression, timeout=WAIT_S)
        assert answer == ExportTraceServiceResponse()
    assert names(writer) == ["span 1", "span 2"]


def test_a_refused_span_costs_only_itself_and_is_said(channel: grpc.Channel, writer: Writer) -> None:
    """It is counted in partial_success; the request is kept aside, and the log says where."""
    request = otlp_requests.request([Made(1, 1, "good"), Made(1, 2, "bad")])
    request.resource_spans[1].scope_spans[0].spans[0].trace_id = b"short"
    partial = TraceServiceStub(channel).Export(request, timeout=WAIT_S).partial_success
    assert partial.rejected_spans == 1
    assert "trace id" in partial.error_message
    assert names(writer) == ["good"]
    (kept,) = Aside().files()
    assert kept.read_bytes() == request.SerializeToString()
    with writer.store.reading() as cursor:
        logged = cursor.execute("select source, spans, refused, reason from ingest_log").fetchall()
    assert [row[:3] for row in logged] == [("otlp-grpc", 1, 1)]
    assert f"kept as refused/{kept.name}" in logged[0][3]


def test_what_cannot_be_read_at_all_is_an_invalid_argument(channel: grpc.Channel) -> None:
    """A client must not send it again; it is kept aside."""
    export = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
    with pytest.raises(grpc.RpcError) as refused:
        export(b"\xff\xff\xff", timeout=WAIT_S)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert [kept.read_bytes() for kept in Aside().files()] == [b"\xff\xff\xff"]


def test_other_signals_are_taken_and_counted(channel: grpc.Channel, intake: Intake) -> None:
    """Logs and metrics get their own standard answers."""
    logs = ExportLogsServiceRequest()
    logs.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=1)
    assert not LogsServiceStub(channel).Export(logs, timeout=WAIT_S).HasField("partial_success")
    metrics = ExportMetricsServiceRequest()
    metrics.resource_metrics.add().scope_metrics.add().metrics.add(name="m").gauge.data_points.add(as_int=1)
    assert not MetricsServiceStub(channel).Export(metrics, timeout=WAIT_S).HasField("partial_success")
    received = intake.status()["received"]
    assert {name: (count["requests"], count["skipped"]) for name, count in received.items()} == {
        "traces": (0, 0),
        "logs": (1, 1),
        "metrics": (1, 1),
    }


def test_messages_in_log_records_are_stored(channel: grpc.Channel, writer: Writer) -> None:
    """A call with records before the one with their spans; what follows is made of both."""
    emitted = recorded_messages.conversation("messages")
    LogsServiceStub(channel).Export(emitted.all_logs, timeout=WAIT_S)
    TraceServiceStub(channel).Export(emitted.all_spans, timeout=WAIT_S)
    assert writer.settle(WAIT_S)
    with writer.store.reading() as cursor:
        told = cursor.execute("select count(*) from context_evidence where delta is not null").fetchone()
    assert told == (3,)


def test_a_full_disk_is_unavailable_with_a_time_to_come_again(
    channel: grpc.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The status and the RetryInfo that make an exporter send the same again."""
    monkeypatch.setattr(writing, "MIN_FREE_DISK_BYTES", 1 << 62)
    with pytest.raises(grpc.RpcError) as refused:
        TraceServiceStub(channel).Export(otlp_requests.request([Made(1, 1, "x")]), timeout=WAIT_S)
    assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
    assert "is full, free some space" in refused.value.details()
    trailing = dict(refused.value.trailing_metadata())
    info = RetryInfo()
    assert Status.FromString(trailing["grpc-status-details-bin"]).details[0].Unpack(info)
    assert info.retry_delay.seconds == 5


def test_a_bomb_is_refused_before_it_unfolds(channel: grpc.Channel) -> None:
    """A message that is small as sent and too large as meant is refused by its size."""
    large = ExportTraceServiceRequest()
    large.resource_spans.add().schema_url = "x" * (64 << 20)
    assert len(gzip.compress(large.SerializeToString())) < 1 << 20
    with pytest.raises(grpc.RpcError) as refused:
        TraceServiceStub(channel).Export(large, compression=grpc.Compression.Gzip, timeout=WAIT_S)
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_call_before_the_server_is_ready_waits(intake: Intake, writer: Writer) -> None:
    """The port listens from the start; what comes before there is anything to store it is stored once there is."""
    server = GrpcServer("127.0.0.1", 0, None)
    made = Made(1, 1, "x")
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        answer = TraceServiceStub(channel).Export.future(otlp_requests.request([made]), timeout=30)
        with pytest.raises(grpc.FutureTimeoutError):
            answer.result(timeout=0.3)
        server.start(intake)
        answer.result()
    server.stop()
    assert writer.store.cursor().execute("select name from spans").fetchall() == [("x",)]


def test_a_token_is_asked_for_where_there_is_one(intake: Intake, writer: Writer) -> None:
    """Without it, or with another, nothing is stored."""
    server = GrpcServer("127.0.0.1", 0, "let-me-in")
    server.start(intake)
    request = otlp_requests.request([Made(1, 1, "x")])
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = TraceServiceStub(channel)
        for metadata in ((), (("authorization", "Bearer wrong"),)):
            with pytest.raises(grpc.RpcError) as refused:
                stub.Export(request, metadata=metadata, timeout=WAIT_S)
            assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
        assert names(writer) == []
        for scheme in ("Bearer", "bearer"):
            stub.Export(request, metadata=(("authorization", f"{scheme} let-me-in"),), timeout=WAIT_S)
    server.stop()
    assert names(writer) == ["x"]
