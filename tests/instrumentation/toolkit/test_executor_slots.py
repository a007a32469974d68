"""How many calls run at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tool_layer import ask, numbered, registry_of, run
from toolspend.toolkit import execute_tool_calls


class Room:
    """How many are in it at once, at most; each stays two milliseconds."""

    now = most = 0

    async def visit(self) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.002)
        self.now -= 1


@pytest.mark.parametrize(("limit", "per_tool", "expected"), [(3, None, 3), (8, {"busy": 2}, 2), (8, None, 4)])
def test_concurrency_is_bounded_overall_and_by_tool(limit: int, per_tool: Any, expected: int) -> None:
    """Never more at once than the batch, the caller's limit for the tool, or the tool itself allows."""
    room = Room()

    async def busy(n: int) -> int:
        await room.visit()
        return n

    registry = registry_of(numbered("busy", busy, max_concurrency=4))
    run(ask(*[("busy", {"n": n}) for n in range(12)]), registry, max_concurrency=limit, max_per_tool=per_tool)
    assert room.most == expected


def test_a_tools_own_bound_holds_for_all_batches_together() -> None:
    """Agents that share a tool share its slots; one that calls itself does not wait for itself."""
    room = Room()

    async def busy(n: int) -> Any:
        await room.visit()
        return (await execute_tool_calls(ask(("busy", {"n": n - 1})), registry))[0]["content"] if n else "done"

    registry = registry_of(numbered("busy", busy, max_concurrency=2))

    async def agents() -> list[Any]:
        batches = [execute_tool_calls(ask(*[("busy", {"n": 0})] * 4), registry) for _ in range(3)]
        return [block["content"] for blocks in await asyncio.gather(*batches) for block in blocks]

    assert asyncio.run(agents()) == ["done"] * 12
    assert room.most == 2
    assert run(ask(("busy", {"n": 3})), registry, timeout_s=5.0)[0]["content"] == "done"


def test_a_tool_that_is_full_does_not_hold_up_others() -> None:
    """Calls that wait for their tool's own slot take none of the batch's."""
    release = asyncio.Event()

    async def narrow(n: int) -> int:
        await release.wait()
        return n

    async def wide(n: int) -> int:
        release.set()
        return n

    registry = registry_of(numbered("narrow", narrow, max_concurrency=1), wide=wide)
    calls = ask(*[("narrow", {"n": n}) for n in range(4)], ("wide", {"n": 9}))
    assert [block["content"] for block in run(calls, registry, max_concurrency=2)] == ["0", "1", "2", "3", "9"]
