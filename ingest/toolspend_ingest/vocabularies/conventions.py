"""Rows from a span in the words of the OpenTelemetry GenAI conventions and our own: what every dialect is put into."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

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
from ..unsaid import marked
from . import usage as usages
from .emitters import says_definitions
from .messages import loads
from .usage import Usage

OPERATION_EMBEDDINGS: Final = "embeddings"
REQUESTS: Final = frozenset({at.OPERATION_CHAT, "text_completion", "generate_content", OPERATION_EMBEDDINGS})
"""The operations that are one request to a model; an agent's or a chain's usage is that of its requests."""
SYSTEM: Final = "gen_ai.system"
SERVICE_TIERS: Final = (
    at.SERVICE_TIER,
    at.ANTHROPIC_SERVICE_TIER,
    "gen_ai.response.service_tier",
    "gen_ai.openai.response.service_tier",
    "openai.response.service_tier",
)
STOP_REASONS: Final = (
    at.ANTHROPIC_STOP_REASON,
    at.FINISH_REASONS,
    "gen_ai.response.finish_reason",
    "gen_ai.response.stop_reason",
)
FIRST_TOKEN_S: Final = (at.TIME_TO_FIRST_CHUNK, "gen_ai.server.time_to_first_token")
_FAST: Final = "fast"
_ADVISOR: Final = "advisor"
"""The one name that the provider lets its advising tool have."""
_DRAWN_OF_FEW: Final = re.compile(r"(?:chat)?cmpl-\d{1,3}|resp_\d{1,6}")
"""Ids of responses that Ollama draws from a thousand, or a million, numbers: two of one id are not one response."""
_FIRST_ERROR_STATUS: Final = 400
_REFUSALS: Final = {
    "BadRequestError": "invalid_request_error",
    "AuthenticationError": "authentication_error",
    "PermissionDeniedError": "permission_error",
    "NotFoundError": "not_found_error",
    "RequestTooLargeError": "request_too_large",
    "UnprocessableEntityError": "unprocessable_entity_error",
    "RateLimitError": "rate_limit_error",
    "InternalServerError": "api_error",
    "ServiceUnavailableError": "service_unavailable_error",
    "OverloadedError": "overloaded_error",
}
"""Exceptions of the SDKs that stand for an answer with an error status, by what the provider calls that error."""


def normalise(span: Span) -> Normalised:
    """The rows of a request, a tool's run, a batch, a selection or a compression."""
    operation = span.text(at.OPERATION)
    if operation in REQUESTS:
        request = _request(span)
        return Normalised(
            request=request, advice=_advice(span, request), evidence=_evidence(span), definitions=_definitions(span)
        )
    match operation:
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
    """The run of a tool."""
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
        duration_ms=span.lasted_ms(),
        status=span.status,
        error_type=error_type(span),
        argument_chars=span.count(at.TOOL_ARGUMENT_CHARS),
        result_chars=span.count(at.TOOL_RESULT_CHARS),
        raw_result_chars=span.count(at.TOOL_RAW_RESULT_CHARS),
        has_side_effects=span.flag(at.TOOL_HAS_SIDE_EFFECTS),
    )


def error_type(span: Span) -> str | None:
    """What kind of error a span ended with: said, or the type of the exception it recorded."""
    said = span.text(at.ERROR_TYPE)
    if said is None and span.status == "error":
        recorded = (event for event in span.events if isinstance(event, Mapping) and event.get("name") == "exception")
        held = (event["attributes"] for event in recorded if isinstance(event.get("attributes"), Mapping))
        said = next((str(each["exception.type"]) for each in held if each.get("exception.type")), None)
    return _REFUSALS.get(said.rpartition(".")[2], said) if said else None


def _request(span: Span) -> LlmRequest:
    provider = span.text(at.PROVIDER)
    error = error_type(span)
    usage = usages.of(span, provider)
    if usage.input is None and usage.uncached is None and usage.output is None and _is_refused(span, error):
        usage = usages.NOTHING
    elif span.text(at.OPERATION) == OPERATION_EMBEDDINGS:
        usage = _embedded(usage)
    first_token_s = next((said for name in FIRST_TOKEN_S if (said := span.real(name)) is not None), None)
    request = LlmRequest(
        request_id=span.span_id,
        trace_id=span.trace_id,
        service=span.service,
        agent=span.text(at.AGENT_NAME),
        provider=provider,
        model=span.text(at.RESPONSE_MODEL, at.REQUEST_MODEL),
        response_id=_response_id(span),
        scope=span.scope,
        started_at=span.started_at,
        duration_ms=span.lasted_ms(),
        time_to_first_token_ms=first_token_s * 1000 if first_token_s is not None else None,
        thinking_tokens=usage.thinking,
        web_searches=span.count(at.USAGE_WEB_SEARCHES),
        stop_reason=_stop_reason(span),
        status=span.status,
        error_type=error,
        service_tier=_service_tier(span),
        inference_geo=span.text(at.USAGE_INFERENCE_GEO),
    )
    return _using(request, usage)


