"""The server answers for the browser's files from the start, and passes on all else once it can."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from toolspend_dashboard.door import Application, Door
from toolspend_dashboard.frontend import Frontend

Sent = list[dict[str, Any]]


class Behind:
    """An application that is made once it may be, and notes its life."""

    def __init__(self, error: Exception | None = None) -> None:
        self.may_be_made = threading.Event()
        self.life: list[str] = []
        self._error = error

    def make(self) -> Application:
        """Made in a thread of its own."""
        assert self.may_be_made.wait(30)
        if self._error is not None:
            raise self._error
        return Application(self._answer, self._live())

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
        else:
            await PlainTextResponse(f"{scope['path']} {self.life}")(scope, receive, send)

    @contextlib.asynccontextmanager
    async def _live(self) -> AsyncIterator[None]:
        self.life.append("begun")
        yield
        self.life.append("ended")


async def ask(door: Door, path: str, kind: str = "http") -> Sent:
    """What is sent in answer."""
    sent: Sent = []

    async def send(message: Any) -> None:
        sent.append(message)

    await door({"type": kind, "method": "GET", "path": path, "headers": []}, asyncio.Queue[Any]().get, send)
    return sent


def within_its_life(door: Door, questions: Callable[[], Coroutine[Any, Any, None]]) -> Sent:
    """Ask while the door lives as a server would have it; what it says of its life."""
    said: Sent = []

    async def run() -> None:
        told, heard = asyncio.Queue[Any](), asyncio.Queue[Any]()
        life = asyncio.create_task(door({"type": "lifespan"}, told.get, heard.put))
        await told.put({"type": "lifespan.startup"})
        said.append(await heard.get())
        await questions()
        await told.put({"type": "lifespan.shutdown"})
        said.append(await heard.get())
        await life

    asyncio.run(asyncio.wait_for(run(), 60))
    return said


def test_files_are_there_before_the_application_and_all_else_waits_for_it() -> None:
    """The index is answered while it is being made; a page and a websocket are, in order, once it is."""
    behind = Behind()
    door = Door(Frontend.installed(), behind.make, pytest.fail)

    async def questions() -> None:
        waiting = [asyncio.create_task(ask(door, "/healthz")), asyncio.create_task(ask(door, "/ws", "websocket"))]
        start, body = await ask(door, "/")
        assert start["status"] == 200 and b"<html" in body["body"]
        assert not any(task.done() for task in waiting) and not behind.life
        behind.may_be_made.set()
        (_, page), opened = await asyncio.gather(*waiting)
        assert page["body"] == b"/healthz ['begun']"
        assert opened == [{"type": "websocket.accept"}]

    said = within_its_life(door, questions)
    assert [message["type"] for message in said] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert behind.life == ["begun", "ended"]
    assert door.failure is None


def test_an_end_while_the_application_is_made_waits_for_it() -> None:
    """What it had opened is closed in order."""
    behind = Behind()

    async def questions() -> None:
        asyncio.get_running_loop().call_later(0.1, behind.may_be_made.set)

    within_its_life(Door(Frontend.installed(), behind.make, pytest.fail), questions)
    assert behind.life == ["begun", "ended"]


def test_who_waits_for_an_application_that_fails_is_told() -> None:
    """The failure is kept for who started the server, which is told to end."""
    error, failed = ValueError("no"), threading.Event()
    behind = Behind(error)
    door = Door(Frontend.installed(), behind.make, failed.set)

    async def questions() -> None:
        behind.may_be_made.set()
        start, _ = await ask(door, "/healthz")
        assert start["status"] == 503
        assert await ask(door, "/ws", "websocket") == [{"type": "websocket.close", "code": 1011, "reason": ""}]

    within_its_life(door, questions)
    assert failed.is_set() and door.failure is error
