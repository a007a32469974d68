"""The shape of a tool's result: enough to tell whether a tool answers in several, and nothing of what it says."""

from __future__ import annotations

import functools
from typing import Final
from zlib import crc32

_BLANKS: Final = 40
_MOST_KEYS: Final = 20
"""An object of more keys is a map, whose keys are data."""


def shape_of(result: object) -> str | None:
    """The shape of what a handler returned, as `attributes.TOOL_RESULT_SHAPE` has it; None of a text, or of no JSON.

    JSON in a text is told by its ends, and its keys are not looked at.
    """
    if isinstance(result, str):
        ends = result[:_BLANKS].lstrip()[:1] + result[-_BLANKS:].rstrip()[-1:]
        return {"{}": "object", "[]": "array"}.get(ends)
    if isinstance(result, dict):
        if len(result) > _MOST_KEYS or not all(type(key) is str for key in result):
            return "object"
        return "object:" + ",".join(sorted(set(map(_digest, result))))
    return "array" if isinstance(result, list | tuple) else None


@functools.lru_cache(maxsize=4_096)
def _digest(key: str) -> str:
    return f"{crc32(key.encode('utf-8', 'replace')) & 0xFF:02x}"
