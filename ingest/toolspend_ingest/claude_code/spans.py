"""Requests and tool runs of a session file as rows of `spans`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from toolspend import attributes as at
from toolspend.evidence.segments import Segment

from ..otlp_values import clean, to_json
from ..spans import SpanRow
from . import PROVIDER_REQUEST_ID, SERVICE, TRANSCRIPT_SCOPE, span_id_of, trace_id_of
from .conversation import NAMELESS, Call, Request
from .errors import error_attributes
from .usage import usage_attributes

_RESOURCE: Final = to_json({at.SERVICE_NAME: SERVICE})


def request_span(request: Request) -> SpanRow:
    """A model request: what it was billed, what its prompt and its answer were made of."""
    model, error = request.model, request.error
    is_named = error is None and request.key != "" and not request.key.startswith(NAMELESS)
    if error is None:
        said = usage_attributes(request.usage)
    else:
        model = request.base.model if request.base is not None else None
        said = error_attributes(error)
    attributes = {
        at.OPERATION: at.OPERATION_CHAT,
        at.PROVIDER: "anthropic",
        at.CONVERSATION_ID: request.session,
        at.AGENT_NAME: request.agent,
        at.REQUEST_MODEL: model,
        at.RESPONSE_ID: request.key if is_named else None,
        PROVIDER_REQUEST_ID: request.provider_request_id,
        at.ANTHROPIC_STOP_REASON: request.stop_reason if error is None else None,
        **said,
        **(_evidence(request) if request.has_content else {}),
    }
    return _row(
        name=f"chat {model}" if model else "chat",
        kind="client",
        session=request.session,
        span=_span_id(request),
        version=request.version,
        started_at=request.started_at,
        ended_at=request.ended_at,
        status="unset" if error is None else "error",
        attributes=attributes,
    )


def call_span(call: Call) -> SpanRow:
    """A tool run whose result came back."""
    started_at = call.started_at
    if call.duration_ms is not None:
        started_at = max(started_at, call.ended_at - timedelta(milliseconds=call.duration_ms))
    return _row(
        name=f"{at.SPAN_EXECUTE_TOOL} {call.tool}",
        kind="internal",
        session=call.request.session,
        span=span_id_of(call.request.session, "call", call.call_id),
        version=call.request.version,
        started_at=started_at,
        ended_at=call.ended_at,
        status="ok" if call.error_type is None else "error",
        attributes={
            at.OPERATION: at.OPERATION_TOOL,
            at.CONVERSATION_ID: call.request.session,
            at.AGENT_NAME: call.request.agent,
            at.TOOL_NAME: call.tool,
            at.TOOL_CALL_ID: call.call_id,
            at.TOOL_ARGUMENT_CHARS: call.argument_chars,
            at.TOOL_RESULT_CHARS: call.result_chars,
            at.ERROR_TYPE: call.error_type,
        },
    )


def _evidence(request: Request) -> dict[str, Any]:
    head, base = request.head, request.base
    before = 0 if head is None else 1
    delta = [text for text, _ in request.added]
    if base is not None:
        delta.insert(0, f"[0,{base.length + (base.head is not None)}]")
    if head is not None and (base is None or base.head is None):
        delta.insert(0, head[0])
    return {
        at.CONTEXT_BASE: _span_id(base) if base is not None else None,
        at.CONTEXT_DELTA: f"[{','.join(delta)}]",
        at.CONTEXT_SEGMENTS: request.length + before,
        at.CONTEXT_CHARS: request.chars,
        at.OUTPUT_SEGMENTS: _listed(request.output),
    }


def _listed(some: list[Segment]) -> str:
    return f"[{','.join(text for text, _ in some)}]"


def _span_id(request: Request) -> str:
    return span_id_of(request.session, "request", request.key)


def _row(
    *,
    name: str,
    kind: str,
    session: str,
    span: str,
    version: str | None,
    started_at: datetime,
    ended_at: datetime,
    status: str,
    attributes: dict[str, Any],
) -> SpanRow:
    return SpanRow(
        trace_id=trace_id_of(session),
        span_id=span,
        parent_span_id=None,
        name=clean(name),
        kind=kind,
        service=SERVICE,
        scope=TRANSCRIPT_SCOPE,
        scope_version=clean(version) if version is not None else None,
        started_at=started_at,
        ended_at=ended_at,
        duration_ms=(ended_at - started_at) / timedelta(milliseconds=1),
        status=status,
        status_message=None,
        attributes=to_json({key: value for key, value in attributes.items() if value is not None}),
        resource_attributes=_RESOURCE,
        events="[]",
    )
