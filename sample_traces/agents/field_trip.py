"""An agent that uses all of the tool layer: `python sample_traces/agents/field_trip.py`, then `toolspend up`.

With ANTHROPIC_API_KEY set it asks the real API, else the stand-in beside it, offline.
"""

from __future__ import annotations

import asyncio
import functools
import os
import sys
from pathlib import Path
from typing import Any

import toolspend
from toolspend import toolkit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
MODEL, SMALL_MODEL = "claude-sonnet-5", "claude-haiku-4-5"
TASK = "Which station saw the most rain in October? Check sensor ST-017 too, and book the cheapest train there."


async def stations_v1(region: str) -> str:
    """Lists weather stations of a region, by name only."""
    return "Faro, Porto, Sines"


async def stations_v2(region: str, limit: int = 60) -> list[dict[str, Any]]:
    """Lists weather stations of a region with the rain of the last month in millimetres."""
    rows = [{"id": f"ST-{n:03d}", "region": region, "rain_mm": n * 37 % 211, "status": "ok"} for n in range(limit)]
    return [row | {"status": "failed: no signal since 3 October"} if n == 17 else row for n, row in enumerate(rows)]


async def read_bulletin(month: str) -> str:
    """Reads the weather bulletin of a month, as the observatory published it."""
    return " ".join(
        f"On day {n} some {n * 91 % 977 / 10} mm fell in the hills before the evening." for n in range(1, 90)
    )


def find_trains(to: str) -> list[dict[str, Any]]:
    """Finds trains to a town, with price in euros. Reads only."""
    return [{"train": f"IC-{500 + n}", "to": to, "price_eur": 19.5 + n * 3} for n in range(4)]


async def book_train(train: str) -> str:
    """Books a seat on a train. Charges the customer's card."""
    return f"booked {train}"


versions = toolkit.ToolVersions("stations")
versions.add(toolkit.Tool.from_function(stations_v1, category="weather", has_side_effects=False), "1")
versions.add(toolkit.Tool.from_function(stations_v2, category="weather", has_side_effects=False), "2", is_default=True)
versions.deprecate("1")
registry = toolkit.ToolRegistry([toolkit.fetch_result_tool()])
toolkit.VersionedTools(versions).register_in(registry)
registry.register(toolkit.Tool.from_function(read_bulletin, category="weather", has_side_effects=False))
registry.register(toolkit.Tool.from_function(find_trains, category="travel", has_side_effects=False, timeout_s=5.0))
registry.register(toolkit.Tool.from_function(book_train, category="travel", has_side_effects=True))


async def run(client: Any) -> tuple[str, toolkit.Tracker]:
    """Answers TASK: first what is always needed, as a plan, then whatever the model asks for."""
    tracker = toolkit.Tracker(budgets=[toolkit.Budget("refuse", tool="book_train", max_calls=1)])
    compress = functools.partial(toolkit.compress_tool_result, task=TASK, model=SMALL_MODEL, client=client)
    options: dict[str, Any] = {"max_result_tokens": 300, "compressor": compress, "tracker": tracker}
    first = [
        toolkit.Step("stations", "stations_v2", {"region": "coast"}),
        toolkit.Step("bulletin", "read_bulletin", {"month": "October"}, is_critical=False),
    ]
    known = await toolkit.Plan(first).run(registry, **options)
    facts = "\n\n".join(str(block["content"]) for block in known.blocks)
    messages: list[Any] = [{"role": "user", "content": f"{TASK}\n\nKnown so far:\n{facts}"}]
    tools = registry.get_tool_definitions(registry.get_tools_for_task(max_tools=8, query=TASK))
    while True:
        request: dict[str, Any] = {"model": MODEL, "max_tokens": 2_000, "tools": tools, "messages": messages}
        response = await client.messages.create(**request)
        tracker.observe(request, response)
        messages.append({"role": "assistant", "content": response.content})
        calls = [block for block in response.content if block.type == "tool_use"]
        if not calls:
            return "".join(block.text for block in response.content if block.type == "text"), tracker
        messages.append({"role": "user", "content": await toolkit.execute_tool_calls(calls, registry, **options)})


def connect() -> Any:
    """The real API where there is a key, else the stand-in with a script of what a model would say."""
    import anthropic

    import standin

    if os.environ.get("ANTHROPIC_API_KEY"):
        return anthropic.AsyncAnthropic()
    replies = [
        standin.say("The bulletin is long; the small model notes: rain fell mostly in the west, 211 mm at most."),
        standin.say(
            standin.ToolUse("find_trains", {"to": "Sines"}),
            standin.ToolUse("stations", {"region": "coast"}),
            standin.ToolUse("find_trains", {"from": "Porto"}),
        ),
        standin.say(standin.ToolUse("book_train", {"train": "IC-500"}), standin.ToolUse("find_hotels", {})),
        standin.say("ST-057 saw the most rain. ST-017 has failed since 3 October. IC-500 to Sines is booked."),
    ]
    return standin.async_client(standin.Api(replies))


if __name__ == "__main__":
    toolspend.instrument(registry=registry)
    with toolspend.session("field-trip", user="ada"):
        answer, spent = asyncio.run(run(connect()))
    print(answer, *(f"{name}: {cost}" for name, cost in spent.cost_breakdown().items()), spent.context, sep="\n")