def _advice(span: Span, request: LlmRequest) -> list[LlmRequest]:
    """What the provider asked other models within a request, for the tool that advises the one that was asked.

    The usage at the top leaves it out, as it is billed at those models' prices.
    """
    found = []
    for place, (model, usage) in enumerate(usages.advice(span)):
        asked = LlmRequest(
            request_id=f"{request.request_id}/{place}",
            trace_id=request.trace_id,
            service=request.service,
            agent=request.agent,
            provider=request.provider,
            model=model,
            response_id=f"{request.response_id}/{place}" if request.response_id is not None else None,
            scope=request.scope,
            started_at=request.started_at,
            duration_ms=None,
            status=request.status,
            service_tier=span.text(*SERVICE_TIERS),
            inference_geo=request.inference_geo,
            advising_tool=_ADVISOR,
        )
        found.append(_using(asked, usage))
    return found


def _using(request: LlmRequest, usage: usages.Usage) -> LlmRequest:
    """The request, with what was billed for it."""
    request.input_tokens, request.uncached_tokens = usage.input, usage.uncached
    request.cache_read_tokens = usage.cache_read
    request.cache_write_5m_tokens, request.cache_write_1h_tokens = usage.cache_write_5m, usage.cache_write_1h
    request.output_tokens = usage.output
    request.is_usage_known = usage.is_known
    return request


def _response_id(span: Span) -> str | None:
    said = span.text(at.RESPONSE_ID)
    return said if said is None or not _DRAWN_OF_FEW.fullmatch(said) else None


def _is_refused(span: Span, error: str | None) -> bool:
    """Whether the provider answered with an error: it bills nothing for that, which is known, unlike a lost answer."""
    if span.status != "error":
        return False
    status = span.count(at.HTTP_STATUS)
    return status >= _FIRST_ERROR_STATUS if status is not None else error in _REFUSALS.values()


def _embedded(usage: Usage) -> Usage:
    """An embedding is made of the whole text, from no cache, and has no output."""
    said = usage.input if usage.input is not None else usage.uncached
    return Usage(said, said, 0, 0, 0, 0) if said is not None else usage


def _service_tier(span: Span) -> str | None:
    # The fast mode is a price of its own, whatever the tier.
    if span.text(at.USAGE_SPEED) == _FAST:
        return _FAST
    return span.text(*SERVICE_TIERS)


def _stop_reason(span: Span) -> str | None:
    for name in STOP_REASONS:
        said = span.attributes.get(name)
        if isinstance(said, list):
            said = said[0] if said else None
        if said:
            return str(said)
    return None


def _evidence(span: Span) -> Evidence | None:
    """What is said of the prompt and the output; of a prompt whose beginning was not, with a mark in its place."""
    base, segments = span.text(at.CONTEXT_BASE), span.count(at.CONTEXT_SEGMENTS)
    delta = _json_list(span.text(at.CONTEXT_DELTA))
    if delta is not None and base is None and segments is None:
        is_cut = span.flag(at.ANTHROPIC_TRUNCATED) is True
        if is_cut or not says_definitions(span.scope):
            delta = marked(delta, is_cut=is_cut)
    row = Evidence(
        request_id=span.span_id,
        trace_id=span.trace_id,
        started_at=span.started_at,
        base_request_id=base,
        delta=delta,
        restated=_json_list(span.text(at.CONTEXT_RESTATED)),
        segments=segments,
        chars=span.count(at.CONTEXT_CHARS),
        cache_marks=_json_list(span.text(at.CONTEXT_CACHE_MARKS)),
        output=_json_list(span.text(at.OUTPUT_SEGMENTS)),
        applied_edits=_json_list(span.text(at.CONTEXT_EDITS)),
    )
    return row if row.delta is not None or row.output is not None else None


def _json_list(text: str | None) -> str | None:
    """The text, where it is a JSON array that the store takes."""
    if text is None or not isinstance(value := loads(text), list):
        return None
    has_halves = "\\ud" in text or "\\uD" in text
    return json.dumps(value, ensure_ascii=False) if has_halves else text


def _definitions(span: Span) -> list[SeenDefinition]:
    listed = loads(span.text(at.TOOL_DEFINITIONS) or "[]")
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
    wall_ms = span.real(at.BATCH_WALL_MS)
    return ToolBatch(
        batch_id=span.text(at.BATCH_ID) or span.span_id,
        trace_id=span.trace_id,
        started_at=span.started_at,
        calls=span.count(at.BATCH_CALLS) or 0,
        failed=span.count(at.BATCH_FAILED) or 0,
        wall_ms=wall_ms if wall_ms is not None else span.lasted_ms(),
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
        is_unsure=span.flag(at.SELECTION_IS_UNSURE),
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


def _optional(value: object) -> str | None:
    return str(value) if value is not None else None
