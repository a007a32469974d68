"""The derived rows, as the vocabularies make them and the pipeline completes them: one class a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, ClassVar, Final

import msgspec
import pyarrow as pa
from msgspec.structs import replace

LONGEST: Final = timedelta(days=366)
"""The end of a span that would have lasted longer is none: what never ended, or another clock's."""
_MOST: Final = 2**63


class Span(msgspec.Struct):
    """A stored span with its JSON read; nobody changes it."""

    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    kind: str
    service: str | None
    scope: str | None
    scope_version: str | None
    started_at: datetime
    ended_at: datetime
    duration_ms: float
    status: str
    attributes: Mapping[str, Any]
    events: list[Any] = []

    def saying(self, said: Mapping[str, Any], **fields: Any) -> Span:
        """The same span with these attributes, and these fields, as well; itself where there are none."""
        return replace(self, attributes={**self.attributes, **said}, **fields) if said or fields else self

    def lasted_ms(self) -> float | None:
        """How long it lasted; None where it ends before it starts, or much too late."""
        return self.duration_ms if 0 <= self.duration_ms <= LONGEST / timedelta(milliseconds=1) else None

    def text(self, *names: str) -> str | None:
        """The first of these attributes that is there, as text."""
        get = self.attributes.get
        for name in names:
            if (value := get(name)) is not None:
                return value if type(value) is str else str(value)
        return None

    def count(self, *names: str) -> int | None:
        """The first of these attributes that is a whole number of 0 or more."""
        get = self.attributes.get
        for name in names:
            if (value := get(name)) is None:
                continue
            if type(value) is float and value.is_integer():
                value = int(value)
            if type(value) is int and 0 <= value < _MOST:
                return value
        return None

    def real(self, name: str) -> float | None:
        """The attribute, where it is a number."""
        value = self.attributes.get(name)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def flag(self, name: str) -> bool | None:
        """The attribute, where it is true or false."""
        value = self.attributes.get(name)
        return value if isinstance(value, bool) else None


class LlmRequest(msgspec.Struct):
    """One row of `llm_requests`, without what the attribution adds."""

    table: ClassVar[str] = "llm_requests"

    request_id: str
    trace_id: str
    started_at: datetime
    duration_ms: float | None
    status: str
    session_id: str = ""
    service: str | None = None
    agent: str | None = None
    provider: str | None = None
    model: str | None = None
    price_model: str | None = None
    response_id: str | None = None
    scope: str | None = None
    time_to_first_token_ms: float | None = None
    input_tokens: int | None = None
    uncached_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_5m_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    output_tokens: int | None = None
    thinking_tokens: int | None = None
    web_searches: int | None = None
    tools_offered: int | None = None
    stop_reason: str | None = None
    error_type: str | None = None
    service_tier: str | None = None
    inference_geo: str | None = None
    user_id: str | None = None
    tags: list[str] | None = None
    compressed_tool: str | None = None
    advising_tool: str | None = None
    is_priced: bool = False
    is_usage_known: bool = False

    @property
    def ended_at(self) -> datetime:
        """When it ended; where that is not known, when it began."""
        return self.started_at + timedelta(milliseconds=self.duration_ms or 0.0)


class RequestCopy(msgspec.Struct):
    """One row of `request_copies`: a span that tells of a request for which another span stands in `llm_requests`."""

    table: ClassVar[str] = "request_copies"

    span_id: str
    trace_id: str
    request_id: str
    request_trace_id: str
    scope: str | None
    reason: str

    @property
    def traces(self) -> tuple[str, str]:
        """The trace of the span, and that of the one that stands for it."""
        return self.trace_id, self.request_trace_id


class Evidence(msgspec.Struct):
    """One row of `context_evidence`; `delta`, `restated`, `cache_marks`, `output` and `applied_edits` are JSON text."""

    table: ClassVar[str] = "context_evidence"

    request_id: str
    trace_id: str
    started_at: datetime
    session_id: str = ""
    base_request_id: str | None = None
    delta: str | None = None
    restated: str | None = None
    segments: int | None = None
    chars: int | None = None
    cache_marks: str | None = None
    output: str | None = None
    applied_edits: str | None = None


