"""Budgets of calls that run at once, and warnings about them."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from tool_layer import ask, registry_of, run
from toolspend.toolkit import Budget, Tracker, execute_tool_calls, executor


async def book(n: int) -> str:
    await asyncio.sleep(0.01)
    if n == 4:
        raise ValueError("sold out")
    return f"booked {n}"


@pytest.mark.parametrize("tool", ["book", None])
def test_calls_at_once_are_no_more_than_the_budget_has(tool: str | None) -> None:
    """Of ten calls of one turn as many run as one after the other would; none is held for one that is over."""
    tracker = Tracker(budgets=[Budget("refuse", tool=tool, max_calls=3)])
    blocks = run(ask(*(("book", {"n": n}) for n in range(10))), registry_of(book=book), tracker=tracker)
    assert [block.error_type for block in blocks] == [None] * 3 + ["budget_exceeded"] * 7
    assert "3 of 3 calls" in blocks[3]["content"]
    assert tracker.cost_breakdown()["book"].calls == 3


def test_a_call_that_was_cancelled_or_failed_holds_no_place() -> None:
    """What was cancelled counts no more; what failed has been a call."""
    tracker = Tracker(budgets=[Budget("refuse", tool="book", max_calls=3)])

    async def main() -> None:
        task = asyncio.create_task(
            execute_tool_calls(ask(*(("book", {"n": n}) for n in range(3))), registry_of(book=book), tracker=tracker)
        )
        await asyncio.sleep(0.002)
        assert tracker.decide("book").action == "refuse"
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(main())
    assert tracker.decide("book").action == "go"
    blocks = run(ask(*(("book", {"n": n}) for n in range(2, 6))), registry_of(book=book), tracker=tracker)
    assert [block.error_type for block in blocks] == [None, None, "ValueError", "budget_exceeded"]


def test_a_call_that_is_given_up_is_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler that ignores its cancellation was called all the same, and failed; it is counted once."""
    monkeypatch.setattr(executor, "GRACE_S", 0.01)
    tracker = Tracker()
    end = asyncio.Event()

    async def stubborn(n: int) -> int:
        while not end.is_set():
            try:
                await end.wait()
            except asyncio.CancelledError:
                continue
        return n

    async def main() -> None:
        await execute_tool_calls(
            ask(("stubborn", {"n": 1})), registry_of(stubborn=stubborn), timeout_s=0.02, tracker=tracker
        )
        end.set()
        await asyncio.sleep(0.02)

    asyncio.run(main())
    cost = tracker.cost_breakdown()["stubborn"]
    assert (cost.calls, cost.errors) == (1, 1) and 20 <= cost.total_ms < 2_000


def test_a_warning_that_fails_stops_no_call() -> None:
    """The application's own function is told, and its failure is its own."""

    def fail(said: str) -> None:
        raise RuntimeError(said)

    tracker = Tracker(budgets=[Budget("warn", max_calls=0)], on_warning=fail)
    blocks = run(ask(("book", {"n": 1})), registry_of(book=book), tracker=tracker)
    assert blocks[0]["content"] == "booked 1"


def test_tokens_without_a_price_are_told_of_once() -> None:
    """However many there come to be."""
    heard: list[str] = []
    tracker = Tracker(
        prices={"known": {"input": 3.0, "output": 15.0}},
        budgets=[Budget("refuse", max_cost_usd=1.0)],
        on_warning=heard.append,
    )
    usage = SimpleNamespace(input_tokens=10, output_tokens=1)
    for _ in range(3):
        tracker.observe({"messages": []}, SimpleNamespace(usage=usage, content=[], model="unknown"))
        assert tracker.decide("book").action == "go"
    assert len(heard) == 1 and heard[0].startswith("11 tokens have no known price")
