"""What happens in a story: who asks what and when, and what the model answers to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from standin import Failure, Json, Reply, Script, Turn, say

Step = Reply | Callable[[Json], Reply]


@dataclass(frozen=True)
class Case:
    """One session. `steps` are the model's turns; a `Failure` among them answers one attempt at the next turn."""

    session: str
    user: str
    started_at: str
    messages: Sequence[str]
    steps: Sequence[Step]
    tags: Sequence[str] = ()
    pauses_s: Sequence[float] = field(default=())
    """How long the user takes before the second message, the third and so on."""

    @property
    def start_ns(self) -> int:
        """`started_at`, which is in UTC, in nanoseconds since the epoch."""
        return int(datetime.fromisoformat(self.started_at).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def script_of(cases: Sequence[Case], otherwise: Script | None = None) -> Script:
    """The model's part in these cases. A request belongs to the case whose first message it starts with."""
    by_message = {case.messages[0]: list(case.steps) for case in cases}

    def script(request: Json) -> Reply:
        steps = by_message.get(_first_text(request))
        if steps is None:
            return otherwise(request) if otherwise else Failure(500, "api_error", "No case begins with this message.")
        turns_said = sum(message["role"] == "assistant" for message in request["messages"])
        position = _position(steps, turns_said)
        step = steps[position] if position < len(steps) else say("Done.")
        reply = step(request) if callable(step) else step
        if _spends_an_attempt(reply):
            # The next attempt at this turn finds what comes after it.
            steps.pop(position)
        return reply

    return script


def _position(steps: Sequence[Step], turns_said: int) -> int:
    """Where the turn after `turns_said` turns is, or the failure that stands before it."""
    position = 0
    while turns_said and position < len(steps):
        step = steps[position]
        turns_said -= callable(step) or not _spends_an_attempt(step)
        position += 1
    return position


def _spends_an_attempt(reply: Reply) -> bool:
    return isinstance(reply, Failure) or _is_broken(reply)


def _is_broken(turn: Turn) -> bool:
    return turn.cut_after is not None or turn.error_after is not None


def _first_text(request: Json) -> str:
    content = request["messages"][0]["content"]
    return str(content) if isinstance(content, str) else str(content[0].get("text", ""))
