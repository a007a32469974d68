"""Handlers that end in other ways than by a result or an `Exception`: each is its own call's failure, none hangs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import pytest

import toolspend
from tool_layer import ask, numbered, others, registry_of
from toolspend.testing import Captured
from toolspend.toolkit import (
    Plan,
    Retries,
    Step,
    Tool,
    ToolRegistry,
    ToolResult,
    _threads,
    execute_tool_calls,
    executor,
)

LIMIT_S = 20
"""How long a test waits before it fails: all of them end at once."""
QUICK = Retries(max_attempts=3, base_s=0.001)


class Panic(BaseException):
    """As pyo3's PanicException: no `Exception`."""


class Busy(Exception):
    """It asks for an hour."""

    retry_after = 3_600


async def twice(n: int) -> int:
    return 2 * n


async def panic(n: int) -> NoReturn:
    await asyncio.sleep(0)
    raise Panic("index out of bounds")


def panic_in_thread(n: int) -> NoReturn:
    raise Panic("index out of bounds")


async def close(n: int) -> NoReturn:
    raise GeneratorExit


async def leave(n: int) -> NoReturn:
    raise SystemExit(3)


async def cancel_itself(n: int) -> int:
    cancel_own_task()
    await asyncio.sleep(60)
    return n


async def cancel_itself_and_fail(n: int) -> int:
    cancel_own_task()
    raise ConnectionError("reset")


async def cancel_itself_and_be_late(n: int) -> int:
    cancel_own_task()
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        await asyncio.sleep(60)
    return n


def cancel_own_task() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


def within_limit(work: Callable[[], Awaitable[Any]]) -> Any:
    """What `work` returns; fails where it hangs or leaves tasks behind."""

    async def main() -> Any:
        result = await asyncio.wait_for(work(), LIMIT_S)
        assert not others(), "tasks are left behind"
        return result

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("handler", "error_type", "said"),
    [
        (panic, "Panic", "bad failed: Panic: index out of bounds"),
        (panic_in_thread, "Panic", "bad failed: Panic: index out of bounds"),
        (leave, "SystemExit", "bad failed: SystemExit: 3"),
        (close, "GeneratorExit", "ended with GeneratorExit"),
        (cancel_itself, "cancelled", "bad was cancelled from inside"),
        (cancel_itself_and_fail, "cancelled", "bad was cancelled from inside"),
        (cancel_itself_and_be_late, "timeout", "bad gave no result within 0.05 s"),
    ],
)
@pytest.mark.parametrize("max_concurrency", [1, 8])
def test_a_handler_that_ends_oddly_fails_its_own_call(
    handler: Any, error_type: str, said: str, max_concurrency: int, captured: Captured
) -> None:
    """Its block and span say how it ended, it is not tried again, its slot is given on, its neighbours have results."""
    tool = numbered("bad", handler, is_idempotent=True, timeout_s=0.05 if error_type == "timeout" else None)
    registry = registry_of(tool, twice=twice)
    toolspend.instrument(export=None)
    calls = ask(("twice", {"n": 1}), ("bad", {"n": 2}), ("bad", {"n": 3}), ("twice", {"n": 4}))
    blocks = within_limit(lambda: execute_tool_calls(calls, registry, max_concurrency=max_concurrency, retries=QUICK))
    assert [blocks[0]["content"], blocks[3]["content"]] == ["2", "8"]
    for block in blocks[1:3]:
        assert block["is_error"] is True
        assert block.error_type == error_type
        assert said in block["content"]
    assert [block["tool_use_id"] for block in blocks] == [call["id"] for call in calls]
    spans = captured.named("execute_tool bad")
    assert [span["attributes"]["error.type"] for span in spans] == [error_type] * 2
    assert not any(span["attributes"].get("toolspend.tool.attempt", 1) > 1 for span in spans)
    assert _threads.abandoned("bad") == 0


@pytest.mark.parametrize("handler", [panic, panic_in_thread, close, cancel_itself])
def test_a_step_that_ends_oddly_fails_alone(handler: Any) -> None:
    """What depends on it is skipped, the rest is done."""
    plan = Plan(
        [
            Step("bad", "bad", {"n": 1}),
            Step("child", "twice", {"n": 2}, after=("bad",)),
            Step("alone", "twice", {"n": 3}),
        ]
    )
    report = within_limit(lambda: plan.run(registry_of(bad=handler, twice=twice)))
    assert {id: step.status for id, step in report.steps.items()} == {
        "bad": "failed", "child": "skipped", "alone": "done",
    }  # fmt: skip
    assert plan.results == {"alone": "6"}


def test_arguments_that_cannot_be_made_in_any_way_fail_their_step_alone() -> None:
    """The function that makes them may panic, or cancel the step."""

    def broken(found: Any) -> NoReturn:
        raise Panic("no")

    def cancelling(found: Any) -> dict[str, int]:
        cancel_own_task()
        return {"n": 1}

    async def wait(n: int) -> int:
        await asyncio.sleep(60)
        return n

    plan = Plan([Step("a", "twice", broken), Step("b", "wait", cancelling), Step("c", "twice", {"n": 1})])
    report = within_limit(lambda: plan.run(registry_of(twice=twice, wait=wait)))
    assert {id: step.status for id, step in report.steps.items()} == {"a": "failed", "b": "failed", "c": "done"}
    assert "failed before it ran: Panic: no" in report.steps["a"].block["content"]


