"""Tools: what they are called, how they are defined, how the model calls them and what they return."""

from __future__ import annotations

import base64
import math
import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from simulator import texts
from simulator import words as w

MIN_CHARS: Final = 50
MAX_CHARS: Final = 20_000
MIXED_SHARE: Final = 0.3
"""How many of the tools return a second kind of content in a quarter of their results, as a reader of files does."""
_ACTIONS: Final = (
    "search", "get", "list", "read", "fetch", "query", "create", "update", "write", "run", "find", "describe", "export",
    "check", "compare", "lookup",
)  # fmt: skip
_TYPES: Final = ("string", "string", "string", "integer", "number", "boolean")


@dataclass(frozen=True)
class Tool:
    """One tool. `kinds` are what it returns, mostly the first; sizes are log-normal around `median_chars`."""

    name: str
    definition: dict[str, Any]
    kinds: Sequence[texts.Kind]
    median_chars: float
    spread: float
    argument_chars: float
    weight: float
    style: int
    """What its results look like: rows of one tool have the same columns each time."""

    def arguments(self, dice: random.Random) -> dict[str, Any]:
        """What the model passes: the parameters that the schema requires and some of the others."""
        schema = self.definition["input_schema"]
        named = {
            name: _argument(dice, parameter)
            for name, parameter in schema["properties"].items()
            if name in schema["required"] or dice.random() < 0.4
        }
        if self.argument_chars > 100:
            kind = (texts.code, texts.prose, texts.json_tree, texts.markdown)[self.style % 4]
            named["content"] = kind(dice, sized(dice, self.argument_chars, 0.8), random.Random(self.style))
        return named

    def returns(self, dice: random.Random, factor: float) -> str:
        """One result, `factor` times as long as usual."""
        kind = self.kinds[0] if dice.random() < 0.75 else self.kinds[-1]
        return kind(dice, sized(dice, self.median_chars * factor, self.spread), random.Random(self.style))


def sized(dice: random.Random, median: float, spread: float) -> int:
    """A heavy-tailed length in characters."""
    return int(min(max(median * math.exp(dice.gauss(0.0, spread)), MIN_CHARS), MAX_CHARS))


def make(dice: random.Random, count: int, kinds: Sequence[texts.Kind] = texts.ENGLISH_KINDS) -> list[Tool]:
    """So many different tools; a few of them are called most of the time."""
    tools: dict[str, Tool] = {}
    while len(tools) < count:
        name = f"{dice.choice(_ACTIONS)}_{dice.choice(w.NOUNS)}"
        if dice.random() < 0.25:
            name = f"mcp__{dice.choice(w.NOUNS)}__{name}"
        place = len(tools)
        # The kinds in turn, so that the tools of a session differ. Some tools give whatever they find.
        own = [kinds[(place + dice.randint(0, 1)) % len(kinds)]]
        if dice.random() < MIXED_SHARE:
            own.append(dice.choice(kinds))
        tools[name] = Tool(
            name,
            _definition(dice, name),
            own,
            median_chars=dice.choice((120, 300, 700, 1_200, 2_500, 5_000)),
            spread=dice.uniform(0.6, 1.3),
            argument_chars=dice.choice((0, 0, 0, 0, 0, 0, 250, 1_200)),
            weight=1.0 / (1 + place) ** 0.9,
            style=dice.getrandbits(32),
        )
    return list(tools.values())


def _definition(dice: random.Random, name: str) -> dict[str, Any]:
    parameters = {texts.identifier(dice): _parameter(dice, 0) for _ in range(dice.choice((0, 1, 1, 2, 2, 3, 4, 6, 9)))}
    required = [each for each in parameters if dice.random() < 0.6]
    return {
        "name": name,
        "description": texts.prose(dice, dice.choice((60, 120, 250, 500, 900, 1_800))),
        "input_schema": {"type": "object", "properties": parameters, "required": required},
    }


def _parameter(dice: random.Random, depth: int) -> dict[str, Any]:
    if depth < 2 and dice.random() < 0.12:
        inner = {texts.identifier(dice): _parameter(dice, depth + 1) for _ in range(dice.randint(1, 4))}
        return {"type": "object", "properties": inner, "description": texts.sentence(dice)}
    parameter: dict[str, Any] = {"type": dice.choice(_TYPES), "description": texts.sentence(dice)}
    if parameter["type"] == "string" and dice.random() < 0.25:
        parameter["enum"] = [dice.choice(w.ADJECTIVES) for _ in range(dice.randint(2, 7))]
    return parameter


def _argument(dice: random.Random, parameter: dict[str, Any]) -> Any:
    match parameter["type"]:
        case "object":
            return {name: _argument(dice, each) for name, each in parameter["properties"].items()}
        case "integer":
            return dice.randint(0, 10 ** dice.randint(1, 7))
        case "number":
            return round(dice.uniform(-100, 100), 3)
        case "boolean":
            return dice.random() < 0.5
    if "enum" in parameter:
        return dice.choice(parameter["enum"])
    makers = (texts.identifier, texts.uuid4, texts.url, texts.sentence, texts.timestamp)
    return dice.choice(makers)(dice)


def image(dice: random.Random) -> dict[str, Any]:
    """A PNG of random size, whose data is as long as chance has it."""
    width, height = dice.randint(200, 1_400), dice.randint(200, 1_000)
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height)
    data = base64.b64encode(head + dice.randbytes(dice.randint(4_000, 60_000))).decode()
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}


def document(dice: random.Random) -> dict[str, Any]:
    """A PDF of one to four pages."""
    data = base64.b64encode(b"%PDF-1.7\n" + dice.randbytes(dice.randint(20_000, 200_000))).decode()
    return {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": data}}
