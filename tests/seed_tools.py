"""A tool layer in the shapes that are known without configuration, as an application might have written it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Tool:
    name: str
    description: str
    schema: dict[str, Any]
    handler: Callable[..., Any]
    category: str = "general"
    estimated_tokens: int = 100


@dataclass
class ToolRegistry:
    tools: dict[str, Tool] = field(default_factory=dict)

    def register(self, tool: Tool) -> None:
        self.tools[tool.name] = tool

    def get_tools_for_task(self, task_type: str, max_tools: int = 15) -> list[Tool]:
        chosen = [tool for tool in self.tools.values() if tool.category in (task_type, "general")]
        return chosen[:max_tools]

    def get_tool_definitions(self, tools: list[Tool]) -> list[dict[str, Any]]:
        return [{"name": tool.name, "description": tool.description, "input_schema": tool.schema} for tool in tools]


def block(call: dict[str, Any], content: str, *, is_error: bool = False) -> dict[str, Any]:
    made = {"type": "tool_result", "tool_use_id": call["id"], "content": content}
    return {**made, "is_error": True} if is_error else made


def run_one(call: dict[str, Any], registry: ToolRegistry) -> dict[str, Any]:
    tool = registry.tools.get(call["name"])
    if tool is None:
        return block(call, f"Unknown tool {call['name']}", is_error=True)
    if "query" in tool.schema.get("required", ()) and "query" not in call["input"]:
        return block(call, "query is required", is_error=True)
    try:
        return block(call, str(tool.handler(**call["input"])))
    except Exception as error:
        return block(call, f"Error: {error}", is_error=True)


def execute_tool_calls(tool_calls: list[dict[str, Any]], registry: ToolRegistry) -> list[dict[str, Any]]:
    """One after the other."""
    return [run_one(call, registry) for call in tool_calls]


def execute_tool_calls_in_threads(
    tool_calls: list[dict[str, Any]], registry: ToolRegistry, *, max_workers: int = 4, timeout_s: float = 5.0
) -> list[dict[str, Any]]:
    """In a pool of threads that the context does not follow into; what is late is left running."""
    pool = ThreadPoolExecutor(max_workers)
    futures = [pool.submit(run_one, call, registry) for call in tool_calls]
    wait(futures, timeout_s)
    pool.shutdown(wait=False, cancel_futures=True)
    return [
        future.result() if future.done() else block(call, "timed out", is_error=True)
        for call, future in zip(tool_calls, futures, strict=True)
    ]


async def execute_tool_calls_parallel(
    tool_calls: list[dict[str, Any]], registry: ToolRegistry, *, timeout_s: float = 5.0
) -> list[dict[str, Any]]:
    """With gather and wait_for; a synchronous handler runs in the loop's pool."""

    async def one(call: dict[str, Any]) -> dict[str, Any]:
        tool = registry.tools.get(call["name"])
        if tool is None:
            return block(call, f"Unknown tool {call['name']}", is_error=True)
        try:
            if asyncio.iscoroutinefunction(tool.handler):
                work = tool.handler(**call["input"])
            else:
                loop = asyncio.get_running_loop()
                work = loop.run_in_executor(None, lambda: tool.handler(**call["input"]))
            result = await asyncio.wait_for(work, timeout_s)
        except TimeoutError:
            return block(call, "timed out", is_error=True)
        except Exception as error:
            return block(call, f"Error: {error}", is_error=True)
        return block(call, await compress_tool_result(str(result), call["name"], 5))

    return list(await asyncio.gather(*(one(call) for call in tool_calls)))


async def execute_with_retries(
    tool_calls: list[dict[str, Any]], registry: ToolRegistry, *, max_attempts: int = 3
) -> list[dict[str, Any]]:
    async def one(call: dict[str, Any]) -> dict[str, Any]:
        for _attempt in range(max_attempts):
            try:
                return block(call, str(await registry.tools[call["name"]].handler(**call["input"])))
            except Exception as error:
                failure = error
                await asyncio.sleep(0)
        return block(call, f"Error: {failure}", is_error=True)

    return list(await asyncio.gather(*(one(call) for call in tool_calls)))


async def compress_tool_result(result: str, tool_name: str, max_tokens: int = 500) -> str:
    return result if len(result) <= max_tokens * 4 else result[: max_tokens * 4] + "..."


def compress_sync(result: str, tool_name: str, max_tokens: int = 500) -> str:
    return result[: max_tokens * 4]


where = contextvars.ContextVar("where", default="nowhere")
