"""Content: which attributes hold it, and how it is read into evidence and facts, which stay when it goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from toolspend import attributes as at
from toolspend.evidence.guidance import error_words
from toolspend.evidence.segments import result_text
from toolspend.evidence.shape import shape_of

from ..rows import Span
from . import definitions, evidence, usage
from .messages import Message, blocks, has_content, loads, merged, read, read_one

TOOL_DEFINITIONS: Final = "gen_ai.tool.definitions"
NATIVE_RESULT: Final = "anthropic.tool_result.content"
NAMES: Final = frozenset(
    {
        at.INPUT_MESSAGES,
        at.OUTPUT_MESSAGES,
        at.SYSTEM_INSTRUCTIONS,
        at.TOOL_ARGUMENTS,
        at.TOOL_RESULT,
        TOOL_DEFINITIONS,
        NATIVE_RESULT,
        "gen_ai.prompt",
        "gen_ai.completion",
        "gen_ai.task.input",
        "gen_ai.task.output",
        "gen_ai.content.prompt",
        "gen_ai.content.completion",
        "gen_ai.event.content",
        "input",
        "output",
        "input.value",
        "output.value",
        "tool.parameters",
        "llm.prompts",
        "llm.completions",
        "llm.prompt_template.template",
        "llm.prompt_template.variables",
        "llm.function_call",
        "traceloop.prompt.template",
        "traceloop.prompt.template_variables",
        "traceloop.entity.input",
        "traceloop.entity.output",
        "ai.prompt",
        "ai.prompt.messages",
        "ai.prompt.tools",
        "ai.response.text",
        "ai.response.object",
        "ai.response.reasoning",
        "ai.response.toolCalls",
        "ai.toolCall.args",
        "ai.toolCall.result",
        "ai.value",
        "ai.values",
        "ai.embedding",
        "ai.embeddings",
        "ai.result.text",
        "ai.result.object",
        "ai.result.toolCalls",
        "events",
        "all_messages_events",
        "pydantic_ai.all_messages",
        "final_result",
        "tool_arguments",
        "tool_response",
        "request_data",
        "response_data",
        "model_request_parameters",
        "user_prompt",
        "system_prompt",
        "system_prompt_preview",
        "system_reminders",
        "new_context",
        "tool_input",
        "full_command",
        "file_path",
        "response.model_output",
        "response.thinking_output",
        "langsmith.span.inputs",
        "langsmith.span.outputs",
        at.LOG_RECORDS,
    }
)
"""Attributes of a span in one of the dialects that hold content, whole."""
PREFIXES: Final = (
    "gen_ai.prompt.",
    "gen_ai.completion.",
    "llm.input_messages.",
    "llm.output_messages.",
    "llm.prompts.",
    "llm.completions.",
    "llm.tools.",
    "llm.request.functions.",
    "embedding.embeddings.",
    "retrieval.documents.",
    "reranker.",
)
"""The beginnings of attributes that hold a list of content by index."""
_MOST_HARMLESS: Final = 10_000
_harmless: set[str] = set()
"""Names that were seen not to be of content: one comparison of sets tells of most spans that they hold none."""
_EVENT_NAMES: Final = frozenset(
    {"content", "message", "tool_calls", "body", "arguments", "gen_ai.event.content", "output", "diff", "bash_command"}
)
_TOOL_OUTPUT: Final = "tool.output"
"""Claude Code's event of what a tool was given and gave."""


def is_content(name: str) -> bool:
    """Whether an attribute of this name holds content."""
    return name in NAMES or name.startswith(PREFIXES)


def has_any(attributes: Mapping[str, Any]) -> bool:
    """Whether any attribute holds content."""
    if attributes.keys() <= _harmless:
        return False
    if any(map(is_content, attributes)):
        return True
    if len(_harmless) < _MOST_HARMLESS:
        _harmless.update(attributes)
    return False


