"""Who answers the agents of this folder: the real API where ANTHROPIC_API_KEY is set, else a stand-in with a script."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import anthropic

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import standin
from standin import ToolUse, say

FIELD_TRIP = (
    say("The bulletin is long; the small model notes: rain fell mostly in the west, 211 mm at most."),
    say(
        ToolUse("stations", {"region": "coast"}),
        ToolUse("find_tools", {"query": "trains to a town and what they cost"}),
    ),
    say(ToolUse("find_trains", {"to": "Sines"}), ToolUse("find_trains", {"from": "Porto"}), ToolUse("find_hotels", {})),
    say(ToolUse("book_train", {"train": "IC-500"})),
    say(ToolUse("book_train", {"train": "IC-501"})),
    say("ST-057 saw the most rain. ST-017 has failed since 3 October. IC-500 to Sines is booked."),
)


def client(replies: tuple[Any, ...]) -> anthropic.AsyncAnthropic:
    """An asynchronous client; without a key it gives `replies`, one a request."""
    if os.environ.get("ANTHROPIC_API_KEY"):
        return anthropic.AsyncAnthropic()
    made: anthropic.AsyncAnthropic = standin.async_client(standin.Api(list(replies)))
    return made
