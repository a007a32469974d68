"""Five questions to a data analyst, and the small model that summarises the handbook for it."""

from __future__ import annotations

from standin import Json, Reply, Text, ToolUse, Turn, say
from stories.case import Case
from stories.world import prose, rng

QUESTIONS = (
    ("Why did net revenue in the north fall in October?", "2026-11-03T09:30:00", "ada"),
    ("Which cohort returns the most after the first order?", "2026-11-06T10:15:00", "bo"),
    ("Is the drop in Tuesday's numbers real or a pipeline problem?", "2026-11-11T08:20:00", "ada"),
    ("How many active customers do we have, by our own definition?", "2026-11-17T13:55:00", "chi"),
    ("What did the free-shipping test change?", "2026-11-19T15:10:00", "bo"),
)


def summarise(request: Json) -> Reply:
    """The small model's answer: a twelfth of what it was shown."""
    shown = str(request["messages"][0]["content"])
    return Turn([Text(prose(max(400, len(shown) // 12), "summary", shown[:80], len(shown)))])


def _steps(question: str) -> list[Reply]:
    dice = rng("analysis", question)
    table = dice.choice(("sales.orders", "sales.returns", "web.visits"))
    steps: list[Reply] = [
        say("First the definitions.", ToolUse("search_handbook", {"term": question[:30]})),
        say(ToolUse("describe_table", {"table": table})),
    ]
    for turn in range(dice.randint(6, 10)):
        sql = f"select week, region, sum(net) from {table} where week >= {dice.randint(30, 44)} group by 1, 2 -- {turn}"
        calls = [ToolUse("query_warehouse", {"sql": sql})]
        if turn % 4 == 1:
            calls.append(ToolUse("fetch_pipeline_log", {"pipeline": f"load_{table}_{turn}"}))
        if turn % 4 == 3:
            calls.append(ToolUse("search_handbook", {"term": f"{question[:20]} {turn}"}))
        steps.append(say(prose(120, question, turn), *calls))
    chart = ToolUse("render_chart", {"sql": f"select week, sum(net) from {table} group by 1", "kind": "line"})
    return [*steps, say("A chart to go with it.", chart), say(prose(900, question, "answer"))]


CASES = [
    Case(
        session=f"question-{number}",
        user=user,
        started_at=started_at,
        messages=[question],
        steps=_steps(question),
        tags=["self-service"],
    )
    for number, (question, started_at, user) in enumerate(QUESTIONS, 31)
]
