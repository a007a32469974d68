"""Files that others write about agents, and that are not read here: named, so that one line says what to do instead."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

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
    "a log of Inspect that says nothing of single model calls: log with `--log-format json` and all events, "
    "or trace the evaluation with toolspend.instrument()"
)


def foreign_format(data: bytes) -> str | None:
    """Why a file is not loaded, where it has one of those forms; None for anything else."""
    head = data.lstrip()
    if not head.startswith(_JSON_STARTS) or any(mark in data for mark in _OTLP_MARKS):
        return None
    document = _parsed(data)
    if document is None:
        document = _parsed(head.partition(b"\n")[0])
    if isinstance(document, list):
        return MESSAGES if document and all(map(_is_message, document)) else None
    return _of_object(document) if isinstance(document, Mapping) else None


def _of_object(document: Mapping[str, Any]) -> str | None:
    if document.get("type") in _CODEX_TYPES and isinstance(document.get("payload"), Mapping):
        return CODEX
    if isinstance(document.get("eval"), Mapping) and "plan" in document:
        return INSPECT
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
