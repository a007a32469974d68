"""JSON files that others write about agents: Inspect's logs are read, the rest is named, and what to do instead."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from .. import inspect_logs
from ..decode import Decoded, Refusal
from ..otlp_values import BadSpan

_OTLP_MARKS: Final = (b'"resource', b'"scopeSpans"', b'"scope_spans"')
_JSON_STARTS: Final = (b"{", b"[")
_CODEX_TYPES: Final = ("session_meta", "turn_context", "event_msg", "response_item")

CODEX: Final = (
    "a session of Codex, which toolspend does not read: have Codex send its telemetry over OTLP to `toolspend up`"
)
PROTOCOL: Final = (
    "a recording of Claude Code's control protocol, which repeats usage: load the session itself, "
    "with `toolspend ingest --claude-code`"
)
MESSAGES: Final = (
    "a list of messages without usage, as mini-swe-agent writes: nothing says what was billed, "
    "so trace the agent itself with toolspend.instrument()"
)
INSPECT: Final = (
    "a log of Inspect without events of model calls: nothing says which call was billed what, "
    "so trace the evaluation with toolspend.instrument()"
)


def read(data: bytes) -> Decoded | None:
    """What a file of one of those forms has, or why it is not loaded; None for a file of any other form."""
    head = data.lstrip()
    if not head.startswith(_JSON_STARTS) or any(mark in data for mark in _OTLP_MARKS):
        return None
    document = _parsed(data)
    if document is None:
        document = _parsed(head.partition(b"\n")[0])
    if isinstance(document, dict) and inspect_logs.is_log(document):
        return _evaluation(document)
    reason = _named(document)
    return Decoded(refused=[Refusal("", reason)]) if reason is not None else None


def _evaluation(log: dict[str, Any]) -> Decoded:
    decoded = Decoded()
    for row in inspect_logs.rows(log):
        if isinstance(row, BadSpan):
            decoded.refused.append(Refusal(row.where, str(row)))
        else:
            decoded.spans.add(row)
    if not len(decoded.spans) and not decoded.refused:
        decoded.refused.append(Refusal("", INSPECT))
    return decoded


def _named(document: object) -> str | None:
    if isinstance(document, list):
        return MESSAGES if document and all(map(_is_message, document)) else None
    return _of_object(document) if isinstance(document, dict) else None


def _of_object(document: Mapping[str, Any]) -> str | None:
    if document.get("type") in _CODEX_TYPES and isinstance(document.get("payload"), Mapping):
        return CODEX
    messages = document.get("messages")
    if isinstance(messages, list) and messages and isinstance(messages[0], Mapping):
        if "direction" in messages[0] and "message" in messages[0]:
            return PROTOCOL
        if all(map(_is_message, messages)):
            return MESSAGES
    return None


def _is_message(value: object) -> bool:
    return isinstance(value, Mapping) and "role" in value and "content" in value


def _parsed(data: bytes) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
