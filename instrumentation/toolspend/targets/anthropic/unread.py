"""Bodies that the application reads itself: what passed by is kept, and read once more at the end."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from typing import Any, Final

from ...evidence import StreamedOutput

_MOST_BYTES: Final = 16 << 20
"""Of longer bodies nothing is known."""
_DATA: Final = b"data:"


class Unread:
    """The bytes of a response, as they pass on their way to the application."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._size = 0
        self.is_kept = True
        """Whether anybody will ask for them."""

    def take(self, chunk: bytes) -> None:
        """Keeps `chunk`."""
        if not self.is_kept:
            return
        self._size += len(chunk)
        if self._size > _MOST_BYTES:
            self.drop()
        else:
            self._chunks.append(chunk)

    def drop(self) -> None:
        """Forgets what was kept, and keeps no more."""
        self.is_kept = False
        self._chunks.clear()

    def message(self, response: Any) -> Mapping[str, Any] | None:
        """The message in what passed, or None where it has none that can be read. `response` says how it is encoded."""
        raw = b"".join(self._chunks)
        self.drop()
        try:
            text = type(response)(200, headers=response.headers, content=raw).content
            if "event-stream" in response.headers.get("content-type", ""):
                output = StreamedOutput()
                for line in text.splitlines():
                    if line.startswith(_DATA):
                        output.item(json.loads(line[len(_DATA) :]))
                return output.as_message() if output.message else None
            body = json.loads(text)
        except Exception:  # read in part, or not what its headers say
            return None
        return body if isinstance(body, Mapping) and body.get("type") == "message" else None


class Passing:
    """A body whose chunks are also given to an `Unread`. All else is the body's own."""

    def __init__(self, body: Any, unread: Unread) -> None:
        self._body = body
        self._unread = unread

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._body:
            self._unread.take(chunk)
            yield chunk

    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks = self._body.__aiter__()
        try:
            async for chunk in chunks:
                self._unread.take(chunk)
                yield chunk
        finally:
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()
