"""A small agent's session in two traces: a root with a selection, two requests, a parallel batch and a compression."""

from __future__ import annotations

import json
from typing import Any

from otlp_requests import Made
from toolspend import attributes as at

SESSION = "conv-1"


def chat(trace: int, span: int, at_s: float, number: int, **more: Any) -> Made:
    """A model request of ours; `number` makes its response id."""
    attributes = {
        at.OPERATION: at.OPERATION_CHAT,
        at.PROVIDER: "anthropic",
        at.REQUEST_MODEL: "claude-sonnet-4-5",
        at.RESPONSE_MODEL: "claude-sonnet-4-5-20250929",
        at.RESPONSE_ID: f"msg_{number}",
        at.CONVERSATION_ID: SESSION,
        at.INPUT_TOKENS: 1000,
        at.CACHE_READ_TOKENS: 600,
        at.CACHE_WRITE_TOKENS: 300,
        at.OUTPUT_TOKENS: 80,
        at.ANTHROPIC_STOP_REASON: "end_turn",
        **more.pop("attributes", {}),
    }
    return Made(trace, span, "chat claude-sonnet-4-5", attributes, at_s=at_s, kind="client", status="ok", **more)


def tool(trace: int, span: int, name: str, call_id: str | None, at_s: float, **more: Any) -> Made:
    """A run of a tool."""
    attributes = {at.OPERATION: at.OPERATION_TOOL, at.TOOL_NAME: name, **more.pop("attributes", {})}
    if call_id is not None:
        attributes[at.TOOL_CALL_ID] = call_id
    return Made(trace, span, f"execute_tool {name}", attributes, at_s=at_s, **more)


def agent_spans() -> list[Made]:
    """The session's spans, in order."""
    asked = [["t", 40], ["c", 30, "search", "call_a"], ["c", 35, "fetch", "call_b"]]
    prompt = [["d", 200, "search", "aaaaaaaaaaaa"], ["d", 150, "fetch", "bbbbbbbbbbbb"], ["u", 90]]
    results = [["r", 400, "search", "call_a"], ["r", 20, "fetch", "call_b", "e"]]
    first = chat(
        1,
        3,
        1,
        1,
        parent=1,
        attributes={
            at.CONTEXT_DELTA: json.dumps(prompt),
            at.CONTEXT_SEGMENTS: 3,
            at.CONTEXT_CHARS: 440,
            at.OUTPUT_SEGMENTS: json.dumps(asked),
            at.ANTHROPIC_STOP_REASON: "tool_use",
            at.TOOL_DEFINITIONS: json.dumps([{"name": "search", "version": "aaaaaaaaaaaa", "description": "Find."}]),
        },
    )
    second = chat(
        2,
        20,
        10,
        2,
        attributes={
            at.CONTEXT_BASE: first.span_id,
            at.CONTEXT_DELTA: json.dumps([[0, 3], *asked, *results]),
            at.CONTEXT_SEGMENTS: 8,
            at.OUTPUT_SEGMENTS: json.dumps([["a", 120]]),
        },
    )
    batch = {at.OPERATION: at.OPERATION_BATCH, at.BATCH_CALLS: 2, at.BATCH_FAILED: 1, at.BATCH_ID: "batch-1"}
    select = {
        at.OPERATION: at.OPERATION_SELECT,
        at.SELECTION_TASK_TYPE: "research",
        at.SELECTION_CANDIDATES: 9,
        at.SELECTION_SELECTED: 2,
        at.SELECTION_OFFERED_CHARS: 350,
        at.SELECTION_AVOIDED_CHARS: 1400,
        at.SELECTION_IS_UNSURE: True,
    }
    compress = {
        at.OPERATION: at.OPERATION_COMPRESS,
        at.TOOL_NAME: "search",
        at.COMPRESSION_CHARS_BEFORE: 4000,
        at.COMPRESSION_CHARS_AFTER: 400,
        at.COMPRESSION_STRATEGY: "model",
    }
    root = {at.AGENT_NAME: "researcher", at.USER_ID: "u-17", at.SESSION_TAGS: ["eval", "nightly"]}
    return [
        Made(1, 1, "invoke_agent", root, lasts_s=8),
        Made(1, 2, "select_tools", select, parent=1, at_s=0.5, lasts_s=0.1),
        first,
        Made(1, 4, "execute_tools", batch, parent=1, at_s=3, lasts_s=2),
        tool(1, 5, "search", "call_a", 3, parent=4, lasts_s=2, status="ok"),
        tool(1, 6, "fetch", "call_b", 3, parent=4, lasts_s=1, attributes={at.BATCH_ID: "batch-1"}),
        Made(1, 7, "compress_result search", compress, parent=5, at_s=4, lasts_s=0.5),
        chat(1, 8, 4.1, 3, parent=7, lasts_s=0.3),
        Made(
            1,
            9,
            "tools/call search",
            {at.MCP_METHOD: "tools/call", at.TOOL_SERVER: "library"},
            parent=5,
            at_s=3.1,
            lasts_s=0.5,
            scope="mcp-python-sdk",
            kind="client",
        ),
        second,
    ]
