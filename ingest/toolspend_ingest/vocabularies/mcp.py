"""Spans of the MCP libraries themselves: a `tools/call` is a tool execution, from the client's or the server's side."""

from __future__ import annotations

from typing import Any, Final

from toolspend import attributes as at

from ..rows import Span
from . import genai

CALL_METHOD: Final = "tools/call"


def translate(span: Span) -> Span:
    """The span in the conventions' words: a tool's run for a call, nothing for the rest of the protocol."""
    if span.text(at.MCP_METHOD) not in (CALL_METHOD, None):
        return span.saying({at.OPERATION: None})
    tool = span.text(at.TOOL_NAME) or span.name.removeprefix(CALL_METHOD).strip()
    return span.saying({at.OPERATION: at.OPERATION_TOOL, at.TOOL_NAME: tool} if tool else {})


def read_content(span: Span) -> dict[str, Any]:
    """The sizes of the arguments and the result."""
    return genai.of_call(span)
