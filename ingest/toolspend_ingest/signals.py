"""Requests that are known to be logs or metrics: what they say of the bill becomes spans, the rest is counted."""

from __future__ import annotations

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from .claude_code.otlp import metric_rows
from .decode import Decoded, Media, Refusal, decode
from .otlp_logs import log_rows
from .otlp_records import LOGS, METRICS


def decode_logs(payload: bytes, media: Media) -> Decoded:
    """The spans that an ExportLogsServiceRequest amounts to."""
    if media != "protobuf":
        return decode(payload, media, "resourceLogs")
    try:
        request = ExportLogsServiceRequest.FromString(payload)
    except DecodeError:
        return Decoded(refused=[Refusal("", "not a request of logs in protobuf")])
    return Decoded.told(LOGS, log_rows(request))


def decode_metrics(payload: bytes, media: Media) -> Decoded:
    """The spans that an ExportMetricsServiceRequest amounts to."""
    if media != "protobuf":
        return decode(payload, media, "resourceMetrics")
    try:
        request = ExportMetricsServiceRequest.FromString(payload)
    except DecodeError:
        return Decoded(refused=[Refusal("", "not a request of metrics in protobuf")])
    return Decoded.told(METRICS, metric_rows(request))
