"""Attributes of log events and metrics, where numbers may come as text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from ..otlp_values import clean

_MOST: Final = 2**53


def text(values: Mapping[str, Any], name: str) -> str | None:
    """A value as text; None where there is none, or an empty one."""
    value = values.get(name)
    if value is None or isinstance(value, dict | list):
        return None
    return clean(str(value)) or None


def real(values: Mapping[str, Any], name: str) -> float | None:
    """A value of 0 or more as a number."""
    value = values.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) and found >= 0 else None


def count(values: Mapping[str, Any], name: str) -> int | None:
    """A value that is a whole number of 0 or more."""
    found = real(values, name)
    return int(found) if found is not None and found.is_integer() and found < _MOST else None
