"""The tool layer that several of the agents share: a registry, an executor and a compressor."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
Handler = Callable[..., Awaitable[str] | str]

TOOL_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Tool:
    name: str
    description: str
    schema: Json
    handler: Handler
    category: str = "general"
    estimated_tokens: int = 200


@dataclass
class ToolRegistry:
    tools: dict[str, Tool] = field(default_factory=dict)

    def register(self, tool: Tool) -> None:
        self.tools[tool.name] = tool

    def get_tools_for_task(self, task_type: str | None = None, max_tools: int = 15) -> list[Tool]:
        """The tools of the task's category and the general ones, cheapest first."""
        fitting = [t for t in self.tools.values() if task_type is None or t.category in (task_type, "general")]
        return sorted(fitting, key=lambda t: (t.category == "general", t.estimated_tokens))[:max_tools]

    def get_tool_definitions(self, tools: Sequence[Tool]) -> list[Json]:
        """The tools in the form that the Messages API takes."""
        return [{"name": t.name, "description": t.description, "input_schema": t.schema} for t in tools]

    def tool(self, description: str, category: str = "general", **parameters: Json) -> Callable[[Handler], Handler]:
        """Registers the decorated function; parameters are JSON schemas, required unless they have a default."""

        def register(handler: Handler) -> Handler:
            required = [name for name, schema in parameters.items() if "default" not in schema]
            schema: Json = {"type": "object", "properties": parameters, "required": required}
            tokens = (len(description) + len(str(schema))) // 4
            self.register(Tool(handler.__name__, description, schema, handler, category, tokens))
            return handler

        return register


async def run_tool(call: Any, registry: ToolRegistry) -> Json:
    """One call's tool_result block; a failure becomes a result that tells the model what went wrong."""
    result: Json = {"type": "tool_result", "tool_use_id": call.id}
    tool = registry.tools.get(call.name)
    if tool is None:
        return result | {"content": f"Unknown tool: {call.name}", "is_error": True}
    try:
        answer = tool.handler(**call.input)
        text = await asyncio.wait_for(answer, TOOL_TIMEOUT_S) if inspect.isawaitable(answer) else answer
        return result | {"content": text}
    except TimeoutError:
        return result | {"content": f"{call.name} timed out after {TOOL_TIMEOUT_S:g} s", "is_error": True}
    except Exception as error:
        return result | {"content": f"{type(error).__name__}: {error}", "is_error": True}


async def execute_tool_calls_parallel(tool_calls: Sequence[Any], registry: ToolRegistry) -> list[Json]:
    """Runs the calls of one turn side by side; results come back in the order of the calls."""
    return list(await asyncio.gather(*(run_tool(call, registry) for call in tool_calls)))


def text(description: str, **extra: Any) -> Json:
    """The schema of a string parameter."""
    return {"type": "string", "description": description, **extra}


def number(description: str, **extra: Any) -> Json:
    """The schema of an integer parameter."""
    return {"type": "integer", "description": description, **extra}
