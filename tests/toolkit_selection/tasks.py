"""The recorded tool lists as one registry, and the tasks with the tools that they need."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolspend.toolkit import Tool

TASKS = Path(__file__).parent / "tasks.tsv"
FRESH = TASKS.with_name("fresh.tsv")
FURTHER = TASKS.with_name("further.tsv")
UNSEEN = TASKS.with_name("unseen.tsv")
OTHERS = TASKS.with_name("others.tsv")
QUERIES = TASKS.with_name("queries.tsv")


@dataclass(frozen=True)
class Task:
    """One task: what somebody asks for, and its needs, each of which any one of some tools meets."""

    text: str
    is_direct: bool
    needs: tuple[frozenset[str], ...]
    is_odd: bool

    def recall(self, names: Iterable[str]) -> float:
        """The share of the needs that the tools named meet."""
        offered = set(names)
        return sum(bool(need & offered) for need in self.needs) / len(self.needs)


def recorded_tools(recordings: Path) -> list[Tool]:
    """Every recorded tool, its server as its category; a name that several servers use begins with the server's."""
    found = [
        (server, row)
        for path in sorted((recordings / "mcp_tools").glob("*/*.json"))
        if path.name != "expected.json"
        for server, row in _rows(path)
    ]
    uses = Counter(row["name"] for _, row in found)
    return [
        Tool.from_mcp(row, server=server, **({"name": f"{server}__{row['name']}"} if uses[row["name"]] > 1 else {}))
        for server, row in found
    ]


def tasks(path: Path) -> list[Task]:
    """The tasks of a file, in its order."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Task(row["task"], row["how"] == "direct", _needs(row["tools"]), number % 2 == 1)
            for number, row in enumerate(csv.DictReader(file, delimiter="\t"), 1)
        ]


def queries() -> dict[str, str]:
    """What a model asks `find_tools` for, by the text of the task that it lacks a tool for."""
    with QUERIES.open(encoding="utf-8", newline="") as file:
        return {row["task"]: row["query"] for row in csv.DictReader(file, delimiter="\t")}


def _needs(text: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(name.replace("/", "__") for name in need.split("|")) for need in text.split())


def _rows(path: Path) -> list[tuple[str, Any]]:
    said = json.loads(path.read_text(encoding="utf-8"))
    server = path.name.removesuffix(".json").removesuffix(".tools")
    tools = said if isinstance(said, list) else [tool for page in said["tools_list"] for tool in page["tools"]]
    return [(server, tool) for tool in tools]
