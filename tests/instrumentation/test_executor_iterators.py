"""Calls that the executor gets as an iterator: seen as they are consumed, and not before."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import seed_agent
import seed_tools
import toolspend
from seed_tools import Tool, ToolRegistry
from toolspend.testing import Captured


async def slow(query: str) -> str:
    await asyncio.sleep(30)
    return query


def broken(query: str) -> str:
    raise ValueError(query)


def registry() -> ToolRegistry:
    made = ToolRegistry()
    for name, handler in {"search": lambda query: query, "slow": slow, "broken": broken}.items():
        made.register(Tool(name, "", {"type": "object"}, handler))
    return made


def calls() -> list[dict[str, Any]]:
    return [
        {"type": "tool_use", "id": name, "name": name, "input": {"query": "x"}}
        for name in ("search", "slow", "broken", "nothing")
    ]


def generated() -> Iterator[dict[str, Any]]:
    yield from calls()


@pytest.mark.parametrize("given", [generated, lambda: iter(calls()), lambda: deque(calls()), calls])
def test_a_batch_is_the_same_however_its_calls_are_given(captured: Captured, given: Callable[[], Any]) -> None:
    """A generator, an iterator, a collection or a list: as many calls and failures, and a span for each call."""
    tools = registry()
    toolspend.instrument(registry=tools, executor=seed_tools.execute_tool_calls_parallel, export=None)
    blocks = asyncio.run(seed_agent.run_async(given(), tools, timeout_s=0.1))
    assert [block["tool_use_id"] for block in blocks] == ["search", "slow", "broken", "nothing"]
    errors = {
        span["attributes"]["gen_ai.tool.call.id"]: span["attributes"].get("error.type")
        for span in captured.spans()
        if span["name"].startswith("execute_tool ")
    }
    assert errors == {"search": None, "slow": "timeout", "broken": "ValueError", "nothing": "unknown_tool"}
    [batch] = captured.named("execute_tools")
    assert batch["attributes"]["toolspend.batch.calls"] == 4
    assert batch["attributes"]["toolspend.batch.failed"] == 3


def test_an_iterator_is_consumed_as_far_as_the_executor_does(captured: Captured) -> None:
    """A lazy executor gets each call when it asks for it, the very same object, and the rest stays with the agent."""
    taken: list[int] = []
    asked = calls()

    def numbered() -> Iterator[dict[str, Any]]:
        for number, call in enumerate(asked):
            taken.append(number)
            yield call

    class Runner:
        def execute(self, tool_calls: Any, registry: Any) -> list[Any]:
            assert list(map(inspect.isgenerator, [tool_calls])) == [True]
            assert taken == []
            first = next(tool_calls)
            assert first is asked[0]
            assert taken == [0]
            return [seed_tools.run_one(first, registry)]

    runner, tools, given = Runner(), registry(), numbered()
    toolspend.instrument(registry=tools, executor=runner, export=None)
    runner.execute(tool_calls=given, registry=tools)
    assert list(given) == asked[1:]
    assert [span["name"] for span in captured.spans()] == ["execute_tool search", "execute_tools"]
    assert captured.named("execute_tools")[0]["attributes"]["toolspend.batch.calls"] == 1
