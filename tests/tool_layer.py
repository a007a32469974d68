"""Small tools for the tests of the tool layer."""

from __future__ import annotations

import asyncio
from typing import Any

from toolspend.toolkit import Tool, ToolRegistry, ToolResult, execute_tool_calls

NUMBER: dict[str, Any] = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 0}},
    "required": ["n"],
    "additionalProperties": False,
}


def registry_of(*tools: Tool, **handlers: Any) -> ToolRegistry:
    """A registry of `tools`, and of a tool for each handler, which takes a number `n`."""
    return ToolRegistry([*tools, *(numbered(name, handler) for name, handler in handlers.items())])


def numbered(name: str, handler: Any, **fields: Any) -> Tool:
    """A tool that takes a number `n`."""
    return Tool(name, f"Does {name}.", NUMBER, handler, **fields)


def ask(*calls: tuple[str, Any]) -> list[dict[str, Any]]:
    """`tool_use` blocks of (name, input), with ids that count from 0."""
    return [
        {"type": "tool_use", "id": f"toolu_{i}", "name": name, "input": input} for i, (name, input) in enumerate(calls)
    ]


def run(calls: list[dict[str, Any]], registry: Any, **options: Any) -> list[ToolResult]:
    """Runs calls in a loop of their own, where nothing may be left behind."""

    async def main() -> list[ToolResult]:
        blocks = await execute_tool_calls(calls, registry, **options)
        assert not others(), "tasks are left behind"
        return blocks

    return asyncio.run(main())


def others() -> set[asyncio.Task[Any]]:
    """The tasks of this loop but the one that asks."""
    return asyncio.all_tasks() - {asyncio.current_task()}  # type: ignore[arg-type]
