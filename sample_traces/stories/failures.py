"""An on-call agent on a bad day: tools that fail, hang or do not exist, and an API that is busy or breaks off."""

from __future__ import annotations

from typing import Any

import anthropic
from anthropic import AsyncAnthropic

import toolspend
from stories import world
from stories.case import Case, script_of
from stories.plots.failures import CASES as CASES
from stories.telemetry import agent_run
from stories.toolbox import ToolRegistry, execute_tool_calls_parallel, number, text

MODEL = "claude-sonnet-4-5"
SYSTEM = "You are on call for the payment platform. Find the cause, propose one action, and never act without approval."

registry = ToolRegistry()
script = script_of(CASES)


@registry.tool(
    "Query the metrics store. Returns the series that match, one point a minute.",
    query=text("PromQL expression."),
    minutes=number("How far back.", default=60),
)
async def query_metrics(query: str, minutes: int = 60) -> str:
    # The store answers narrow queries quickly and chokes on wide ones.
    await world.wait(1.2 if "service=" in query else 45.0, "metrics", query)
    return world.as_json(world.records(minutes, {"t": "{n}", "value": (0.0, 250.0)}, query))


@registry.tool(
    "Lines of a service's log, newest first.", service=text("Name."), lines=number("How many lines.", default=120)
)
async def fetch_logs(service: str, lines: int = 120) -> str:
    await world.wait(0.8, "logs", service, lines)
    if service == "ledger-archive":
        raise ConnectionError("ledger-archive: connection refused by log gateway")
    return world.log(lines, service)


@registry.tool("The last deployments of a service with author and commit.", service=text("Name."))
async def list_deployments(service: str) -> str:
    await world.wait(0.3, "deployments", service)
    return world.as_json(world.records(10, {"commit": "{hex}", "by": ["maya", "lin"], "at": "2026-11-{n}"}, service))


@registry.tool("Restart a service. Needs an approved change.", service=text("Name."), change=text("Change number."))
async def restart_service(service: str, change: str) -> str:
    raise PermissionError(f"change {change} is not approved")


@registry.tool("Page the engineer on call of a team.", team=text("Team."), message=text("What you need of them."))
async def page_engineer(team: str, message: str) -> str:
    await world.wait(0.5, "page", team)
    return f"paged {team}"


toolspend.instrument(registry=registry, executor=execute_tool_calls_parallel)


async def handle(client: AsyncAnthropic, case: Case) -> str:
    """One incident. A stream that breaks off is asked for again, twice at most; an API that stays down ends the run."""
    with toolspend.session(case.session, user=case.user, tags=list(case.tags)), agent_run("on-call"):
        tools: Any = registry.get_tool_definitions(registry.get_tools_for_task())
        messages: list[Any] = [{"role": "user", "content": case.messages[0]}]
        while True:
            try:
                response = await _ask(client, tools, messages)
            except anthropic.APIStatusError as error:
                return f"gave up: {error.status_code}"
            messages.append({"role": "assistant", "content": response.content})
            calls = [block for block in response.content if block.type == "tool_use"]
            if not calls:
                return "".join(block.text for block in response.content if block.type == "text")
            messages.append({"role": "user", "content": await execute_tool_calls_parallel(calls, registry)})


async def _ask(client: AsyncAnthropic, tools: Any, messages: list[Any]) -> Any:
    for attempt in range(3):
        try:
            async with client.messages.stream(
                model=MODEL, max_tokens=4_000, system=SYSTEM, tools=tools, messages=messages
            ) as stream:
                return await stream.get_final_message()
        except anthropic.APIStatusError:
            raise
        except Exception:
            # The connection broke off in the middle of the answer: nothing to keep, ask again.
            if attempt == 2:
                raise
    raise AssertionError("unreachable")
