"""What the executor costs: `toolkit_executor.py`, prints blocks as JSON. The sides take turns in one process.

Microseconds of CPU a call, in batches of 20 whose handlers do nothing. `asyncio` is gather over tasks under
`asyncio.timeout`, which any executor needs; `toolkit` is `execute_tool_calls`, which also checks arguments and formats;
`bounded` the same with its default of eight calls at once. `wall`: the time of five calls of 200 ms over that of one.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from toolspend.toolkit import Tool, ToolRegistry, execute_tool_calls

CALLS = 20
ROUNDS = 20
BLOCKS = 15
SCHEMA = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}


async def look_up(query: str) -> str:
    """A handler that costs nothing."""
    return "found " + query


async def slow(query: str) -> str:
    """A handler of 200 ms."""
    await asyncio.sleep(0.2)
    return query


REGISTRY = ToolRegistry([Tool("look_up", "Looks it up.", SCHEMA, look_up), Tool("slow", "Waits.", SCHEMA, slow)])


def batch(name: str, count: int) -> list[dict[str, Any]]:
    """`tool_use` blocks."""
    return [{"type": "tool_use", "id": f"toolu_{n}", "name": name, "input": {"query": f"q{n}"}} for n in range(count)]


async def plain(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """asyncio alone."""

    async def one(call: dict[str, Any]) -> dict[str, Any]:
        async with asyncio.timeout(30):
            content = await look_up(**call["input"])
        return {"type": "tool_result", "tool_use_id": call["id"], "content": content}

    return list(await asyncio.gather(*(one(call) for call in calls)))


async def ours(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The toolkit's executor, as many at once."""
    return await execute_tool_calls(calls, REGISTRY, max_concurrency=CALLS)


async def bounded(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same with its default bound of eight at once."""
    return await execute_tool_calls(calls, REGISTRY)


async def rounds(execute: Any, calls: list[dict[str, Any]]) -> float:
    """Microseconds of CPU a call."""
    before = time.process_time()
    for _ in range(ROUNDS):
        await execute(calls)
    return (time.process_time() - before) / (ROUNDS * len(calls)) * 1e6


async def wall() -> float:
    """Five independent calls of 200 ms: wall time over that of one."""
    started = time.perf_counter()
    await execute_tool_calls(batch("slow", 1), REGISTRY)
    one = time.perf_counter() - started
    started = time.perf_counter()
    await execute_tool_calls(batch("slow", 5), REGISTRY)
    return (time.perf_counter() - started) / one


def measure() -> dict[str, list[float]]:
    """The blocks of every side."""
    sides: dict[str, list[float]] = {"asyncio": [], "toolkit": [], "bounded": []}
    calls = batch("look_up", CALLS)
    for block in range(BLOCKS + 1):
        for name, execute in (("asyncio", plain), ("toolkit", ours), ("bounded", bounded)):
            spent = asyncio.run(rounds(execute, calls))
            if block:  # the first warms up
                sides[name].append(spent)
    sides["wall"] = [asyncio.run(wall()) for _ in range(5)]
    return sides


if __name__ == "__main__":
    print(json.dumps(measure()))
