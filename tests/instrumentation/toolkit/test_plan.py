"""Calls that wait for one another."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import toolspend
from tool_layer import others, registry_of
from toolspend.testing import Captured
from toolspend.toolkit import Plan, Step


def run(plan: Plan, registry: Any, **options: Any) -> Any:
    async def main() -> Any:
        report = await plan.run(registry, **options)
        assert not others(), "tasks are left behind"
        return report

    return asyncio.run(main())


def statuses(report: Any) -> dict[str, str]:
    return {id: step.status for id, step in report.steps.items()}


async def same(n: int) -> int:
    await asyncio.sleep(0.01)
    return n


async def broken(n: int) -> int:
    raise ValueError("boom")


def test_independent_steps_overlap_and_dependent_ones_wait(captured: Captured) -> None:
    """a and b run at once, c after both with what they found; all in one batch, a span each."""
    barrier = asyncio.Barrier(2)

    async def pair(n: int) -> int:
        await barrier.wait()
        return n

    plan = Plan(
        [
            Step("c", "same", lambda found: {"n": int(found["a"]) + int(found["b"])}, after=("a", "b")),
            Step("a", "pair", {"n": 1}),
            Step("b", "pair", {"n": 2}),
        ]
    )
    toolspend.instrument(export=None)
    report = run(plan, registry_of(pair=pair, same=same))
    assert plan.results == {"a": "1", "b": "2", "c": "3"}
    assert report.is_complete
    assert [block["tool_use_id"] for block in report.blocks] == ["c", "a", "b"]
    [batch] = captured.named("execute_tools")
    spans = {s["attributes"]["gen_ai.tool.call.id"]: s for s in captured.spans() if s["name"] != "execute_tools"}
    assert spans.keys() == {"a", "b", "c"} and all(s["parent_id"] == batch["span_id"] for s in spans.values())
    assert max(spans["a"]["start_ms"], spans["b"]["start_ms"]) < min(spans["a"]["end_ms"], spans["b"]["end_ms"])
    assert spans["c"]["start_ms"] > max(spans["a"]["end_ms"], spans["b"]["end_ms"])


def test_a_failed_critical_step_cancels_what_depends_on_it_and_nothing_else() -> None:
    """Its dependents are not run, however far down; an optional step's are, and so is all that is independent."""
    plan = Plan(
        [
            Step("bad", "broken", {"n": 1}),
            Step("child", "same", {"n": 2}, after=("bad",)),
            Step("grandchild", "same", {"n": 3}, after=("child",)),
            Step("extra", "broken", {"n": 4}, is_critical=False),
            Step("after_extra", "same", {"n": 5}, after=("extra",)),
            Step("alone", "same", {"n": 6}),
        ]
    )
    report = run(plan, registry_of(same=same, broken=broken))
    assert statuses(report) == {
        "bad": "failed", "child": "skipped", "grandchild": "skipped", "extra": "failed", "after_extra": "done",
        "alone": "done",
    }  # fmt: skip
    assert not report.is_complete
    assert all(step.block["is_error"] for id, step in report.steps.items() if step.status in ("failed", "skipped"))
    assert "bad, which it depends on" in report.steps["child"].block["content"]


def test_a_second_run_runs_only_what_failed() -> None:
    """What succeeded is kept with its result, also for steps that need it then."""
    ran: list[int] = []
    is_up = False

    async def flaky(n: int) -> int:
        ran.append(n)
        if n == 2 and not is_up:
            raise ValueError("down")
        return n

    plan = Plan(
        [
            Step("one", "flaky", {"n": 1}),
            Step("two", "flaky", {"n": 2}),
            Step("three", "flaky", lambda found: {"n": int(found["one"]) + int(found["two"])}, after=("one", "two")),
        ]
    )
    registry = registry_of(flaky=flaky)
    assert statuses(run(plan, registry)) == {"one": "done", "two": "failed", "three": "skipped"}
    is_up = True
    report = run(plan, registry)
    assert statuses(report) == {"one": "kept", "two": "done", "three": "done"}
    assert sorted(ran) == [1, 2, 2, 3]
    assert plan.results == {"one": "1", "two": "2", "three": "3"}
    assert statuses(run(plan, registry)) == dict.fromkeys(("one", "two", "three"), "kept")
    assert len(ran) == 4


