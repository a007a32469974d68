"""Several versions of one tool."""

from __future__ import annotations

import asyncio
import copy
import json
from datetime import date, timedelta
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import toolspend
from tool_layer import ask
from toolspend.testing import Captured
from toolspend.toolkit import Tool, ToolRegistry, ToolVersions, VersionedTools, execute_tool_calls, mcp_server
from toolspend.toolkit.versions import BreakingChange, changes

V1: dict[str, Any] = {
    "type": "object",
    "properties": {"query": {"type": "string"}, "order": {"enum": ["new", "old"]}},
    "required": ["query"],
    "additionalProperties": False,
}


def edited(schema: dict[str, Any], **edits: Any) -> dict[str, Any]:
    """A copy with `properties` merged and other keys replaced."""
    made = copy.deepcopy(schema)
    made["properties"] |= edits.pop("properties", {})
    return made | edits


async def one(query: str, **rest: Any) -> str:
    return "one " + query


async def two(query: str, limit: int = 10, **rest: Any) -> str:
    return f"two {query} {limit}"


V2 = edited(V1, properties={"limit": {"type": "integer"}})
V3 = edited(V2, properties={"query": {"type": "integer"}})


def family() -> ToolVersions:
    made = ToolVersions("search_documents")
    made.add(Tool("search_documents", "Finds documents.", V1, one), "1")
    made.add(Tool("search_documents", "Finds documents.", V2, two), "2", is_default=True)
    return made


def call(tools: Any, name: str, **arguments: Any) -> dict[str, Any]:
    [block] = asyncio.run(execute_tool_calls(ask((name, arguments)), tools))
    return block


def test_versions_stand_side_by_side_and_the_bare_name_is_the_default() -> None:
    """Each under its own name, with its own schema."""
    tools = VersionedTools(family())
    assert call(tools, "search_documents_v1", query="x")["content"] == "one x"
    assert call(tools, "search_documents_v2", query="x", limit=3)["content"] == "two x 3"
    assert call(tools, "search_documents", query="x")["content"] == "two x 10"
    assert call(tools, "search_documents_v1", query="x", limit=3)["is_error"]
    assert "search_documents_v1" in call(tools, "search_documents_v9", query="x")["content"]


def test_a_default_that_breaks_callers_is_refused_unless_accepted() -> None:
    """The bare name keeps its contract; the message says what would break."""
    made = family()
    made.add(Tool("search_documents", "Finds documents.", V3, one), "3")
    with pytest.raises(BreakingChange, match="version 3 breaks callers of 2: query: type string is now integer"):
        made.set_default("3")
    assert made.default.version == "2"
    made.set_default("3", accept_breaking=True)
    assert made.default.version == "3"


def test_a_refused_version_is_not_half_there() -> None:
    """Where a default would break callers, the version that was to be it is not offered either."""
    searches = ToolVersions("search")
    searches.add(Tool("search", "Searches.", {"type": "object", "properties": {"query": {"type": "string"}}}), "1")
    wanting = Tool("search", "Searches.", {"type": "object", "required": ["q"]})
    with pytest.raises(BreakingChange):
        searches.add(wanting, "2", is_default=True)
    assert [tool.version for tool in searches] == ["1"]
    searches.add(wanting, "2")
    searches.set_default("2", accept_breaking=True)
    assert searches.default.version == "2"


def test_a_deprecated_version_says_so_and_is_left_out_of_a_registry() -> None:
    """The model reads which to use instead; where the old one is not asked for, nobody pays for its definition."""
    made = family()
    tool = made.deprecate("1")
    assert tool.description == "Deprecated: use search_documents_v2 instead. Finds documents."
    assert made.deprecate("1", until=date(2099, 1, 1)).description.count("Deprecated") == 1
    registry = ToolRegistry()
    VersionedTools(made).register_in(registry)
    assert list(registry.tools) == ["search_documents_v2"]
    VersionedTools(made).register_in(registry, deprecated=True)
    assert set(registry.tools) == {"search_documents_v1", "search_documents_v2"}
    with pytest.raises(ValueError, match="2 is the default version"):
        made.deprecate("2")


