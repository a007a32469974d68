"""Selecting 15 of 1,000 tools: `toolkit_selection.py`, prints milliseconds of CPU as JSON.

The names and words are made, of about 700 different words. `index` is the first selection, which builds the index;
`select` the median over 300 tasks that were never asked before; `again` a task asked before; `traced` new tasks again,
with toolspend.instrument() and its span, to the spool.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator

import toolspend
from toolspend.toolkit import Tool, ToolRegistry

ACTIONS = ["create", "delete", "update", "get", "list", "search", "send", "check", "cancel", "restore"]
TOOLS = 1_000
TASKS = 300


def words(draw: random.Random, count: int, letters: str = "bdfgklmnprstvz") -> list[str]:
    """Words that can be spoken."""
    return ["".join(draw.choice(letters) + draw.choice("aeiou") for _ in range(3)) for _ in range(count)]


def registry(draw: random.Random, vocabulary: list[str]) -> ToolRegistry:
    """A thousand tools, each of 25 words and 4 parameters."""
    made = ToolRegistry()
    for number in range(TOOLS):
        properties = {word: {"type": "string"} for word in draw.sample(vocabulary, 4)}
        name = f"{draw.choice(ACTIONS)}_{'_'.join(draw.sample(vocabulary, 2))}_{number}"
        description = " ".join([draw.choice(ACTIONS), *draw.sample(vocabulary, 24)]) + "."
        schema = {"type": "object", "properties": properties}
        made.register(Tool(name, description, schema, category=f"server {number % 25}"))
    return made


def milliseconds(made: ToolRegistry, tasks: Iterator[str], count: int) -> float:
    """The median CPU time of one selection, in the thread that asked."""
    found = []
    for task in itertools.islice(tasks, count):
        start = time.thread_time()
        made.get_tools_for_task(query=task)
        found.append((time.thread_time() - start) * 1e3)
    return statistics.median(found)


def main() -> None:
    """Prints the figures."""
    draw = random.Random(1)
    known = [
        "customer",
        "invoice",
        "payment",
        "email",
        "file",
        "folder",
        "page",
        "error",
        "log",
        "order",
        "user",
        "pod",
    ]
    vocabulary = words(draw, 500) + known * 15
    made = registry(draw, list(dict.fromkeys(vocabulary)))

    def ask() -> Iterator[str]:
        while True:
            yield f"please {draw.choice(ACTIONS)} the {' '.join(draw.sample(vocabulary, 9))} for my colleague?"

    tasks = ask()
    figures = {"index": milliseconds(made, tasks, 1), "select": milliseconds(made, tasks, TASKS)}
    figures["again"] = milliseconds(made, itertools.repeat("list the invoices of a customer"), TASKS)
    with tempfile.TemporaryDirectory() as home:
        os.environ["TOOLSPEND_HOME"] = home
        toolspend.instrument(export="spool")
        figures["traced"] = milliseconds(made, tasks, TASKS)
        toolspend.uninstrument()
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
