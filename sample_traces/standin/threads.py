"""Conversations that the API holds: a request that continues one sends only the messages that are new.

The SDK's `tool_runner` works this way since 2.x, so that the prompt that is billed is much more than what is sent.
"""

from __future__ import annotations

from typing import Final

from standin.prompt import Json
from standin.script import Failure

SET_AT_CREATION: Final = ("system", "tools")
"""What a continuing request leaves out, because the conversation has it already."""


class Threads:
    """The conversations held so far, each under the id of its last message."""

    def __init__(self) -> None:
        self._held: dict[str, Json] = {}

    def complete(self, body: Json) -> Json | Failure:
        """The request with everything that the API already holds of its conversation in front."""
        thread = body.get("thread") or {}
        if thread.get("type") != "continue":
            return body
        held = self._held.get(thread["previous_message_id"])
        if held is None:
            message = f"No thread continues from {thread['previous_message_id']}."
            return Failure(404, "not_found_error", message, code="thread_not_found")
        kept = {name: held[name] for name in SET_AT_CREATION if name in held}
        return kept | body | {"messages": [*held["messages"], *body["messages"]]}

    def hold(self, body: Json, message: Json) -> None:
        """Keeps a completed request with its answer, if it asked for that."""
        if body.get("thread"):
            reply = {"role": "assistant", "content": message["content"]}
            self._held[message["id"]] = body | {"messages": [*body["messages"], reply]}
