"""The OpenTelemetry GenAI conventions, as we, the anthropic SDK and the official instrumentations say them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from toolspend import attributes as at

from ..rows import (
    Compression,
    Evidence,
    LlmRequest,
    Normalised,
    SeenDefinition,
    Span,
    ToolBatch,
    ToolCall,
    ToolSelection,
)
from . import content
from .usage import Usage, convention_usage

NATIVE_RESULT = "anthropic.tool_result.content"
_OFFICIAL_SCOPE = "opentelemetry.instrumentation.genai"
_FAST = "fast"
_FIRST_ERROR_STATUS = 400
_NOTHING = Usage(0, 0, 0, 0, 0)


def speaks(span: Span) -> bool:
    """Whether the span's scope is known to follow the conventions, also in what its token counts include."""
    scope = span.scope or ""
    return scope == at.SCOPE or scope.startswith((f"{at.SCOPE}.", at.ANTHROPIC_SCOPE, _OFFICIAL_SCOPE))


def normalise(span: Span) -> Normalised:
    """The rows of a request, a tool's run, a batch, a selection or a compression."""
    match span.text(at.OPERATION):
        case at.OPERATION_CHAT:
            return Normalised(request=_request(span), evidence=_evidence(span), definitions=_definitions(span))
        case at.OPERATION_TOOL:
            tool = span.text(at.TOOL_NAME) or span.name.removeprefix(at.SPAN_EXECUTE_TOOL).strip()
            return (
                Normalised(tool_call=tool_call(span, tool), definitions=_version(span, tool)) if tool else Normalised()
            )
        case at.OPERATION_BATCH:
            return Normalised(batch=_batch(span))
        case at.OPERATION_SELECT:
            return Normalised(selection=_selection(span))
        case at.OPERATION_COMPRESS:
            return Normalised(compression=_compression(span))
        case _:
            return Normalised()


def tool_call(span: Span, tool: str) -> ToolCall:
    """The run of a tool; sizes in characters are those said, else those of the content that is there."""
    return ToolCall(
        span_id=span.span_id,
        trace_id=span.trace_id,
        tool=tool,
        tool_call_id=span.text(at.TOOL_CALL_ID),
        tool_version=span.text(at.TOOL_VERSION),
        declared_version=span.text(at.TOOL_DECLARED_VERSION),
        server=span.text(at.TOOL_SERVER),
        service=span.service,
        batch_id=span.text(at.BATCH_ID),
        started_at=span.started_at,
        duration_ms=span.duration_ms,
        status=span.status,
        error_type=error_type(span),
        argument_chars=_or(span.count(at.TOOL_ARGUMENT_CHARS), _length(span.attributes.get(at.TOOL_ARGUMENTS))),
        result_chars=_or(
            span.count(at.TOOL_RESULT_CHARS),
            _or(_length(span.attributes.get(at.TOOL_RESULT)), _length(span.attributes.get(NATIVE_RESULT))),
        ),
        raw_result_chars=span.count(at.TOOL_RAW_RESULT_CHARS),
        has_side_effects=span.flag(at.TOOL_HAS_SIDE_EFFECTS),
    )


def error_type(span: Span) -> str | None:
    """What kind of error a span ended with: said, or the type of the exception it recorded."""
    if said := span.text(at.ERROR_TYPE):
        return said
    if span.status != "error":
        return None
    recorded = (event for event in span.events if isinstance(event, Mapping) and event.get("name") == "exception")
    types = (event.get("attributes", {}).get("exception.type") for event in recorded)
    return next((str(each) for each in types if each), None)


def _request(span: Span) -> LlmRequest:
    usage = convention_usage(span) or (_NOTHING if _is_refused(span) else None)
    first_chunk_s = span.real(at.TIME_TO_FIRST_CHUNK)
    return LlmRequest(
        request_id=span.span_id,
        trace_id=span.trace_id,
        service=span.service,
        agent=span.text(at.AGENT_NAME),
        provider=span.text(at.PROVIDER),
        model=span.text(at.RESPONSE_MODEL, at.REQUEST_MODEL),
        response_id=span.text(at.RESPONSE_ID),
        started_at=span.started_at,
        duration_ms=span.duration_ms,
        time_to_first_token_ms=first_chunk_s * 1000 if first_chunk_s is not None else None,
        input_tokens=usage.input if usage else None,
        uncached_tokens=usage.uncached if usage else None,
        cache_read_tokens=usage.cache_read if usage else None,
        cache_write_5m_tokens=usage.cache_write_5m if usage else None,
        cache_write_1h_tokens=usage.cache_write_1h if usage else None,
        output_tokens=usage.output if usage else span.count(at.OUTPUT_TOKENS),
        thinking_tokens=span.count(at.THINKING_TOKENS),
        web_searches=span.count(at.USAGE_WEB_SEARCHES),
        stop_reason=_stop_reason(span),
        status=span.status,
        error_type=error_type(span),
        service_tier=_service_tier(span),
        is_usage_known=usage is not None and usage.output is not None,
    )


def _is_refused(span: Span) -> bool:
    """Whether the provider answered with an error: it bills nothing for that, which is known, unlike a lost answer."""
    status = span.count(at.HTTP_STATUS)
    return span.status == "error" and status is not None and status >= _FIRST_ERROR_STATUS


