"""The agent's registry: what it selects, and tools that come later."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

import seed_tools
import toolspend
from seed_tools import Tool, ToolRegistry
from toolspend.evidence.definitions import version_of
from toolspend.testing import Captured

SCHEMA = {"type": "object", "properties": {}}


def registry_of(*names: str, category: str = "research") -> ToolRegistry:
    registry = ToolRegistry()
    for name in names:
        registry.register(Tool(name, f"Does {name}.", SCHEMA, lambda: "done", category))
    return registry


def test_a_selection_is_this_span(captured: Captured) -> None:
    """The whole span of a selection: what was asked, how many there were, what was offered and what was spared."""
    registry = registry_of("search", "read", "write")
    toolspend.instrument(registry=registry, export=None)
    tools = registry.get_tools_for_task("research", max_tools=2)
    assert [tool.name for tool in tools] == ["search", "read"]
    size = len('{"properties":{},"type":"object"}')
    assert captured.spans() == [
        {
            "name": "select_tools",
            "kind": "INTERNAL",
            "scope": "toolspend",
            "trace_id": f"{1:032x}",
            "span_id": f"{1:016x}",
            "parent_id": None,
            "start_ms": 0.0,
            "end_ms": 1.0,
            "status": "UNSET",
            "status_message": None,
            "attributes": {
                "gen_ai.operation.name": "select_tools",
                "toolspend.selection.task_type": "research",
                "toolspend.selection.candidates": 3,
                "toolspend.selection.selected": 2,
                "toolspend.selection.tools": ("search", "read"),
                "toolspend.selection.offered_chars": len("searchDoes search.readDoes read.") + 2 * size,
                "toolspend.selection.avoided_chars": len("writeDoes write.") + size,
            },
            "events": [],
        }
    ]


def test_a_call_has_the_version_that_its_tool_has_now(captured: Captured) -> None:
    """A description set anew and a schema edited in place are another version, as they are in the next request."""
    schema: dict[str, Any] = {"type": "object", "properties": {}}
    registry = ToolRegistry()
    registry.register(Tool("search", "Searches.", schema, lambda: "done", "research"))
    toolspend.instrument(registry=registry, executor=seed_tools.execute_tool_calls_parallel, export=None)

    def version() -> str:
        call = {"type": "tool_use", "id": "1", "name": "search", "input": {}}
        asyncio.run(seed_tools.execute_tool_calls_parallel([call], registry))
        found: str = captured.spans()[-2]["attributes"]["toolspend.tool.version"]
        return found

    first = version()
    registry.tools["search"].description = "Searches for books."
    second = version()
    schema["properties"]["query"] = {"type": "string"}
    assert len({first, second, version()}) == 3
    assert version() == version_of("search", "Searches for books.", schema)


def test_the_selection_is_the_very_same_list(captured: Captured) -> None:
    """What `get_tools_for_task` returns, and what it raises, passes through unchanged."""
    registry = registry_of("search")
    given: list[Any] = [registry.tools["search"]]
    failure = KeyError("secret")

    def select(task_type: str, max_tools: int = 15) -> list[Any]:
        if task_type == "bad":
            raise failure
        return given

    registry.get_tools_for_task = select  # type: ignore[method-assign]
    toolspend.instrument(registry=registry, export=None)
    assert registry.get_tools_for_task("good") is given
    with pytest.raises(KeyError) as caught:
        registry.get_tools_for_task("bad")
    assert caught.value is failure
    assert captured.spans()[1]["attributes"]["error.type"] == "KeyError"
    assert "secret" not in str(captured.spans())
    toolspend.uninstrument()
    assert registry.get_tools_for_task is select


def test_tools_registered_later_are_traced(captured: Captured) -> None:
    """A tool registered after `instrument`, by method or behind its back, has its spans too."""
    registry = registry_of("search")
    toolspend.instrument(registry=registry, executor=seed_tools.execute_tool_calls, export=None)
    registry.register(late := Tool("late", "Comes later.", SCHEMA, lambda: "late"))
    registry.tools["hidden"] = hidden = Tool("hidden", "Comes unseen.", SCHEMA, lambda: "hidden")
    handlers = [late.handler.__wrapped__, hidden.handler]  # type: ignore[attr-defined]
    calls = [{"id": name, "name": name, "input": {}} for name in ("late", "hidden")]
    seed_tools.execute_tool_calls(calls, registry)
    assert [span["attributes"]["toolspend.tool.raw_result_chars"] for span in captured.spans()[:2]] == [4, 6]
    toolspend.uninstrument()
    assert [late.handler, hidden.handler] == handlers


def test_tools_of_every_shape(captured: Captured) -> None:
    """Dicts, frozen dataclasses and tools with slots are traced and restored like others."""

    @dataclass(frozen=True)
    class Frozen:
        name: str
        handler: Any
        description: str = "Frozen."
        version: str = "3"

    class Slotted:
        __slots__ = ("handler", "name")

        def __init__(self, name: str, handler: Any) -> None:
            self.name, self.handler = name, handler

    def handler() -> str:
        return "done"

    class Registry:
        def __init__(self) -> None:
            self._tools = [
                {"name": "dict", "handler": handler, "category": "a", "has_side_effects": True},
                Frozen("frozen", handler),
                Slotted("slotted", handler),
            ]

        def register(self, tool: Any) -> None:
            self._tools.append(tool)

    registry = Registry()
    toolspend.instrument(registry=registry, export=None)
    as_dict, frozen, slotted = registry._tools
    assert [as_dict["handler"](), frozen.handler(), slotted.handler()] == ["done"] * 3  # type: ignore
    spans = {span["attributes"]["gen_ai.tool.name"]: span["attributes"] for span in captured.spans()}
    assert spans.keys() == {"dict", "frozen", "slotted"}
    assert spans["dict"]["toolspend.tool.has_side_effects"] is True
    assert spans["frozen"]["toolspend.tool.declared_version"] == "3"
    toolspend.uninstrument()
    assert as_dict["handler"] is frozen.handler is slotted.handler is handler  # type: ignore


def test_an_async_handler_stays_async(captured: Captured) -> None:
    """An async handler is awaited by its caller, and its span lasts as long as its work."""
    registry = registry_of()

    async def slow() -> str:
        captured.clock.advance(50)
        return "done"

    registry.register(Tool("slow", "", SCHEMA, slow))
    toolspend.instrument(registry=registry, export=None)
    assert asyncio.iscoroutinefunction(registry.tools["slow"].handler)
    assert asyncio.run(registry.tools["slow"].handler()) == "done"
    [span] = captured.spans()
    assert span["end_ms"] - span["start_ms"] == 51


@pytest.mark.parametrize("wrong", [ToolRegistry, object(), "seed_tools:where"])
def test_what_is_no_registry_is_refused(wrong: Any) -> None:
    """What the user named fails loudly, in one line."""
    with pytest.raises(TypeError, match=r"instrument\(registry=") as caught:
        toolspend.instrument(registry=wrong, export=None)
    assert "\n" not in str(caught.value)
