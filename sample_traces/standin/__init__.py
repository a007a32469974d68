"""A stand-in for the Messages API that bills like the real one, for samples and tests without a network.

api = standin.Api([standin.say("Hello.")])
client = standin.client(api)                  # in this process, deterministic
with standin.serve(api) as url:               # or on a loopback port
    client = anthropic.Anthropic(api_key="sk-standin", base_url=url)
api.requests[0].pieces                        # the true tokens of each part of each prompt
"""

from __future__ import annotations

from collections.abc import Sequence

from standin.api import Answer, Api, Backend, Record
from standin.billing import Bill, Iteration
from standin.cache import PrefixCache, Split
from standin.prompt import Json, Piece, render, tokens_of_block
from standin.replay import Replay
from standin.rules import STANDARD, Rules
from standin.script import (
    Compaction,
    Failure,
    Reply,
    Script,
    Text,
    Thinking,
    ToolSearch,
    ToolUse,
    Turn,
    WebSearch,
    in_turn,
    internal_error,
    overloaded,
    rate_limited,
    say,
)
from standin.server import serve
from standin.tokens import tokens_of_text
from standin.transport import async_client, client, http_library, transport

__all__ = [
    "STANDARD",
    "Answer",
    "Api",
    "Backend",
    "Bill",
    "Compaction",
    "Failure",
    "Iteration",
    "Json",
    "Piece",
    "PrefixCache",
    "Record",
    "Replay",
    "Reply",
    "Rules",
    "Script",
    "Split",
    "Text",
    "Thinking",
    "ToolSearch",
    "ToolUse",
    "Turn",
    "WebSearch",
    "async_client",
    "client",
    "http_library",
    "in_turn",
    "internal_error",
    "overloaded",
    "rate_limited",
    "render",
    "replay",
    "say",
    "serve",
    "tokens_of_block",
    "tokens_of_text",
    "transport",
]


def replay(exchanges: Sequence[Json]) -> Replay:
    """A backend that serves recorded exchanges again, in their order and byte for byte."""
    return Replay(exchanges)
