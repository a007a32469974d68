"""What Claude Code sends of a session, and the session file beside it, as tests want them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transcript_lines import Transcript, text, usage, use

Json = dict[str, Any]
AT = 1_777_636_800
"""Seconds since 1970, when sessions begin."""
MODEL = "claude-sonnet-4-5-20250929"


def pairs(values: Json) -> list[Json]:
    """Attributes as OTLP has them: numbers as numbers, or as text where they are given so."""
    return [
        {"key": key, "value": {"stringValue": value} if isinstance(value, str) else {"intValue": str(value)}}
        for key, value in values.items()
    ]


def event(name: str, at_s: float = 0, session: str | None = "session-1", **said: Any) -> Json:
    """One log record of Claude Code's."""
    named = {"event.name": name, **({"session.id": session} if session else {})}
    return {
        "timeUnixNano": str(int((AT + at_s) * 1e9)),
        "body": {"stringValue": f"claude_code.{name}"},
        "attributes": pairs({**named, **{key.replace("__", "."): value for key, value in said.items()}}),
    }


def logs(*records: Json, scope: str = "com.anthropic.claude_code.events") -> Json:
    resource = {"attributes": pairs({"service.name": "claude-code", "service.version": "2.1.0"})}
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [{"scope": {"name": scope}, "logRecords": records}]}]}


def request_event(number: int, at_s: float, **said: Any) -> Json:
    """The event of the request that `session()` has under the same number."""
    return event(
        "api_request",
        at_s,
        **{
            "model": MODEL,
            "input_tokens": "10",
            "output_tokens": "60",
            "cache_read_tokens": "20000",
            "cache_creation_tokens": "80",
            "duration_ms": "900",
            "request_id": f"req_msg_{number}",
            **said,
        },
    )


def session(path: Path) -> Path:
    """A session file with two requests and a tool run."""
    written = Transcript("session-1")
    written.user("Please look.")
    written.assistant([use("call-1")], usage(10, 60, read=20_000, write_5m=80), message_id="msg_1")
    written.result("call-1", "word " * 100)
    written.assistant([text("Done.")], usage(150, 5, read=20_080), message_id="msg_2")
    path.write_bytes(written.data())
    return path