def without(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes that hold no content."""
    return {name: value for name, value in attributes.items() if not is_content(name)}


def events_without(events: Sequence[Any]) -> list[Any]:
    """Events, those of the conventions without what was said in them."""
    return [_event_without(event) if _is_message(event) else event for event in events]


def has_messages(events: Sequence[Any]) -> bool:
    """Whether any of the events holds a message."""
    return any(_is_message(event) for event in events)


def of_request(
    span: Span,
    *,
    messages: list[Message] | None,
    output: list[Message] | None,
    tools: list[dict[str, Any]] | None = None,
    system: Any = None,
) -> dict[str, Any]:
    """The evidence that a request's content gives, but for what the span says of itself."""
    found: dict[str, Any] = {}
    if at.CONTEXT_DELTA not in span.attributes and messages is not None:
        found |= evidence.of_prompt(messages, tools, system)
    if at.OUTPUT_SEGMENTS not in span.attributes and output is not None:
        found |= evidence.of_output(output)
    return found


def of_call(span: Span, arguments: object, result: object) -> dict[str, Any]:
    """The sizes of a tool's arguments and result, its shape, and what its failure says, but for what the span says."""
    found: dict[str, Any] = {}
    if at.TOOL_ARGUMENT_CHARS not in span.attributes and arguments is not None:
        found[at.TOOL_ARGUMENT_CHARS] = len(result_text(arguments))
    if at.TOOL_RESULT_CHARS not in span.attributes and result is not None:
        value = loads(result) if isinstance(result, str) and result.startswith("[") else result
        shown = blocks(value) if isinstance(value, list) else result
        text = result_text(shown)
        found[at.TOOL_RESULT_CHARS] = len(text)
        if at.TOOL_ERROR_WORDS not in span.attributes and text and span.status == "error":
            found[at.TOOL_ERROR_WORDS] = error_words(text)
        if at.TOOL_RESULT_SHAPE not in span.attributes:
            # Blocks of content are what a text comes in.
            is_blocks = isinstance(value, list) and all(isinstance(each, Mapping) and "type" in each for each in value)
            found[at.TOOL_RESULT_SHAPE] = (None if value and is_blocks else shape_of(result)) or "text"
    return found


def of_response(value: object) -> dict[str, Any]:
    """What a provider's whole response, plain or as JSON text, says beside its text: usage, id, stop reason, tier."""
    value = loads(value)
    if not isinstance(value, Mapping):
        return {}
    found: dict[str, Any] = {}
    if isinstance(value.get("usage"), Mapping):
        found |= of_usage(value["usage"])
    choices = value.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], Mapping) else value
    for name, said in (
        (at.RESPONSE_ID, value.get("id")),
        (at.RESPONSE_MODEL, value.get("model") or value.get("model_name")),
        (at.ANTHROPIC_STOP_REASON, value.get("stop_reason")),
        (at.FINISH_REASONS, choice.get("finish_reason")),
        (at.SERVICE_TIER, value.get("service_tier")),
    ):
        if isinstance(said, str) and said:
            found.setdefault(name, said)
    return found


def of_answer(span: Span, value: object) -> dict[str, Any]:
    """Like `of_response`, of a response that LangChain may have wrapped; without what the span says itself."""
    said = loads(value)
    if not isinstance(said, Mapping):
        return {}
    found = of_response(said["llm_output"] if isinstance(said.get("llm_output"), Mapping) else said)
    rows = said.get("generations")
    first = rows[0][0] if isinstance(rows, list) and rows and isinstance(rows[0], list) and rows[0] else None
    message = first.get("message") if isinstance(first, Mapping) else None
    inner = message.get("kwargs") if isinstance(message, Mapping) else None
    if isinstance(inner, Mapping):
        found = of_response(inner.get("response_metadata")) | found
    return {name: each for name, each in found.items() if name not in span.attributes}