def test_a_plan_runs_once_at_a_time() -> None:
    """A second run beside the first would run its steps twice: it is refused, and the first goes on."""
    ran: list[int] = []

    async def once(n: int) -> int:
        ran.append(n)
        await asyncio.sleep(0)
        return n

    async def both() -> list[Any]:
        plan, registry = Plan([Step("one", "once", {"n": 1})]), registry_of(once=once)
        found = await asyncio.gather(plan.run(registry), plan.run(registry), return_exceptions=True)
        return [*found, await plan.run(registry)]

    first, second, third = asyncio.run(both())
    assert statuses(first) == {"one": "done"} and statuses(third) == {"one": "kept"} and ran == [1]
    assert isinstance(second, RuntimeError) and "runs already" in str(second)


def test_the_report_says_what_parallelism_brought() -> None:
    """Sequential time is the sum, the critical path the longest chain; the speed-up is their bound."""

    async def lasting(n: int) -> int:
        await asyncio.sleep(n / 1000)
        return n

    plan = Plan(
        [
            Step("short", "lasting", {"n": 5}),
            Step("long", "lasting", {"n": 60}),
            Step("end", "lasting", {"n": 10}, after=("short", "long")),
        ]
    )
    report = run(plan, registry_of(lasting=lasting))
    assert report.critical_path == ("long", "end")
    took = {id: step.duration_ms for id, step in report.steps.items()}
    assert report.sequential_ms == pytest.approx(sum(took.values()))
    assert report.critical_path_ms == pytest.approx(took["long"] + took["end"])
    assert report.wall_ms >= report.critical_path_ms
    assert report.speedup == pytest.approx(report.sequential_ms / report.wall_ms)


def test_arguments_that_cannot_be_made_fail_their_step_alone() -> None:
    """A result that is not there is that step's failure, not the plan's."""
    plan = Plan([Step("a", "same", lambda found: {"n": found["nothing"]}), Step("b", "same", {"n": 1})])
    report = run(plan, registry_of(same=same))
    assert statuses(report) == {"a": "failed", "b": "done"}
    assert "KeyError" in report.steps["a"].block["content"]


def test_cancelling_a_plan_leaves_no_task_and_keeps_what_was_done() -> None:
    """Waiting steps too are cancelled."""

    async def slow(n: int) -> int:
        await asyncio.sleep(60)
        return n

    plan = Plan([Step("a", "same", {"n": 1}), Step("b", "slow", {"n": 2}), Step("c", "same", {"n": 3}, after=("b",))])

    async def main() -> None:
        task = asyncio.create_task(plan.run(registry_of(same=same, slow=slow)))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not others()

    asyncio.run(main())
    assert plan.results == {"a": "1"}


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([Step("a", "t", {}, after=("b",)), Step("b", "t", {}, after=("a",))], "wait for each other"),
        ([Step("a", "t", {}, after=("x",))], "waits for 'x', which is no step"),
        ([Step("a", "t", {}), Step("a", "t", {})], "two steps are called 'a'"),
    ],
)
def test_a_plan_that_cannot_end_is_refused_at_once(steps: list[Step], said: str) -> None:
    """Circles, unknown steps and names given twice."""
    with pytest.raises(ValueError, match=said):
        Plan(steps)


def test_one_step_to_wait_for_may_be_given_by_its_name() -> None:
    """Its letters are no steps."""
    assert Step("b", "same", {}, after="first").after == ("first",)  # type: ignore[arg-type]
    assert Step("b", "same", {}, after=["x", "y"]).after == ("x", "y")  # type: ignore[arg-type]