def test_a_registry_answers_every_name_and_offers_only_what_is_current(captured: Captured) -> None:
    """Deprecated versions, aliases and the bare name answer calls, each under one span, and are not offered."""
    letters = ToolVersions("letters")

    @letters.version("1", category="mail", has_side_effects=False)
    async def all_letters(query: str) -> str:
        """Finds letters."""
        return "one " + query

    @letters.version("2", category="mail", is_default=True)
    async def some_letters(query: str, limit: int = 3) -> str:
        """Finds letters."""
        return f"two {query} {limit}"

    letters.deprecate("1")
    letters.alias("find_letters", "1")
    registry = ToolRegistry()
    registry.register_versions(letters)
    assert [tool.name for tool in registry.get_tools_for_task(query="find letters")] == ["letters_v2"]
    assert "find_letters" in registry and "letters" in registry and "find_post" not in registry
    toolspend.instrument(registry=registry, export=None)
    names = ("letters_v1", "letters_v2", "letters", "find_letters")
    blocks = asyncio.run(execute_tool_calls(ask(*[(name, {"query": "x"}) for name in names]), registry))
    assert [block["content"] for block in blocks] == ["one x", "two x 3", "two x 3", "one x"]
    spans = [span for span in captured.spans() if span["name"].startswith("execute_tool ")]
    assert sorted(span["attributes"]["toolspend.tool.declared_version"] for span in spans) == ["1", "1", "2", "2"]
    assert not any("error.type" in span["attributes"] for span in spans)
    captured.clear()
    asyncio.run(execute_tool_calls(ask(("find_letters", {})), registry))
    [span] = [span for span in captured.spans() if span["name"].startswith("execute_tool ")]
    assert span["attributes"]["error.type"] == "invalid_arguments"
    assert "toolspend.tool.is_known" not in span["attributes"]
    before = registry.tools["letters_v2"].estimated_tokens
    registry.observe("letters", 5 * before)
    assert registry.tools["letters_v2"].estimated_tokens > before


def test_a_registry_follows_versions_that_change_later(captured: Captured) -> None:
    """What is added afterwards is offered and traced, what is deprecated is not offered, what is retired tells so."""
    made = family()
    registry = ToolRegistry()
    registry.register_versions(made)
    registry.register(Tool("other", "Does another thing.", V1, one))

    def offered() -> list[str]:
        return [tool.name for tool in registry.get_tools_for_task()]

    assert offered() == ["search_documents_v1", "search_documents_v2", "other"]
    made.deprecate("1")
    assert offered() == ["search_documents_v2", "other"]
    assert registry.tools["search_documents_v1"].is_deprecated
    assert [tool.name for tool in registry.find_tools("documents")] == ["search_documents_v2", "other"]
    made.add(Tool("search_documents", "Finds documents.", V2, two), "2.1", is_default=True)
    assert offered() == ["search_documents_v2", "other", "search_documents_v2_1"]
    assert len(registry) == 4 and made["2.1"] in list(registry)
    made.deprecate("1", until=date.today() - timedelta(days=1))
    toolspend.instrument(registry=registry, export=None)
    late, new = asyncio.run(
        execute_tool_calls(
            ask(("search_documents_v1", {"query": "x"}), ("search_documents_v2_1", {"query": "x"})), registry
        )
    )
    assert late["is_error"] and "Call search_documents_v2_1 instead" in late["content"]
    assert new["content"] == "two x 10"
    [span] = captured.named("execute_tool search_documents_v2_1")
    assert span["attributes"]["toolspend.tool.declared_version"] == "2.1"


def test_a_version_deprecated_while_traced_has_one_span_of_its_own_definition(captured: Captured) -> None:
    """Nothing was tried twice, and with its notice it is another definition than before."""
    made = family()
    registry = ToolRegistry()
    registry.register_versions(made)
    toolspend.instrument(registry=registry, export=None)
    call(registry, "search_documents_v1", query="x")
    made.deprecate("1")
    call(registry, "search_documents_v1", query="x")
    made.deprecate("1", until=date(2099, 1, 1))
    call(registry, "search_documents_v1", query="x")
    spans = [span["attributes"] for span in captured.named("execute_tool search_documents_v1")]
    assert [span["toolspend.tool.attempt"] for span in spans] == [1, 1, 1]
    assert len({span["toolspend.tool.version"] for span in spans}) == 3


def test_a_version_that_was_taken_out_or_replaced_stays_so() -> None:
    """What the registry was told by name goes before what becomes of its family, until that is registered again."""
    made = family()
    registry = ToolRegistry()
    registry.register_versions(made)
    own = registry.register(Tool("search_documents_v2", "Finds them my way.", V2, two))
    registry.unregister("search_documents_v1")
    made.add(Tool("search_documents", "Finds documents.", V2, two), "3", is_default=True)
    registry.unregister("search_documents_v3")
    for version in ("1", "2"):
        made.deprecate(version)
        assert registry.tools == {"search_documents_v2": own}
    registry.register_versions(made)
    assert list(registry) == [made["2"], made["1"], made["3"]]


