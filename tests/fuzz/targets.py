"""What may come from outside, as functions of bytes: each raises where a reader fails, or lets something false through.

A target reads its input as the product does, puts the spans through the store's door, and makes the rows of requests
and calls of them.
"""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from toolspend_dashboard.bodies import BodyError, decompress
from toolspend_dashboard.errors import Busy
from toolspend_dashboard.intake import Held
from toolspend_ingest import copies, otlp_columns, privacy, signals, told_by_logs, vocabularies
from toolspend_ingest.decode import Decoded, decode
from toolspend_ingest.rows import Span
from toolspend_ingest.sources.files import otlp_files
from toolspend_ingest.spans import SpanBatch, SpanRow
from toolspend_ingest.traces import trace_rows

Target = Callable[[bytes], None]
LARGEST_BODY: Final = 1 << 20
ENCODINGS: Final = ("gzip", "deflate", "zstd", "br")
_HEX: Final = frozenset("0123456789abcdef")


class _Unbounded(Held):
    """Memory that nobody else asks for: here the largest body is the only limit."""

    def __init__(self) -> None:
        self.most = 0

    def grow(self, size: int) -> None:
        self.most += size


def protobuf(data: bytes) -> None:
    """OTLP as protobuf: whole, damaged, or another signal; in columns, as long requests are read, it says the same."""
    decoded = decode(data, "protobuf")
    if (columns := otlp_columns.read(data)) is not None:
        found = list(SpanBatch.of(columns))
        if decoded.refused:  # a group that ends as another: protobuf takes that for damage, ptars passes over it
            assert {row[:2] for row in found} >= {row[:2] for row in decoded.spans}
        else:
            assert found == list(decoded.spans)
    _derived(decoded)


def document(data: bytes) -> None:
    """OTLP as one JSON document, and the JSON of other tracers."""
    _derived(decode(data, "json"))


def lines(data: bytes) -> None:
    """OTLP as JSON lines."""
    _derived(decode(data, "jsonl"))


def file(data: bytes) -> None:
    """A file of whatever form: spool frames, transcripts, logs of evaluations, compressed or not."""
    with tempfile.NamedTemporaryFile(suffix=".jsonl", dir=_FOLDER) as given:
        given.write(data)
        given.flush()
        (found,), _ = otlp_files(Path(given.name), lambda _identity, _size: False)
        position = 0
        for chunk in found.chunks(None):
            assert chunk.position >= position or chunk.position == 0
            position = max(position, chunk.position)
            _derived(chunk.decoded)


def logs(data: bytes) -> None:
    """OTLP logs, as protobuf or JSON."""
    _derived(signals.decode_logs(data, "json" if data[:1] == b"{" else "protobuf"))


def metrics(data: bytes) -> None:
    """OTLP metrics, as protobuf or JSON."""
    _derived(signals.decode_metrics(data, "json" if data[:1] == b"{" else "protobuf"))


def body(data: bytes) -> None:
    """A compressed body of a request; its first byte chooses how."""
    held = _Unbounded()
    try:
        found = decompress(data[1:], ENCODINGS[data[0] % len(ENCODINGS)] if data else "", held, LARGEST_BODY)
    except (BodyError, Busy) as error:
        assert "\n" not in str(error)
    else:
        assert len(found) <= LARGEST_BODY


TARGETS: Final[Mapping[str, Target]] = {
    each.__name__: each for each in (protobuf, document, lines, file, logs, metrics, body)
}
_FOLDER: Final = "/dev/shm" if Path("/dev/shm").is_dir() else None


def _derived(decoded: Decoded) -> None:
    for refusal in decoded.refused:
        str(refusal).encode()
        assert "\n" not in str(refusal), refusal
    spans = privacy.without_content(decoded.spans)
    assert len(spans) == len(decoded.spans)
    traces: defaultdict[str, list[Span]] = defaultdict(list)
    for row in spans:
        _is_storable(row)
        traces[row.trace_id].append(_span(row))
    folded = [told_by_logs.folded(list(map(vocabularies.translate, each))) for each in traces.values()]
    found = list(map(trace_rows, folded))
    copies.bill_once(found)
    assert sum(len(rows.requests) + len(rows.copies) for rows in found) <= len(spans)


def _is_storable(row: SpanRow) -> None:
    assert len(row.trace_id) == 32 and _HEX.issuperset(row.trace_id), row.trace_id
    assert len(row.span_id) == 16 and _HEX.issuperset(row.span_id), row.span_id
    for value in row:
        if isinstance(value, str):
            value.encode()


def _span(row: SpanRow) -> Span:
    attributes: dict[str, Any] = json.loads(row.attributes)
    events: list[Any] = json.loads(row.events)
    assert isinstance(attributes, dict) and isinstance(events, list)
    return Span(*row[:12], attributes, events)
