"""CPU per tool call: `tool_call.py span|toolspend`, prints microseconds.

A batch of 20 calls through an asyncio executor over a registry. `span` starts one bare span of ten attributes around
each handler, by hand; `toolspend` is instrument(registry=..., executor=...). Both write to a spool.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from typing import Any

CALLS = 20
ROUNDS = 150


class Tool:
    """A tool in a known shape."""

    def __init__(self, name: str, handler: Any) -> None:
        self.name, self.handler = name, handler
        self.description, self.category, self.estimated_tokens = "Looks it up.", "search", 100
        self.schema = {"type": "object", "properties": {"query": {"type": "string"}}}


class Registry:
    """A registry in a known shape."""

    def __init__(self) -> None:
        self.tools: dict[str, Tool] = {}

    def register(self, tool: Tool) -> None:
        """Adds a tool."""
        self.tools[tool.name] = tool


async def look_up(query: str) -> str:
    """A handler that costs nothing."""
    return "found " + query


async def execute(tool_calls: list[dict[str, Any]], registry: Registry) -> list[dict[str, Any]]:
    """The usual executor: all at once."""

    async def one(call: dict[str, Any]) -> dict[str, Any]:
        content = await registry.tools[call["name"]].handler(**call["input"])
        return {"type": "tool_result", "tool_use_id": call["id"], "content": content}

    return list(await asyncio.gather(*(one(call) for call in tool_calls)))


def measure(side: str) -> float:
    """Microseconds of CPU a call, all threads counted."""
    registry, run = Registry(), execute
    registry.register(Tool("look_up", look_up))
    provider: Any = None
    if side == "toolspend":
        import toolspend

        toolspend.instrument(registry=registry, executor=execute, httpx=False)
        run = globals()["execute"]
    elif side == "span":
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        from toolspend.spool import SpoolExporter

        provider = TracerProvider()
        provider.add_span_processor(
            BatchSpanProcessor(SpoolExporter(), max_queue_size=16_384, schedule_delay_millis=500)
        )
        tracer = provider.get_tracer("bench")
        attributes = {f"gen_ai.tool.attribute_{number}": "value" for number in range(10)}

        async def traced(query: str) -> str:
            with tracer.start_as_current_span("execute_tool look_up", attributes=attributes):
                return await look_up(query)

        registry.tools["look_up"].handler = traced
    calls = [{"id": f"toolu_{n}", "name": "look_up", "input": {"query": f"q{n}"}} for n in range(CALLS)]

    async def main() -> float:
        await run(calls, registry)
        before = time.process_time()
        for _ in range(ROUNDS):
            await run(calls, registry)
        if side == "span":
            provider.force_flush()
        return time.process_time() - before

    spent = asyncio.run(main())
    before = time.process_time()
    if side == "toolspend":
        toolspend.uninstrument()
    return (spent + time.process_time() - before) / (CALLS * ROUNDS) * 1e6


if __name__ == "__main__":
    os.environ["TOOLSPEND_HOME"] = tempfile.mkdtemp()
    print(measure(sys.argv[1]))
