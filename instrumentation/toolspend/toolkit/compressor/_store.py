"""Whole results, kept for as long as there is room, so that an agent can fetch what a compression left out."""

from __future__ import annotations

import hashlib
import re
import threading
from collections import OrderedDict
from typing import Any, Final

from ...targets._errors import ToolError
from ..tool import Tool

FETCH: Final = "fetch_result"
_PAGE_CHARS: Final = 6_000
_MOST_MATCHES: Final = 20
_AROUND: Final = 200
_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "handle": {
            "type": "string",
            "description": "The handle that the shortened result names, such as r_3f9a2c41d0.",
        },
        "search": {
            "type": "string",
            "description": "Text to find in the result, in upper or lower case: only the places around it come back.",
        },
        "start": {
            "type": "integer",
            "minimum": 0,
            "description": f"Character to begin at, from 0; each call returns up to {_PAGE_CHARS}. Not with search.",
        },
    },
    "required": ["handle"],
    "additionalProperties": False,
}
_DESCRIPTION: Final = (
    "Reads the whole of a tool result that was shortened to save context. Give `search` to see only the places that "
    "hold a text, or `start` to page through it. Use it when the shortened result lacks what you need; it returns the "
    "text unchanged and runs nothing again. Results are kept for a while: one that is gone has to be asked of its tool "
    "again."
)


class ResultStore:
    """Results by handle, at most `max_chars` of them together; the longest unused go first. Safe in threads."""

    def __init__(self, max_chars: int = 16_000_000) -> None:
        self.max_chars = max_chars
        self._texts: OrderedDict[str, str] = OrderedDict()
        self._chars = 0
        self._lock = threading.Lock()

    def put(self, text: str) -> str | None:
        """Keeps `text`. Returns its handle, the same for the same text, or None where it is more than may be kept."""
        if len(text) > self.max_chars:
            return None
        handle = "r_" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:10]
        with self._lock:
            if handle not in self._texts:
                self._chars += len(text)
            self._texts[handle] = text
            self._texts.move_to_end(handle)
            while self._chars > self.max_chars:
                _, dropped = self._texts.popitem(last=False)
                self._chars -= len(dropped)
        return handle

    def get(self, handle: str) -> str | None:
        """The whole text, or None where it is not kept (any more)."""
        with self._lock:
            text = self._texts.get(handle)
            if text is not None:
                self._texts.move_to_end(handle)
            return text

    def __len__(self) -> int:
        return len(self._texts)

    def tool(self) -> Tool:
        """`fetch_result`, with which the model reads what was left out."""
        return Tool(
            FETCH, _DESCRIPTION, _SCHEMA, self._fetch, estimated_tokens=1_500, has_side_effects=False, is_pinned=True
        )

    async def _fetch(self, handle: str, search: str | None = None, start: int = 0) -> str:
        text = self.get(handle)
        if text is None:
            raise ToolError(f"No result is kept under {handle!r}: it was dropped, or never was. Call its tool again.")
        if search:
            return _found(text, search)
        page = text[start : start + _PAGE_CHARS]
        end = start + len(page)
        rest = f"; go on with start={end}" if end < len(text) else ""
        return f"{page}\n[characters {start} to {end} of {len(text)}{rest}]"


def _found(text: str, search: str) -> str:
    places = [match.start() for match in re.finditer(re.escape(search), text, re.IGNORECASE)]
    if not places:
        raise ToolError(f"{search!r} is not in this result of {len(text)} characters. Try a shorter text.")
    windows: list[list[int]] = []
    for place in places[:_MOST_MATCHES]:
        start, end = max(0, place - _AROUND), min(len(text), place + len(search) + _AROUND)
        if windows and start <= windows[-1][1]:
            windows[-1][1] = end
        else:
            windows.append([start, end])
    said = "\n…\n".join(f"[at {start}] {text[start:end]}" for start, end in windows)
    more = f", the first {_MOST_MATCHES} shown" if len(places) > _MOST_MATCHES else ""
    return f"{said}\n[{len(places)} places{more}]"


default_store: Final = ResultStore()


def fetch_result_tool(store: ResultStore | None = None) -> Tool:
    """The tool with which a model fetches whole results, of `store` or of the one that compressions use by default."""
    return (default_store if store is None else store).tool()
