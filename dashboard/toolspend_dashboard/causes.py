"""Why caches were lost, in words: what happened, and what to do about it."""

from __future__ import annotations

from typing import Final, NamedTuple


class Cause(NamedTuple):
    """One cause of cache breaks: its name in a table, the subject of a sentence, and what to do."""

    label: str
    what: str
    action: str


CAUSES: Final = {
    "definitions": Cause(
        "Definitions changed",
        "Changing tool definitions",
        "Keep tools and their order as they are while a session lasts.",
    ),
    "system": Cause(
        "System prompt changed",
        "Changing the system prompt",
        "Move what varies (time, user, state) into the latest message.",
    ),
    "edit": Cause(
        "Message edited",
        "Editing earlier messages",
        "Append instead, or edit seldom and much at a time.",
    ),
    "cleared": Cause(
        "Taken out by the provider",
        "Old results or thinking that the provider took out",
        "Let context edits clear more at a time (clear_at_least).",
    ),
    "compaction": Cause(
        "Messages begun anew",
        "Beginning the messages anew, as after a summary,",
        "Set a breakpoint after the system prompt.",
    ),
    "model": Cause(
        "Another model",
        "Switching the model",
        "Keep a session on one model: models share no cache.",
    ),
    "expiry": Cause(
        "Expired",
        "Pauses that outlast the cache",
        "Keep pauses under 5 minutes; the 1-hour cache pays where they are many.",
    ),
    "parallel": Cause(
        "Sent in parallel",
        "Sending requests before the first is answered",
        "Send one first, and the others once its answer begins.",
    ),
    "lookback": Cause(
        "Breakpoints too far apart",
        "Breakpoints 20 blocks apart and more",
        "Keep the breakpoint of the turn before as a second one.",
    ),
    "no_breakpoint": Cause(
        "No breakpoint",
        "A missing cache breakpoint",
        "Set one in every request, and one after the system prompt.",
    ),
    "unknown": Cause(
        "Unknown",
        "A cache lost for no known reason",
        "See what else changed: tool_choice, thinking, images, beta headers.",
    ),
}
"""By the `cause` of `cache_breaks`."""


def cause(name: str) -> Cause:
    """What is said of a cause; of one that this version does not know, its name."""
    return CAUSES.get(name, CAUSES["unknown"]._replace(label=name))
