"""A backend inside the process: a transport for the HTTP library that the installed SDK uses, httpx2 or httpx."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import AsyncIterator, Iterator
from types import ModuleType
from typing import Any

from standin.api import Answer, Backend


def http_library() -> ModuleType:
    """The HTTP library of the installed anthropic SDK: httpx2 since 2.x, httpx before."""
    import anthropic

    bases = [base.__module__.partition(".")[0] for base in anthropic.DefaultHttpxClient.__mro__]
    return importlib.import_module(next(name for name in bases if name in ("httpx", "httpx2")))


def transport(backend: Backend, http: ModuleType | None = None) -> Any:
    """A transport of `http` (the SDK's own library unless given), sync and async in one, that asks `backend`."""
    library: Any = http or http_library()

    class Transport(library.BaseTransport, library.AsyncBaseTransport):  # type: ignore[misc]
        def handle_request(self, request: Any) -> Any:
            answer = _ask(backend, request, request.read())
            time.sleep(answer.first_chunk_after_s)
            return library.Response(answer.status, headers=answer.headers, stream=Body(answer, request))

        async def handle_async_request(self, request: Any) -> Any:
            answer = _ask(backend, request, await request.aread())
            await asyncio.sleep(answer.first_chunk_after_s)
            return library.Response(answer.status, headers=answer.headers, stream=Body(answer, request))

    class Body(library.SyncByteStream, library.AsyncByteStream):  # type: ignore[misc]
        def __init__(self, answer: Answer, request: Any) -> None:
            self._answer = answer
            self._request = request

        def __iter__(self) -> Iterator[bytes]:
            for chunk in self._answer.chunks:
                yield chunk
                time.sleep(self._answer.next_chunk_after_s)
            self._end()

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for chunk in self._answer.chunks:
                yield chunk
                await asyncio.sleep(self._answer.next_chunk_after_s)
            self._end()

        def _end(self) -> None:
            if self._answer.is_cut:
                message = "peer closed connection without sending complete message body (incomplete chunked read)"
                raise library.RemoteProtocolError(message, request=self._request)

    return Transport()


def client(backend: Backend, **options: Any) -> Any:
    """An `anthropic.Anthropic` that talks to `backend` inside this process; `options` go to the client."""
    import anthropic

    http = http_library()
    http_client = http.Client(transport=transport(backend, http))
    return anthropic.Anthropic(**{"api_key": "sk-standin", "http_client": http_client, **options})


def async_client(backend: Backend, **options: Any) -> Any:
    """An `anthropic.AsyncAnthropic` that talks to `backend` inside this process; `options` go to the client."""
    import anthropic

    http = http_library()
    http_client = http.AsyncClient(transport=transport(backend, http))
    return anthropic.AsyncAnthropic(**{"api_key": "sk-standin", "http_client": http_client, **options})


def _ask(backend: Backend, request: Any, body: bytes) -> Answer:
    headers = {name.lower(): value for name, value in request.headers.items()}
    return backend.answer(request.method, request.url.raw_path.decode(), headers, body)
