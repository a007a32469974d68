"""Tools from functions, dicts and MCP lists."""

from __future__ import annotations

import asyncio
import enum
import functools
import inspect
from dataclasses import dataclass
from typing import Any, Literal

import pytest

import toolspend
from tool_layer import ask, run
from toolspend.targets import _tools
from toolspend.toolkit import Tool, ToolError, ToolRegistry


class Unit(enum.Enum):
    METRIC = "metric"
    IMPERIAL = "imperial"


@dataclass
class Place:
    lat: float
    lon: float


def forecast(
    place: Place, days: int = 3, unit: Unit = Unit.METRIC, tags: list[str] | None = None, *, mode: Literal["a", "b"]
) -> str:
    """The weather to come.

    Not for the past.

    Args:
        place: Where.
        days: How many days ahead.
        mode: Which of two models.
    """
    return f"{place} {days} {unit} {tags} {mode}"


def test_a_function_becomes_a_tool() -> None:
    """Signature and docstring say the name, the description, and each parameter's type, default and meaning."""
    tool = Tool.from_function(forecast, category="weather", timeout_s=5)
    assert (tool.name, tool.description) == ("forecast", "The weather to come.\n\nNot for the past.")
    assert tool.handler is not None and inspect.unwrap(tool.handler) is forecast
    assert (tool.category, tool.timeout_s) == ("weather", 5)
    properties = tool.schema["properties"]
    assert tool.schema["type"] == "object"
    assert tool.schema["required"] == ["place", "mode"]
    assert properties["days"] == {"type": "integer", "default": 3, "description": "How many days ahead."}
    assert properties["mode"] == {"enum": ["a", "b"], "type": "string", "description": "Which of two models."}
    assert properties["place"]["$ref"] == "#/$defs/Place"
    assert tool.schema["$defs"]["Place"]["properties"] == {"lat": {"type": "number"}, "lon": {"type": "number"}}
    assert tool.schema["$defs"]["Unit"]["enum"] == ["metric", "imperial"]
    assert {"type": "array", "items": {"type": "string"}} in properties["tags"]["anyOf"]


def test_titles_are_not_paid_for() -> None:
    """The schema holds no titles, but a parameter may have that name."""

    def publish(title: str, body: str) -> None:
        """Publishes."""

    schema = Tool.from_function(publish).schema
    assert schema["properties"] == {"title": {"type": "string"}, "body": {"type": "string"}}


def test_a_function_without_annotations_or_docstring_is_a_tool_too() -> None:
    """What nobody said is left open."""
    tool = Tool.from_function(lambda query: query, name="echo")
    assert (tool.name, tool.description) == ("echo", "")
    assert tool.schema == {
        "type": "object",
        "properties": {"query": {}},
        "required": ["query"],
        "additionalProperties": False,
    }


def test_a_partial_and_an_object_that_is_called_are_tools_too() -> None:
    """With the name and the words of what they call, and what is given already as a default."""

    def search(query: str, limit: int) -> str:
        """Searches the library.

        Args:
            query: Words to look for.
        """
        return f"{query} {limit}"

    class Lookup:
        """A catalogue."""

        async def __call__(self, shelf: int) -> int:
            """Looks up a shelf."""
            return shelf

    partial = Tool.from_function(functools.partial(search, limit=3))
    assert (partial.name, partial.description) == ("search", "Searches the library.")
    assert partial.schema["properties"]["query"]["description"] == "Words to look for."
    assert partial.schema["required"] == ["query"]
    looked_up = Tool.from_function(Lookup(), name="look_up")
    assert (looked_up.description, list(looked_up.schema["properties"])) == ("Looks up a shelf.", ["shelf"])
    blocks = run(ask(("search", {"query": "cats"}), ("look_up", {"shelf": 7})), ToolRegistry([partial, looked_up]))
    assert [block["content"] for block in blocks] == ["cats 3", "7"]


def positional(query: str, /) -> str:
    return query


def open_ended(*queries: str) -> str:
    return " ".join(queries)


def unsayable(connection: asyncio.AbstractEventLoop) -> None:
    """Takes what no model can write."""


