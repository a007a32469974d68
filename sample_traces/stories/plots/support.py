"""Nine conversations with customers of two to four messages; some customers answer after the cache has expired."""

from __future__ import annotations

from standin import Reply, ToolUse, say
from stories.case import Case
from stories.world import prose, rng

CUSTOMERS = (
    ("Where is my tent? It was due on Friday.", "2026-11-02T08:05:00", ("parcel", "delay")),
    ("The jacket is too small. What now?", "2026-11-02T16:48:00", ("return",)),
    ("I was charged twice for order 771204!", "2026-11-05T11:13:00", ("payment",)),
    ("Can I still change my delivery address?", "2026-11-07T09:59:00", ("address",)),
    ("The stove arrived broken, I leave for Norway on Monday.", "2026-11-09T18:22:00", ("return", "urgent")),
    ("My voucher does not work in the app.", "2026-11-13T20:11:00", ("voucher",)),
    ("Is the Alta 2 back in stock before Christmas?", "2026-11-15T07:31:00", ("stock",)),
    ("I want to talk to a human about order 804417.", "2026-11-18T14:03:00", ("hand-over",)),
    ("Which boots for a winter crossing of the Alps?", "2026-11-20T17:27:00", ("question",)),
)


def cases(kind: str) -> list[Case]:
    """The conversations, with session names of their own for each `kind` of service."""
    return [
        _case(kind, number, message, started_at, tags)
        for number, (message, started_at, tags) in enumerate(CUSTOMERS, 4711)
    ]


def _case(kind: str, number: int, message: str, started_at: str, tags: tuple[str, ...]) -> Case:
    dice = rng("support", number)
    more = [prose(dice.randint(60, 220), number, "customer", turn) for turn in range(dice.randint(1, 3))]
    return Case(
        session=f"ticket-{number}-{kind}",
        user=f"customer-{number % 7}",
        started_at=started_at,
        messages=[message, *more],
        steps=[step for turn in range(1 + len(more)) for step in _turn(number, turn)],
        tags=tags,
        pauses_s=[dice.choice((35.0, 60.0, 110.0, 600.0)) for _ in more],
    )


def _turn(number: int, turn: int) -> list[Reply]:
    dice = rng("support turn", number, turn)
    order = str(700_000 + number * 13 + turn)
    steps: list[Reply] = []
    if turn == 0:
        look_up = [ToolUse("get_order", {"order_id": order}), ToolUse("get_customer", {"customer_id": f"C{number}"})]
        steps.append(say("I am looking that up.", *look_up))
    if dice.random() < 0.6:
        steps.append(say(ToolUse("search_help_centre", {"query": prose(50, number, turn)})))
    choice = dice.random()
    if choice < 0.35:
        steps.append(say("One moment.", ToolUse("track_parcel", {"tracking_id": f"1Z{number}{turn}"})))
    elif choice < 0.5:
        goods = {"order_id": order, "skus": ["GEAR-1003"], "reason": "damaged"}
        steps.append(say(ToolUse("open_return", goods), ToolUse("check_stock", {"sku": "GEAR-1003"})))
    elif choice < 0.6:
        steps.append(say(ToolUse("change_address", {"order_id": order})))
    elif choice < 0.68:
        steps.append(say(ToolUse("hand_over", {"summary": prose(140, number, turn, "summary")})))
    steps.append(say(prose(dice.randint(180, 520), number, turn, "answer")))
    return steps
