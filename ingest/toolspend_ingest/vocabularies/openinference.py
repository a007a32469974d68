"""OpenInference, by Arize: `llm.*`, `tool.*` and `openinference.span.kind`, on spans that say no operation.

Its Anthropic and OpenAI instrumentors put the whole request and response into `input.value` and `output.value`; these
say more than the attributes made from them: cache marks, the split of cache writes, the response's id.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from toolspend import attributes as at

from ..rows import Span
from . import content, conventions, payloads
from .flat import lists
from .messages import Message, calls, loads, merged, read_one

KIND: Final = "openinference.span.kind"
_SAID: Final = {
    "llm.token_count.prompt": at.INPUT_TOKENS,
    "llm.token_count.completion": at.OUTPUT_TOKENS,
    "llm.token_count.prompt_details.cache_read": at.CACHE_READ_TOKENS,
    "llm.token_count.prompt_details.cache_write": at.CACHE_WRITE_TOKENS,
    "llm.token_count.completion_details.reasoning": at.THINKING_TOKENS,
    "llm.request.model_name": at.REQUEST_MODEL,
    "llm.response.model_name": at.RESPONSE_MODEL,
    "llm.finish_reason": at.ANTHROPIC_STOP_REASON,
    "llm.response.id": at.RESPONSE_ID,
    "tool.name": at.TOOL_NAME,
    "tool_call.function.name": at.TOOL_NAME,
    "tool.id": at.TOOL_CALL_ID,
    "tool_call.id": at.TOOL_CALL_ID,
    "agent.name": at.AGENT_NAME,
}
_OPERATIONS: Final = {
    "LLM": at.OPERATION_CHAT,
    "TOOL": at.OPERATION_TOOL,
    "AGENT": at.OPERATION_AGENT,
    "EMBEDDING": conventions.OPERATION_EMBEDDINGS,
}

_PROVIDERS: Final = {"vertexai": "google", "google_genai": "google", "openai": "openai", "groq": "groq"}
"""Whose models an instrumentation is of, which some do not say."""


def translate(span: Span) -> Span:
    """The span in the conventions' words."""
    said = {name: span.attributes[own] for own, name in _SAID.items() if own in span.attributes}
    kind = str(span.attributes.get(KIND, "")).upper()
    if kind in _OPERATIONS:
        said[at.OPERATION] = _OPERATIONS[kind]
    provider = span.text("llm.provider", "llm.system") or _PROVIDERS.get((span.scope or "").rpartition(".")[2])
    if provider is not None:
        said[at.PROVIDER] = provider.lower()
    if model := span.text("llm.model_name", "embedding.model_name"):
        said.setdefault(at.RESPONSE_MODEL, model.rpartition("/")[2] if model.startswith("projects/") else model)
    if kind == "TOOL":
        said.setdefault(at.TOOL_NAME, span.name)
    return span.saying(said)


def read_content(span: Span) -> dict[str, Any]:
    """What the content of a request or a tool's run says."""
    kind = str(span.attributes.get(KIND, "")).upper()
    if kind == "TOOL":
        return _call(span)
    if kind != "LLM":
        return {}
    found = content.of_answer(span, span.attributes.get("output.value"))
    asked = payloads.request(span.attributes.get("input.value"))
    listed = _listed(span, "llm.input_messages.")
    tools = content.tools_of([_schema(each) for each in lists(span.attributes, "llm.tools.")]) or None
    if asked is not None and (asked.tools is not None or not listed):
        return found | content.of_request(
            span,
            messages=asked.messages,
            output=_output(span),
            tools=asked.tools if asked.tools is not None else tools,
            system=asked.system,
        )
    return found | content.of_request(span, messages=listed or None, output=_output(span), tools=tools)


def _output(span: Span) -> list[Message] | None:
    value = loads(span.attributes.get("output.value"))
    if isinstance(value, Mapping) and value.get("type") == "message":
        return payloads.response(value)
    return _listed(span, "llm.output_messages.") or payloads.response(value)


def _listed(span: Span, prefix: str) -> list[Message]:
    items = lists(span.attributes, prefix)
    return merged(message for item in items if isinstance(item, Mapping) for message in _message(item.get("message")))


def _message(message: object) -> list[Message]:
    if not isinstance(message, Mapping):
        return []
    parts = [_part(each) for each in message.get("contents") or () if isinstance(each, Mapping)]
    if not parts and message.get("content"):
        parts = [message["content"]]
    said = {str(each.get("id")) for each in parts if isinstance(each, Mapping)}
    listed = [each.get("tool_call") for each in message.get("tool_calls") or () if isinstance(each, Mapping)]
    asked = [each for each in calls(listed) if each["id"] is None or each["id"] not in said]
    return list(read_one({**message, "content": [*parts, *asked], "tool_calls": None, "type": None}))


def _part(part: Mapping[str, Any]) -> Any:
    own = part.get("message_content")
    inner = own if isinstance(own, Mapping) else {}
    if isinstance(part.get("tool_call"), Mapping):
        return calls([part["tool_call"]])[0]
    if isinstance(inner.get("image"), Mapping):
        image = inner["image"].get("image")
        return {"type": "image_url", "image_url": image if isinstance(image, Mapping) else {"url": image}}
    return dict(inner)


def _schema(item: object) -> object:
    tool = item.get("tool") if isinstance(item, Mapping) else None
    return tool.get("json_schema") if isinstance(tool, Mapping) else None


def _call(span: Span) -> dict[str, Any]:
    arguments = span.attributes.get("tool_call.function.arguments", span.attributes.get("tool.parameters"))
    if arguments is None and isinstance(loads(span.attributes.get("input.value")), Mapping):
        arguments = span.attributes["input.value"]  # of one argument LangChain shows the value alone
    call_id, result = payloads.tool_result(span.attributes.get("output.value"))
    found = content.of_call(span, arguments, result)
    return found | ({at.TOOL_CALL_ID: call_id} if call_id and at.TOOL_CALL_ID not in span.attributes else {})
