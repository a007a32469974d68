"""Session files as Claude Code writes them, line by line, for tests of what reads them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from standin import Record

Json = dict[str, Any]
START: Final = datetime(2026, 5, 1, 12, tzinfo=UTC)
MODEL: Final = "claude-sonnet-4-5-20250929"


def text(words: str) -> Json:
    return {"type": "text", "text": words}


def use(call_id: str, name: str = "Bash", **arguments: Any) -> Json:
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def usage(uncached: int, output: int, *, read: int = 0, write_5m: int = 0, write_1h: int = 0, **more: Any) -> Json:
    """Usage as the API words it: the input leaves the cache out."""
    return {
        "input_tokens": uncached,
        "cache_creation_input_tokens": write_5m + write_1h,
        "cache_read_input_tokens": read,
        "cache_creation": {"ephemeral_5m_input_tokens": write_5m, "ephemeral_1h_input_tokens": write_1h},
        "output_tokens": output,
        "service_tier": "standard",
        **more,
    }


class Transcript:
    """A session file as it grows. What is said follows on `tip`, the line said last, unless a parent is named.

    Every line takes a second; `common` is said by each of them.
    """

    def __init__(self, session: str = "session-1", **common: Any) -> None:
        self.session = session
        self.common = common
        self.lines: list[Json | str] = []
        self.tip: str | None = None
        self.now = START
        self._ids = uuid.uuid5(uuid.NAMESPACE_URL, f"{session} {sorted(common.items())}")
        self._calls: dict[str, str] = {}

    def line(self, kind: str, *, parent: str | bool | None = True, **fields: Any) -> str:
        """One line of any type, after the tip where `parent` is true; gives its uuid."""
        self.now += timedelta(seconds=1)
        name = str(uuid.uuid5(self._ids, str(len(self.lines))))
        after = self.tip if parent is True else parent or None
        self.lines.append(
            {
                "parentUuid": after,
                "isSidechain": False,
                "userType": "external",
                "cwd": "/home/user/project",
                "sessionId": self.session,
                "version": "2.1.0",
                "type": kind,
                "uuid": name,
                "timestamp": self.now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                **self.common,
                **fields,
            }
        )
        self.tip = name
        return name

    def user(self, content: str | list[Any], **fields: Any) -> str:
        """The user, or Claude Code in the user's name, says something."""
        return self.line("user", message={"role": "user", "content": content}, **fields)

    def result(self, call_id: str, content: Any, **fields: Any) -> str:
        """A tool's result, on the line that made the call."""
        block = {"type": "tool_result", "tool_use_id": call_id, "content": content}
        if (is_error := fields.pop("is_error", None)) is not None:
            block["is_error"] = is_error
        return self.user([block], **{"parent": self._calls.get(call_id, True), **fields})

    def assistant(
        self,
        blocks: Sequence[Json],
        used: Mapping[str, Any],
        *,
        message_id: str,
        model: str = MODEL,
        stop_reason: str | None = None,
        placeholder: int | None = 1,
        **fields: Any,
    ) -> str:
        """A response, one line a block; all lines but the last state `placeholder` output tokens, as streams do."""
        for index, block in enumerate(blocks or [text("")]):
            is_last = index >= len(blocks) - 1
            told = dict(used) if is_last or placeholder is None else {**used, "output_tokens": placeholder}
            message = {
                "id": message_id,
                "type": "message",
                "role": "assistant",
                "model": model,
                "content": [block],
                "stop_reason": stop_reason if is_last else None,
                "stop_sequence": None,
                "usage": told,
            }
            name = self.line("assistant", message=message, **{"requestId": f"req_{message_id}", **fields})
            if block.get("type") == "tool_use":
                self._calls[block["id"]] = name
        return self.tip or ""

    def compact(self, summary: str, pre_tokens: int = 100_000) -> str:
        """The conversation is summed up: what follows goes on from the summary."""
        before = self.tip
        self.line(
            "system",
            parent=False,
            logicalParentUuid=before,
            subtype="compact_boundary",
            content="Conversation compacted",
            compactMetadata={"trigger": "auto", "preTokens": pre_tokens},
        )
        return self.user(summary, isCompactSummary=True, isVisibleInTranscriptOnly=True)

    def garbage(self, line: str) -> None:
        """Anything that is no line of a session file."""
        self.lines.append(line)

    def encoded(self) -> list[bytes]:
        """The lines as they are in the file."""
        return [(each if isinstance(each, str) else json.dumps(each)).encode() + b"\n" for each in self.lines]

    def data(self) -> bytes:
        """The file."""
        return b"".join(self.encoded())


def of_records(session: str, records: Iterable[Record]) -> Transcript:
    """The session file of an agent loop that was simulated: its messages, without system prompt and definitions.

    An agent with another system prompt than the first is a subagent of it.
    """
    written = Transcript(session)
    tips: dict[str, str | None] = {"": None}
    system = None
    for record in records:
        if record.bill is None or record.response is None:
            continue
        said = _plain_system(record.body.get("system"))
        system = system if system is not None else said
        written.common = {"isSidechain": said != system}
        path = ""
        for message in record.body["messages"]:
            before, path = path, _step(path, message)
            if path not in tips:
                tips[path] = _spoken(written, tips[before], message)
        written.tip = tips[path]
        response = record.response
        tip = written.assistant(
            response["content"],
            response["usage"],
            message_id=response["id"],
            model=response["model"],
            stop_reason=response["stop_reason"],
        )
        tips[_step(path, response)] = tip
    return written


def _plain_system(system: Any) -> str:
    return "".join(block["text"] for block in system or ())


def _step(path: str, message: Mapping[str, Any]) -> str:
    content = message["content"]
    blocks = [text(content)] if isinstance(content, str) else content
    said = [{key: value for key, value in _plain(block).items() if key != "cache_control"} for block in blocks]
    return str(uuid.uuid5(uuid.NAMESPACE_URL, path + message["role"] + json.dumps(said, sort_keys=True)))


def _spoken(written: Transcript, tip: str | None, message: Mapping[str, Any]) -> str:
    content = message["content"]
    written.tip = tip
    if isinstance(content, str):
        return written.user(content)
    for block in content:
        plain = {key: value for key, value in _plain(block).items() if key != "cache_control"}
        if plain["type"] == "tool_result":
            written.result(plain["tool_use_id"], plain["content"], is_error=plain.get("is_error"))
        else:
            written.user([plain])
    return written.tip or ""


def _plain(block: Any) -> Json:
    found: Json = block if isinstance(block, dict) else block.to_dict()
    return found
