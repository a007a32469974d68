"""Which tools a request offers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .tool import Tool


class Selection(list[Tool]):
    """The tools selected for one task, in the order in which they are offered, and what was left out."""

    def __init__(self, tools: Iterable[Tool] = (), *, left_out: Iterable[Tool] = (), is_unsure: bool = False) -> None:
        super().__init__(tools)
        self.left_out = list(left_out)
        self.is_unsure = is_unsure

    @property
    def offered_tokens(self) -> int:
        """About how many tokens the selected definitions have."""
        return sum(tool.definition_tokens for tool in self)

    @property
    def avoided_tokens(self) -> int:
        """About how many definition tokens every request is spared."""
        return sum(tool.definition_tokens for tool in self.left_out)


class ToolRegistry:
    """The tools of an agent, by name."""

    def __init__(self, tools: Iterable[Tool] = ()) -> None:
        self.tools: dict[str, Tool] = {}
        for tool in tools:
            self.register(tool)

    def __len__(self) -> int:
        return len(self.tools)

    def __iter__(self) -> Iterator[Tool]:
        return iter(self.tools.values())

    def __contains__(self, name: object) -> bool:
        return name in self.tools

    def get(self, name: str) -> Tool | None:
        """The tool of that name, or None."""
        return self.tools.get(name)

    def register(self, tool: Tool) -> Tool:
        """Adds a tool, in place of the one that had its name."""
        self.tools[tool.name] = tool
        return tool

    def unregister(self, name: str) -> None:
        """Takes a tool out; what is not there is no error."""
        self.tools.pop(name, None)

    def observe(self, name: str, result_tokens: int | None = None, *, is_error: bool = False) -> None:
        """Learns from one call of tool `name`: how large its result was, and whether it failed."""

    def get_tools_for_task(
        self, task_type: str | None = None, max_tools: int = 15, *, query: str | None = None
    ) -> Selection:
        """The tools to offer for a task, at most `max_tools`."""
        chosen = [tool for tool in self.tools.values() if task_type is None or tool.category in (task_type, "general")]
        left_out = [tool for tool in self.tools.values() if tool not in chosen[:max_tools]]
        return Selection(chosen[:max_tools], left_out=left_out)

    def get_tool_definitions(self, tools: Iterable[Tool]) -> list[dict[str, Any]]:
        """The definitions of `tools` as a request states them."""
        return [tool.definition() for tool in tools]
