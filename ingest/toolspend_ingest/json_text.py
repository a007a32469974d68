"""JSON text, read and written a few times faster than the standard library does: msgspec, and json where that refuses.

The values are those of `json`; of what is written only the text of some floats differs (`1e-7`, not `1e-07`).
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def read(text: str) -> Any:
    """The value of a text; raises ValueError or RecursionError as `json.loads` does."""
    try:
        return _decode(text)
    except (msgspec.MsgspecError, UnicodeError):
        return json.loads(text)


def write(value: Any) -> str:
    """Compact text of a value: characters as they are but for lone surrogates, which are replaced; NaN is null."""
    try:
        return _encode(value).decode()
    except (msgspec.MsgspecError, UnicodeError, TypeError):
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return text.encode("utf-8", "replace").decode()
