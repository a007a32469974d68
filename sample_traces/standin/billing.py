"""The `usage` of a response, as the API returns it."""

from __future__ import annotations

from dataclasses import dataclass

from standin.cache import Split
from standin.prompt import Json


@dataclass(frozen=True)
class Iteration:
    """One sampling of the model within a response."""

    type: str
    prompt: Split
    output_tokens: int

    def usage(self) -> Json:
        """An entry of `usage.iterations`."""
        return {**_tokens(self.prompt), "output_tokens": self.output_tokens, "type": self.type}


@dataclass(frozen=True)
class Bill:
    """What one response costs: its prompt by rate, its output, and the searches it ran.

    `compaction` is the iteration that wrote a summary, which is billed beside the rest and left out of the top level;
    `is_itemised` lists the iterations.
    """

    prompt: Split
    output_tokens: int
    thinking_tokens: int | None = None
    web_searches: int = 0
    service_tier: str = "standard"
    compaction: Iteration | None = None
    is_itemised: bool = False

    def usage(self) -> Json:
        """The usage of a whole message; `input_tokens` leaves out what was read from and written to the cache."""
        usage: Json = {
            **_tokens(self.prompt),
            "output_tokens": self.output_tokens,
            "service_tier": self.service_tier,
            "inference_geo": "not_available",
        }
        return usage | self._details()

    def usage_at_start(self) -> Json:
        """The usage of `message_start`: the prompt is known, the output is the first few tokens only."""
        usage = self.usage()
        usage.pop("output_tokens_details", None)
        usage.pop("server_tool_use", None)
        usage.pop("iterations", None)
        return usage | {"output_tokens": min(self.output_tokens, 1 + self.output_tokens % 8)}

    def usage_at_end(self) -> Json:
        """The usage of `message_delta`: cumulative, so that it replaces the one before and is never added to it."""
        usage = self.usage()
        keys = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
        return {key: usage[key] for key in keys} | self._details()

    def _details(self) -> Json:
        details: Json = {}
        if self.thinking_tokens is not None:
            details["output_tokens_details"] = {"thinking_tokens": self.thinking_tokens}
        if self.is_itemised:
            message = Iteration("message", self.prompt, self.output_tokens)
            spent = [self.compaction] if self.compaction else []
            spent += [message] if self.prompt.total or not spent else []
            details["iterations"] = [each.usage() for each in spent]
        if self.web_searches:
            details["server_tool_use"] = {"web_search_requests": self.web_searches, "web_fetch_requests": 0}
        return details


def _tokens(prompt: Split) -> Json:
    return {
        "input_tokens": prompt.uncached,
        "cache_creation_input_tokens": prompt.write,
        "cache_read_input_tokens": prompt.read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": prompt.write_5m,
            "ephemeral_1h_input_tokens": prompt.write_1h,
        },
    }
