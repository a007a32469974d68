"""CPU of `messages.create` in this process: `create.py bare|native|toolspend small|large`, prints microseconds.

`bare` has the SDK's tracing off; `native` has the SDK's own spans, written to a spool; `toolspend` is instrument().
`small` sends one message; `large` sends 40 tools and 61 messages. The answer comes from memory.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "sample_traces"))
CALLS = 400


class Fixed:
    """Answers every request with the same bytes."""

    def __init__(self) -> None:
        import standin

        message = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-opus-4-8",
            "content": [{"type": "text", "text": "Done."}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {
                "input_tokens": 100,
                "output_tokens": 5,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
                "service_tier": "standard",
            },
        }
        self._answer = standin.Answer(
            200, {"content-type": "application/json", "request-id": "req_1"}, [json.dumps(message).encode()]
        )

    def answer(self, *_request: object) -> Any:
        """The same answer."""
        return self._answer


def tools(count: int) -> list[dict[str, Any]]:
    """Definitions as long as those of published MCP servers: about 600 characters each."""
    properties = {
        f"field_{n}": {"type": "string", "description": f"What to look for in field {n} of a page."} for n in range(5)
    }
    return [
        {
            "name": f"tool_{number}",
            "description": f"Searches collection {number} and returns the best passages with their sources. " * 2,
            "input_schema": {"type": "object", "properties": properties, "required": ["field_0"]},
        }
        for number in range(count)
    ]


def conversation(turns: int) -> list[dict[str, Any]]:
    """A first message, and three blocks in two messages a turn."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Find out what changed."}]
    for turn in range(turns):
        call = {"type": "tool_use", "id": f"toolu_{turn:04}", "name": "tool_1", "input": {"field_0": f"change {turn}"}}
        result = {"type": "tool_result", "tool_use_id": call["id"], "content": f"Passage {turn}. " * 80}
        messages.append({"role": "assistant", "content": [{"type": "text", "text": f"Looking, {turn}."}, call]})
        messages.append({"role": "user", "content": [result]})
    return messages


def measure(side: str, size: str) -> float:
    """Microseconds of CPU a call, all threads counted, what is still to be exported included."""
    import anthropic

    import standin

    if side == "toolspend":
        import toolspend

        toolspend.instrument(httpx=False)
    elif side == "native":
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        from toolspend.spool import SpoolExporter

        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(SpoolExporter(), schedule_delay_millis=500))
        trace.set_tracer_provider(provider)
    http = standin.http_library()
    client = anthropic.Anthropic(
        api_key="sk-standin",
        max_retries=0,
        http_client=http.Client(transport=standin.transport(Fixed(), http)),
        open_telemetry=side != "bare" and None,
    )
    request: dict[str, Any] = {"model": "claude-opus-4-8", "max_tokens": 100}
    if size == "large":
        request["tools"] = tools(40)
    # Each call is the next turn of a conversation around the size in question, as in an agent.
    full = conversation(30 if size == "large" else 0)
    for _ in range(20):
        client.messages.create(messages=full, **request)
    spent = 0.0
    for call in range(CALLS):
        messages = [{"role": "user", "content": f"Question {call}."}, *full[1:]]
        if len(messages) > 2:
            client.messages.create(messages=messages[:-2], **request)
        before = time.process_time()
        client.messages.create(messages=messages, **request)
        spent += time.process_time() - before
    before = time.process_time()
    if side == "native":
        provider.force_flush()
    elif side == "toolspend":
        toolspend.uninstrument()
    return (spent + (time.process_time() - before) / 2) / CALLS * 1e6


if __name__ == "__main__":
    os.environ["TOOLSPEND_HOME"] = tempfile.mkdtemp()
    print(measure(*sys.argv[1:3]))
