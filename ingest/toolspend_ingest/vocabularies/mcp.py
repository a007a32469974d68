"""Spans of the MCP libraries themselves: a `tools/call` is a tool execution, from the client's or the server's side."""

from __future__ import annotations

from toolspend import attributes as at

from ..rows import Normalised, Span
from .genai import tool_call

CALL_METHOD = "tools/call"


def speaks(span: Span) -> bool:
    """Whether the span is an MCP message of a library's own; ours are in the general conventions."""
    return span.scope != at.SCOPE and (at.MCP_METHOD in span.attributes or span.name.startswith(f"{CALL_METHOD} "))


def normalise(span: Span) -> Normalised:
    """A tool execution for a tool call; nothing for the rest of the protocol."""
    if span.text(at.MCP_METHOD) not in (CALL_METHOD, None):
        return Normalised()
    tool = span.text(at.TOOL_NAME) or span.name.removeprefix(CALL_METHOD).strip()
    return Normalised(tool_call=tool_call(span, tool)) if tool else Normalised()
