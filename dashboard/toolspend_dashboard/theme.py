"""One colour per part of the bill, the same in every chart: what tools cost is coloured, the conversation is grey.

The colours are readable on their background (at least 3 : 1) and the tools' parts stay apart for people who see red
and green alike; charts never tell anything by colour alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mode = Literal["light", "dark"]

TOOL_PARTS = ("carry", "result", "definition", "call", "compression", "fee")
CONVERSATION_PARTS = ("system", "user", "assistant", "thinking", "compaction")
OTHER_PARTS = ("overhead", "unattributed")
PARTS = (*TOOL_PARTS, *CONVERSATION_PARTS, *OTHER_PARTS)
"""Every part of the bill, in the order in which charts stack them."""

PART_LABELS = {
    "definition": "Definitions",
    "call": "Calls",
    "result": "Results",
    "carry": "Carry",
    "compression": "Compression",
    "fee": "Fees",
    "system": "System prompt",
    "user": "User",
    "assistant": "Assistant text",
    "thinking": "Thinking",
    "compaction": "Compaction",
    "overhead": "Overhead",
    "unattributed": "Unattributed",
}

PART_MEANINGS = {
    "definition": "names, descriptions and schemas, carried by every request that offers the tool",
    "call": "tool_use blocks that the model writes, at the output rate",
    "result": "tool_result blocks, the first time they are sent",
    "carry": "calls and results sent again with every later request",
    "compression": "model calls made to compress results",
    "fee": "per-use fees of server tools",
    "system": "the system prompt",
    "user": "what users wrote",
    "assistant": "the model's text",
    "thinking": "the model's thinking",
    "compaction": "summaries that replaced older turns",
    "overhead": "the provider's tool-use prompt and framing",
    "unattributed": "billed tokens that no evidence explains",
}

RATES = ("input", "cache_write_1h", "cache_write_5m", "cache_read", "output", "fee")
"""Every rate that tokens are billed at, in the order in which charts stack them."""

RATE_LABELS = {
    "input": "Input, uncached",
    "cache_write_1h": "Cache write, 1 h",
    "cache_write_5m": "Cache write, 5 min",
    "cache_read": "Cache read",
    "output": "Output",
    "fee": "Fees",
}


@dataclass(frozen=True)
class Palette:
    """The colours of charts on one background."""

    background: str
    text: str
    muted: str
    grid: str
    error: str
    accent: str
    parts: dict[str, str]
    rates: dict[str, str]
    series: tuple[str, ...]
    """For tools in the order of their cost, the last one for all the others together."""


LIGHT = Palette(
    background="#ffffff",
    text="#1c2530",
    muted="#5c6875",
    grid="#e6e9ed",
    error="#b3261e",
    accent="#2b5fc7",
    parts={
        "carry": "#a83412",
        "result": "#c08314",
        "definition": "#2358b5",
        "call": "#109a86",
        "compression": "#d268b4",
        "fee": "#2f7d3a",
        "system": "#4a5868",
        "user": "#7f8ea0",
        "assistant": "#64748a",
        "thinking": "#8b93a1",
        "compaction": "#6f7f8f",
        "overhead": "#8c8c86",
        "unattributed": "#77736c",
    },
    rates={
        "input": "#35237d",
        "cache_write_1h": "#8a2f8f",
        "cache_write_5m": "#6a55c8",
        "cache_read": "#9484dd",
        "output": "#5a6b7d",
        "fee": "#2f7d3a",
    },
    series=("#2358b5", "#a83412", "#109a86", "#c08314", "#d268b4", "#2f7d3a", "#7f8ea0"),
)

DARK = Palette(
    background="#11151a",
    text="#e4e8ee",
    muted="#98a4b3",
    grid="#262d36",
    error="#ff8a80",
    accent="#7ba6ff",
    parts={
        "carry": "#e5734d",
        "result": "#f0bd5a",
        "definition": "#5f8af5",
        "call": "#4fcfc4",
        "compression": "#bd54a4",
        "fee": "#d3f07a",
        "system": "#9aa8ba",
        "user": "#66758a",
        "assistant": "#7f8ea2",
        "thinking": "#6b7280",
        "compaction": "#8695a6",
        "overhead": "#77756f",
        "unattributed": "#8f8a82",
    },
    rates={
        "input": "#d9d2ff",
        "cache_write_1h": "#d68ad9",
        "cache_write_5m": "#a797f2",
        "cache_read": "#7565c4",
        "output": "#8b9cb0",
        "fee": "#d3f07a",
    },
    series=("#5f8af5", "#e5734d", "#4fcfc4", "#f0bd5a", "#bd54a4", "#d3f07a", "#66758a"),
)


def palette(mode: str | None) -> Palette:
    """The palette of a mode, "light" or "dark"; light where the mode is not known."""
    return DARK if mode == "dark" else LIGHT