def of_usage(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A provider's usage as attributes: as it was received, and what of it has a name of its own."""
    found: dict[str, Any] = {}
    numbers = {key: value for key, value in raw.items() if value is not None and key != "iterations"}
    if usage.of_provider(numbers) != usage.Usage():
        found[usage.RAW] = evidence.compact(numbers)
    if isinstance(raw.get("service_tier"), str):
        found[at.SERVICE_TIER] = raw["service_tier"]
    if isinstance(raw.get("speed"), str):
        found[at.USAGE_SPEED] = raw["speed"]
    if isinstance(geo := raw.get("inference_geo"), str) and geo not in at.ORDINARY_GEOS:
        found[at.USAGE_INFERENCE_GEO] = geo
    if isinstance(raw.get("iterations"), list) and raw["iterations"]:
        found[at.USAGE_ITERATIONS] = evidence.compact(raw["iterations"])
    server = raw.get("server_tool_use")
    if isinstance(server, Mapping) and isinstance(server.get("web_search_requests"), int):
        found[at.USAGE_WEB_SEARCHES] = server["web_search_requests"]
    return found


def system_of(value: object) -> list[Any] | None:
    """System instructions: text, parts, or JSON text of them, as blocks."""
    said = loads(value) if isinstance(value, str) and value[:1] in "[{" else value
    return blocks(said if said is not None else value, "system") or None


def tools_of(value: object) -> list[dict[str, Any]] | None:
    """Tool definitions in whatever form; None where there is nothing that says of any."""
    return definitions.read(value) if value is not None else None


def events_of(span: Span) -> tuple[list[Message] | None, list[Message] | None]:
    """The messages in a span's events, as the conventions up to 1.36 had them: the prompt's and the response's."""
    return read_events([_flat(event) for event in span.events if _is_message(event)])


def read_events(events: object) -> tuple[list[Message] | None, list[Message] | None]:
    """Messages from events; None for a side of which there is none, and for a prompt without what was said in it."""
    prompt, output = messages_in(events)
    return prompt if prompt is not None and has_content(prompt) else None, output


def messages_in(events: object) -> tuple[list[Message] | None, list[Message] | None]:
    """Messages from events, each an object with its name and body; None for a side of which there is none."""
    found = loads(events)
    if not isinstance(found, list):
        return None, None
    prompt: list[Message] = []
    output: list[Message] = []
    for event in found:
        if not isinstance(event, Mapping):
            continue
        name = str(event.get("event.name") or event.get("name") or "")
        body = loads(event["body"]) if isinstance(event.get("body"), str) else event.get("body")
        event = {**event, **body} if isinstance(body, Mapping) else event
        if name in ("gen_ai.content.prompt", "gen_ai.content.completion"):
            listed = read(event.get("gen_ai.prompt") or event.get("gen_ai.completion")) or []
            (prompt if name.endswith("prompt") else output).extend(listed)
        elif name == "gen_ai.choice":
            message = loads(event["message"]) if isinstance(event.get("message"), str) else event.get("message")
            said = message if message is not None else event.get("content")
            whole: Mapping[str, Any] = said if isinstance(said, Mapping) else {"content": said}
            output.extend(read_one({"role": "assistant", "tool_calls": _calls(event), **whole}))
        elif name.startswith("gen_ai.") and name.endswith(".message"):
            role = str(event.get("role") or name.split(".")[1])
            prompt.extend(read_one({**event, "role": role, "tool_calls": _calls(event), "type": None}))
    return merged(iter(prompt)) or None, [message for message in output if message["content"]] or None


def _calls(event: Mapping[str, Any]) -> Any:
    return loads(event["tool_calls"]) if isinstance(event.get("tool_calls"), str) else event.get("tool_calls")


def _is_message(event: object) -> bool:
    name = event.get("name") if isinstance(event, Mapping) else None
    return isinstance(name, str) and (name.startswith("gen_ai.") or name == _TOOL_OUTPUT)


def _flat(event: Mapping[str, Any]) -> dict[str, Any]:
    attributes = event.get("attributes")
    return {**(attributes if isinstance(attributes, Mapping) else {}), "event.name": event.get("name")}


def _event_without(event: Mapping[str, Any]) -> dict[str, Any]:
    attributes = event.get("attributes")
    if not isinstance(attributes, Mapping):
        return dict(event)
    kept = {name: value for name, value in without(attributes).items() if name not in _EVENT_NAMES}
    return {**event, "attributes": kept}
