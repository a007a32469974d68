"""Five issues of a billing service, each forty to sixty turns of reading, searching, editing and testing."""

from __future__ import annotations

import random

from standin import Reply, Thinking, ToolUse, say
from stories.case import Case
from stories.world import code, prose, rng

ISSUES = (
    ("Invoices of tenants with two currencies are rounded twice", "2026-11-04T09:20:00", "maya", 52),
    ("Retry of a failed webhook loses its idempotency key", "2026-11-06T14:02:00", "jonas", 44),
    ("Move the quota check in front of the batch scheduler", "2026-11-11T10:45:00", "maya", 61),
    ("Ledger export times out for large customers", "2026-11-16T13:10:00", "lin", 47),
    ("Session tokens survive a password change", "2026-11-19T08:33:00", "jonas", 40),
)


def _call(dice: random.Random, turn: int, issue: str) -> ToolUse:
    module = dice.choice(("invoices", "webhooks", "ledger", "quota", "scheduler", "sessions"))
    path = f"src/{module}/{dice.choice(('service', 'models', 'tasks', 'api'))}.py"
    kind = dice.choices(
        ("read_file", "grep", "edit_file", "run_tests", "list_files", "git_diff"), (34, 22, 20, 18, 4, 2)
    )[0]
    if kind == "read_file":
        return ToolUse(kind, {"path": path})
    if kind == "grep":
        return ToolUse(kind, {"pattern": dice.choice(("load", "merge", "check", "close")) + "_" + module[:-1]})
    if kind == "edit_file":
        old, new = code(dice.randint(3, 9), f"{issue}{turn}old"), code(dice.randint(4, 16), f"{issue}{turn}new")
        return ToolUse(kind, {"path": path, "old": old, "new": new})
    if kind == "run_tests":
        return ToolUse(kind, {"selection": f"tests/{module}/test_{turn}.py"})
    return ToolUse(kind, {"path": f"src/{module}"} if kind == "list_files" else {})


def _steps(issue: str, turns: int) -> list[Reply]:
    dice = rng("coding", issue)
    steps: list[Reply] = []
    for turn in range(turns):
        if turn == turns * 2 // 3:
            steps.append(say("The slow tests next.", ToolUse("run_tests", {"selection": f"tests/integration/{turn}"})))
        calls = [_call(dice, turn, issue) for _ in range(1 if dice.random() < 0.75 else dice.randint(2, 3))]
        thought = [Thinking(prose(dice.randint(150, 900), issue, turn, "thought"))] if turn % 6 == 0 else []
        steps.append(say(*thought, prose(dice.randint(60, 240), issue, turn), *calls))
    steps.append(say("All tests pass. Here is what I changed and why.", ToolUse("run_tests", {})))
    steps.append(say(prose(1_400, issue, "summary")))
    return steps


CASES = [
    Case(
        session=f"issue-{number}",
        user=user,
        started_at=started_at,
        messages=[f"Fix this issue and add a test for it.\n\n{issue}\n\n{prose(800, issue)}"],
        steps=_steps(issue, turns),
        tags=["autofix"],
    )
    for number, (issue, started_at, user, turns) in enumerate(ISSUES, 1841)
]