def _service_tier(span: Span) -> str | None:
    # The fast mode is a price of its own, whatever the tier.
    if span.text(at.USAGE_SPEED) == _FAST:
        return _FAST
    return span.text(at.SERVICE_TIER, at.ANTHROPIC_SERVICE_TIER)


def _stop_reason(span: Span) -> str | None:
    if said := span.text(at.ANTHROPIC_STOP_REASON):
        return said
    reasons = span.attributes.get(at.FINISH_REASONS)
    return str(reasons[0]) if isinstance(reasons, list) and reasons else None


def _evidence(span: Span) -> Evidence | None:
    """What is said of the prompt and the output, else what their content shows."""
    delta, output = span.text(at.CONTEXT_DELTA), span.text(at.OUTPUT_SEGMENTS)
    row = Evidence(
        request_id=span.span_id,
        trace_id=span.trace_id,
        started_at=span.started_at,
        base_request_id=span.text(at.CONTEXT_BASE),
        delta=_json_list(delta),
        restated=_json_list(span.text(at.CONTEXT_RESTATED)),
        segments=span.count(at.CONTEXT_SEGMENTS),
        chars=span.count(at.CONTEXT_CHARS),
        cache_marks=_json_list(span.text(at.CONTEXT_CACHE_MARKS)),
        output=_json_list(output),
        applied_edits=_json_list(span.text(at.CONTEXT_EDITS)),
    )
    if row.delta is None and (prompt := content.prompt_segments(span)) is not None:
        row.delta, row.base_request_id, row.restated = content.to_text(prompt), None, None
        # Without the definitions, how much there is in all is not known.
        if content.TOOL_DEFINITIONS in span.attributes:
            row.segments, row.chars = len(prompt), sum(segment[1] for segment in prompt)
    if row.output is None and (answer := content.output_segments(span)) is not None:
        row.output = content.to_text(answer)
    return row if row.delta is not None or row.output is not None else None


def _json_list(text: str | None) -> str | None:
    """The text, where it is a JSON array that the store takes."""
    if text is None or not isinstance(value := content.loads(text), list):
        return None
    has_halves = "\\ud" in text or "\\uD" in text
    return json.dumps(value, ensure_ascii=False) if has_halves else text


def _definitions(span: Span) -> list[SeenDefinition]:
    listed = content.loads(span.text(at.TOOL_DEFINITIONS) or "[]")
    if not isinstance(listed, list):
        return []
    return [
        SeenDefinition(
            tool=str(each["name"]),
            tool_version=str(each["version"]),
            declared_version=_optional(each.get("declared_version")),
            description=_optional(each.get("description")),
            input_schema=json.dumps(each["input_schema"], ensure_ascii=False) if each.get("input_schema") else None,
            first_seen_at=span.started_at,
            last_seen_at=span.started_at,
        )
        for each in listed
        if isinstance(each, Mapping) and each.get("name") and each.get("version")
    ]


def _version(span: Span, tool: str) -> list[SeenDefinition]:
    version = span.text(at.TOOL_VERSION)
    if version is None:
        return []
    declared = span.text(at.TOOL_DECLARED_VERSION)
    return [SeenDefinition(tool, version, span.started_at, span.started_at, declared_version=declared)]


def _batch(span: Span) -> ToolBatch:
    return ToolBatch(
        batch_id=span.text(at.BATCH_ID) or span.span_id,
        trace_id=span.trace_id,
        started_at=span.started_at,
        calls=span.count(at.BATCH_CALLS) or 0,
        failed=span.count(at.BATCH_FAILED) or 0,
        wall_ms=_or(span.real(at.BATCH_WALL_MS), span.duration_ms),
    )


def _selection(span: Span) -> ToolSelection:
    return ToolSelection(
        span_id=span.span_id,
        trace_id=span.trace_id,
        started_at=span.started_at,
        task_type=span.text(at.SELECTION_TASK_TYPE),
        candidates=span.count(at.SELECTION_CANDIDATES),
        selected=span.count(at.SELECTION_SELECTED),
        offered_chars=span.count(at.SELECTION_OFFERED_CHARS),
        avoided_chars=span.count(at.SELECTION_AVOIDED_CHARS),
    )


def _compression(span: Span) -> Compression:
    return Compression(
        span_id=span.span_id,
        trace_id=span.trace_id,
        started_at=span.started_at,
        tool=span.text(at.TOOL_NAME) or span.name.removeprefix(at.SPAN_COMPRESS_RESULT).strip() or None,
        tool_call_id=span.text(at.TOOL_CALL_ID),
        strategy=span.text(at.COMPRESSION_STRATEGY),
        chars_before=span.count(at.COMPRESSION_CHARS_BEFORE),
        chars_after=span.count(at.COMPRESSION_CHARS_AFTER),
    )


def _length(value: object) -> int | None:
    return len(value) if isinstance(value, str) else None


def _optional(value: object) -> str | None:
    return str(value) if value is not None else None


def _or(first: Any, second: Any) -> Any:
    return first if first is not None else second
