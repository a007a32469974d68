"""CPU per tool call: `tool_call.py`, prints microseconds by side and block as JSON.

A batch of 20 calls through an asyncio executor over a registry. `bare` has no span; `span` starts one of ten attributes
around each handler, by hand; `toolspend` is instrument(registry=..., executor=...). The last two write to a spool, all
threads are counted, and the three take turns in one process.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
CALLS = 20
ROUNDS = 20
BLOCKS = 12


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


ATTRIBUTES = {f"gen_ai.tool.attribute_{number}": "value" for number in range(10)}
BATCH = [{"id": f"toolu_{n}", "name": "look_up", "input": {"query": f"q{n}"}} for n in range(CALLS)]


async def rounds(registry: Registry, count: int) -> None:
    """Runs the batch, by the name that instrument() replaces."""
    for _ in range(count):
        await execute(BATCH, registry)


def measure() -> dict[str, list[float]]:
    """Microseconds of CPU a call by side, one a block. The n-th blocks of the sides followed one another."""
    from create import Switch  # which finds the stand-in for us
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    import toolspend
    from toolspend import _provider

    switch, provider = Switch(), TracerProvider()
    provider.add_span_processor(switch)  # type: ignore[arg-type]
    trace.set_tracer_provider(provider)
    tracer = provider.get_tracer("bench")

    async def traced(query: str) -> str:
        with tracer.start_as_current_span("execute_tool look_up", attributes=ATTRIBUTES):
            return await look_up(query)

    figures: dict[str, list[float]] = {"bare": [], "span": [], "toolspend": []}
    for block in range(BLOCKS + 1):
        for side, found in figures.items():
            registry = Registry()
            registry.register(Tool("look_up", traced if side == "span" else look_up))
            switch.is_on = side == "span"
            if side == "toolspend":
                toolspend.instrument(registry=registry, executor=execute, httpx=False)
            asyncio.run(rounds(registry, 5))
            _provider.flush()
            switch.force_flush()
            before = time.process_time()
            asyncio.run(rounds(registry, ROUNDS))
            _provider.flush()
            switch.force_flush()
            spent = time.process_time() - before
            if side == "toolspend":
                toolspend.uninstrument()
            if block:  # the first block warms up
                found.append(spent / (CALLS * ROUNDS) * 1e6)
    return figures


if __name__ == "__main__":
    os.environ["TOOLSPEND_HOME"] = tempfile.mkdtemp()
    print(json.dumps(measure()))
