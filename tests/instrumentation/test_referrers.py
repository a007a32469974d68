"""A function given to `instrument` is replaced wherever something refers to it, and put back exactly."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

import seed_tools
import toolspend
from toolspend.targets._wrapping import Wrapped
from toolspend.testing import Captured

CALLS = [{"type": "tool_use", "id": "a", "name": "nothing", "input": {}}]


@pytest.fixture
def execute() -> Iterator[Callable[..., Any]]:
    """An executor that one module names, and places of all kinds refer to."""

    def execute(tool_calls: list[Any], registry: Any) -> list[Any]:
        return [seed_tools.block(call, "done") for call in tool_calls]

    seed_tools.temporary = execute  # type: ignore[attr-defined]
    del execute
    yield lambda: seed_tools.temporary  # type: ignore[attr-defined]
    del seed_tools.temporary  # type: ignore[attr-defined]


def places(execute: Any) -> dict[str, tuple[Callable[..., Any], Callable[[], Any]]]:
    """By kind: what calls the executor through a reference of that kind, and what shows the object referred to."""

    def by_default(calls: Any, tools: Any, run: Any = execute) -> Any:
        return run(calls, tools)

    def by_keyword(calls: Any, tools: Any, *, run: Any = execute) -> Any:
        return run(calls, tools)

    async def by_default_async(calls: Any, tools: Any, run: Any = execute) -> Any:
        return run(calls, tools)

    def closure(held: Any) -> tuple[Callable[..., Any], Callable[[], Any]]:
        return lambda calls, tools: held(calls, tools), lambda: held

    class Slotted:
        __slots__ = ("run",)

    class Local:
        run = staticmethod(execute)
        method = execute

    slotted, instance, namespace = Slotted(), Local(), SimpleNamespace(run=execute)
    slotted.run = execute
    instance.own = execute  # type: ignore[attr-defined]
    by_name, listed, queued = {"parallel": execute}, [None, execute], deque([execute])
    partial, as_argument = functools.partial(execute, registry=None), functools.partial(map, execute)
    named = functools.partial(by_keyword, run=execute)
    return {
        "default": (by_default, lambda: by_default.__defaults__),
        "keyword default": (by_keyword, lambda: vars(type(by_keyword))["__kwdefaults__"].__get__(by_keyword)["run"]),
        "default of a coroutine": (
            lambda calls, tools: asyncio.run(by_default_async(calls, tools)), lambda: by_default_async.__defaults__
        ),
        "closure": closure(execute),
        "slot": (lambda calls, tools: slotted.run(calls, tools), lambda: slotted.run),
        "instance": (lambda calls, tools: instance.own(calls, tools), lambda: vars(instance)["own"]),  # type: ignore[attr-defined]
        "static method": (lambda calls, tools: instance.run(calls, tools), lambda: vars(Local)["run"]),
        "class": (lambda calls, tools: Local.method(calls, tools), lambda: vars(Local)["method"]),
        "namespace": (lambda calls, tools: namespace.run(calls, tools), lambda: namespace.run),
        "dict": (lambda calls, tools: by_name["parallel"](calls, tools), lambda: by_name["parallel"]),
        "list": (lambda calls, tools: listed[1](calls, tools), lambda: listed[1]),
        "deque": (lambda calls, tools: queued[0](calls, tools), lambda: queued[0]),
        "partial": (lambda calls, tools: partial(calls), lambda: partial.func),
        "argument of a partial": (
            lambda calls, tools: next(as_argument([calls], [tools])), lambda: as_argument.args
        ),
        "keyword of a partial": (named, lambda: named.keywords["run"]),
    }  # fmt: skip


def test_every_kind_of_reference_is_replaced_and_put_back(
    captured: Captured, execute: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    """A call through any of them has its batch; afterwards each refers to the very object that it referred to."""
    held = places(execute())
    # By identity: a tuple that is held here too is a place that cannot be changed.
    before = {kind: id(show()) for kind, (_, show) in held.items()}
    toolspend.instrument(executor=execute(), export=None)
    for kind, (call, _) in held.items():
        captured.clear()
        assert call(CALLS, None) == [seed_tools.block(CALLS[0], "done")]
        assert [span["name"] for span in captured.spans()] == ["execute_tool nothing", "execute_tools"], kind
    toolspend.uninstrument()
    captured.clear()
    for kind, (call, show) in held.items():
        assert id(show()) == before[kind], kind
        assert call(CALLS, None) == [seed_tools.block(CALLS[0], "done")]
    assert captured.spans() == []
    assert not isinstance(execute(), Wrapped)
    assert caplog.records == []


def test_a_reference_made_later_is_put_back_too(captured: Captured, execute: Callable[[], Any]) -> None:
    """What took the function while it was traced refers to the function itself afterwards."""
    original = weakref.ref(execute())
    toolspend.instrument(executor=execute(), export=None)
    later, partial = [execute()], functools.partial(execute())
    assert isinstance(later[0], Wrapped)
    toolspend.uninstrument()
    assert later[0] is partial.func is original()


def test_a_place_that_cannot_be_changed_is_counted(
    captured: Captured, execute: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    """A tuple, and a local variable that is read again: one line says how many they are and what to do."""
    caplog.set_level(logging.WARNING, logger="toolspend")
    pair = [(execute(), 1)]
    run = execute()
    toolspend.instrument(executor="seed_tools:temporary", export=None)
    run(CALLS, None)
    pair[0][0](CALLS, None)
    [record] = caplog.records
    assert "2 places that hold" in record.getMessage()
    assert "call instrument() before" in record.getMessage()
    assert captured.spans() == []


def test_a_local_variable_that_is_not_read_again_is_no_place(
    captured: Captured, execute: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    """A function that hands its argument on to `instrument`, and is done with it, has missed nothing."""

    def set_up(run: Any) -> None:
        toolspend.instrument(executor=run, export=None)

    set_up(execute())
    assert caplog.records == []


def test_looking_at_local_variables_keeps_none_alive(captured: Captured, execute: Callable[[], Any]) -> None:
    """What the caller drops after `instrument` is gone at once."""

    class Large:
        pass

    large = Large()
    reference = weakref.ref(large)
    toolspend.instrument(executor=execute(), export=None)
    del large
    gc.collect()
    assert reference() is None


def test_local_variables_that_the_caller_asked_for_stay(captured: Captured, execute: Callable[[], Any]) -> None:
    """A dict from `locals()` is the caller's."""
    mine = 1
    asked = locals()
    toolspend.instrument(executor=execute(), export=None)
    assert asked["mine"] == mine
