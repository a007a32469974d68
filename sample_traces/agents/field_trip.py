"""An agent that uses all of the tool layer: `python sample_traces/agents/field_trip.py`, then `toolspend up`."""

import asyncio
import functools
from typing import Any

import offline

import toolspend
from toolspend import toolkit

TASK = "Which station saw the most rain in October? Check sensor ST-017 too, and book the cheapest train there."
stations = toolkit.ToolVersions("stations")
registry = toolkit.ToolRegistry([toolkit.fetch_result_tool()])
registry.register(registry.search_tool())


@stations.version("1", category="weather", has_side_effects=False)
async def tell_of_stations(region: str) -> str:
    """Tells of the rain at the weather stations of a region, as the observatory's bulletin does."""
    return " ".join(f"At station {n} of the {region} some {n * 91 % 977 / 10} mm fell at night." for n in range(1, 90))


@stations.version("2", is_default=True, category="weather", has_side_effects=False)
async def rain_at_stations(region: str, limit: int = 60) -> list[dict[str, Any]]:
    """Lists weather stations of a region with the rain of the last month in millimetres."""
    silent = {17: "failed: no signal since 3 October"}
    return [{"id": f"ST-{n:03d}", "rain_mm": n * 37 % 211, "status": silent.get(n, "ok")} for n in range(limit)]


@registry.tool(category="travel", has_side_effects=False, timeout_s=5.0)
def find_trains(to: str) -> list[dict[str, Any]]:
    """Finds trains to a town, with price in euros. Reads only."""
    return [{"train": f"IC-{500 + n}", "to": to, "price_eur": 19.5 + n * 3} for n in range(4)]


@registry.tool(category="travel", has_side_effects=True)
async def book_train(train: str) -> str:
    """Books a seat on a train. Charges the customer's card."""
    return f"booked {train}"


stations.deprecate("1")
registry.register_versions(stations)


async def run(client: Any, tracker: toolkit.Tracker) -> str:
    """Answers TASK: first what is always needed, as a plan, then whatever the model asks for."""
    compress = functools.partial(toolkit.compress_tool_result, task=TASK, model="claude-haiku-4-5", client=client)
    options: dict[str, Any] = {"max_result_tokens": 300, "compressor": compress, "tracker": tracker}
    rain = toolkit.Step("rain", "stations_v2", {"region": "coast"})
    plan = toolkit.Plan([rain, toolkit.Step("bulletin", "stations_v1", {"region": "coast"}, is_critical=False)])
    await plan.run(registry, **options)
    request: dict[str, Any] = {"model": "claude-sonnet-5", "max_tokens": 2_000}
    request["messages"] = [{"role": "user", "content": "\n\n".join([TASK, *map(str, plan.results.values())])}]
    tools = registry.get_tools_for_task(max_tools=4, query=TASK)
    while True:
        request["tools"] = registry.get_tool_definitions(tools)
        response = await client.messages.create(**request)
        tracker.observe(request, response)
        calls = [block for block in response.content if block.type == "tool_use"]
        if not calls:
            return "".join(block.text for block in response.content if block.type == "text")
        results = await toolkit.execute_tool_calls(calls, registry, **options)
        turn = [{"role": "assistant", "content": response.content}, {"role": "user", "content": results}]
        request["messages"] = [*request["messages"], *turn]
        tools.add_found(calls)


if __name__ == "__main__":
    toolspend.instrument(registry=registry)
    spent = toolkit.Tracker(budgets=[toolkit.Budget("refuse", tool="book_train", max_calls=1)])
    with toolspend.session("field-trip", user="ada"):
        print(asyncio.run(run(offline.client(offline.FIELD_TRIP), spent)))
    print(*spent.cost_breakdown().items(), spent.context, *toolkit.audit(registry), sep="\n")
