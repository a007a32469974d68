"""Results that are no JSON, or far too much of it, cost their size and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

import seed_tools
import toolspend
from seed_tools import Tool, ToolRegistry
from toolspend import testing
from toolspend.evidence.definitions import canonical
from toolspend.evidence.shape import shape_of


class Sulky:
    """An object of the application's whose text must not be asked for."""

    def __str__(self) -> str:
        raise RuntimeError("not now")

    __repr__ = __str__


def circle() -> dict[str, Any]:
    """A dict that holds itself."""
    held: dict[str, Any] = {}
    held["self"] = held
    return held


ODD: list[Callable[[], Any]] = [lambda: {1: "a", "b": 2}, lambda: [Sulky()], circle, lambda: {"rows": [[1, 2]] * 5_000}]


@pytest.mark.parametrize("make", ODD)
def test_a_call_with_an_odd_result_is_a_good_call(make: Callable[[], Any], captured: testing.Captured) -> None:
    """It ends well, in the executor and alone; only its raw size is not known."""
    result = make()

    def odd(query: str) -> Any:
        return result

    registry = ToolRegistry()
    registry.register(Tool("odd", "Returns something odd.", {"type": "object"}, odd))
    toolspend.instrument(export=None, registry=registry, executor=seed_tools.execute_tool_calls)
    alone = toolspend.tool(odd)
    assert alone("x") is result
    if not isinstance(result, list):
        calls = [{"id": "a", "name": "odd", "input": {"query": "x"}}]
        [block] = seed_tools.execute_tool_calls(calls, registry)
        assert "is_error" not in block
    toolspend.uninstrument()
    spans = captured.named("execute_tool odd")
    assert len(spans) == (1 if isinstance(result, list) else 2)
    for span in spans:
        assert span["status"] == "UNSET"
        assert "error.type" not in span["attributes"]
        assert "toolspend.tool.raw_result_chars" not in span["attributes"]


@pytest.mark.parametrize(
    ("result", "shape"),
    [
        ("three rows", None),
        (' {"a": 1}\n', "object"),
        ("[1, 2]", "array"),
        ("[note] see below", None),
        (None, None),
        (7.5, None),
        (b"[bytes]", None),
        ([], "array"),
        ((1, 2), "array"),
        ({}, "object:"),
        ({"name": "Ada", "id": 1}, {"id": 2, "name": "Bob"}),
        ({f"user-{number}": 1 for number in range(21)}, "object"),
        ({1: "a"}, "object"),
        (Sulky(), None),
    ],
)
def test_the_shape_of_a_result_is_known_without_its_content(
    result: Any, shape: Any, captured: testing.Captured
) -> None:
    """Its kind, and eight bits of each of few keys: the same keys are the same shape, and none can be read there."""

    def read(query: str) -> Any:
        return result

    toolspend.instrument(export=None)
    toolspend.tool(read)("x")
    [span] = captured.named("execute_tool read")
    expected = shape if isinstance(shape, str | None) else shape_of(shape)
    assert span["attributes"].get("toolspend.tool.result_shape") == expected
    if isinstance(shape, dict):
        assert re.fullmatch("object:[0-9a-f]{2},[0-9a-f]{2}", shape_of(shape) or "")
        assert shape_of(shape) != shape_of({"id": 1, "colour": "red"})


def test_anything_has_a_canonical_text() -> None:
    """What cannot be sorted, encoded or ended has a text all the same, without the application's own code."""
    assert canonical({"b": 1, "a": [Sulky()]}) == '{"a":["Sulky"],"b":1}'
    assert canonical({1: "a", "b": 2}) == '{"1":"a","b":2}'
    assert canonical(circle()) == ""
