"""Six weekly reports on suppliers: one or two searches at the provider, a chart, a post."""

from __future__ import annotations

from standin import Reply, ToolUse, WebSearch, say
from stories.case import Case
from stories.world import prose, rng

REPORTS = (
    ("lithium carbonate", "2026-11-02T06:00:00"),
    ("copper cathodes", "2026-11-06T06:00:00"),
    ("polysilicon", "2026-11-09T06:00:00"),
    ("lithium carbonate", "2026-11-13T06:00:00"),
    ("copper cathodes", "2026-11-16T06:00:00"),
    ("polysilicon", "2026-11-20T06:00:00"),
)


def _search(material: str, question: str) -> WebSearch:
    dice = rng("pages", material, question)
    pages = [
        (f"{material.capitalize()}: {question} ({n})", f"https://example.org/{dice.getrandbits(32):08x}", 6_000)
        for n in range(dice.randint(4, 8))
    ]
    return WebSearch(f"{material} {question}", pages)


def _steps(number: int, material: str) -> list[Reply]:
    searches = [_search(material, question) for question in ("price this week", "supply news")[: 1 + number % 2]]
    chart = ToolUse("capture_chart", {"material": material})
    report = ToolUse("post_report", {"report": prose(700, material, number, "report")})
    return [
        say("I search for what is new.", *searches, prose(300, material, number), chart),
        say("It moved.", _search(material, f"reasons {number}"), prose(420, material, number, "why"), report),
        say("Posted."),
    ]


CASES = [
    Case(
        session=f"watch-{number}",
        user="purchasing",
        started_at=started_at,
        messages=[f"Report {number}: what changed for {material}?"],
        steps=_steps(number, material),
        tags=["weekly"],
    )
    for number, (material, started_at) in enumerate(REPORTS, 44)
]
