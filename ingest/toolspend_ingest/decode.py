"""OTLP bytes to span rows: pure, without limits on sizes, and a bad span costs only itself."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from . import other_json, otlp_columns, otlp_json, otlp_protobuf, otlp_salvage
from .claude_code.otlp import metric_rows, metric_rows_of_json
from .otlp_logs import log_rows, log_rows_of_json
from .otlp_records import LOGS, METRICS, Told, get
from .otlp_values import BadSpan
from .spans import SpanBatch

Media: TypeAlias = Literal["protobuf", "json", "jsonl"]

_OTHER_SIGNALS = ("resourceLogs", "resourceMetrics", "resourceProfiles", "resource_logs", "resource_metrics")
_OTHER_SIGNAL_START = re.compile(r'\s*\{\s*"(?:' + "|".join(_OTHER_SIGNALS) + r')"')
_MANY_BYTES = 1 << 14
"""From here on columns are faster than rows."""
_SPANS = "resourceSpans"
"""What a request of traces has."""


@dataclass(frozen=True)
class Refusal:
    """A record that was not loaded: where it is, and why, in one line."""

    where: str
    reason: str

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}" if self.where else self.reason


@dataclass
class Decoded:
    """What a payload held: spans, records refused, and how many payloads of logs or metrics were passed over.

    `passed_over` counts log records and metrics that say nothing of the bill, by signal.
    """

    spans: SpanBatch = field(default_factory=SpanBatch)
    refused: list[Refusal] = field(default_factory=list)
    skipped: int = 0
    passed_over: Counter[str] = field(default_factory=Counter)

    @classmethod
    def told(cls, signal: str, rows: Iterable[Told], where: str = "") -> Decoded:
        """What the records of a request of logs or metrics amount to."""
        decoded = cls()
        for row in rows:
            if row is None:
                decoded.passed_over[signal] += 1
            else:
                _add(decoded, iter((row,)), where)
        if not len(decoded.spans) and not decoded.refused:
            decoded.skipped = 1
        return decoded

    def merge(self, other: Decoded) -> None:
        """Add what another payload held."""
        self.spans.extend(other.spans)
        self.refused.extend(other.refused)
        self.skipped += other.skipped
        self.passed_over.update(other.passed_over)


def decode(payload: bytes, media: Media, expected: str = _SPANS) -> Decoded:
    """The spans of one OTLP payload: an ExportTraceServiceRequest as protobuf or JSON, or JSON lines of them.

    `expected` is what JSON that is no OTLP at all is said to lack.
    """
    if media == "protobuf":
        return decode_protobuf(payload)
    if media == "jsonl":
        return decode_lines(payload, expected=expected)
    return decode_json(payload, expected)


def decode_protobuf(payload: bytes) -> Decoded:
    """The spans of an ExportTraceServiceRequest; of a damaged one, those that are whole."""
    decoded = _spans(payload)
    if decoded.refused and not len(decoded.spans) and (other := _other_signal(payload)) is not None:
        return other
    return decoded


def decode_together(payloads: Sequence[bytes]) -> list[Decoded]:
    """What `decode_protobuf` gives of each, in less time where nothing is odd in any of them."""
    if len(payloads) > 1 and sum(map(len, payloads)) >= _MANY_BYTES:
        columns = otlp_columns.read_each(payloads)
        if columns is not None:
            return [Decoded(SpanBatch.of(each)) for each in columns]
    return list(map(decode_protobuf, payloads))


def _spans(payload: bytes) -> Decoded:
    decoded = Decoded()
    if len(payload) >= _MANY_BYTES and (columns := otlp_columns.read(payload)) is not None:
        decoded.spans = SpanBatch.of(columns)
        return decoded
    try:
        request = ExportTraceServiceRequest.FromString(payload)
    except DecodeError:
        for item in otlp_salvage.salvage(payload):
            if isinstance(item, otlp_salvage.Damage):
                decoded.refused.append(Refusal(f"byte {item.start}", item.reason))
            else:
                _add(decoded, otlp_protobuf.rows(item))
        return decoded
    if payload and not request.resource_spans:
        decoded.refused.append(_no_otlp("", _SPANS))
    for resource_spans in request.resource_spans:
        _add(decoded, otlp_protobuf.rows(resource_spans))
    return decoded


def decode_lines(payload: bytes, first_line: int = 1, expected: str = _SPANS) -> Decoded:
    """The spans of JSON lines; `first_line` is the number of the payload's first line in its file."""
    decoded = Decoded()
    for number, line in enumerate(payload.split(b"\n"), first_line):
        if line.strip():
            decoded.merge(_document(line, f"line {number}", expected))
    return decoded