def test_an_alias_answers_until_its_day() -> None:
    """Afterwards the call is told what to call; it is never offered."""
    made = family()
    made.alias("find_documents", "1", until=date.today())
    made.alias("old_documents", "1", until=date.today() - timedelta(days=1))
    made.deprecate("1", until=date.today())
    tools = VersionedTools(made)
    assert call(tools, "find_documents", query="x")["content"] == "one x"
    late = call(tools, "old_documents", query="x")
    assert late["is_error"] and "retired" in late["content"] and "search_documents_v1" in late["content"]
    assert "find_documents" not in tools.tools


def test_a_span_says_the_declared_version(captured: Captured) -> None:
    """So that traces compare versions, by name and by hash."""
    tools = VersionedTools(family())
    toolspend.instrument(export=None)
    call(tools, "search_documents_v1", query="x")
    call(tools, "search_documents", query="x")
    spans = [span["attributes"] for span in captured.spans() if span["name"].startswith("execute_tool ")]
    assert [span["toolspend.tool.declared_version"] for span in spans] == ["1", "2"]
    assert [span["gen_ai.tool.name"] for span in spans] == ["search_documents_v1", "search_documents"]
    assert not any("error.type" in span for span in spans)


@pytest.mark.parametrize(
    ("new", "said", "is_breaking"),
    [
        (edited(V1, properties={"limit": {"type": "integer"}}), "limit: added, optional", False),
        (
            edited(V1, properties={"limit": {"type": "integer"}}, required=["query", "limit"]),
            "limit: added, required",
            True,
        ),
        (edited(V1, required=["query", "order"]), "order: required now", True),
        (edited(V1, required=[]), "query: optional now", False),
        (edited(V1, properties={"query": {"type": ["string", "null"]}}), "type string is now null or string", False),
        (edited(V1, properties={"query": {"type": "integer"}}), "type string is now integer", True),
        (edited(V1, properties={"query": {"type": "string", "maxLength": 9}}), "maxLength none is now 9", True),
        (edited(V1, properties={"order": {"enum": ["new", "old", "best"]}}), "also allowed", False),
        (edited(V1, properties={"order": {"enum": ["new"]}}), "no longer allowed", True),
        (edited(V1, additionalProperties=True), "other arguments are allowed now", False),
        (edited(V1, properties={"query": {"type": "string", "description": "Words."}}), "description says", False),
        (edited(V1, properties={"query": {"type": "string", "pattern": "^a"}}), "pattern differs", True),
    ],
)
def test_a_schema_change_is_compatible_or_breaking(new: dict[str, Any], said: str, is_breaking: bool) -> None:
    """One change each, and the right word for it."""
    [change] = changes(V1, new)
    assert said in str(change)
    assert change.is_breaking is is_breaking


def test_a_removed_argument_breaks() -> None:
    """Callers still send it."""
    new = copy.deepcopy(V1)
    del new["properties"]["order"]
    [change] = changes(V1, new)
    assert change.is_breaking and change.what == "removed"


_FIELD = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["string", "integer", "number", ["string", "null"]]),
        "enum": st.lists(st.sampled_from([1, 2, "a", "b"]), min_size=1, unique=True),
        "minimum": st.integers(0, 3),
        "maxLength": st.integers(0, 3),
        "description": st.text(max_size=5),
    },
)
_SCHEMA = st.builds(
    lambda properties, required, closed: {
        "type": "object",
        "properties": properties,
        "required": sorted(required & set(properties)),
        **({"additionalProperties": False} if closed else {}),
    },
    st.dictionaries(st.sampled_from("abc"), _FIELD, max_size=3),
    st.sets(st.sampled_from("abc")),
    st.just(True),
)
_CALL = st.dictionaries(
    st.sampled_from("abcd"), st.one_of(st.integers(0, 4), st.sampled_from(["", "a", "b", "long"]), st.none())
)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(_SCHEMA, _SCHEMA, st.lists(_CALL, min_size=1, max_size=8))
def test_what_is_called_compatible_takes_every_old_call(old: Any, new: Any, made: list[Any]) -> None:
    """A call that fits the old schema fits the new one wherever no change is breaking."""
    assume(not any(change.is_breaking for change in changes(old, new)))
    for arguments in made:
        if jsonschema_rs.is_valid(old, arguments):
            assert jsonschema_rs.is_valid(new, arguments), [str(change) for change in changes(old, new)]


