"""An agent whose tools live on an MCP server: it lists them at the start and calls them through the client session."""

from __future__ import annotations

from typing import Any

from anthropic import AsyncAnthropic
from mcp import Client
from mcp.server.mcpserver import MCPServer

import toolspend
from stories import world
from stories.case import Case, script_of
from stories.plots.mcp_tools import CASES as CASES
from stories.telemetry import agent_run

MODEL = "claude-sonnet-5"
SYSTEM = "You write release notes from the issue tracker. Group by feature, fix and breaking change. No marketing."

script = script_of(CASES)
server = MCPServer("tracker")


@server.tool()
async def list_milestones(project: str) -> str:
    """List the milestones of a project with their due dates and the number of open and closed issues."""
    await world.wait(0.2, "milestones", project)
    return world.as_json(world.records(8, {"milestone": "2026.{n}", "open": (0, 9), "closed": (3, 60)}, project))


@server.tool()
async def search_issues(project: str, query: str, limit: int = 25) -> str:
    """Search issues with the tracker's query language (state:closed milestone:"2026.11" label:bug sort:updated).

    Returns number, title, labels, author, state, and the first 200 characters of the description, newest first.
    """
    await world.wait(0.6, "issues", query)
    fields = {"number": "{n}", "state": "closed", "label": ["feature", "fix", "breaking"], "author": ["lin", "maya"]}
    return world.as_json(
        [row | {"text": world.prose(200, query, row["number"])} for row in world.records(limit, fields, query)]
    )


@server.tool()
async def get_issue(project: str, number: int) -> str:
    """Get one issue with its whole description, all comments, linked pull requests and its history of states."""
    await world.wait(0.35, "issue", number)
    if number % 10 == 9:
        raise ValueError(f"issue {number} was moved to another project")
    return world.page(4_200, project, number)


@server.tool()
async def get_pull_request(project: str, number: int, include_diff: bool = False) -> str:
    """Get a pull request: title, description, commits, review comments and, on request, the unified diff."""
    await world.wait(0.5, "pull", number)
    return world.code(160, f"{project}/{number}") if include_diff else world.prose(900, project, number)


@server.tool()
async def create_release(project: str, tag: str, notes: str) -> str:
    """Create a draft release with these notes. It is published by a person."""
    await world.wait(0.8, "release", tag)
    return f"draft {tag} created"


toolspend.instrument()


async def handle(client: AsyncAnthropic, case: Case) -> str:
    """Writes the notes of one release."""
    with toolspend.session(case.session, user=case.user), agent_run("release-notes"):
        async with Client(server) as tracker:
            listed = await tracker.list_tools()
            tools: Any = [
                {"name": tool.name, "description": tool.description, "input_schema": tool.input_schema}
                for tool in listed.tools
            ]
            messages: list[Any] = [{"role": "user", "content": case.messages[0]}]
            while True:
                response = await client.beta.messages.create(
                    model=MODEL, max_tokens=6_000, system=SYSTEM, tools=tools, messages=messages
                )
                messages.append({"role": "assistant", "content": response.content})
                calls = [block for block in response.content if block.type == "tool_use"]
                if not calls:
                    return "".join(block.text for block in response.content if block.type == "text")
                messages.append({"role": "user", "content": [await _call(tracker, call) for call in calls]})


async def _call(tracker: Client, call: Any) -> dict[str, Any]:
    result = await tracker.call_tool(call.name, call.input)
    content = [{"type": "text", "text": part.text} for part in result.content if part.type == "text"]
    return {"type": "tool_result", "tool_use_id": call.id, "content": content, "is_error": bool(result.is_error)}
