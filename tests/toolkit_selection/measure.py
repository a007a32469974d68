"""Whether the tools that a task needs are among the 15 selected, as a Markdown table: `make selection`."""

from __future__ import annotations

import random
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import bm25s

from toolkit_selection.embedding import minilm
from toolkit_selection.tasks import FRESH, FURTHER, OTHERS, TASKS, UNSEEN, Task, queries, recorded_tools, tasks
from toolspend.toolkit import Tool, ToolRegistry
from toolspend.toolkit.selection import FIND_TOOLS

RECORDINGS = Path(__file__).resolve().parents[3] / "shared" / "recordings"
SMALL = 40
Select = Callable[[Task], Iterable[str]]


def by_category(tools: Sequence[Tool]) -> Select:
    """The first 15 of the category that the task is of, which an agent would have to be told."""
    registry = ToolRegistry(tools)
    return lambda task: names(registry.get_tools_for_task(registry.tools[min(task.needs[0])].category))


def plain_bm25(tools: Sequence[Tool], text: Callable[[Tool], str]) -> Select:
    """bm25s as it comes, over a text of each tool."""
    index = bm25s.BM25()
    index.index(bm25s.tokenize([text(tool) for tool in tools], show_progress=False), show_progress=False)

    def select(task: Task) -> list[str]:
        asked = bm25s.tokenize([task.text], return_ids=False, show_progress=False)
        found, _ = index.retrieve(asked, k=15, show_progress=False)
        return [tools[place].name for place in found[0]]

    return select


def ours(tools: Sequence[Tool], embed: Any = None) -> Select:
    """The registry's own selection."""
    registry = ToolRegistry(tools, embed=embed)
    return lambda task: names(registry.get_tools_for_task(query=task.text))


def name_and_description(tool: Tool) -> str:
    """What plain BM25 is given of a tool."""
    return f"{tool.name} {tool.description}"


def in_small_registries(tools: Sequence[Tool], selecting: Callable[[Sequence[Tool]], Select]) -> Select:
    """Each task among 40 tools: what it needs, others of the same servers up to half, the rest drawn."""

    def select(task: Task) -> list[str]:
        draw = random.Random(task.text)
        needed = set().union(*task.needs)
        servers = {tool.category for tool in tools if tool.name in needed}
        near = [tool for tool in tools if tool.category in servers and tool.name not in needed]
        near = draw.sample(near, min(len(near), SMALL // 2 - len(needed)))
        kept = [tool for tool in tools if tool.name in needed] + near
        far = [tool for tool in tools if tool not in kept]
        held = sorted(kept + draw.sample(far, SMALL - len(kept)), key=lambda tool: tool.name)
        return list(selecting(held)(task))

    return select


def made_good(tools: Sequence[Tool], asked: Sequence[Task], query_of: Callable[[Task], str]) -> tuple[int, int]:
    """How many needs the first selections of 15 lack, `find_tools` among them, and how many one call of that meets."""
    registry = ToolRegistry(tools)
    registry.register(registry.search_tool())
    lacking = met = 0
    for task in asked:
        selection = registry.get_tools_for_task(query=task.text)
        lacks = [need for need in task.needs if not need & set(names(selection))]
        if lacks:
            call = {"type": "tool_use", "id": "call", "name": FIND_TOOLS, "input": {"query": query_of(task)}}
            found = set(names(selection.add_found([call])))
            lacking += len(lacks)
            met += sum(bool(need & found) for need in lacks)
    return lacking, met


def names(tools: Iterable[Tool]) -> list[str]:
    """The names of tools."""
    return [tool.name for tool in tools]


def main() -> None:
    """Prints the tables."""
    if not RECORDINGS.is_dir():
        sys.exit(f"no recordings at {RECORDINGS}: the recorded tool lists lie beside the repository")
    tools, known = recorded_tools(RECORDINGS), tasks(TASKS)
    fresh, further, unseen, others = tasks(FRESH), tasks(FURTHER), tasks(UNSEEN), tasks(OTHERS)
    sets = {
        "odd rows": [task for task in known if task.is_odd],
        "even rows": [task for task in known if not task.is_odd],
        "all": known,
        "direct": [task for task in known if task.is_direct],
        "indirect": [task for task in known if not task.is_direct],
        "fresh": fresh,
        "further": further,
        "unseen": unseen,
        "others": others,
    }
    embed = None if "--no-model" in sys.argv else minilm()
    rows: list[tuple[str, Select]] = [
        ("category only, told which", by_category(tools)),
        ("plain BM25, names and descriptions", plain_bm25(tools, name_and_description)),
        ("plain BM25, whole definitions", plain_bm25(tools, lambda tool: str(tool.definition()))),
        ("ours, without a model", ours(tools)),
        *([("ours, with MiniLM", ours(tools, embed))] if embed else []),
        (
            f"plain BM25, of {SMALL} tools",
            in_small_registries(tools, lambda held: plain_bm25(held, name_and_description)),
        ),
        (f"ours, without a model, of {SMALL} tools", in_small_registries(tools, ours)),
        *(
            [(f"ours, with MiniLM, of {SMALL} tools", in_small_registries(tools, lambda held: ours(held, embed)))]
            if embed
            else []
        ),
    ]
    every = [*known, *fresh, *further, *unseen, *others]
    print(f"{len(tools)} tools; {len(every)} tasks; recall of the tools needed among 15:\n")
    print("|", " | ".join(["", *(f"{name} ({len(group)})" for name, group in sets.items())]), "|")
    print("| --- |", " | ".join("---:" for _ in sets), "|")
    for name, select in rows:
        found = {task: task.recall(select(task)) for task in every}
        means = [statistics.fmean(found[task] for task in group) for group in sets.values()]
        print(f"| {name} |", " | ".join(f"{mean:.2f}" for mean in means), "|", flush=True)
    print("\nWhere the registry says that it is unsure, and where not:\n")
    registry = ToolRegistry(tools, embed=embed)
    chosen = [(task, registry.get_tools_for_task(query=task.text)) for task in every]
    for is_unsure in (True, False):
        recalls = [task.recall(names(tools)) for task, tools in chosen if tools.is_unsure is is_unsure]
        lacking = sum(recall < 1 for recall in recalls)
        print(
            f"- {'unsure' if is_unsure else 'sure'}: {len(recalls)} tasks, recall {statistics.fmean(recalls):.2f}; "
            f"{lacking} lack a tool"
        )
    said = queries()
    lacking, by_task = made_good(tools, every, lambda task: task.text)
    _, by_query = made_good(tools, every, lambda task: said.get(task.text, task.text))
    print(
        f"\nOf {lacking} tools that selections with `find_tools` lack, one call of it brings {by_task / lacking:.0%} "
        f"by the task's own words, and {by_query / lacking:.0%} by a model's."
    )


if __name__ == "__main__":
    main()