@pytest.mark.parametrize("function", [positional, open_ended, unsayable])
def test_a_function_that_no_model_can_call_is_refused(function: Any) -> None:
    """The refusal is one line that names the function."""
    with pytest.raises(TypeError, match=function.__name__) as caught:
        Tool.from_function(function)
    assert "\n" not in str(caught.value)


def test_what_the_author_declared_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Version and side effects of `@toolspend.tool` are the tool's, unless said otherwise."""
    monkeypatch.setattr(_tools, "_declared", {})

    @toolspend.tool(version="2", has_side_effects=True)
    def delete_page(page: str) -> str:
        """Deletes a page."""
        return page

    tool = Tool.from_function(delete_page)
    assert (tool.version, tool.has_side_effects) == ("2", True)
    assert Tool.from_function(delete_page, version="3").version == "3"


SCHEMA = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}


@pytest.mark.parametrize(
    "said",
    [
        {"name": "search", "description": "Searches.", "schema": SCHEMA},
        {"name": "search", "description": "Searches.", "input_schema": SCHEMA, "cache_control": {"type": "ephemeral"}},
        {"name": "search", "description": "Searches.", "inputSchema": SCHEMA},
        {"type": "function", "function": {"name": "search", "description": "Searches.", "parameters": SCHEMA}},
        {"name": "search", "description": "Searches.", "arguments": [{"name": "query", "type": "string"}]},
    ],
)
def test_every_dialect_of_a_definition_is_understood(said: dict[str, Any]) -> None:
    """Our fields, Anthropic's, MCP's, OpenAI's, and a catalogue's list of arguments."""
    tool = Tool.from_dict(said)
    assert tool.definition() == {"name": "search", "description": "Searches.", "input_schema": SCHEMA}
    assert tool.schema is not SCHEMA
    assert tool.definition_tokens > 10


def test_an_mcp_tool_brings_its_hints_and_its_server() -> None:
    """Read-only means no side effects and may be repeated; what the server does not say is unknown."""
    said = {"name": "get", "inputSchema": SCHEMA, "outputSchema": {"type": "object"}}
    plain = Tool.from_mcp(said, server="files")
    assert (plain.category, plain.server, plain.description) == ("files", "files", "")
    assert (plain.has_side_effects, plain.is_idempotent) == (None, None)
    assert plain.output_schema == {"type": "object"}
    hinted = Tool.from_mcp(said | {"annotations": {"readOnlyHint": True}})
    assert (hinted.has_side_effects, hinted.is_idempotent) == (False, True)
    writes = Tool.from_mcp(said | {"annotations": {"readOnlyHint": False, "idempotentHint": False}})
    assert (writes.has_side_effects, writes.is_idempotent) == (True, False)


def test_an_mcp_tool_is_called_over_its_session() -> None:
    """Text comes back as text, and an error of the server as a ToolError with the server's words."""
    pytest.importorskip("mcp")
    try:
        from mcp.client._memory import InMemoryTransport
        from mcp.client.session import ClientSession
        from mcp.server.mcpserver import MCPServer
    except ImportError:
        pytest.skip("mcp 1 connects in memory in another way")
    server = MCPServer("shop")

    @server.tool()
    def price(query: str) -> str:
        """A price."""
        if query == "none":
            raise ValueError("no such article")
        return "12 euros"

    async def use() -> None:
        async with InMemoryTransport(server) as (read, write), ClientSession(read, write) as session:
            await session.initialize()
            [listed] = (await session.list_tools()).tools
            tool = Tool.from_mcp(listed, session, server="shop")
            assert tool.schema["required"] == ["query"]
            assert tool.handler is not None
            assert await tool.handler(query="tea") == "12 euros"
            with pytest.raises(ToolError, match="price"):
                await tool.handler(query="none")

    asyncio.run(use())


def test_a_description_that_is_no_text_is_refused() -> None:
    """At once, and by name; a definition without one has an empty one."""
    with pytest.raises(TypeError, match="Tool search: description is no text but NoneType"):
        Tool("search", None, {})  # type: ignore[arg-type]
    assert Tool.from_dict({"name": "search", "description": None}).description == ""


@pytest.mark.parametrize("wrong", [{}, {"name": 3}, {"name": ""}])
def test_a_tool_without_a_name_is_refused(wrong: dict[str, Any]) -> None:
    """One line says so."""
    with pytest.raises(ValueError, match="name"):
        Tool.from_dict(wrong)
