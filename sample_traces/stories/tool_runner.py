"""A travel desk on the SDK's own tool runner: no loop, no registry; the API holds the conversation between requests."""

from __future__ import annotations

from typing import Any

from anthropic import AsyncAnthropic, beta_async_tool

import toolspend
from stories import world
from stories.case import Case, script_of
from stories.plots.tool_runner import CASES as CASES

MODEL = "claude-haiku-5-5"
SYSTEM = "You book business trips within the travel policy. Offer two options, name their price and their emissions."

script = script_of(CASES)


@beta_async_tool
async def search_trains(origin: str, destination: str, date: str) -> str:
    """Search train connections of a day with changes, duration, price in second class, and seats left.

    Args:
        origin: Station or city.
        destination: Station or city.
        date: Day of travel, YYYY-MM-DD.
    """
    await world.wait(1.1, "trains", origin, destination, date)
    fields = {"dep": "0{n}", "changes": (0, 3), "hours": (1.5, 9.0), "eur": (29.0, 210.0), "seats": (0, 80)}
    return world.as_json(world.records(16, fields, origin, destination, date))


@beta_async_tool
async def search_hotels(city: str, check_in: str, nights: int) -> str:
    """Search hotels in a city within the policy's limit, with price, rating and distance to the station.

    Args:
        city: City.
        check_in: Day of arrival, YYYY-MM-DD.
        nights: How many nights.
    """
    await world.wait(1.6, "hotels", city, check_in)
    fields = {"hotel": "House {n}", "eur": (70.0, 190.0), "rating": (6.5, 9.6), "metres": (80, 2_400)}
    return world.as_json([row | {"about": world.prose(160, row["hotel"])} for row in world.records(20, fields, city)])


@beta_async_tool
async def travel_policy(topic: str) -> str:
    """The paragraphs of the travel policy about a topic.

    Args:
        topic: Such as hotels, trains, flights or per diems.
    """
    await world.wait(0.2, "policy", topic)
    return world.prose(2_400, "policy", topic)


@beta_async_tool
async def book(offer: str, traveller: str) -> str:
    """Book an offer for a traveller. Cannot be undone.

    Args:
        offer: The offer, as found.
        traveller: Who travels.
    """
    await world.wait(0.9, "book", offer)
    return f"booked {offer} for {traveller}"


toolspend.instrument()


async def handle(client: AsyncAnthropic, case: Case) -> str:
    """Plans one trip."""
    with toolspend.session(case.session, user=case.user):
        runner = client.beta.messages.tool_runner(
            model=MODEL,
            max_tokens=4_000,
            system=SYSTEM,
            tools=[search_trains, search_hotels, travel_policy, book],
            messages=[{"role": "user", "content": case.messages[0]}],
        )
        final: Any = await runner.until_done()
        return "".join(block.text for block in final.content if block.type == "text")
