"""What the two encodings of OTLP share: ids, times, kinds and JSON text."""

from __future__ import annotations

import base64
import binascii
import math
import re
from datetime import datetime, timedelta
from typing import Any

from . import json_text

KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
LOG_KIND = "log"
"""The kind of a row that is no span, but log records about one."""
STATUSES = ("unset", "ok", "error")
TRACE_ID_BYTES = 16
SPAN_ID_BYTES = 8

_HEX = re.compile(r"[0-9a-fA-F]+")
_EPOCH = datetime(1970, 1, 1)
_MAX_NANOSECONDS = 2**64 - 1


class BadSpan(ValueError):
    """A span that cannot be stored; `where` names it as far as it has a name."""

    def __init__(self, reason: str, where: str = "") -> None:
        super().__init__(reason)
        self.where = where


def id_from_text(value: object, size: int, what: str) -> str:
    """An id of `size` bytes as lower-case hex digits, from hex (short ones are padded) or base64."""
    if not isinstance(value, str) or not value:
        raise BadSpan(f"{what} is missing")
    if len(value) <= 2 * size and _HEX.fullmatch(value):
        digits = value.lower().zfill(2 * size)
    else:
        try:
            decoded = base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
        except (binascii.Error, ValueError):
            raise BadSpan(f"{what} {value[:40]!r} is neither hex nor base64") from None
        if len(decoded) != size:
            raise BadSpan(f"{what} {value[:40]!r} has {len(decoded)} bytes, not {size}")
        digits = decoded.hex()
    return _not_zero(digits, what)


def id_from_bytes(value: bytes, size: int, what: str) -> str:
    """An id of `size` bytes as lower-case hex digits."""
    if len(value) != size:
        raise BadSpan(f"{what} has {len(value)} bytes, not {size}")
    return _not_zero(value.hex(), what)


def moment(nanoseconds: int, what: str) -> datetime:
    """Nanoseconds since 1970 as a naive UTC time, to the microsecond."""
    if not 0 <= nanoseconds <= _MAX_NANOSECONDS:
        raise BadSpan(f"{what} is out of range: {nanoseconds}")
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)


def is_zero_id(digits: str) -> bool:
    """Whether an id is all zeros, which means none."""
    return not digits.strip("0")


def clean(text: str) -> str:
    """The text with what UTF-8 cannot hold (lone surrogates) replaced."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def number(value: float) -> float | str:
    """A float as JSON can hold it: NaN and the infinities as text."""
    return value if math.isfinite(value) else str(value)


def to_json(value: Any) -> str:
    """Compact JSON text."""
    return json_text.write(value)


def _not_zero(digits: str, what: str) -> str:
    if is_zero_id(digits):
        raise BadSpan(f"{what} is all zeros")
    return digits
