"""Claude Code's own spans, `claude_code.llm_request` and `claude_code.tool`, where its tracing is turned on.

Input tokens are the provider's, the cache beside them. A tool's span lasts from the call on, until the user permitted
it too; the run itself is one more span within, which alone says how it ended and which often names no call.
"""

from __future__ import annotations

from typing import Any, Final

from toolspend import attributes as at

from ..claude_code import PROVIDER_REQUEST_ID, SUBAGENT, TRACE_SCOPE
from ..claude_code.values import count, real, text
from ..rows import Span

SCOPES: Final = (TRACE_SCOPE, "com.anthropic.claude_code.traces")
"""What the tracer is called, and was up to 2.1.170."""
EXECUTION: Final = "claude_code.tool.execution"
"""The name of the span of a run itself, which stands for its tool's."""
_REQUEST: Final = "claude_code.llm_request"
_TOOL: Final = "claude_code.tool"
_UNKNOWN_ERROR: Final = "request_failed"
"""Not the name of a provider's answer: whether anything was billed is not known."""


def translate(span: Span) -> Span:
    """The span in the conventions' words."""
    said: dict[str, Any] = {
        at.CONVERSATION_ID: text(span.attributes, "session.id"),
        at.AGENT_NAME: _agent(span),
    }
    is_failed = span.flag("success") is False
    if span.name == _REQUEST:
        said |= _request(span, is_failed=is_failed)
    elif span.name in (_TOOL, EXECUTION):
        said |= {
            at.OPERATION: at.OPERATION_TOOL,
            at.TOOL_NAME: EXECUTION if span.name == EXECUTION else text(span.attributes, "tool_name"),
            at.TOOL_CALL_ID: span.text("gen_ai.tool.call.id", "tool_use_id"),
            at.ERROR_TYPE: (text(span.attributes, "error_class") or "tool_error") if is_failed else None,
        }
    status = "error" if is_failed else "ok" if span.flag("success") and span.status == "unset" else span.status
    named = {name: value for name, value in said.items() if value is not None}
    return span.saying(named, scope=TRACE_SCOPE, status=status)


def read_content(_span: Span) -> dict[str, Any]:
    """Nothing: what is there of prompts and results is a rendering, and cut off."""
    return {}


def _request(span: Span, *, is_failed: bool) -> dict[str, Any]:
    said = span.attributes
    uncached, read, written = (
        count(said, name) for name in ("input_tokens", "cache_read_tokens", "cache_creation_tokens")
    )
    status, first_ms = count(said, "status_code"), real(said, "ttft_ms")
    return {
        at.OPERATION: at.OPERATION_CHAT,
        at.PROVIDER: "anthropic",
        at.REQUEST_MODEL: span.text(at.REQUEST_MODEL, "model"),
        at.RESPONSE_ID: span.text(at.RESPONSE_ID, "request_id"),
        PROVIDER_REQUEST_ID: text(said, "request_id"),
        at.INPUT_TOKENS: uncached + (read or 0) + (written or 0) if uncached is not None else None,
        at.CACHE_READ_TOKENS: read,
        at.CACHE_WRITE_TOKENS: written,
        at.OUTPUT_TOKENS: count(said, "output_tokens"),
        at.TIME_TO_FIRST_CHUNK: first_ms / 1000 if first_ms is not None else None,
        at.ANTHROPIC_STOP_REASON: text(said, "stop_reason"),
        at.USAGE_SPEED: text(said, "speed"),
        at.HTTP_STATUS: status,
        at.ERROR_TYPE: (str(status) if status is not None else _UNKNOWN_ERROR) if is_failed else None,
    }


def _agent(span: Span) -> str | None:
    is_below = span.text("query_source") == SUBAGENT or "agent_id" in span.attributes
    return text(span.attributes, "agent.name") or (SUBAGENT if is_below else None)
