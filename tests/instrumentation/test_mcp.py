"""mcp client sessions, against a real server in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

pytest.importorskip("mcp")

import mcp.client.session as mcp_session

import seed_tools
import toolspend
from seed_tools import Tool, ToolRegistry
from toolspend.testing import Captured

try:
    from mcp.server.mcpserver import MCPServer
    from mcp.shared import jsonrpc_dispatcher

    HAS_NATIVE_SPANS = True
except ImportError:
    from mcp.server.fastmcp import FastMCP as MCPServer  # type: ignore[no-redef,import-not-found,attr-defined]

    HAS_NATIVE_SPANS = False


def make_server() -> Any:
    server = MCPServer("library")

    @server.tool()
    def search(query: str) -> str:
        """Finds books."""
        return "found " + query

    @server.tool()
    def broken(query: str) -> str:
        """Fails."""
        raise ValueError("secret " + query)

    @server.tool()
    async def slow(query: str) -> str:
        """Takes its time."""
        await asyncio.sleep(30)
        return query

    return server


def with_session(work: Callable[[Any], Awaitable[Any]]) -> Any:
    """Runs `work` with a session that is connected to the server through streams, as JSON-RPC."""

    async def main() -> Any:
        if HAS_NATIVE_SPANS:
            from mcp.client._memory import InMemoryTransport
            from mcp.client.session import ClientSession

            async with InMemoryTransport(make_server()) as (read, write), ClientSession(read, write) as session:
                await session.initialize()
                return await work(session)
        from mcp.shared.memory import create_connected_server_and_client_session as connected

        async with connected(make_server()._mcp_server) as session:
            return await work(session)

    return asyncio.run(main())


def tool_spans(captured: Captured) -> list[dict[str, Any]]:
    """What the client side says; the server in this process has spans of its own beneath."""
    return [
        span
        for span in captured.spans()
        if span["attributes"].get("gen_ai.operation.name") == "execute_tool" and span["kind"] != "SERVER"
    ]


async def call(session: Any, name: str = "search", **arguments: Any) -> Any:
    return await session.call_tool(name, arguments or {"query": "cats"})


def test_a_call_is_one_span(captured: Captured) -> None:
    """One `execute_tool` span a call: the native one where mcp emits it, else ours; with server, version and sizes."""
    toolspend.instrument(export=None)

    async def work(session: Any) -> Any:
        await session.list_tools()
        return await call(session)

    result = with_session(work)
    assert result.content[0].text == "found cats"
    [span] = tool_spans(captured)
    version = span["attributes"].pop("toolspend.tool.version")
    assert len(version) == 12
    native = {"mcp.method.name": "tools/call", "jsonrpc.request.id": span["attributes"].get("jsonrpc.request.id")}
    assert span["name"] == ("MCP send tools/call search" if HAS_NATIVE_SPANS else "execute_tool search")
    assert span["scope"] == ("mcp-python-sdk" if HAS_NATIVE_SPANS else "toolspend")
    assert (span["kind"], span["status"], span["parent_id"], span["events"]) == ("CLIENT", "UNSET", None, [])
    assert span["attributes"] == {
        **(native if HAS_NATIVE_SPANS else {}),
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "search",
        "gen_ai.tool.type": "extension",
        "toolspend.tool.server": "library",
        "toolspend.tool.argument_chars": 16,
        "toolspend.tool.raw_result_chars": 10,
    }
    sent = [span for span in captured.spans() if "tools/call" in span["name"] and span["kind"] == "CLIENT"]
    assert len(sent) == HAS_NATIVE_SPANS


def test_a_failing_tool_is_an_error_without_its_message(captured: Captured) -> None:
    """A result that says `is_error`: an error on the span, its text nowhere."""
    toolspend.instrument(export=None)
    result = with_session(lambda session: call(session, "broken", query="x"))
    assert getattr(result, "is_error", None) or getattr(result, "isError", None)
    [span] = tool_spans(captured)
    assert span["attributes"]["error.type"] == "tool_error"
    assert (span["status"], span["status_message"]) == ("ERROR", None)
    assert span["attributes"]["toolspend.tool.error_words"] > 0
    assert "secret" not in str([each for each in captured.spans() if each["kind"] == "CLIENT"])


def test_a_timeout_passes_and_ends_the_span(captured: Captured) -> None:
    """A call that mcp gives up on raises what mcp raises, and its span is an error."""
    toolspend.instrument(export=None)

    async def work(session: Any) -> None:
        async def never(*args: Any, **kwargs: Any) -> None:
            await asyncio.sleep(30)

        session.send_request = never
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await call(session)

    with_session(work)
    [span] = tool_spans(captured)
    assert span["attributes"]["error.type"] == "cancelled"
    assert span["status"] == "ERROR"


def test_a_call_that_mcp_gives_up_on_is_an_error_without_its_message(captured: Captured) -> None:
    """mcp's own timeout raises what it raises; the span says so by its type, with no exception recorded."""
    toolspend.instrument(export=None)
    limit: Any = 0.1 if HAS_NATIVE_SPANS else timedelta(seconds=0.1)

    async def work(session: Any) -> None:
        with pytest.raises(Exception, match=r"(?i)timed out"):
            await session.call_tool("slow", {"query": "x"}, read_timeout_seconds=limit)

    with_session(work)
    [span] = tool_spans(captured)
    assert span["attributes"]["error.type"] == ("-32001" if HAS_NATIVE_SPANS else "408")
    assert (span["status"], span["status_message"], span["events"]) == ("ERROR", None, [])


