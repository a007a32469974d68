"""Recorded exchanges, served again in their order and byte for byte."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Any, Final

from standin.api import Answer
from standin.prompt import Json, compact

# The recorded bodies are decoded, and their lengths and connections are the server's own affair.
_DROPPED_HEADERS: Final = frozenset({"content-encoding", "content-length", "transfer-encoding", "connection"})
_REDACTED: Final = "**REDACTED**"


class Replay:
    """Answers the n-th request with the n-th exchange, `{status, response_headers, response | sse}`.

    A request beyond the last is answered by status 500 that says so and that clients do not retry.
    """

    def __init__(self, exchanges: Sequence[Json]) -> None:
        self.exchanges = list(exchanges)
        self.requests: list[Json] = []
        self._lock = threading.Lock()

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """The next exchange's response, whatever is asked; what was asked is kept in `requests`."""
        with self._lock:
            index = len(self.requests)
            self.requests.append({"method": method, "uri": path, "request": _decoded(body)})
        if index >= len(self.exchanges):
            message = f"The recording has {len(self.exchanges)} exchanges; this is request {index + 1}."
            error = {"type": "error", "error": {"type": "api_error", "message": message}}
            return Answer(
                500, {"content-type": "application/json", "x-should-retry": "false"}, [compact(error).encode()]
            )
        return _recorded(self.exchanges[index], index)


def _recorded(exchange: Json, index: int) -> Answer:
    sse: str | None = exchange.get("sse")
    headers = {
        "content-type": "application/json" if sse is None else "text/event-stream; charset=utf-8",
        "request-id": f"req_replay_{index}",
    }
    for name, value in (exchange.get("response_headers") or {}).items():
        first = value[0] if isinstance(value, list) else value
        if name.lower() not in _DROPPED_HEADERS and first != _REDACTED:
            headers[name.lower()] = str(first)
    if sse is not None:
        # Parted where the recording has its event ends, so that a client sees the events arrive one by one.
        parts = sse.split("\n\n")
        chunks = [f"{part}\n\n".encode() for part in parts[:-1]] + ([parts[-1].encode()] if parts[-1] else [])
        return Answer(int(exchange["status"]), headers, chunks)
    response: Any = exchange.get("response")
    text = response if isinstance(response, str) else json.dumps(response, ensure_ascii=False)
    return Answer(int(exchange["status"]), headers, [text.encode()])


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")
