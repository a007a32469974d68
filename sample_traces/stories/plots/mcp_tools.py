"""Four releases, each with a search, a handful of issues and a draft."""

from __future__ import annotations

from standin import Reply, ToolUse, say
from stories.case import Case
from stories.world import prose, rng

RELEASES = (
    ("2026.11.1", "2026-11-04T15:00:00"),
    ("2026.11.2", "2026-11-11T15:00:00"),
    ("2026.11.3", "2026-11-18T15:00:00"),
    ("2026.11.4", "2026-11-20T15:00:00"),
)


def _steps(tag: str) -> list[Reply]:
    dice = rng("release", tag)
    project = {"project": "billing"}
    steps: list[Reply] = [
        say("I look at the milestone first.", ToolUse("list_milestones", project)),
        say(
            ToolUse("search_issues", project | {"query": f'milestone:"{tag}" label:feature'}),
            ToolUse("search_issues", project | {"query": f'milestone:"{tag}" label:fix', "limit": 40}),
        ),
    ]
    for _ in range(dice.randint(3, 5)):
        numbers = [dice.randint(1_200, 1_900) for _ in range(dice.randint(1, 3))]
        calls = [ToolUse("get_issue", project | {"number": number}) for number in numbers]
        if dice.random() < 0.5:
            calls.append(ToolUse("get_pull_request", project | {"number": numbers[0] + 1, "include_diff": True}))
        steps.append(say("These need a closer look.", *calls))
    notes = prose(1_500, tag, "notes")
    return [*steps, say(ToolUse("create_release", project | {"tag": tag, "notes": notes})), say("The draft is ready.")]


CASES = [
    Case(
        session=f"release-{tag}",
        user="release-train",
        started_at=started_at,
        messages=[f"Write the release notes of {tag} and create the draft."],
        steps=_steps(tag),
    )
    for tag, started_at in RELEASES
]