def test_mcp_serves_every_version_under_its_name() -> None:
    """A client lists them, with version and deprecation beside, and calls versions, aliases and the bare name."""
    mcp = pytest.importorskip("mcp")
    if not hasattr(mcp, "Client"):
        pytest.skip("the server side needs mcp 2")
    made = family()
    made.deprecate("1")
    made.alias("find_documents", "1")

    async def main() -> tuple[Any, dict[str, Any]]:
        async with mcp.Client(mcp_server(VersionedTools(made), "library")) as client:
            listed = (await client.list_tools()).tools
            names = ("search_documents_v1", "search_documents_v2", "search_documents", "find_documents", "nothing")
            return listed, {name: await client.call_tool(name, {"query": "x"}) for name in names}

    listed, results = asyncio.run(main())
    assert [(tool.name, tool.meta) for tool in listed] == [
        ("search_documents_v1", {"toolspend/version": "1", "toolspend/deprecated": True}),
        ("search_documents_v2", {"toolspend/version": "2", "toolspend/deprecated": False}),
    ]
    read = [Tool.from_mcp(tool) for tool in listed]
    assert [(tool.version, tool.is_deprecated) for tool in read] == [("1", True), ("2", False)]
    said = {name: result.content[0].text for name, result in results.items()}
    assert said["search_documents_v1"] == said["find_documents"] == "one x"
    assert said["search_documents_v2"] == said["search_documents"] == "two x 10"
    assert results["nothing"].is_error and "There is no tool" in said["nothing"]
    assert results["nothing"].meta["toolspend/error_type"] == "unknown_tool"
    assert "toolspend/error_type" not in results["search_documents"].meta


def test_images_and_structured_results_come_over_mcp() -> None:
    """An image is an image; a result that breaks the promise of its schema is an error in words, not of the server."""
    mcp = pytest.importorskip("mcp")
    if not hasattr(mcp, "Client"):
        pytest.skip("the server side needs mcp 2")
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
    linked = {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}
    relayed = {"type": "image", "data": "aGk=", "mimeType": "image/gif"}
    made, anything, promised = ToolVersions("draw"), {"type": "object"}, {"type": "object"}
    results = ([{"type": "text", "text": "a"}, image, linked, relayed], {"n": 1}, "no JSON", [image], [1, 2])
    for version, result in enumerate(results):
        schema = promised if version else None
        made.add(Tool("draw", "Draws.", anything, lambda result=result: result, output_schema=schema), str(version))

    async def main() -> list[Any]:
        async with mcp.Client(mcp_server(VersionedTools(made), "library")) as client:
            return [await client.call_tool(f"draw_v{version}", {}) for version in range(len(results))]

    mixed, kept, broken, drawn, listed = asyncio.run(main())
    assert [each.type for each in mixed.content] == ["text", "image", "text", "image"]
    assert [(each.data, each.mime_type) for each in mixed.content[1::2]] == [
        ("aGk=", "image/png"),
        ("aGk=", "image/gif"),
    ]
    assert json.loads(mixed.content[2].text) == linked
    assert kept.structured_content == {"n": 1} and not kept.is_error
    for each in (broken, drawn, listed):
        assert each.is_error and "what it returned is no JSON" in each.content[0].text
        assert each.meta["toolspend/error_type"] == "tool_error"


def test_why_a_call_failed_comes_over_mcp(captured: Captured) -> None:
    """The client's span, and the error that a tool of that session raises, say what the server's executor found."""
    mcp = pytest.importorskip("mcp")
    if not hasattr(mcp, "Client"):
        pytest.skip("the server side needs mcp 2")
    toolspend.instrument(export=None)

    async def main() -> list[Any]:
        async with mcp.Client(mcp_server(VersionedTools(family()), "library")) as client:
            await client.call_tool("search_documents_v1", {"query": 3})
            [first, _] = (await client.list_tools()).tools
            registry = ToolRegistry([Tool.from_mcp(first, client.session)])
            # What the client would refuse by itself is let through, as by a client with an older list.
            registry.tools[first.name].schema = {}
            return await execute_tool_calls(ask((first.name, {"query": 3})), registry)

    [block] = asyncio.run(main())
    assert block.error_type == "invalid_arguments"
    calls = [
        span for span in captured.spans()
        if span["attributes"].get("gen_ai.operation.name") == "execute_tool" and span["kind"] != "SERVER"
    ]  # fmt: skip
    assert [span["attributes"]["error.type"] for span in calls] == ["invalid_arguments", "invalid_arguments"]


@pytest.mark.parametrize("version", ["1-0", "1_0", "ü", "--"])
def test_versions_that_would_share_a_name_are_refused(version: str) -> None:
    """Only one of them could ever be called; a name without its version says nothing."""
    family = ToolVersions("search")
    family.add(Tool("search", "Finds.", {}), "1.0")
    with pytest.raises(ValueError, match="would be offered as search_v"):
        family.add(Tool("search", "Finds.", {}), version)
    assert [tool.name for tool in family] == ["search_v1_0"]
