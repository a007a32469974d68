"""An application that imported its tool layer by name, before anything was instrumented."""

from __future__ import annotations

from typing import Any

from seed_tools import (
    ToolRegistry,
    compress_tool_result,
    execute_tool_calls,
    execute_tool_calls_in_threads,
    execute_tool_calls_parallel,
    execute_with_retries,
)

__all__ = ["compress_tool_result", "run_async", "run_sync", "run_threads", "run_with_retries"]


def run_sync(calls: list[dict[str, Any]], registry: ToolRegistry) -> list[dict[str, Any]]:
    return execute_tool_calls(calls, registry)


def run_threads(calls: list[dict[str, Any]], registry: ToolRegistry, **options: Any) -> list[dict[str, Any]]:
    return execute_tool_calls_in_threads(calls, registry, **options)


async def run_async(calls: list[dict[str, Any]], registry: ToolRegistry, **options: Any) -> list[dict[str, Any]]:
    return await execute_tool_calls_parallel(calls, registry, **options)


async def run_with_retries(calls: list[dict[str, Any]], registry: ToolRegistry) -> list[dict[str, Any]]:
    return await execute_with_retries(calls, registry)


class Agent:
    execute = staticmethod(execute_tool_calls)
