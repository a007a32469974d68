"""Six investigations: three or four searches at once, then pages, papers and filings, then the brief."""

from __future__ import annotations

from standin import Reply, Thinking, ToolUse, say
from stories.case import Case
from stories.world import prose, rng

TOPICS = (
    ("battery storage tenders in Spain", "2026-11-03T08:12:00", "ines"),
    ("sodium-ion cell suppliers in Europe", "2026-11-05T13:40:00", "tomasz"),
    ("curtailment of offshore wind in the North Sea", "2026-11-10T09:05:00", "ines"),
    ("heat pumps in district heating networks", "2026-11-12T15:22:00", "farid"),
    ("grid fees for electrolysers", "2026-11-17T10:31:00", "tomasz"),
    ("recycling capacity for wind turbine blades", "2026-11-20T07:48:00", "ines"),
)


def _steps(topic: str) -> list[Reply]:
    dice = rng("research", topic)

    def address(index: int) -> str:
        return f"https://example.org/{rng('address', topic, index).getrandbits(40):010x}"

    angles = ("capacity and prices", "regulation since 2025", "announced projects", "criticism", "market outlook")
    searches = [ToolUse("web_search", {"query": f"{topic} {a}", "count": 8}) for a in angles[: dice.randint(3, 5)]]
    steps: list[Reply] = [
        say(Thinking(prose(700, topic, "plan"), 260), f"I start with {len(searches)} searches on {topic}.", *searches)
    ]
    page = 0
    for round_number in range(dice.randint(5, 8)):
        count = dice.randint(2, 4)
        calls = [ToolUse("fetch_page", {"url": address(page + i)}) for i in range(count)]
        page += count
        if round_number % 3 == 0:
            calls.append(ToolUse("search_papers", {"topic": f"{topic} {angles[round_number % 5]}", "limit": 5}))
        if round_number % 2:
            note = {"note": prose(180, topic, "note", round_number), "source": address(page - 1)}
            calls.append(ToolUse("save_note", note))
        if round_number == 2:
            items = ["revenue", "capex", "order backlog"]
            calls.append(ToolUse("company_filings", {"company": f"Supplier of {topic}", "items": items, "years": 4}))
        steps.append(say(prose(220, topic, "between", round_number), *calls))
    steps.append(say(Thinking(prose(900, topic, "weigh"), 340), prose(3_200, topic, "brief")))
    return steps


CASES = [
    Case(
        session=f"research-{number:03d}",
        user=user,
        started_at=started_at,
        messages=[f"Please prepare a brief on {topic}: who, how much, since when, and what speaks against it."],
        steps=_steps(topic),
        tags=["brief"],
    )
    for number, (topic, started_at, user) in enumerate(TOPICS, 201)
]
