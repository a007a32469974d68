"""A data analyst whose large results are compressed before the model sees them, in part by a small model."""

from __future__ import annotations

import json
from typing import Any

from anthropic import AsyncAnthropic

import toolspend
from stories import world
from stories.case import Case, script_of
from stories.plots.compression import CASES as CASES
from stories.plots.compression import summarise
from stories.telemetry import agent_run
from stories.toolbox import Json, ToolRegistry, number, run_tool, text

MODEL = "claude-sonnet-5-5"
SMALL_MODEL = "claude-haiku-4-5"
SYSTEM = "You answer questions about the company's data. Show the query. State the period, the filter and the unit."
RESULT_TOKENS = 700

registry = ToolRegistry()
script = script_of(CASES, otherwise=summarise)
small_model: AsyncAnthropic | None = None


@registry.tool(
    "Run a read-only SQL query against the warehouse. Returns rows as JSON, at most 500.",
    "analysis",
    sql=text("One SELECT statement."),
)
async def query_warehouse(sql: str) -> str:
    await world.wait(3.5, "query", sql)
    fields = {"week": "2026-W{n}", "region": ["north", "south", "east", "west"], "orders": (10, 900), "net": (5.0, 9e4)}
    return json.dumps(world.records(world.rng("rows", sql).randint(60, 320), fields, sql))


@registry.tool("Columns, types and comments of a table.", "analysis", table=text("schema.table"))
async def describe_table(table: str) -> str:
    await world.wait(0.2, "describe", table)
    columns = {"column": "col_{n}", "type": ["bigint", "varchar", "timestamp"], "nulls": (0.0, 0.4)}
    return world.as_json(world.records(18, columns, table))


@registry.tool("Log of a pipeline run.", "analysis", pipeline=text("Name."), lines=number("Lines.", default=400))
async def fetch_pipeline_log(pipeline: str, lines: int = 400) -> str:
    await world.wait(0.9, "log", pipeline)
    return world.log(lines, pipeline)


@registry.tool("Pages of the metrics handbook that mention a term.", "analysis", term=text("Term."))
async def search_handbook(term: str) -> str:
    await world.wait(0.4, "handbook", term)
    return world.page(14_000, term)


@registry.tool("Draw a chart from a query.", "analysis", sql=text("SELECT"), kind=text("line, bar or area"))
async def render_chart(sql: str, kind: str) -> str:
    await world.wait(1.1, "chart", sql)
    return f"chart saved as {world.records(1, {'name': 'chart-{hex}.png'}, sql)[0]['name']}"


async def compress_tool_result(result: str, tool_name: str, max_tokens: int = 500) -> str:
    """Rows are sampled, logs filtered, and prose is summarised by a small model; short results stay as they are."""
    if len(result) <= max_tokens * 4:
        return result
    if tool_name == "query_warehouse":
        rows = json.loads(result)
        keep = max(1, len(rows) * max_tokens * 4 // len(result))
        return json.dumps({"rows": rows[:keep], "left_out": len(rows) - keep})
    if tool_name == "fetch_pipeline_log":
        return "\n".join([line for line in result.splitlines() if " ERROR " in line][: max_tokens // 20])
    assert small_model is not None
    response = await small_model.messages.create(
        model=SMALL_MODEL,
        max_tokens=max_tokens,
        system="Summarise what a tool returned. Keep every figure, name and date.",
        messages=[{"role": "user", "content": f"{tool_name} returned:\n\n{result}"}],
    )
    return "".join(block.text for block in response.content if block.type == "text")


async def execute_and_compress(tool_calls: Any, registry: ToolRegistry) -> list[Json]:
    """Runs the calls one after the other and compresses what they return."""
    results = []
    for call in tool_calls:
        block = await run_tool(call, registry)
        results.append(block | {"content": await compress_tool_result(block["content"], call.name, RESULT_TOKENS)})
    return results


toolspend.instrument(registry=registry, executor=execute_and_compress, compressor=compress_tool_result)


async def handle(client: AsyncAnthropic, case: Case) -> str:
    """Answers one question about the data."""
    global small_model
    small_model = client
    with toolspend.session(case.session, user=case.user, tags=list(case.tags)), agent_run("analyst"):
        tools: Any = registry.get_tool_definitions(registry.get_tools_for_task("analysis", max_tools=8))
        messages: list[Any] = [{"role": "user", "content": case.messages[0]}]
        while True:
            response = await client.messages.create(
                model=MODEL,
                max_tokens=4_000,
                system=[{"type": "text", "text": SYSTEM}],
                tools=tools,
                messages=messages,
                cache_control={"type": "ephemeral"},
            )
            messages.append({"role": "assistant", "content": response.content})
            calls = [block for block in response.content if block.type == "tool_use"]
            if not calls:
                return "".join(block.text for block in response.content if block.type == "text")
            messages.append({"role": "user", "content": await execute_and_compress(calls, registry)})
