"""Recorded conversations, played to the real SDK again; and what their `expected.json` says of them."""

from __future__ import annotations

import inspect
import json
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anthropic

import standin

SETS: Final = (
    "anthropic-sdk-python",
    "braintrust-anthropic",
    "langchain-anthropic",
    "logfire-anthropic",
    "openllmetry-anthropic",
    "openllmetry-js-anthropic",
    "pydantic-ai-anthropic-other",
    "pydantic-ai-toolchoice-multimodal",
)
_RETRIED: Final = 429


@dataclass
class Cassette:
    """One recording: its exchanges, and the facts computed from it."""

    name: str
    exchanges: list[dict[str, Any]]
    expected: dict[str, Any]

    def calls(self) -> Iterator[list[int]]:
        """The exchanges of each API call: an answer that the SDK retries belongs to the next one with the same body."""
        pending: list[int] = []
        for index, exchange in enumerate(self.exchanges):
            pending.append(index)
            following = self.exchanges[index + 1]["request"] if index + 1 < len(self.exchanges) else None
            if exchange["status"] != _RETRIED or following != exchange["request"]:
                yield pending
                pending = []

    def facts(self) -> dict[str, Any]:
        """What must be found, from `expected.json`: retries inside a call are no requests of their own."""
        last = [self.expected["requests"][call[-1]] for call in self.calls()]
        iterations = {each["i"]: each for each in self.expected.get("usage_iterations", [])}
        totals: Counter[str] = Counter()
        for row in last:
            # The top level leaves out what a compaction cost; the iterations hold all of it.
            usage = iterations[row["i"]]["sum_of_iterations"] if row["i"] in iterations else row.get("usage", {})
            for name in ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"):
                totals[name] += usage.get(name) or 0
        return {
            "requests": len(last),
            "tool_calls": dict(self.expected["tool_calls_by_name"]),
            "server_tool_calls": dict(self.expected["server_tool_calls_by_name"]),
            "parallel_turns": self.expected["turns_with_parallel_calls"],
            "uncached_tokens": totals["input_tokens"],
            "output_tokens": totals["output_tokens"],
            "cache_write_tokens": totals["cache_creation_input_tokens"],
            "cache_read_tokens": totals["cache_read_input_tokens"],
            "errors": [each["type"] for each in self.expected["errors"] if each["status"] != _RETRIED],
        }


def load(recordings: Path, name: str) -> list[Cassette]:
    """The cassettes of a set."""
    folder = recordings / "anthropic_cassettes" / name
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    return [
        Cassette(cassette, _exchanges(folder / "exchanges" / f"{cassette}.jsonl"), facts)
        for cassette, facts in expected["cassettes"].items()
    ]


def _exchanges(path: Path) -> list[dict[str, Any]]:
    # Not `splitlines`: some recordings hold U+2028.
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def play(cassette: Cassette, session: AbstractContextManager[Any] | None = None) -> list[Any]:
    """Sends every call of a cassette through the real SDK; what the application got of each, as plain data."""
    backend = standin.replay(cassette.exchanges)
    client = standin.client(backend, max_retries=2, timeout=60.0)
    got = []
    with warnings.catch_warnings(), session or nullcontext():
        warnings.simplefilter("ignore")  # deprecated models; blocks that are newer than an old SDK
        for call in cassette.calls():
            exchange = cassette.exchanges[call[-1]]
            got.append(_send(client, exchange))
    return [got, backend.requests]


def _send(client: Any, exchange: dict[str, Any]) -> Any:
    beta = "beta=true" in exchange["uri"] and hasattr(client.beta.messages, "create")
    create = (client.beta.messages if beta else client.messages).create
    body = dict(exchange["request"])
    known = inspect.signature(create).parameters
    extra = {name: body.pop(name) for name in list(body) if name not in known}
    try:
        result = create(**body, extra_body=extra or None)
        if body.get("stream"):
            return [event.model_dump() for event in result]
        return result.model_dump()
    except anthropic.APIStatusError as error:
        return [type(error).__name__, error.status_code, error.body]
