"""Answers from the moment the port listens, while what makes the pages is still being imported.

The files of the frontend are answered at once; the browser reads them meanwhile. Whatever else is asked waits for the
application.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from .frontend import Frontend


@dataclass(frozen=True, slots=True)
class Application:
    """What answers all that the door does not, and what has to be entered before it does."""

    app: ASGIApp
    life: AbstractAsyncContextManager[None]


class Door:
    """The ASGI application that the server knows: makes the other one in a thread, and passes on to it."""

    def __init__(self, frontend: Frontend, make: Callable[[], Application], failed: Callable[[], None]) -> None:
        self._frontend = frontend
        self._make = make
        self._failed = failed
        self._app: ASGIApp | None = None
        self._is_made = asyncio.Event()
        self._is_ending = asyncio.Event()
        self.failure: Exception | None = None
        """Why the application could not be made."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        answer = self._frontend.answer(scope) if scope["type"] == "http" else None
        if answer is None:
            await self._is_made.wait()
            if self._app is not None:
                await self._app(scope, receive, send)
                return
            answer = PlainTextResponse("the server could not start, and is stopping\n", 503)
        if scope["type"] == "http":
            await answer(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1011, "reason": ""})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        application = asyncio.create_task(self._serve())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._is_ending.set()
        await application
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self) -> None:
        try:
            made = await asyncio.to_thread(self._make)
            async with made.life:
                self._app = made.app
                self._is_made.set()
                await self._is_ending.wait()
        except Exception as error:
            self.failure = error
            self._failed()
        finally:
            self._is_made.set()
