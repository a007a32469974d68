"""An ExportTraceServiceRequest to columns, a few microseconds a span: ptars decodes it into Arrow, where its attributes
become JSON text a whole column at a time. Where anything is odd, it is left to `otlp_protobuf`, which says what.

Both give the same rows (a property test).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import ptars
import pyarrow as pa
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from . import json_text, otlp_protobuf
from .arrow import pc
from .otlp_values import KINDS, SPAN_ID_BYTES, STATUSES, TRACE_ID_BYTES, moment, number
from .spans import SCHEMA, SpanColumns
from .vocabularies import content

_DESCRIPTOR: Final = ExportTraceServiceRequest.DESCRIPTOR
_handler = ptars.HandlerPool([_DESCRIPTOR.file]).get_for_message(_DESCRIPTOR)
_HEX: Final = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), np.uint16)
_VALUES: Final = (
    "string_value", "int_value", "bool_value", "double_value", "array_value", "kvlist_value", "bytes_value",
    "string_value_strindex",
)  # fmt: skip
_MOST_CELLS: Final = 1 << 24


class _Odd(Exception):
    """What the careful way has to look at."""


def read(payload: bytes) -> SpanColumns | None:
    """The spans of a request; None where something in it is odd, or nothing."""
    found = read_each([payload])
    return found[0] if found is not None else None


def read_each(payloads: Sequence[bytes]) -> list[SpanColumns] | None:
    """The spans of each request; None where something in any of them is odd, or nothing in one.

    Half of what a request of 512 spans takes are calls into Arrow, as many for several.
    """
    try:
        owners = _batch(payloads).column(0)
        table, suspects = _columns(owners.flatten())
        counts = _counts(owners)
    except (ValueError, OverflowError, RecursionError, DecodeError, _Odd):
        return None
    if not all(counts):
        return None
    ends = np.cumsum(counts)
    within = np.split(suspects, np.searchsorted(suspects, ends[:-1]))
    begins = (ends - counts).tolist()
    return [
        SpanColumns(table.slice(begin, count), places - begin)
        for begin, count, places in zip(begins, counts, within, strict=True)
    ]


def _batch(payloads: Sequence[bytes]) -> pa.RecordBatch:
    """What ptars makes of the requests; raises ValueError where it gives up on one, also within itself."""
    try:
        return _handler.list_to_record_batch(list(payloads))
    except BaseException as error:
        # A panic of Rust is no Exception, and its class cannot be imported.
        if type(error).__name__ == "PanicException":
            raise ValueError(str(error)) from None
        raise


def _counts(owners: pa.ListArray) -> list[int]:
    """How many spans each request has."""
    scope_lists = owners.flatten().field("scope_spans")
    spans = pc.list_value_length(scope_lists.flatten().field("spans"))
    of_scopes = pc.list_parent_indices(owners).take(pc.list_parent_indices(scope_lists))
    counts: list[int] = np.bincount(_numbers(of_scopes), _numbers(spans), len(owners)).astype(np.int64).tolist()
    return counts


def _columns(owners: pa.StructArray) -> SpanColumns:
    scope_lists = owners.field("scope_spans")
    scopes = scope_lists.flatten()
    span_lists = scopes.field("spans")
    spans, scope_of = span_lists.flatten(), pc.list_parent_indices(span_lists)
    if not len(spans):
        raise _Odd
    owner_of = pc.list_parent_indices(scope_lists).take(scope_of)
    resources = [_resource(each) for each in owners.field("resource").to_pylist()]
    attributes, suspects = _objects(spans.field("attributes"))
    events, has_event = _events(spans.field("events"))
    start, end = (_numbers(spans.field(f"{name}_time_unix_nano")) for name in ("start", "end"))
    end = np.where(end == 0, start, end)  # an end of zero is a span that was never ended
    length = (end - start).view(np.int64)
    if ((length < 0) != (end < start)).any():
        raise _Odd
    scope = pc.struct_field(scopes, "scope")
    columns = {
        "trace_id": _ids(spans.field("trace_id"), TRACE_ID_BYTES),
        "span_id": _ids(spans.field("span_id"), SPAN_ID_BYTES),
        "parent_span_id": _ids(spans.field("parent_span_id"), SPAN_ID_BYTES, is_optional=True),
        "name": spans.field("name"),
        "kind": _coded(spans.field("kind"), KINDS),
        "service": pa.array(map(_service, resources), pa.string()).take(owner_of),
        "scope": _said(pc.struct_field(scope, "name")).take(scope_of),
        "scope_version": _said(pc.struct_field(scope, "version")).take(scope_of),
        "started_at": _times(start),
        "ended_at": _times(end),
        "duration_ms": pa.array(length / 1e6),
        "status": _coded(pc.struct_field(spans, ["status", "code"]), STATUSES),
        "status_message": _said(pc.struct_field(spans, ["status", "message"])),
        "attributes": attributes,
        "resource_attributes": pa.array(map(json_text.write, resources), pa.string()).take(owner_of),
        "events": events,
    }
    table = pa.Table.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA)
    return SpanColumns(table, np.flatnonzero(suspects | has_event))


def _numbers(column: pa.Array) -> Any:
    return column.to_numpy(zero_copy_only=False)


def _times(nanoseconds: Any) -> pa.Array:
    return pa.array((nanoseconds // 1000).astype(np.int64)).view(pa.timestamp("us"))


def _said(column: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(column, ""), None, column)


def _coded(codes: pa.Array, names: Sequence[str]) -> pa.Array:
    found = _numbers(pc.fill_null(codes, 0))
    if ((found < 0) | (found >= len(names))).any():
        raise _Odd
    return pa.array(names).take(pa.array(found))


def _resource(resource: dict[str, Any] | None) -> dict[str, Any]:
    return {pair["key"]: _plain(pair["value"]) for pair in resource["attributes"]} if resource is not None else {}


def _service(resource: dict[str, Any]) -> str | None:
    name = resource.get("service.name")
    return str(name) if name is not None else None


def _ids(column: pa.Array, size: int, *, is_optional: bool = False) -> pa.Array:
    """Ids as hex digits; optional ones are null where they are empty or zero."""
    offsets, data = _bytes(column)
    lengths = np.diff(offsets)
    is_there = lengths == size
    if not (is_there | ((lengths == 0) & is_optional)).all():
        raise _Odd
    ids = np.zeros((len(column), size), np.uint8)
    ids[is_there] = data.reshape(-1, size)
    is_said = ids.any(axis=1)
    if not (is_optional or is_said.all()):
        raise _Odd
    ends = np.arange(len(column) + 1, dtype=np.int32) * (2 * size)
    valid = pa.py_buffer(np.packbits(is_said, bitorder="little")) if is_optional else None
    return pa.StringArray.from_buffers(len(column), pa.py_buffer(ends), pa.py_buffer(_HEX[ids]), valid)


def _bytes(column: pa.Array) -> tuple[Any, Any]:
    """Where each value begins and ends, and the bytes of all."""
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    held = np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(0, np.uint8)
    return ends - ends[0], held[ends[0] : ends[-1]]


def _objects(lists: pa.ListArray) -> tuple[pa.Array, Any]:
    """Lists of attributes as JSON objects, and which of them may hold content."""
    offsets = _numbers(lists.offsets)
    offsets = offsets - offsets[0]
    pairs = lists.flatten()
    if not len(pairs):
        return pa.repeat("{}", len(lists)), np.zeros(len(lists), bool)
    encoded = pairs.field("key").dictionary_encode()
    names, codes = encoded.dictionary.to_pylist(), _numbers(encoded.indices)
    owner = np.repeat(np.arange(len(lists)), np.diff(offsets))
    _check_once(owner, codes, len(lists), len(names))
    texts, is_quoted = _texts(pairs.field("value"))
    quoted = [json_text.write(name) + ":" for name in names]
    heads = pa.array([*quoted, *(f'{name}"' for name in quoted)], pa.string())
    elements = pc.binary_join_element_wise(
        heads.take(pa.array(codes + is_quoted * len(names))),
        texts,
        pa.array(["", '"']).take(pa.array(is_quoted * 1)),
        "",
    )
    inner = pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), elements), ",")
    is_content = np.array([content.is_content(name) for name in names], bool)
    suspects = np.zeros(len(lists), bool)
    suspects[owner[is_content[codes]]] = True
    return pc.binary_join_element_wise("{", inner, "}", ""), suspects


def _check_once(owner: Any, codes: Any, owners: int, names: int) -> None:
    """Of a name that is said twice the last counts: that is rare."""
    if owners * names > _MOST_CELLS:
        raise _Odd
    if np.bincount(owner * names + codes).max() > 1:
        raise _Odd


def _texts(values: pa.StructArray) -> tuple[pa.Array, Any]:
    """Attribute values as JSON, and which of them still want quotation marks."""
    said = {name: column for name in _VALUES if (column := values.field(name)).null_count < len(column)}
    valid = {name: _numbers(column.is_valid()) for name, column in said.items()}
    if len(valid) > 1 and np.any(sum(each.astype(np.int8) for each in valid.values()) > 1):
        raise _Odd
    parts = [_AS_TEXT[name](column) for name, column in said.items() if name in _AS_TEXT]
    is_done = np.logical_or.reduce([valid[name] for name in _AS_TEXT if name in valid] or [np.zeros(len(values), bool)])
    if (rest := np.flatnonzero(~is_done)).size:
        others = np.full(len(values), None, object)
        others[rest] = [json_text.write(_plain(value)) for value in values.take(pa.array(rest)).to_pylist()]
        parts.append(pa.array(others, pa.string()))
    is_string = valid.get("string_value")
    return pc.coalesce(*parts), is_string if is_string is not None else np.zeros(len(values), bool)


def _plain(value: dict[str, Any] | None) -> Any:
    """One attribute value as JSON can hold it."""
    said = [name for name in _VALUES if value is not None and value[name] is not None]
    if value is None or not said:
        return None
    if len(said) > 1:
        raise _Odd
    held = value[said[0]]
    match said[0]:
        case "string_value" | "int_value" | "bool_value":
            return held
        case "double_value":
            return number(held)
        case "array_value":
            return [otlp_protobuf.plain(AnyValue.FromString(each)) for each in held["values"]]
        case "kvlist_value":
            return otlp_protobuf.attributes(KeyValue.FromString(each) for each in held["values"])
        case "bytes_value":
            return otlp_protobuf.plain(AnyValue(bytes_value=held))
        case _:
            return None


def _escaped(strings: pa.StringArray) -> pa.Array:
    """Strings as within quotation marks; few have anything to escape."""
    offsets, data = _bytes(strings)
    places = np.flatnonzero((data < 0x20) | (data == ord('"')) | (data == ord("\\")))
    if not len(places):
        return strings
    held = np.unique(np.searchsorted(offsets, places, side="right") - 1)
    mask = np.zeros(len(strings), bool)
    mask[held] = True
    texts = [json_text.write(text)[1:-1] for text in strings.take(pa.array(held)).to_pylist()]
    return pc.replace_with_mask(strings, pa.array(mask), pa.array(texts, pa.string()))


def _events(lists: pa.ListArray) -> tuple[pa.Array, Any]:
    """Lists of events as JSON, and which of them have any."""
    offsets = _numbers(lists.offsets)
    lengths = np.diff(offsets)
    texts = ["[]"] * len(lists)
    if lengths.any():
        events = lists.flatten()
        said, _ = _objects(events.field("attributes"))
        times = [_iso(each) for each in events.field("time_unix_nano").to_pylist()]
        every = [
            f'{{"name":{json_text.write(name)},"time":"{time}","attributes":{attributes}}}'
            for name, time, attributes in zip(events.field("name").to_pylist(), times, said.to_pylist(), strict=True)
        ]
        for place in np.flatnonzero(lengths).tolist():
            texts[place] = f"[{','.join(every[offsets[place] - offsets[0] : offsets[place + 1] - offsets[0]])}]"
    return pa.array(texts), lengths > 0


def _iso(nanoseconds: int) -> str:
    return moment(nanoseconds, "time of an event").isoformat()


_AS_TEXT: Final[dict[str, Callable[[pa.Array], pa.Array]]] = {
    "string_value": _escaped,
    "int_value": lambda column: column.cast(pa.string()),
    "bool_value": lambda column: pc.if_else(column, "true", "false"),
}
