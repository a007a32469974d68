"""Logs of Inspect evaluations, as JSON, to spans: each model event is a request, each tool event a tool's run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from toolspend import attributes as at
from toolspend.evidence import describe_output
from toolspend.evidence.chains import Chains

from .otlp_values import BadSpan, clean, to_json
from .spans import SpanRow

SCOPE: Final = f"{at.SCOPE}.inspect"
_SERVICE: Final = "inspect"
_ATTACHMENT: Final = "attachment://"
_LOCAL_CACHE: Final = "read"
_MISSHAPEN: Final = (TypeError, ValueError, AttributeError, KeyError, IndexError, OverflowError, RecursionError)

Json = Mapping[str, Any]


def is_log(document: object) -> bool:
    """Whether a JSON document is the log of an evaluation."""
    return isinstance(document, dict) and isinstance(document.get("eval"), dict) and "plan" in document


def rows(log: Json) -> Iterator[SpanRow | BadSpan]:
    """The spans of all samples; none where the log has no events of model calls."""
    for number, sample in enumerate(log.get("samples") or ()):
        if not isinstance(sample, dict):
            yield BadSpan("not an object", f"sample {number}")
            continue
        reader = _Sample(log["eval"], sample, number)
        for place, event in enumerate(sample.get("events") or ()):
            try:
                if (row := reader.row(event, place)) is not None:
                    yield row
            except _MISSHAPEN as error:
                yield BadSpan(f"misshapen: {error or type(error).__name__}"[:200], f"sample {number} event {place}")


class _Sample:
    """One sample: a session of its own."""

    def __init__(self, evaluation: Json, sample: Json, number: int) -> None:
        place = f"{evaluation.get('run_id')}/{sample.get('id', number)}/{sample.get('epoch', 1)}"
        self._session = clean(f"{evaluation.get('task') or _SERVICE}/{sample.get('uuid') or place}")
        self._attachments = sample.get("attachments") or {}
        self._chains = Chains()
        self._agent = evaluation.get("task")

    def row(self, event: Json, place: int) -> SpanRow | None:
        if event.get("event") == "model" and event.get("cache") != _LOCAL_CACHE:
            return self._request(event, place)
        if event.get("event") == "tool":
            return self._tool(event, place)
        return None

    def _request(self, event: Json, place: int) -> SpanRow:
        output = event.get("output") or {}
        provider, _, name = str(event.get("model") or "").rpartition("/")
        model = str(output.get("model") or name) or None
        span_id = self._id("span", place)
        system, messages = self._messages(event["input"])
        tools = [{**tool, "input_schema": tool.get("parameters") or {}} for tool in event.get("tools") or ()]
        evidence, tip = self._chains.describe(
            {"tools": tools, "system": system, "messages": messages},
            scope=None,
            span_id=span_id,
            conversation_id=self._session,
            has_definitions=False,
        )
        choices = output.get("choices") or []
        if choices:
            answer = self._blocks(choices[0]["message"])
            evidence[at.OUTPUT_SEGMENTS] = describe_output(answer, tip, None, self._chains)
        is_error = bool(event.get("error") or output.get("error"))
        attributes = {
            at.OPERATION: at.OPERATION_CHAT,
            at.PROVIDER: provider.rpartition("/")[2] or None,
            at.REQUEST_MODEL: name or None,
            at.RESPONSE_MODEL: model,
            at.FINISH_REASONS: [str(choices[0].get("stop_reason"))] if choices else None,
            at.ERROR_TYPE: "error" if is_error else None,
            **_usage(output.get("usage") or {}),
            **evidence,
        }
        return self._row(event, span_id, f"chat {model}", "client", "error" if is_error else "unset", attributes)

    def _tool(self, event: Json, place: int) -> SpanRow:
        name, error = str(event["function"]), event.get("error")
        attributes = {
            at.OPERATION: at.OPERATION_TOOL,
            at.TOOL_NAME: name,
            at.TOOL_CALL_ID: event.get("id"),
            at.ERROR_TYPE: str(error.get("type") or "tool_error") if isinstance(error, dict) else None,
        }
        status = "ok" if error is None else "error"
        return self._row(
            event, self._id("span", place), f"{at.SPAN_EXECUTE_TOOL} {name}", "internal", status, attributes
        )

    def _row(self, event: Json, span_id: str, name: str, kind: str, status: str, attributes: Json) -> SpanRow:
        started_at = _moment(event["timestamp"])
        ended_at = max(_moment(event.get("completed") or event["timestamp"]), started_at)
        everything = {at.CONVERSATION_ID: self._session, at.AGENT_NAME: self._agent, **attributes}
        return SpanRow(
            trace_id=self._id("trace", 0, size=16),
            span_id=span_id,
            parent_span_id=None,
            name=clean(name),
            kind=kind,
            service=_SERVICE,
            scope=SCOPE,
            scope_version=None,
            started_at=started_at,
            ended_at=ended_at,
            duration_ms=(ended_at - started_at) / timedelta(milliseconds=1),
            status=status,
            status_message=None,
            attributes=to_json({key: value for key, value in everything.items() if value is not None}),
            resource_attributes=to_json({at.SERVICE_NAME: _SERVICE}),
            events="[]",
        )

    def _messages(self, given: Any) -> tuple[str, list[dict[str, Any]]]:
        """Messages in the form that evidence is taken from: results under the user, system text apart."""
        system: list[str] = []
        found: list[dict[str, Any]] = []
        for message in given:
            if message["role"] == "system":
                system.append(str(self._resolved(message["content"])))
                continue
            blocks = self._blocks(message)
            role = "assistant" if message["role"] == "assistant" else "user"
            found.append({"role": role, "content": blocks})
        return "\n".join(system), found

    def _blocks(self, message: Json) -> list[dict[str, Any]]:
        content = self._resolved(message.get("content"))
        if message["role"] == "tool":
            result = {"type": "tool_result", "tool_use_id": str(message.get("tool_call_id")), "content": content}
            return [result | ({"is_error": True} if message.get("error") else {})]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else list(map(_block, content or ()))
        calls = [
            {"type": "tool_use", "id": call["id"], "name": call["function"], "input": call.get("arguments") or {}}
            for call in message.get("tool_calls") or ()
        ]
        return [block for block in blocks if block.get("text") != ""] + calls

    def _resolved(self, value: Any) -> Any:
        """Content with what was stored apart in its place."""
        if isinstance(value, str) and value.startswith(_ATTACHMENT):
            return self._attachments.get(value.removeprefix(_ATTACHMENT), value)
        if isinstance(value, list):
            return [{key: self._resolved(each) for key, each in part.items()} for part in value]
        return value

    def _id(self, what: str, place: int, size: int = 8) -> str:
        return hashlib.blake2b(f"{what}\0{self._session}\0{place}".encode(), digest_size=size).hexdigest()


def _block(part: Json) -> dict[str, Any]:
    if part.get("type") == "reasoning":
        return {"type": "thinking", "thinking": str(part.get("reasoning") or "")}
    return dict(part)


def _usage(usage: Json) -> dict[str, Any]:
    """Whether the input includes the cache differs between providers: the total tells."""
    total, output = usage.get("total_tokens"), usage.get("output_tokens")
    read, written = usage.get("input_tokens_cache_read") or 0, usage.get("input_tokens_cache_write") or 0
    whole = usage.get("input_tokens")
    if whole is not None and output is not None and total == whole + output + read + written:
        whole += read + written
    return {
        at.INPUT_TOKENS: whole,
        at.CACHE_READ_TOKENS: read,
        at.CACHE_WRITE_TOKENS: written,
        at.OUTPUT_TOKENS: output,
        at.THINKING_TOKENS: usage.get("reasoning_tokens"),
    }


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo is not None else found
