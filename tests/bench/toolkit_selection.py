"""Selecting 15 of 1,000 tools: `toolkit_selection.py`, prints blocks as JSON. The sides take turns in one process.

Microseconds of CPU a selection, the median of 30 tasks that were never asked before. `plain` is bm25s as it comes, over
names and descriptions; `select` the registry's own; `traced` the same with toolspend.instrument() and its span, to the
spool; `again` a task asked before. `index`: the first selection, which builds the index. The names and words are made,
of about 700 different words.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator

import bm25s

import toolspend
from toolspend.toolkit import Tool, ToolRegistry

ACTIONS = ["create", "delete", "update", "get", "list", "search", "send", "check", "cancel", "restore"]
TOOLS = 1_000
TASKS = 30
BLOCKS = 10


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


def microseconds(select: Callable[[str], object], tasks: Iterator[str], count: int = TASKS) -> float:
    """The median CPU time of one selection, in the thread that asked."""
    found = []
    for task in itertools.islice(tasks, count):
        start = time.thread_time()
        select(task)
        found.append((time.thread_time() - start) * 1e6)
    return statistics.median(found)


def plain_bm25(made: ToolRegistry) -> Callable[[str], object]:
    """bm25s as it comes."""
    index = bm25s.BM25()
    texts = [f"{tool.name} {tool.description}" for tool in made]
    index.index(bm25s.tokenize(texts, show_progress=False), show_progress=False)

    def select(task: str) -> object:
        asked = bm25s.tokenize([task], return_ids=False, show_progress=False)
        return index.retrieve(asked, k=15, show_progress=False)

    return select


def main() -> None:
    """Prints the blocks."""
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

    def ours(task: str) -> object:
        return made.get_tools_for_task(query=task)

    tasks, plain = ask(), plain_bm25(made)
    sides: dict[str, list[float]] = {"index": [microseconds(ours, tasks, 1)]}
    with tempfile.TemporaryDirectory() as home:
        os.environ["TOOLSPEND_HOME"] = home
        for block in range(BLOCKS + 1):
            toolspend.uninstrument()
            found = {"plain": microseconds(plain, tasks), "select": microseconds(ours, tasks)}
            found["again"] = microseconds(ours, itertools.repeat("list the invoices of a customer"))
            toolspend.instrument(export="spool")
            found["traced"] = microseconds(ours, tasks)
            for name, spent in found.items():
                if block:  # the first warms up
                    sides.setdefault(name, []).append(spent)
        toolspend.uninstrument()
    print(json.dumps(sides))


if __name__ == "__main__":
    main()
