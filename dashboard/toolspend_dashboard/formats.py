"""Numbers and names as a person reads them; what is missing reads "unknown", never 0."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

UNKNOWN = "unknown"
NOTHING = "\N{EN DASH}"
"""Stands where there is nothing to know, as for the time of a tool that was never called."""
BLANK = "(blank)"
"""Stands for a name of blanks, or of nothing."""
TIMES = "\N{MULTIPLICATION SIGN}"

UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters (with the C1 ones, which some terminals obey), those that change the direction of text, and bytes
of paths that are not UTF-8."""
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")


def number(value: Any) -> float | None:
    """The value as a float, or None where it is missing (None, NaN, NaT, NA)."""
    if value is None:
        return None
    try:
        converted = float(value)
    except (TypeError, ValueError):
        return None
    return None if math.isnan(converted) else converted


def usd(value: float | Decimal | None) -> str:
    """US dollars with the digits that matter: `$1,234`, `$12.34`, `$0.123`, `$0.0123`."""
    amount = number(value)
    if amount is None:
        return UNKNOWN
    sign, size = ("-" if amount < 0 else ""), abs(amount)
    if size == 0:
        return "$0"
    if size < 1e-6:
        return f"{sign}<$0.000001"
    if size >= 999.5:
        return f"{sign}${size:,.0f}"
    if size >= 0.9995:
        return f"{sign}${size:,.2f}"
    decimals = 2 - math.floor(math.log10(size))
    return f"{sign}${size:.{min(decimals, 6)}f}"


def count(value: float | None) -> str:
    """A count or tokens, three digits and a unit: `950`, `12.4k`, `3.05M`."""
    amount = number(value)
    if amount is None:
        return UNKNOWN
    size = abs(amount)
    for limit, unit in ((999.5e6, "B"), (999.5e3, "M"), (999.5, "k")):
        if size >= limit:
            scaled = amount / {"B": 1e9, "M": 1e6, "k": 1e3}[unit]
            decimals = 2 if abs(scaled) < 9.995 else 1 if abs(scaled) < 99.95 else 0
            return f"{scaled:.{decimals}f}{unit}"
    return f"{amount:.0f}" if amount.is_integer() or size >= 99.95 else f"{amount:.1f}"


def percent(share: float | None) -> str:
    """A share of one as a percentage: `71 %`, `0.4 %`; 100 % only when it is all of it."""
    amount = number(share)
    if amount is None:
        return UNKNOWN
    scaled = amount * 100
    if 0 < scaled < 0.1:
        return "<0.1 %"
    if 99.5 <= scaled < 100:
        return f"{math.floor(scaled * 10) / 10:.1f} %"
    return f"{scaled:.1f} %" if 0 < abs(scaled) < 9.95 else f"{scaled:.0f} %"


def duration(milliseconds: float | None) -> str:
    """A duration given in milliseconds: `85 ms`, `1.24 s`, `3 min 20 s`, `2 h 05 min`, `3 d 4 h`."""
    amount = number(milliseconds)
    if amount is None:
        return UNKNOWN
    if amount < 999.5:
        return f"{amount:.0f} ms" if amount >= 9.95 or amount == 0 else f"{amount:.1f} ms"
    seconds = amount / 1000
    if seconds < 59.95:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24} h"


def moment(at: datetime | None) -> str:
    """A UTC time to the minute: `22 Nov 2026 06:51`."""
    return UNKNOWN if at is None or at != at else f"{at.day} {at:%b %Y %H:%M}"


def ago(at: datetime, now: datetime) -> str:
    """How long ago, in its largest unit: `4 s ago`, `3 min ago`, `5 h ago`, `12 d ago`."""
    seconds = max((now - at).total_seconds(), 0)
    for length, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{int(seconds // length)} {unit} ago"
    return f"{int(seconds)} s ago"


def size(amount: float | None) -> str:
    """A size in bytes, in units of 1,024: `950 B`, `12.4 KiB`, `3.05 MiB`."""
    value = number(amount)
    if value is None:
        return UNKNOWN
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 999.5:
            decimals = 0 if unit == "B" or abs(value) >= 99.95 else 1 if abs(value) >= 9.995 else 2
            return f"{value:.{decimals}f} {unit}"
        value /= 1024
    return f"{value:.2f} TiB"


def plural(amount: float, noun: str) -> str:
    """The count with its noun: `1 tool`, `12.4k requests`."""
    return f"{count(amount)} {noun if amount == 1 else noun + 's'}"


def visible(text: str) -> str:
    """The text with every character that a terminal would act on, or that turns text around, written as an escape."""
    return UNSAFE.sub(lambda match: _NAMED.get(match[0], _escape(match[0])), text)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def seen(text: str) -> str:
    """The name, or a word where there is nothing to be seen of it."""
    return text if text.strip() else BLANK


def name(text: str) -> str:
    """A name on one line as it can be seen and read, whatever characters it has."""
    return visible(" ".join(seen(text).split()))


def markdown(text: str) -> str:
    """The text as Markdown that renders as the text itself: every mark of punctuation is escaped."""
    return _PUNCTUATION.sub(r"\\\1", visible(" ".join(text.split())))


def told(text: str) -> str:
    """The text as Markdown that renders as the text itself, but for names between backquotes: they are code."""
    parts = " ".join(text.split()).split("`")
    if len(parts) % 2 == 0:
        return markdown(text)
    return "".join(
        _PUNCTUATION.sub(r"\\\1", part) if place % 2 == 0 else code(part) for place, part in enumerate(parts)
    )


def code(text: str) -> str:
    """A name as a Markdown code span, whatever characters it has."""
    flat = name(text)
    longest = max((len(run) for run in re.findall(r"`+", flat)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {flat} {fence}" if longest else f"{fence}{flat}{fence}"


def shortened(text: str, limit: int) -> str:
    """The text, cut in its middle beyond `limit` characters."""
    if len(text) <= limit:
        return text
    head = (limit - 1) * 2 // 3
    return f"{text[:head]}…{text[-(limit - 1 - head) :]}"


def listed(names: Sequence[str], most: int = 5, limit: int = 60) -> str:
    """Names in a sentence: the first of many, long ones cut in their middle."""
    shown = ", ".join(shortened(seen(each), limit) for each in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def figure_text(text: str, limit: int = 0) -> str:
    """A name as chart text: charts read a little HTML, so it is escaped; beyond `limit` it is cut in its middle."""
    flat = name(text)
    return html.escape(shortened(flat, limit) if limit else flat, quote=False)
