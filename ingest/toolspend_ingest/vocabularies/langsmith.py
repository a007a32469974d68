"""LangSmith's export as OpenTelemetry: runs of LangChain and of its own wrappers, inputs and outputs whole.

`gen_ai.usage.input_tokens` is that of its usage metadata, which is of the whole prompt where it has details.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any, Final

from toolspend import attributes as at

from ..rows import Span
from . import content, conventions, payloads, usage
from .evidence import compact
from .messages import loads

KIND: Final = "langsmith.span.kind"
_METADATA: Final = "langsmith.metadata."
_OPERATIONS: Final = {
    "llm": at.OPERATION_CHAT,
    "tool": at.OPERATION_TOOL,
    "embedding": conventions.OPERATION_EMBEDDINGS,
}
_SESSIONS: Final = (f"{_METADATA}session_id", f"{_METADATA}conversation_id", f"{_METADATA}thread_id")
_LONGEST: Final = 2_000


def translate(span: Span) -> Span:
    """The span in the conventions' words."""
    said: dict[str, Any] = {}
    kind = span.text(KIND)
    if kind is not None:
        said[at.OPERATION] = _OPERATIONS.get(kind, kind)
    provider = span.text(f"{_METADATA}ls_provider") or span.text(conventions.SYSTEM)
    if provider is not None and provider != "langchain":
        said[at.PROVIDER] = provider.lower()
    if at.REQUEST_MODEL not in span.attributes and (model := span.text(f"{_METADATA}ls_model_name")) is not None:
        said[at.REQUEST_MODEL] = model
    if kind == "tool" and at.TOOL_NAME not in span.attributes:
        said[at.TOOL_NAME] = span.text("langsmith.trace.name") or span.name
    if (session := span.text(*_SESSIONS)) is not None:
        said[at.SESSION_ID_STANDARD] = session
    if (user := span.text(f"{_METADATA}user_id")) is not None:
        said[at.USER_ID] = user
    return span.saying(said | _usage(span))


def read_content(span: Span) -> dict[str, Any]:
    """What the content of a request or a tool's run says."""
    operation = span.text(at.OPERATION)
    inputs, outputs = span.attributes.get("gen_ai.prompt"), span.attributes.get("gen_ai.completion")
    if operation == at.OPERATION_TOOL:
        call_id, result = payloads.tool_result(outputs)
        found = content.of_call(span, inputs, result)
        return found | ({at.TOOL_CALL_ID: call_id} if call_id and at.TOOL_CALL_ID not in span.attributes else {})
    if operation != at.OPERATION_CHAT:
        return {}
    asked = payloads.request(inputs)
    tools = content.tools_of(span.attributes.get(content.TOOL_DEFINITIONS))
    return content.of_answer(span, outputs) | content.of_request(
        span,
        messages=asked.messages if asked is not None else None,
        output=payloads.response(outputs),
        tools=tools if tools is not None else asked.tools if asked is not None else None,
        system=asked.system if asked is not None else None,
    )


def _usage(span: Span) -> dict[str, Any]:
    """The usage metadata, where it has details, as figures of which each is one rate's."""
    whole = _mapping(span.attributes.get("langsmith.usage_metadata"))
    total = _count(whole, "input_tokens") if whole else span.count(at.INPUT_TOKENS)
    output = _count(whole, "output_tokens") if whole else span.count(at.OUTPUT_TOKENS)
    details = _mapping(
        whole.get("input_token_details") if whole else span.attributes.get("gen_ai.usage.input_token_details")
    )
    made = _mapping(
        whole.get("output_token_details") if whole else span.attributes.get("gen_ai.usage.output_token_details")
    )
    said: dict[str, Any] = {}
    if made and (thinking := _count(made, "reasoning")) is not None:
        said[at.THINKING_TOKENS] = thinking
    if details is None or total is None:
        return said
    read = _count(details, "cache_read") or 0
    five = _count(details, "ephemeral_5m_input_tokens") or 0
    hour = _count(details, "ephemeral_1h_input_tokens", "ephemeral_1hr_input_tokens") or 0
    written = max(_count(details, "cache_creation") or 0, five + hour)
    if total < read + written:
        return said
    raw = {
        "input_tokens": total - read - written,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written,
        "cache_creation": {"ephemeral_1h_input_tokens": hour},
        "output_tokens": output,
    }
    return {usage.RAW: compact(raw), **said}


def _mapping(value: object) -> Mapping[str, Any] | None:
    """An object, its JSON text, or the text that Python shows of it, which is what the exporter writes."""
    said = loads(value)
    if said is None and isinstance(value, str) and value.startswith("{") and len(value) <= _LONGEST:
        try:
            said = ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
    return said if isinstance(said, Mapping) else None


def _count(entry: Mapping[str, Any], *names: str) -> int | None:
    found = (entry.get(name) for name in names)
    return next((each for each in found if isinstance(each, int) and not isinstance(each, bool) and each >= 0), None)
