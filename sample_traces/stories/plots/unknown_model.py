"""Four contracts, reviewed clause by clause."""

from __future__ import annotations

from standin import Reply, ToolUse, say
from stories.case import Case
from stories.world import prose

CONTRACTS = (
    ("K-2207", "2026-11-09T10:10:00"),
    ("K-2213", "2026-11-11T11:20:00"),
    ("K-2231", "2026-11-16T09:45:00"),
    ("K-2240", "2026-11-18T16:05:00"),
)


def _steps(contract: str) -> list[Reply]:
    steps: list[Reply] = []
    for topic in ("liability", "termination", "data protection", "price adjustment"):
        steps.append(say(f"Next, {topic}.", ToolUse("find_clause", {"contract": contract, "topic": topic})))
        steps.append(say(ToolUse("compare_with_template", {"contract": contract, "clause": topic[:4]})))
    return [*steps, say(prose(1_800, contract, "review"))]


CASES = [
    Case(
        session=f"contract-{contract}",
        user="legal",
        started_at=started_at,
        messages=[f"Review contract {contract} against our template."],
        steps=_steps(contract),
    )
    for contract, started_at in CONTRACTS
]
