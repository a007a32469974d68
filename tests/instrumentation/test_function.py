"""`@toolspend.tool`."""

from __future__ import annotations

import asyncio
import inspect
import pickle
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import seed_tools
import toolspend
from seed_tools import Tool, ToolRegistry
from toolspend.testing import Captured


@toolspend.tool
def plain(query: str) -> str:
    """Finds."""
    return query


@toolspend.tool(version="2", has_side_effects=True)
def declared(query: str) -> str:
    return query * 2


@toolspend.tool(name="fetch_page")
async def fetch(query: str) -> str:
    return query


def names(captured: Captured) -> list[str]:
    return [span["name"] for span in captured.spans()]


def test_a_call_is_this_span(captured: Captured) -> None:
    """The whole span of a declared tool's call."""
    toolspend.instrument(export=None)
    assert declared("ab") == "abab"
    assert captured.spans() == [
        {
            "name": "execute_tool declared",
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
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "declared",
                "gen_ai.tool.type": "function",
                "toolspend.tool.declared_version": "2",
                "toolspend.tool.has_side_effects": True,
                "toolspend.tool.argument_chars": 15,
                "toolspend.tool.raw_result_chars": 4,
                "toolspend.tool.attempt": 1,
            },
            "events": [],
        }
    ]


def test_without_instrument_it_is_the_function(captured: Captured) -> None:
    """Nothing is recorded before `instrument`; signature, docs, nature and pickling are the function's."""
    assert plain("x") == "x"
    assert captured.spans() == []
    assert str(inspect.signature(plain)) == "(query: 'str') -> 'str'"
    assert plain.__doc__ == "Finds."
    assert inspect.iscoroutinefunction(fetch)
    assert pickle.loads(pickle.dumps(seed_tools.run_one)) is seed_tools.run_one


def test_an_async_tool_has_its_own_name(captured: Captured) -> None:
    """An async tool, under the name that the model sees."""
    toolspend.instrument(export=None)
    assert asyncio.run(fetch("x")) == "x"
    assert names(captured) == ["execute_tool fetch_page"]


def test_through_the_executor_it_is_one_span(captured: Captured) -> None:
    """A declared tool run by the executor is the executor's span, with the declared version, under any name."""
    registry = ToolRegistry()
    for name in ("declared", "other"):
        registry.register(Tool(name, "", {}, declared))
    toolspend.instrument(registry=registry, executor=seed_tools.execute_tool_calls, export=None)
    calls = [{"id": name, "name": name, "input": {"query": "x"}} for name in ("declared", "other")]
    seed_tools.execute_tool_calls(calls, registry)
    assert names(captured) == ["execute_tool declared", "execute_tool other", "execute_tools"]
    for span in captured.spans()[:2]:
        assert span["attributes"]["toolspend.tool.declared_version"] == "2"
        assert span["attributes"]["toolspend.tool.has_side_effects"] is True
        assert span["attributes"]["gen_ai.tool.call.id"] == span["attributes"]["gen_ai.tool.name"]


