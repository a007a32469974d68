"""Calls that were refused or given up, from the agent over the spool and the store to what the audit says of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import served
import spooled
from toolspend import attributes as at
from toolspend.toolkit.audit import observed
from toolspend_ingest import Store, ingest

AGENT = """
import asyncio

import toolspend
from toolspend.toolkit import Budget, Plan, Step, Tool, ToolError, ToolRegistry, Tracker, execute_tool_calls

NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


async def fine(n):
    return n


async def slow(n):
    await asyncio.sleep(60)


async def gives_up(n):
    raise asyncio.CancelledError


async def refuses(n):
    raise ToolError("There is no row of that number: list the rows first.")


async def names_it(n):
    raise ToolError("There is no row of that number: list the rows first.", error_type="not_found")


async def breaks(n):
    raise ValueError(n)


handlers = [fine, slow, gives_up, refuses, names_it, breaks]
registry = ToolRegistry([Tool(each.__name__, "Does it.", NUMBER, each) for each in handlers])
registry.register(Tool("dear", "Does it.", NUMBER, fine))
registry.register(Tool("bodiless", "Does it.", NUMBER))
registry.register(Tool("odd_schema", "Does it.", {"type": "no such type"}, fine))
registry.register(Tool("waits", "Does it.", NUMBER, fine))
toolspend.instrument(registry=registry)
names = [each.name for each in registry if each.name != "waits"]
calls = [{"type": "tool_use", "id": name, "name": name, "input": {"n": 1}} for name in [*names, "finer"]]
calls += [{"type": "tool_use", "id": f"wrong_{n}", "name": "fine", "input": {"n": "one"}} for n in range(4)]
tracker = Tracker(budgets=[Budget("refuse", tool="dear", max_calls=1)])
tracker.called("dear", 1.0)


async def main():
    blocks = await execute_tool_calls(calls, registry, timeout_s=0.05, tracker=tracker)
    plan = Plan([Step("first", "breaks", {"n": 1}), Step("then", "waits", {"n": 1}, after=("first",))])
    report = await plan.run(registry)
    for block in [*blocks, *report.blocks]:
        print(block["tool_use_id"], block.error_type)


with toolspend.session("refusals"):
    asyncio.run(main())
"""
EXPECTED = {
    "fine": None,
    "slow": "timeout",
    "gives_up": "cancelled",
    "refuses": "tool_error",
    "names_it": "not_found",
    "breaks": "ValueError",
    "dear": "budget_exceeded",
    "bodiless": "no_handler",
    "odd_schema": "invalid_schema",
    "finer": "unknown_tool",
    "first": "ValueError",
    "then": "dependency_failed",
    **{f"wrong_{n}": "invalid_arguments" for n in range(4)},
}


def test_each_way_to_fail_has_its_name_from_the_agent_to_the_audit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The executor's results, the spans in the spool, the store's column and the audit's findings agree."""
    home = tmp_path / "home"
    done = spooled.run(home, AGENT)
    assert done.returncode == 0, done.stderr
    told = dict(line.split() for line in done.stdout.splitlines())
    assert told == {id: str(error) for id, error in EXPECTED.items()}
    monkeypatch.setenv("TOOLSPEND_HOME", str(home))
    with Store.open(home / "toolspend.duckdb") as store:
        assert not ingest(store, None).has_refused
        rows = store.cursor().execute("select tool_call_id, error_type from tool_calls").fetchall()
    assert dict(rows) == EXPECTED
    said = served.run_here(home, "audit", "--json", "--fail-on", "never")
    assert said.returncode == 0, said.stderr
    found = {
        (each["tool"], each["check"]): each["evidence"]
        for each in json.loads(said.stdout)["findings"]
        if each["check"] in ("called_wrongly", "unhandled_exceptions")
    }
    assert found == {
        ("fine", "called_wrongly"): "4 of 5 calls were wrong: 4 invalid_arguments.",
        ("finer", "called_wrongly"): "1 of 1 calls were wrong: 1 unknown_tool.",
    }


def test_the_audit_knows_every_name_that_the_executor_gives() -> None:
    """A name that the executor gives is never taken for an exception; the model is blamed for its own faults alone."""
    uses = [observed.Use("search", calls=20, failed=9, errors={name: 9}) for name in sorted(at.CALL_ERRORS)]
    found = {next(iter(use.errors)): [each.check for each in observed.audit_use([], [use])] for use in uses}
    assert found == {
        name: ["called_wrongly"] if name in ("unknown_tool", "invalid_arguments") else [] for name in at.CALL_ERRORS
    }
    assert {name for name in EXPECTED.values() if name} - {"ValueError", "not_found"} == at.CALL_ERRORS - {
        "unresponsive"
    }
