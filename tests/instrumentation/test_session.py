"""Sessions, and who inherits them."""

from __future__ import annotations

import asyncio
from typing import Any

from opentelemetry import trace

import toolspend
from toolspend.testing import Captured


def started(name: str) -> None:
    trace.get_tracer("application").start_span(name).end()


def of(captured: Captured) -> dict[str, dict[str, Any]]:
    return {span["name"]: span["attributes"] for span in captured.spans()}


def test_every_span_within_belongs_to_it(captured: Captured) -> None:
    """Spans of any library carry id, user and tags; those outside carry nothing; sessions nest."""
    toolspend.instrument(export=None)
    started("before")
    with toolspend.session("s-1", user="u-17", tags=["eval", "nightly"]):
        started("in")
        with toolspend.session("s-2"):
            started("inner")
        started("in again")
    started("after")
    outer = {"toolspend.session.id": "s-1", "user.id": "u-17", "toolspend.session.tags": ("eval", "nightly")}
    assert of(captured) == {
        "before": {}, "in": outer, "inner": {"toolspend.session.id": "s-2"}, "in again": outer, "after": {},
    }  # fmt: skip


def test_it_is_async_and_a_decorator_too(captured: Captured) -> None:
    """`async with`, and decorated functions of both kinds; tasks at once keep to their own."""
    toolspend.instrument(export=None)

    @toolspend.session("of a function")
    def work() -> str:
        started("sync")
        return "done"

    @toolspend.session("of a coroutine")
    async def work_later() -> None:
        await asyncio.sleep(0)
        started("async")

    async def task(name: str) -> None:
        async with toolspend.session(name):
            await asyncio.sleep(0)
            started(name)

    async def main() -> None:
        await asyncio.gather(task("a"), task("b"), work_later())

    assert work() == "done"
    asyncio.run(main())
    assert {name: attributes["toolspend.session.id"] for name, attributes in of(captured).items()} == {
        "sync": "of a function", "async": "of a coroutine", "a": "a", "b": "b",
    }  # fmt: skip


def test_it_needs_no_instrument(captured: Captured) -> None:
    """Without `instrument` a session does nothing, and costs nothing."""
    with toolspend.session("s"):
        started("x")
    assert of(captured) == {"x": {}}


def test_an_id_that_nobody_knows_names_no_session(captured: Captured) -> None:
    """User and tags hold; the session is the outer one, where there is one."""
    toolspend.instrument(export=None)
    with toolspend.session(None, user="u-17"):
        started("unnamed")
    with toolspend.session("s-1"), toolspend.session("", tags=["eval"]):
        started("within")
    assert of(captured) == {
        "unnamed": {"user.id": "u-17"},
        "within": {"toolspend.session.id": "s-1", "toolspend.session.tags": ("eval",)},
    }
