"""Claude Code's log events as spans: an API request, an API error, a tool's result. Others say nothing of the bill."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from toolspend import attributes as at

from ..otlp_values import BadSpan, clean, moment, to_json
from ..spans import SpanRow
from . import EVENT_SCOPE, PROVIDER_REQUEST_ID, SERVICE, SUBAGENT, span_id_of, trace_id_of
from .values import count, real, text

PREFIX: Final = "claude_code."
SCOPE_PREFIX: Final = "com.anthropic.claude_code"
_MCP_TOOL: Final = "mcp_tool"
"""What a tool of an MCP server is called unless its details are logged."""


class Event(NamedTuple):
    """One log record of Claude Code's; `name` is without its prefix."""

    name: str
    time_ns: int
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]


def span_of(event: Event) -> SpanRow | BadSpan | None:
    """The span that an event amounts to; None where it says nothing of a request or a tool."""
    if event.name not in ("api_request", "api_error", "tool_result"):
        return None
    said = event.attributes
    session = text(said, "session.id") or text(event.resource, "session.id")
    if session is None:
        return BadSpan("it names no session", f"event {event.name}")
    try:
        ended_at = moment(event.time_ns, "time of the event")
    except BadSpan as bad:
        bad.where = f"event {event.name}"
        return bad
    duration = timedelta(milliseconds=min(real(said, "duration_ms") or 0.0, 1e9))
    if event.name == "tool_result":
        return _tool_span(event, session, ended_at, duration)
    return _request_span(event, session, ended_at, duration)


def _request_span(event: Event, session: str, ended_at: datetime, duration: timedelta) -> SpanRow:
    said = event.attributes
    model, request_id = text(said, "model"), text(said, "request_id")
    is_error = event.name == "api_error"
    read, written = count(said, "cache_read_tokens"), count(said, "cache_creation_tokens")
    uncached = count(said, "input_tokens")
    status = count(said, "status_code")
    attributes: dict[str, Any] = {
        at.OPERATION: at.OPERATION_CHAT,
        at.PROVIDER: "anthropic",
        at.REQUEST_MODEL: model,
        PROVIDER_REQUEST_ID: request_id,
        at.USAGE_SPEED: text(said, "speed"),
    }
    if is_error:
        attributes |= {
            at.HTTP_STATUS: status,
            at.ERROR_TYPE: str(status) if status is not None else "api_error",
            at.INPUT_TOKENS: 0,
            at.OUTPUT_TOKENS: 0,
        }
    else:
        attributes |= {
            at.RESPONSE_ID: request_id,
            at.INPUT_TOKENS: uncached + (read or 0) + (written or 0) if uncached is not None else None,
            at.CACHE_READ_TOKENS: read,
            at.CACHE_WRITE_TOKENS: written,
            at.OUTPUT_TOKENS: count(said, "output_tokens"),
        }
    return _row(
        event,
        session,
        f"chat {model}" if model else "chat",
        "client",
        ended_at,
        duration,
        "error" if is_error else "unset",
        attributes,
        request_id,
    )


def _tool_span(event: Event, session: str, ended_at: datetime, duration: timedelta) -> SpanRow:
    said = event.attributes
    tool, call_id = _tool_name(said), text(said, "tool_use_id")
    is_error = (text(said, "success") or "").lower() == "false"
    attributes = {
        at.OPERATION: at.OPERATION_TOOL,
        at.TOOL_NAME: tool,
        at.TOOL_CALL_ID: call_id,
        at.TOOL_ARGUMENT_CHARS: count(said, "tool_input_size_bytes"),
        at.TOOL_RESULT_CHARS: count(said, "tool_result_size_bytes"),
        at.ERROR_TYPE: (text(said, "error_type") or "tool_error") if is_error else None,
    }
    return _row(
        event,
        session,
        f"{at.SPAN_EXECUTE_TOOL} {tool}",
        "internal",
        ended_at,
        duration,
        "error" if is_error else "ok",
        attributes,
        call_id,
    )


def _tool_name(said: Mapping[str, Any]) -> str:
    name = text(said, "tool_name") or "unknown"
    if name != _MCP_TOOL:
        return name
    try:
        details = json.loads(text(said, "tool_parameters") or "{}")
    except ValueError:
        details = {}
    if not isinstance(details, dict):
        return name
    server, tool = text(details, "mcp_server_name"), text(details, "mcp_tool_name")
    return f"mcp__{server}__{tool}" if server and tool else name


def _row(
    event: Event,
    session: str,
    name: str,
    kind: str,
    ended_at: datetime,
    duration: timedelta,
    status: str,
    attributes: Mapping[str, Any],
    own_id: str | None,
) -> SpanRow:
    said = event.attributes
    is_subagent = text(said, "query_source") == SUBAGENT
    everything = {
        at.CONVERSATION_ID: session,
        at.USER_ID: text(said, "user.id") or text(event.resource, "user.id"),
        at.AGENT_NAME: text(said, "agent.name") or (SUBAGENT if is_subagent else None),
        **attributes,
    }
    # A record that is sent again has the time and the number that it had.
    own = own_id or f"{event.time_ns} {text(said, 'event.sequence')}"
    return SpanRow(
        trace_id=trace_id_of(session),
        span_id=span_id_of(session, "event", event.name, own),
        parent_span_id=None,
        name=clean(name),
        kind=kind,
        service=clean(text(event.resource, at.SERVICE_NAME) or SERVICE),
        scope=EVENT_SCOPE,
        scope_version=text(said, "app.version") or text(event.resource, "service.version"),
        started_at=ended_at - duration,
        ended_at=ended_at,
        duration_ms=duration / timedelta(milliseconds=1),
        status=status,
        status_message=None,
        attributes=to_json({key: value for key, value in everything.items() if value is not None}),
        resource_attributes=to_json(dict(event.resource)),
        events="[]",
    )
