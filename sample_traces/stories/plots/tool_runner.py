"""Four trips: the policy, trains and hotels, a booking."""

from __future__ import annotations

from standin import Reply, ToolUse, say
from stories.case import Case
from stories.world import prose, rng

TRIPS = (
    ("Leipzig", "Zürich", "2026-12-01", "2026-11-05T09:12:00"),
    ("Hamburg", "Paris", "2026-12-03", "2026-11-10T14:30:00"),
    ("Wien", "Kraków", "2026-12-08", "2026-11-13T08:55:00"),
    ("Köln", "Genève", "2026-12-15", "2026-11-19T11:18:00"),
)


def _steps(origin: str, destination: str, date: str) -> list[Reply]:
    dice = rng("trip", origin, destination)
    trains = [{"origin": a, "destination": b, "date": date} for a, b in ((origin, destination), (destination, origin))]
    hotels = {"city": destination, "check_in": date, "nights": dice.randint(1, 3)}
    steps: list[Reply] = [
        say("The policy first.", *[ToolUse("travel_policy", {"topic": topic}) for topic in ("trains", "hotels")]),
        say("Now the connections.", *[ToolUse("search_trains", train) for train in trains]),
        say(ToolUse("search_hotels", hotels)),
    ]
    for attempt in range(dice.randint(1, 3)):
        # The tool takes no stopovers: the second attempt is refused before it runs.
        again = trains[0] | ({"via": "Basel"} if attempt == 1 else {"date": f"{date[:-2]}{10 + attempt}"})
        steps.append(say(prose(140, origin, attempt), ToolUse("search_trains", again)))
    offer = {"offer": f"{origin} - {destination}, second class", "traveller": "S. Lind"}
    return [*steps, say("Booking the better one.", ToolUse("book", offer)), say(prose(600, origin, "summary"))]


CASES = [
    Case(
        session=f"trip-{number}",
        user="travel-desk",
        started_at=started_at,
        messages=[f"A trip from {origin} to {destination} on {date}, back two days later, please."],
        steps=_steps(origin, destination, date),
    )
    for number, (origin, destination, date, started_at) in enumerate(TRIPS, 611)
]