def test_without_a_registry_it_claims_its_call(captured: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the executor calls declared functions with no registry between, the call is still one span of the batch."""

    def execute(tool_calls: list[Any]) -> list[Any]:
        return [
            {"type": "tool_result", "tool_use_id": call["id"], "content": declared(**call["input"])}
            for call in tool_calls
        ]

    monkeypatch.setattr(seed_tools, "plain_execute", execute, raising=False)
    toolspend.instrument(executor="seed_tools:plain_execute", export=None)
    seed_tools.plain_execute([{"id": "a", "name": "declared", "input": {"query": "x"}}])  # type: ignore[attr-defined]
    assert names(captured) == ["execute_tool declared", "execute_tools"]
    assert captured.spans()[0]["attributes"]["gen_ai.tool.call.id"] == "a"
    toolspend.uninstrument()


def test_a_tool_that_calls_itself_and_another(captured: Captured) -> None:
    """Calls within calls are spans within spans, one each."""

    @toolspend.tool
    def count(n: int) -> int:
        return plain("x") and count(n - 1) if n else 0  # type: ignore[return-value]

    toolspend.instrument(export=None)
    count(2)
    assert sorted(names(captured)) == ["execute_tool count"] * 3 + ["execute_tool plain"] * 2
    by_id = {span["span_id"]: span for span in captured.spans()}
    outermost = [span for span in by_id.values() if span["parent_id"] is None]
    assert len(outermost) == 1


def test_a_tool_that_calls_itself_under_the_executor(captured: Captured) -> None:
    """The run that the executor asked for is its span; the tool's calls of itself are spans beneath."""

    @toolspend.tool
    def count(n: int) -> int:
        return count(n - 1) if n else 0

    registry = ToolRegistry()
    registry.register(Tool("count", "", {}, count))
    toolspend.instrument(registry=registry, executor=seed_tools.execute_tool_calls, export=None)
    seed_tools.execute_tool_calls([{"id": "a", "name": "count", "input": {"n": 2}}], registry)
    assert names(captured) == ["execute_tool count"] * 3 + ["execute_tools"]
    ids = [span["attributes"].get("gen_ai.tool.call.id") for span in captured.spans()[:3]]
    assert ids == [None, None, "a"]


def test_exceptions_pass_without_their_message(captured: Captured) -> None:
    """The same exception arrives; its type is on the span, its message is not."""
    failure = ValueError("secret")

    @toolspend.tool()
    def broken() -> None:
        raise failure

    toolspend.instrument(export=None)
    with pytest.raises(ValueError) as caught:
        broken()
    assert caught.value is failure
    [span] = captured.spans()
    assert (span["status"], span["status_message"], span["events"]) == ("ERROR", None, [])
    assert span["attributes"]["error.type"] == "ValueError"


def test_methods_are_tools_too(captured: Captured) -> None:
    """A decorated method is bound as ever; `self` is no argument of the call."""

    class Box:
        @toolspend.tool
        def look(self, query: str) -> Box:
            return self

    toolspend.instrument(export=None)
    box = Box()
    assert box.look(query="x") is box
    assert captured.spans()[0]["attributes"]["toolspend.tool.argument_chars"] == 13


def test_generators_pass_through(captured: Captured) -> None:
    """A generator sends, throws and returns as ever; its span ends when it does, however that is."""

    @toolspend.tool
    def stream(n: int) -> Iterator[Any]:
        got = []
        for index in range(n):
            got.append((yield index))
        return got

    @toolspend.tool
    async def stream_async(n: int) -> AsyncIterator[int]:
        for index in range(n):
            yield index

    toolspend.instrument(export=None)
    generator = stream(2)
    assert inspect.isgenerator(generator)
    assert next(generator) == 0
    assert captured.spans() == []
    assert generator.send("a") == 1  # type: ignore[attr-defined]
    with pytest.raises(StopIteration) as stopped:
        generator.send("b")  # type: ignore[attr-defined]
    assert stopped.value.value == ["a", "b"]

    async def collect() -> list[int]:
        return [item async for item in stream_async(3)]

    assert asyncio.run(collect()) == [0, 1, 2]
    unfinished = stream(5)
    next(unfinished)
    del unfinished
    assert names(captured) == ["execute_tool stream", "execute_tool stream_async", "execute_tool stream"]
    assert all("error.type" not in span["attributes"] for span in captured.spans())


@toolspend.tool
def made_of(query: str) -> Any:
    return {"text": "made", "json": {"of": ["secret", 1]}, "bytes": b"secret", "object": object()}[query]


def test_its_result_is_sent_only_when_asked(captured: Captured) -> None:
    """With `capture_content=True` text and JSON are on the span, as `redact` leaves them; bytes and objects are not."""

    async def search(query: str) -> str:
        return "found secret"

    registry = ToolRegistry()
    registry.register(Tool("search", "", {}, search))
    toolspend.instrument(registry=registry, export=None)
    made_of("json")
    assert "secret" not in str(captured.spans())
    captured.clear()
    toolspend.instrument(capture_content=True, redact=lambda text: text.replace("secret", "***"), export=None)
    for query in ("text", "json", "bytes", "object"):
        made_of(query)
    asyncio.run(registry.tools["search"].handler(query="x"))
    found = [span["attributes"].get("gen_ai.tool.call.result") for span in captured.spans()]
    assert found == ["made", '{"of":["***",1]}', None, None, "found ***"]
