"""Messages that came as log records: what each says of its span, read by the names that span events have too.

Since 1.37 one record holds all messages of a request, with what else its span says; up to 1.36 each message was one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace

from toolspend import attributes as at

from ..rows import Span
from . import content, evidence, genai
from .messages import has_content, loads

DETAILS: Final = genai.DETAILS
CHOICE: Final = "gen_ai.choice"
_NAMES: Final = {DETAILS, CHOICE, "gen_ai.content.prompt", "gen_ai.content.completion"}


def is_message(name: str) -> bool:
    """Whether a log record of this name carries messages of a model request."""
    return name in _NAMES or (name.startswith("gen_ai.") and name.endswith(".message"))


def is_answer(name: str) -> bool:
    """Whether a record of this name is made when the answer is there, and not as the request is sent."""
    return name in (DETAILS, CHOICE, "gen_ai.content.completion")


def translate(span: Span) -> Span:
    """Itself: these are no spans, and what they say is said of another."""
    return span


def read_content(span: Span) -> dict[str, Any]:
    """What each record says, without what was said in it."""
    records = span.attributes.get(at.LOG_RECORDS)
    if not isinstance(records, list):
        return {}
    return {at.LOG_EVIDENCE: [_read(span, record) for record in records if isinstance(record, Mapping)]}


def _read(span: Span, record: Mapping[str, Any]) -> dict[str, Any]:
    name = str(record.get("name"))
    attributes, body = _mapping(record.get("attributes")), record.get("body")
    said: dict[str, Any] = {}
    is_told = False
    if name == DETAILS:
        own = genai.translate(replace(span, attributes={**_mapping(loads(body)), **attributes}, events=[]))
        said = content.without(own.attributes) | genai.read_content(own)
    else:
        if isinstance(body, str) and not isinstance(loads(body), Mapping):
            body = {"content": body}
        prompt, output = content.messages_in([{**attributes, "event.name": name, "body": body}])
        if (tools := _tools(body)) is not None:
            said |= evidence.of_prompt([], tools)
        elif prompt is not None:
            is_told = has_content(prompt)
            said |= evidence.of_prompt(prompt)
        if output is not None:
            said |= evidence.of_output(output)
        reason = _mapping(loads(body)).get("finish_reason")
        if isinstance(reason, str) and reason:
            said[at.FINISH_REASONS] = [reason]
    kept = {key: record.get(key) for key in ("id", "name", "time_ns")}
    return {**kept, "said": said, "is_told": is_told}


def _tools(body: object) -> list[dict[str, Any]] | None:
    """The definitions that OpenLLMetry sends as one more message, after those of the prompt."""
    held = _mapping(_mapping(loads(body)).get("content"))
    return content.tools_of(held["tools"]) if held.keys() == {"tools"} else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
