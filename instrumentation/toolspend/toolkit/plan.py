"""Tool calls that wait for one another: a graph of steps, run as wide as it allows, and again only where it failed."""

from __future__ import annotations

import asyncio
import graphlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from ..targets.executor import _around
from ._born import traced
from ._content import ToolResult
from .executor import Options, Runner, Work

Arguments: TypeAlias = "Mapping[str, Any] | Callable[[Mapping[str, Any]], Mapping[str, Any]]"


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a plan.

    `arguments` may be a function of the contents of the steps that succeeded so far, by id. It starts when all steps in
    `after` are over. Where a critical step fails, what depends on it is not run; an optional one stops nobody.
    """

    id: str
    tool: str
    arguments: Arguments
    after: tuple[str, ...] = ()
    is_critical: bool = True

    def __post_init__(self) -> None:
        # One name is a sequence of letters too.
        after = (self.after,) if isinstance(self.after, str) else tuple(self.after)
        object.__setattr__(self, "after", after)


@dataclass(frozen=True, slots=True)
class StepReport:
    """How one step went: `done`, `failed`, `skipped` (a critical step before it failed) or `kept` (done in an earlier
    run)."""

    id: str
    status: str
    block: ToolResult
    duration_ms: float
    attempts: int
    is_critical: bool


@dataclass(frozen=True, slots=True)
class Report:
    """One run of a plan. Times are of what ran in it; `critical_path` is the longest chain of dependent steps."""

    steps: Mapping[str, StepReport]
    wall_ms: float
    sequential_ms: float
    critical_path: tuple[str, ...]
    critical_path_ms: float

    @property
    def speedup(self) -> float | None:
        """How many times faster than one after the other; None where nothing ran."""
        return self.sequential_ms / self.wall_ms if self.sequential_ms and self.wall_ms else None

    @property
    def is_complete(self) -> bool:
        """Whether no critical step is left."""
        return all(step.status in ("done", "kept") for step in self.steps.values() if step.is_critical)

    @property
    def blocks(self) -> list[ToolResult]:
        """Every step's block, in the plan's order."""
        return [step.block for step in self.steps.values()]


class Plan:
    """A graph of steps. It keeps what succeeded, so that `run` again runs only the rest."""

    def __init__(self, steps: Iterable[Step]) -> None:
        self.steps = tuple(steps)
        self._by_id = {step.id: step for step in self.steps}
        if len(self._by_id) < len(self.steps):
            ids = [step.id for step in self.steps]
            raise ValueError(f"Plan: two steps are called {next(id for id in ids if ids.count(id) > 1)!r}")
        for step in self.steps:
            for other in step.after:
                if other not in self._by_id:
                    raise ValueError(f"Plan: step {step.id!r} waits for {other!r}, which is no step")
        try:
            self._order = tuple(graphlib.TopologicalSorter({s.id: s.after for s in self.steps}).static_order())
        except graphlib.CycleError as error:
            raise ValueError(f"Plan: steps wait for each other: {' -> '.join(map(str, error.args[1]))}") from None
        self._kept: dict[str, StepReport] = {}
        self._is_running = False

    @property
    def results(self) -> dict[str, Any]:
        """The contents of the steps that have succeeded, by id."""
        return {id: kept.block["content"] for id, kept in self._kept.items()}

    async def run(self, registry: Any, **options: Any) -> Report:
        """Runs what has not succeeded yet. `options` are those of `execute_tool_calls`.

        Raises RuntimeError where an earlier run is not over: its steps would run twice.
        """
        if self._is_running:
            raise RuntimeError("Plan.run: it runs already: await that run first, or make a Plan of its own")
        self._is_running = True
        try:
            return await self._run(registry, options)
        finally:
            self._is_running = False

    async def _run(self, registry: Any, options: Mapping[str, Any]) -> Report:
        runs = [_Running(step, self) for step in self.steps if step.id not in self._kept]
        by_id = {run.step.id: run for run in runs}
        for run in runs:
            run.before = [by_id[id] for id in run.step.after if id in by_id]
        started = time.perf_counter()
        if runs:
            calls = [{"type": "tool_use", "id": run.step.id, "name": run.step.tool, "input": run.fixed} for run in runs]
            await _execute_plan(calls, registry, runs=runs, **options)
        wall_ms = (time.perf_counter() - started) * 1e3
        reports: dict[str, StepReport] = {}
        for step in self.steps:
            kept = self._kept.get(step.id)
            if step.id in by_id:
                reports[step.id] = by_id[step.id].report()
            elif kept is not None:
                reports[step.id] = replace(kept, status="kept", duration_ms=0.0)
        path, path_ms = self._longest(reports)
        return Report(reports, wall_ms, sum(each.duration_ms for each in reports.values()), path, path_ms)

    def keep(self, run: _Running) -> None:
        """Remembers a step that succeeded."""
        self._kept[run.step.id] = run.report()

    def _longest(self, reports: Mapping[str, StepReport]) -> tuple[tuple[str, ...], float]:
        ends: dict[str, tuple[float, tuple[str, ...]]] = {}
        for id in self._order:
            before = max((ends[other] for other in self._by_id[id].after), default=(0.0, ()), key=lambda end: end[0])
            took = reports[id].duration_ms
            ends[id] = (before[0] + took, (*before[1], id) if took else before[1])
        took, path = max(ends.values(), default=(0.0, ()), key=lambda end: end[0])
        return path, took


class _Running:
    """A step that runs, and what the executor has to know of it."""

    def __init__(self, step: Step, plan: Plan) -> None:
        self.step = step
        self.before: list[_Running] = []
        self.is_skipped = False
        self.over = asyncio.Event()
        self.fixed = None if callable(step.arguments) else dict(step.arguments)
        self.work = Work(step.id, step.tool, self.fixed, ready=self._ready, finished=self._finished)
        self._plan = plan

    async def _ready(self) -> str | None:
        for other in self.before:
            await other.over.wait()
        lost = [
            other.step.id for other in self.before if other.is_skipped or (other.is_lost and other.step.is_critical)
        ]
        if lost:
            self.is_skipped = True
            return (
                f"Not run: {', '.join(lost)}, which it depends on, did not succeed. Mend that, and run the plan again."
            )
        if callable(self.step.arguments):
            try:
                self.work.input = dict(self.step.arguments(self._plan.results))
            except Exception as error:
                return (
                    f"Not run: its arguments could not be made from earlier results: {type(error).__name__}: {error}."
                )
        return None

    @property
    def is_lost(self) -> bool:
        """Whether it did not succeed."""
        return self.work.block is None or self.work.is_error

    def _finished(self, work: Work) -> None:
        if not work.is_error:
            self._plan.keep(self)
        self.over.set()

    def report(self) -> StepReport:
        """How it went."""
        work = self.work
        status = "skipped" if self.is_skipped else "failed" if self.is_lost else "done"
        block = work.block or ToolResult()
        return StepReport(self.step.id, status, block, work.duration_ms, work.attempts, self.step.is_critical)


@traced(_around)
async def _execute_plan(
    tool_calls: Sequence[Any], registry: Any, *, runs: Sequence[_Running], max_concurrency: int = 8, **options: Any
) -> list[ToolResult]:
    works = [run.work for run in runs]
    await Runner(registry, Options(max_concurrency, **options)).run(works)
    return [work.block or ToolResult() for work in works]
