"""Whatever attributes and events hold, a span costs only itself: it is read as far as it makes sense."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from toolspend import attributes as at
from toolspend_ingest import copies, told_by_logs, vocabularies
from toolspend_ingest.rows import Span
from toolspend_ingest.traces import trace_rows
from toolspend_ingest.vocabularies import content, usage

NAMES: Final = sorted(
    {
        *content.NAMES, *vocabularies.MARKS, *usage.INPUT, *usage.OUTPUT, *usage.CACHE_READ, *usage.CACHE_WRITE,
        usage.RAW, at.FINISH_REASONS, at.TOOL_DEFINITIONS, at.USAGE_ITERATIONS, at.REQUEST_MODEL, at.TOOL_NAME,
        "llm.input_messages.0.message.content", "llm.input_messages.0.message", "llm.tools.0.tool.json_schema",
        "gen_ai.prompt.0.content", "gen_ai.prompt.1.tool_calls.0.arguments", "gen_ai.completion.0.finish_reason",
        "ai.response.providerMetadata", "gen_ai.usage.input_token_details", "ai.model.provider", "duration",
    }
)  # fmt: skip
KEYS: Final = [
    "role", "content", "parts", "type", "tool_calls", "kwargs", "data", "messages", "generations", "choices",
    "usage", "input_tokens", "cache_creation", "function", "arguments", "input", "tool", "output", "id", "name",
    "llm_output", "response_metadata", "text", "source", "image_url", "tools", "system", "parameters", "body",
    "cache_control", "input_schema", "message", "event.name", "anthropic", "said", "time_ns", "attributes",
    at.CONTEXT_DELTA, at.INPUT_TOKENS, at.OPERATION,
]  # fmt: skip
WORDS: Final = [
    "chat", "execute_tool", "LLM", "TOOL", "tool", "llm", "user", "assistant", "text", "tool_use",
    "tool_result", "image", "tool_call", "ai.generateText.doGenerate", "ai.toolCall", "constructor", "[",
    "{'a': 1}", "data:image/png;base64,", "gen_ai.choice", "log", "\ud800", "gen_ai.user.message",
    "gen_ai.client.inference.operation.details", '[["c",3,"t","i"],["r",4,"","i"]]',
]  # fmt: skip
SCOPES: Final = [
    None, "toolspend", "com.anthropic.sdk.python", "com.anthropic.claude_code.tracing", "pydantic-ai",
    "logfire.anthropic", "ai", "langsmith", "web", "openinference.instrumentation.langchain",
    "opentelemetry.instrumentation.langchain",
]  # fmt: skip

scalars = st.none() | st.booleans() | st.integers(-5, 2**70) | st.floats(allow_nan=False) | st.sampled_from(WORDS)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=15,
)
attributes = st.dictionaries(st.sampled_from(NAMES), values | values.map(json.dumps), max_size=8)
events = st.lists(
    st.none()
    | st.fixed_dictionaries(
        {
            "name": st.sampled_from(["gen_ai.choice", "gen_ai.user.message", "gen_ai.content.prompt", "exception",
                                     "gen_ai.client.inference.operation.details"]),
            "attributes": values | st.dictionaries(st.sampled_from([*KEYS, *NAMES]), values, max_size=4),
        }
    ),
    max_size=2,
)  # fmt: skip
names = st.sampled_from(
    ["chat", "tools/call find", "Message with", "streaming response from", "claude_code.llm_request",
     "claude_code.tool", "claude_code.tool.execution"]
)  # fmt: skip
kinds = st.sampled_from(["client", "client", "log"])
NOW: Final = datetime(2026, 9, 21)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(attributes, events, names, st.sampled_from(SCOPES), st.integers(0, 3), kinds), max_size=4))
def test_no_span_stops_the_others(made: list[tuple[dict[str, Any], list[Any], str, str | None, int, str]]) -> None:
    """Read at the door and read again in its trace, for every dialect."""
    spans = [
        Span("1" * 32, f"{number:016x}", f"{parent:016x}", name, kind, "s", scope, "1.0", NOW, NOW, 1.0, "error",
             said, held)
        for number, (said, held, name, scope, parent, kind) in enumerate(made)
    ]  # fmt: skip
    for span in spans:
        kept = vocabularies.without_content(span)
        assert not content.has_any(kept)
        content.events_without(span.events)
    rows = trace_rows(told_by_logs.folded(list(map(vocabularies.translate, spans))))
    copies.bill_once([rows])
    assert len(rows.requests) + len(rows.copies) <= len(spans)
