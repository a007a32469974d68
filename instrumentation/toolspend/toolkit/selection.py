"""What was selected for one task, and what was left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from .tool import Tool

FIND_TOOLS: Final = "find_tools"


class Selection(list[Tool]):
    """The tools to offer for a task, in the order in which they are offered.

    `is_unsure` says that a tool which the task needs may have been left out: nothing of the text was recognised, or the
    next tools fit nearly as well. Offer `find_tools` then, or more tools.
    """

    def __init__(
        self,
        tools: Iterable[Tool] = (),
        *,
        left_out: Iterable[Tool] = (),
        is_unsure: bool = False,
        find: Callable[[str, Iterable[Tool]], Iterable[Tool]] | None = None,
    ) -> None:
        super().__init__(tools)
        self.left_out = list(left_out)
        self.is_unsure = is_unsure
        self._find = find
        self._added_for: set[str] = set()

    @property
    def offered_tokens(self) -> int:
        """About how many tokens the selected definitions have."""
        return sum(tool.definition_tokens for tool in self)

    @property
    def avoided_tokens(self) -> int:
        """About how many definition tokens each request is spared."""
        return sum(tool.definition_tokens for tool in self.left_out)

    def add_found(self, tool_calls: Iterable[Any]) -> list[Tool]:
        """Offers from now on, after the others, what the `find_tools` calls among `tool_calls` found. Returns it.

        A call that it was given before, by its id, adds nothing more.
        """
        added: list[Tool] = []
        offered = list(self)  # what the calls of one turn found was found beyond the same tools
        for call in tool_calls:
            is_mapping = isinstance(call, Mapping)
            name = call.get("name") if is_mapping else getattr(call, "name", None)
            arguments = call.get("input") if is_mapping else getattr(call, "input", None)
            id = call.get("id") if is_mapping else getattr(call, "id", None)
            query = arguments.get("query") if isinstance(arguments, Mapping) else None
            if name == FIND_TOOLS and isinstance(query, str) and self._find is not None:
                if isinstance(id, str):
                    if id in self._added_for:
                        continue
                    self._added_for.add(id)
                for tool in self._find(query, offered):
                    if tool not in self:
                        self.append(tool)
                        added.append(tool)
        self.left_out = [tool for tool in self.left_out if tool not in added]
        return added

    def __str__(self) -> str:
        offered = ", ".join(tool.name for tool in self) or "no tools"
        doubt = "; unsure" if self.is_unsure else ""
        return (
            f"{offered}; left out {len(self.left_out)}, about {self.avoided_tokens} definition tokens a request{doubt}"
        )