def test_a_registry_that_panics_fails_the_call_it_was_asked_for() -> None:
    """The lookup is outside the handler: still that call's failure."""

    class Registry(ToolRegistry):
        def get(self, name: str) -> Any:
            if name == "bad":
                raise Panic("lookup")
            return super().get(name)

    registry = Registry([numbered("twice", twice)])
    calls = ask(("bad", {"n": 1}), ("twice", {"n": 2}))
    bad, good = within_limit(lambda: execute_tool_calls(calls, registry))
    assert bad.error_type == "Panic" and "failed before it ran: Panic: lookup" in bad["content"]
    assert good["content"] == "4"


def test_a_compressor_that_panics_leaves_the_result_whole() -> None:
    """The result itself is good."""

    async def long(n: int) -> str:
        return "word " * n

    def compressor(result: Any, tool_name: str, max_tokens: int) -> str:
        raise Panic("compress")

    calls = ask(("long", {"n": 400}))
    [whole] = within_limit(
        lambda: execute_tool_calls(calls, registry_of(long=long), max_result_tokens=10, compressor=compressor)
    )
    assert whole["content"] == "word " * 400


def test_calls_whose_tasks_are_cancelled_from_elsewhere_are_answered() -> None:
    """Even one that had not begun: the batch was not cancelled, so it has a block for each."""

    async def cancel_all(n: int) -> int:
        for task in others() - before:
            task.cancel()
        return n

    async def slow(n: int) -> int:
        await asyncio.sleep(60)
        return n

    async def main() -> Any:
        before.update(asyncio.all_tasks())
        calls = ask(("slow", {"n": 1}), ("cancel_all", {"n": 2}), ("slow", {"n": 3}))
        return await execute_tool_calls(calls, registry_of(slow=slow, cancel_all=cancel_all))

    before: set[asyncio.Task[Any]] = set()
    first, good, last = within_limit(main)
    assert good["content"] == "2"
    assert [first.error_type, last.error_type] == ["cancelled", "cancelled"]
    assert "has no result" in last["content"]


@pytest.mark.parametrize("is_sync", [False, True])
def test_the_users_interrupt_passes_on(is_sync: bool) -> None:
    """KeyboardInterrupt ends the program, not the call; the neighbours are cancelled."""
    ended = []

    async def interrupt(n: int) -> NoReturn:
        raise KeyboardInterrupt

    def interrupt_in_thread(n: int) -> NoReturn:
        raise KeyboardInterrupt

    async def slow(n: int) -> int:
        try:
            await asyncio.sleep(LIMIT_S)
        finally:
            ended.append(n)
        return n

    registry = registry_of(slow=slow, interrupt=interrupt_in_thread if is_sync else interrupt)
    calls = ask(("slow", {"n": 1}), ("interrupt", {"n": 2}))
    with pytest.raises(KeyboardInterrupt):
        within_limit(lambda: execute_tool_calls(calls, registry))
    assert ended == [1]


def test_a_compressor_that_hangs_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The result stays whole: it is there, and good."""
    monkeypatch.setattr(executor, "_COMPRESSION_S", 0.02)

    async def hang(result: str, tool_name: str, max_tokens: int) -> str:
        await asyncio.sleep(3_600)
        return result

    async def main() -> list[ToolResult]:
        calls = ask(("twice", {"n": 1}))
        return await execute_tool_calls(calls, registry_of(twice=twice), max_result_tokens=1, compressor=hang)

    blocks = asyncio.run(asyncio.wait_for(main(), LIMIT_S))
    assert blocks[0]["content"] == "2" and not blocks[0].is_error


def test_a_late_call_says_why_an_attempt_before_failed() -> None:
    """Where the time went into waiting for another attempt, the model is to know what was wrong."""

    async def busy(n: int) -> int:
        raise Busy("quota of 5 searches")

    async def main() -> list[ToolResult]:
        registry = registry_of(numbered("busy", busy, is_idempotent=True))
        return await execute_tool_calls(ask(("busy", {"n": 1})), registry, timeout_s=0.05)

    (block,) = asyncio.run(asyncio.wait_for(main(), LIMIT_S))
    assert block.error_type == "timeout" and "Busy: quota of 5 searches" in block["content"]


@pytest.mark.parametrize("is_async", [True, False])
def test_what_a_handler_does_to_its_arguments_is_its_own(is_async: bool) -> None:
    """The next attempt has them whole, and so has the block that the next request sends again."""
    seen: list[Any] = []

    def take(n: dict[str, Any]) -> str:
        seen.append(n["ids"].pop())
        n["done"] = True
        if len(seen) == 1:
            raise ConnectionError("reset")
        return "ok"

    async def take_async(n: dict[str, Any]) -> str:
        return take(n)

    tool = Tool("take", "Takes.", {}, take_async if is_async else take, is_idempotent=True)
    calls = ask(("take", {"n": {"ids": [1, 2]}}))
    (block,) = asyncio.run(execute_tool_calls(calls, ToolRegistry([tool]), retries=QUICK))
    assert block["content"] == "ok" and seen == [2, 2]
    assert calls[0]["input"] == {"n": {"ids": [1, 2]}}
