"""CPU of `messages.create` in this process: `create.py small|large`, prints microseconds by side and block as JSON.

`bare` has the SDK's tracing off; `native` has the SDK's own spans, written to a spool; `toolspend` is instrument(). The
three take turns in one process, and the answer comes from memory. `small` sends one message, a new conversation each
time; `large` sends 40 tools and, on average, 61 messages, each request the next turn of its conversation: it sends back
what the last one was answered, and a tool's result.
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
BLOCKS = 16
CONVERSATIONS = 6
WARM_UP = 500
"""Requests before each side's turn that are not timed: instrument() changes classes of the SDK, which the interpreter
then runs unspecialized, and tries again ever later: after 60 requests it still adds 25 us. A process pays that once."""


class Scripted:
    """Answers every request with the same bytes, until it is given others."""

    def __init__(self) -> None:
        self.now = answer([{"type": "text", "text": "Done."}])

    def answer(self, *_request: object) -> Any:
        """The answer that is due."""
        return self.now


def answer(content: list[dict[str, Any]]) -> Any:
    """A response of such `content`."""
    import standin

    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-4-8",
        "content": content,
        "stop_reason": "tool_use" if content[-1]["type"] == "tool_use" else "end_turn",
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
    return standin.Answer(
        200, {"content-type": "application/json", "request-id": "req_1"}, [json.dumps(message).encode()]
    )


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


class Switch:
    """A span processor that is only there while it is on: the SDK's own spans into a spool, without us."""

    def __init__(self) -> None:
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        from toolspend.spool import SpoolExporter

        self.is_on = False
        self.batches = BatchSpanProcessor(SpoolExporter(), max_queue_size=16_384, schedule_delay_millis=100)

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """Nothing."""

    def _on_ending(self, span: Any) -> None:
        """Nothing."""

    def on_end(self, span: Any) -> None:
        """Hands the span on."""
        if self.is_on:
            self.batches.on_end(span)

    def shutdown(self) -> None:
        """Ends."""
        self.batches.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Writes what is waiting."""
        return self.batches.force_flush(timeout_millis)


def turns(size: str, number: int) -> list[tuple[list[dict[str, Any]], Any]]:
    """The requests of a conversation, each its messages and what it is answered; all but the first are timed.

    A long conversation comes into view in the middle, and an answer is what the next request sends back.
    """
    first = {"role": "user", "content": f"Question {number}."}
    if size == "small":
        done = answer([{"type": "text", "text": "Done."}])
        return [([{**first, "content": f"{first['content']} {turn}"}], done) for turn in range(6)]
    full = [first, *conversation(33)[1:]]
    return [(full[:count], answer(full[count]["content"])) for count in (55, 57, 59, 61, 63, 65)]


def measure(size: str) -> dict[str, list[tuple[float, float]]]:
    """Microseconds of CPU a call by side, a pair a block: of the calling thread, and of all, the spool included.

    The n-th blocks of the sides followed one another: their differences hold where the machine's speed drifts.
    """
    import anthropic
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    import standin
    import toolspend
    from toolspend import _provider

    http = standin.http_library()
    script = Scripted()
    answering = http.Client(transport=standin.transport(script, http))
    switch, provider = Switch(), TracerProvider()
    provider.add_span_processor(switch)  # type: ignore[arg-type]
    trace.set_tracer_provider(provider)
    clients = {
        side: anthropic.Anthropic(api_key="sk-standin", max_retries=0, http_client=answering, **options)
        for side, options in (("bare", {"open_telemetry": False}), ("native", {}), ("toolspend", {}))
    }
    request: dict[str, Any] = {"model": "claude-opus-4-8", "max_tokens": 100}
    if size == "large":
        request["tools"] = tools(40)
    figures: dict[str, list[tuple[float, float]]] = {side: [] for side in clients}
    for block in range(BLOCKS + 1):
        for side, client in clients.items():
            switch.is_on = side == "native"
            if side == "toolspend":
                toolspend.instrument(httpx=False)
            script.now = answer([{"type": "text", "text": "Done."}])
            for _ in range(WARM_UP):
                client.messages.create(messages=[{"role": "user", "content": "Warm up."}], **request)
            own, spent, calls = 0.0, 0.0, 0
            for number in range(CONVERSATIONS):
                (opening, script.now), *timed = turns(size, block * CONVERSATIONS + number)
                client.messages.create(messages=opening, **request)
                _provider.flush()
                switch.force_flush()
                before, own_before = time.process_time(), time.thread_time()
                for messages, script.now in timed:
                    client.messages.create(messages=messages, **request)
                own += time.thread_time() - own_before
                _provider.flush()
                switch.force_flush()
                spent += time.process_time() - before
                calls += len(timed)
            if side == "toolspend":
                toolspend.uninstrument()
            if block:  # the first block warms up
                figures[side].append((own / calls * 1e6, spent / calls * 1e6))
    return figures


if __name__ == "__main__":
    os.environ["TOOLSPEND_HOME"] = tempfile.mkdtemp()
    print(json.dumps(measure(sys.argv[1])))