def test_within_a_tool_call_of_ours_it_is_a_plain_child(captured: Captured) -> None:
    """A handler that calls a server: one `execute_tool` span, which learns the server; a native span lies beneath."""
    toolspend.instrument(export=None)

    async def work(session: Any) -> None:
        async def handler(query: str) -> str:
            return (await session.call_tool("search", {"query": query})).content[0].text

        registry = ToolRegistry()
        registry.register(Tool("library__search", "", {}, handler))
        toolspend.instrument(registry=registry, executor=seed_tools.execute_tool_calls_parallel)
        calls = [{"id": "a", "name": "library__search", "input": {"query": "cats"}}]
        [block] = await seed_tools.execute_tool_calls_parallel(calls, registry)
        assert block["content"] == "found cats"

    with_session(work)
    [span] = tool_spans(captured)
    assert span["name"] == "execute_tool library__search"
    assert span["attributes"]["toolspend.tool.server"] == "library"
    native = [each for each in captured.spans() if each["name"] == "MCP send tools/call search"]
    assert [each["parent_id"] for each in native] == [span["span_id"]] * HAS_NATIVE_SPANS


def test_content_when_asked(captured: Captured) -> None:
    """Arguments and result are there with `capture_content`, redacted."""
    toolspend.instrument(export=None, capture_content=True, redact=lambda text: text.replace("cats", "***"))
    with_session(call)
    [span] = tool_spans(captured)
    assert span["attributes"]["gen_ai.tool.call.arguments"] == '{"query":"***"}'
    assert span["attributes"]["gen_ai.tool.call.result"] == "found ***"


def test_it_is_restored_exactly(captured: Captured) -> None:
    """Methods and the dispatcher's helper are the identical objects again."""
    before = dict(vars(mcp_session.ClientSession))
    helper = jsonrpc_dispatcher.otel_span if HAS_NATIVE_SPANS else None
    toolspend.instrument(export=None)
    assert vars(mcp_session.ClientSession)["call_tool"] is not before["call_tool"]
    toolspend.uninstrument()
    after = vars(mcp_session.ClientSession)
    assert all(after[name] is before[name] for name in before)
    if HAS_NATIVE_SPANS:
        assert jsonrpc_dispatcher.otel_span is helper


@pytest.mark.skipif(not HAS_NATIVE_SPANS, reason="in-process sessions came with mcp 2")
def test_a_session_without_streams_has_our_span(captured: Captured) -> None:
    """mcp 2 connects a client to a server object directly, without its own span: then it is ours."""
    from mcp import Client

    toolspend.instrument(export=None)

    async def main() -> None:
        async with Client(make_server()) as client:
            await client.call_tool("search", {"query": "cats"})

    asyncio.run(main())
    [span] = tool_spans(captured)
    [of_server] = captured.named("tools/call search")
    assert (of_server["kind"], of_server["parent_id"]) == ("SERVER", span["span_id"])
