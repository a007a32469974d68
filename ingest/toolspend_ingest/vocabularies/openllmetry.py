"""OpenLLMetry, by Traceloop: the conventions with lists spelled out by index (up to 0.5x), and its own `traceloop.*`.

Two habits to know: a stream's output has the placeholder of `message_start` added (see `emitters`), and a LangChain
message says a call twice, as a part of its own and as text that is the JSON of the block.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from toolspend import attributes as at

from ..rows import Span
from . import content, conventions, genai, payloads
from .flat import lists
from .messages import Message, calls, loads, merged, read, read_one

_KIND: Final = "traceloop.span.kind"
_TYPE: Final = "llm.request.type"
_OPERATIONS: Final = {
    "chat": at.OPERATION_CHAT,
    "completion": at.OPERATION_CHAT,
    "embedding": conventions.OPERATION_EMBEDDINGS,
}
_PROPERTIES: Final = "traceloop.association.properties."
_SESSIONS: Final = (f"{_PROPERTIES}session_id", f"{_PROPERTIES}thread_id", f"{_PROPERTIES}conversation_id")


def translate(span: Span) -> Span:
    """The span in the conventions' words."""
    said = genai.older_names(span)
    if at.OPERATION not in span.attributes:
        if (kind := span.text(_TYPE)) is not None and kind != "unknown":
            said[at.OPERATION] = _OPERATIONS.get(kind, kind)
        elif span.text(_KIND) == "tool":
            said[at.OPERATION] = at.OPERATION_TOOL
    if span.text(at.OPERATION) == at.OPERATION_TOOL or span.text(_KIND) == "tool":
        said.setdefault(at.TOOL_NAME, span.text(at.TOOL_NAME, "traceloop.entity.name") or span.name)
    if span.text(_KIND) == "agent" and (name := span.text("traceloop.entity.name")):
        said.setdefault(at.AGENT_NAME, name)
    if (session := span.text(*_SESSIONS)) is not None:
        said[at.SESSION_ID_STANDARD] = session
    if (user := span.text(f"{_PROPERTIES}user_id")) is not None:
        said[at.USER_ID] = user
    reason = lists(span.attributes, "gen_ai.completion.")
    if reason and isinstance(reason[0], Mapping) and reason[0].get("finish_reason"):
        said[at.FINISH_REASONS] = [reason[0]["finish_reason"]]
    return span.saying(said)


def read_content(span: Span) -> dict[str, Any]:
    """What the content of a request or a tool's run says."""
    operation = span.text(at.OPERATION)
    if operation == at.OPERATION_TOOL:
        return _call(span)
    if operation not in conventions.REQUESTS:
        return {}
    prompt = read(span.attributes.get(at.INPUT_MESSAGES)) or _listed(span, "gen_ai.prompt.") or None
    output = read(span.attributes.get(at.OUTPUT_MESSAGES)) or _listed(span, "gen_ai.completion.") or None
    if prompt is None and output is None:
        return genai.read_content(span)
    tools = content.tools_of(span.attributes.get(content.TOOL_DEFINITIONS))
    if tools is None:
        tools = (
            content.tools_of([_definition(each) for each in lists(span.attributes, "llm.request.functions.")]) or None
        )
    system = content.system_of(span.attributes.get(at.SYSTEM_INSTRUCTIONS))
    found = content.of_request(span, messages=_once(prompt), output=_once(output), tools=tools, system=system)
    return genai.finish_reason(span) | found


def _listed(span: Span, prefix: str) -> list[Message]:
    """Messages by index, whose content may be JSON text of blocks."""
    found: list[Message] = []
    for item in lists(span.attributes, prefix):
        if not isinstance(item, Mapping):
            continue
        blocks = loads(item.get("content")) if str(item.get("content") or "").startswith(("[{", "[]")) else None
        own = blocks if isinstance(blocks, list) else item.get("content")
        role = item.get("role") or "assistant"
        found.extend(read_one({**item, "role": role, "content": own, "tool_calls": calls(item.get("tool_calls"))}))
    return merged(iter(found))


def _once(messages: list[Message] | None) -> list[Message] | None:
    """Each call once: not also as the text of its JSON."""
    if messages is None:
        return None
    return [{**message, "content": _without_text_of_calls(message["content"])} for message in messages]


def _without_text_of_calls(blocks: list[Any]) -> list[Any]:
    ids = {each.get("id") for each in blocks if isinstance(each, Mapping) and each.get("type") == "tool_use"}
    return [each for each in blocks if not (ids and _id_in_text(each) in ids)]


def _id_in_text(block: object) -> str:
    text = block.get("text") if isinstance(block, Mapping) and block.get("type") == "text" else None
    said = loads(text) if isinstance(text, str) and text.startswith("{") and '"tool_use"' in text else None
    return str(said.get("id")) if isinstance(said, Mapping) else ""


def _definition(item: object) -> object:
    if not isinstance(item, Mapping):
        return item
    schema = item.get("parameters") or item.get("input_schema")
    return {**item, "parameters": loads(schema), "input_schema": None}


def _call(span: Span) -> dict[str, Any]:
    """A LangChain tool's run: its arguments and its result are wrapped in what the callback was given."""
    arguments = span.attributes.get(at.TOOL_ARGUMENTS, span.attributes.get("traceloop.entity.input"))
    result = span.attributes.get(at.TOOL_RESULT, span.attributes.get("traceloop.entity.output"))
    given = loads(arguments)
    call_id = None
    if isinstance(given, Mapping) and "inputs" in given:
        arguments = given["inputs"]
        kwargs = given.get("kwargs")
        call_id = kwargs.get("tool_call_id") if isinstance(kwargs, Mapping) else None
    said_id, result = payloads.tool_result(result)
    found = content.of_call(span, arguments, result)
    call_id = call_id or said_id
    return found | ({at.TOOL_CALL_ID: str(call_id)} if call_id and at.TOOL_CALL_ID not in span.attributes else {})