class ToolCall(msgspec.Struct):
    """One row of `seen_calls`, without what the attribution adds."""

    table: ClassVar[str] = "seen_calls"

    trace_id: str
    tool: str
    started_at: datetime
    status: str
    session_id: str = ""
    span_id: str | None = None
    request_id: str | None = None
    tool_call_id: str | None = None
    tool_version: str | None = None
    declared_version: str | None = None
    server: str | None = None
    service: str | None = None
    batch_id: str | None = None
    duration_ms: float | None = None
    error_type: str | None = None
    argument_chars: int | None = None
    result_chars: int | None = None
    raw_result_chars: int | None = None
    has_side_effects: bool | None = None
    is_on_critical_path: bool | None = None
    user_id: str | None = None
    tags: list[str] | None = None


class ToolBatch(msgspec.Struct):
    """One row of `tool_batches`."""

    table: ClassVar[str] = "tool_batches"

    batch_id: str
    trace_id: str
    started_at: datetime
    calls: int
    failed: int
    session_id: str = ""
    wall_ms: float | None = None
    sequential_ms: float | None = None
    speedup: float | None = None


class ToolSelection(msgspec.Struct):
    """One row of `tool_selections`, without what the attribution adds."""

    table: ClassVar[str] = "tool_selections"

    span_id: str
    trace_id: str
    started_at: datetime
    session_id: str = ""
    task_type: str | None = None
    candidates: int | None = None
    selected: int | None = None
    offered_chars: int | None = None
    avoided_chars: int | None = None
    is_unsure: bool | None = None


class Compression(msgspec.Struct):
    """One row of `compressions`, without what the attribution adds."""

    table: ClassVar[str] = "compressions"

    span_id: str
    trace_id: str
    started_at: datetime
    session_id: str = ""
    tool: str | None = None
    tool_call_id: str | None = None
    strategy: str | None = None
    chars_before: int | None = None
    chars_after: int | None = None


class SeenDefinition(msgspec.Struct):
    """One row of `seen_definitions`: a definition that a span names, in full or by its version only."""

    table: ClassVar[str] = "seen_definitions"

    tool: str
    tool_version: str
    first_seen_at: datetime
    last_seen_at: datetime
    declared_version: str | None = None
    description: str | None = None
    input_schema: str | None = None
    definition_chars: int | None = None


class Normalised(msgspec.Struct):
    """What one span says, in rows; most spans say nothing."""

    request: LlmRequest | None = None
    advice: list[LlmRequest] = []
    """Requests that the provider made to other models within it."""
    evidence: Evidence | None = None
    tool_call: ToolCall | None = None
    batch: ToolBatch | None = None
    selection: ToolSelection | None = None
    compression: Compression | None = None
    definitions: list[SeenDefinition] = []

    @property
    def says_something(self) -> bool:
        """Whether spans above and below may matter to it, and it to them."""
        said = (self.request, self.tool_call, self.batch, self.selection, self.compression)
        return said != (None, None, None, None, None)


_ARROW = {
    "str": pa.string(),
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "datetime": pa.timestamp("us"),
    "list[str]": pa.list_(pa.string()),
}


def to_arrow(kind: type[Any], rows: Iterable[Any]) -> pa.Table:
    """Rows of one class as a table of its columns."""
    columns = [
        (name, _ARROW[str(kind.__annotations__[name]).removesuffix(" | None")]) for name in kind.__struct_fields__
    ]
    values = list(zip(*map(attrgetter(*(name for name, _ in columns)), rows), strict=True)) or [()] * len(columns)
    return pa.Table.from_arrays(
        [pa.array(column, type=arrow) for column, (_, arrow) in zip(values, columns, strict=True)],
        schema=pa.schema(columns),
    )