def decode_json(payload: bytes, expected: str = _SPANS) -> Decoded:
    """The spans of a JSON document: one request, or an array of them."""
    if not payload.strip():
        return Decoded()
    return _document(payload, "", expected)


def _no_otlp(where: str, expected: str) -> Refusal:
    return Refusal(where, f"not an OTLP request: it has no {expected}")


def _document(payload: bytes, where: str, expected: str) -> Decoded:
    decoded = Decoded()
    try:
        text = payload.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return _damaged(payload.decode("utf-8", "replace"), where, f"not UTF-8 at byte {error.start}")
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        return _damaged(text, where, f"not valid JSON: {error.msg} at character {error.pos}")
    except (RecursionError, ValueError) as error:
        return _damaged(text, where, f"not usable JSON: {error}")
    if document == []:
        return Decoded(refused=[_no_otlp(where, expected)])
    requests = document if isinstance(document, list) else [document]
    for index, request in enumerate(requests):
        place = where if not isinstance(document, list) else f"{where} item {index}".strip()
        _request(decoded, request, place, expected)
    return decoded


def _request(decoded: Decoded, request: object, where: str, expected: str) -> None:
    if not isinstance(request, Mapping):
        decoded.refused.append(_no_otlp(where, expected))
    elif not request:
        return  # a request without records, of any signal: JSON leaves out what is empty
    elif "resourceSpans" in request or "resource_spans" in request:
        _add(decoded, otlp_json.rows(request), where)
    elif get(request, "resourceLogs") is not None:
        decoded.merge(Decoded.told(LOGS, log_rows_of_json(request), where))
    elif get(request, "resourceMetrics") is not None:
        decoded.merge(Decoded.told(METRICS, metric_rows_of_json(request), where))
    elif any(signal in request for signal in _OTHER_SIGNALS):
        decoded.skipped += 1
    elif (found := other_json.to_otlp(request)) is not None:
        _add(decoded, otlp_json.rows(found), where)
    elif (name := other_json.name_of(request)) is not None:
        decoded.refused.append(Refusal(where, f"not an OTLP request but {name}: send the spans over OTLP"))
    else:
        decoded.refused.append(_no_otlp(where, expected))


def _damaged(text: str, where: str, reason: str) -> Decoded:
    decoded = Decoded(refused=[Refusal(where, reason)])
    if not _OTHER_SIGNAL_START.match(text):
        _add(decoded, otlp_json.whole_spans(text), where)
    return decoded


def _add(decoded: Decoded, rows: Iterator[Any], where: str = "") -> None:
    for row in rows:
        if isinstance(row, BadSpan):
            place = f"{where} {row.where}".strip()
            decoded.refused.append(Refusal(place, str(row)))
        else:
            decoded.spans.add(row)


def _other_signal(payload: bytes) -> Decoded | None:
    """What an export of logs or metrics amounts to: protobuf says no names, so the fields must make sense."""
    try:
        logs = ExportLogsServiceRequest.FromString(payload)
        records = [record for owner in logs.resource_logs for scope in owner.scope_logs for record in scope.log_records]
        if records and all(record.time_unix_nano or record.observed_time_unix_nano for record in records):
            return Decoded.told(LOGS, log_rows(logs))
    except DecodeError:
        pass
    try:
        exported = ExportMetricsServiceRequest.FromString(payload)
    except DecodeError:
        return None
    metrics = [each for owner in exported.resource_metrics for scope in owner.scope_metrics for each in scope.metrics]
    if metrics and all(metric.WhichOneof("data") for metric in metrics):
        return Decoded.told(METRICS, metric_rows(exported))
    return None
