"""The user's own prices: `prices.toml` in TOOLSPEND_HOME.

[[price]]
provider = "anthropic"
model = "claude-sonnet-4-5"     # any name that the price list knows the model by, or a model of your own
valid_from = 2026-01-01         # optional, first day; a date or a UTC date-time
valid_to = 2026-07-01           # optional, the day after the last
tier_start_tokens = 0           # optional: the price of prompts of more than this many tokens
input = 2.4                     # US dollars per million tokens: each rate that differs from the list
cache_read = 0.24
cache_write_5m = 3.0
cache_write_1h = 4.8
output = 12.0
web_search = 8.0                # US dollars per thousand searches
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from .errors import PricesInvalid

_RATES = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")
_KEYS = {"provider", "model", "valid_from", "valid_to", "tier_start_tokens", "web_search", *_RATES}
_LINE = re.compile(r"at line (\d+)")
_SEARCHES_PER_FEE_UNIT = 1000


@dataclass(frozen=True)
class Override:
    """Prices of a model as the user has them, in US dollars per million; see `prices` for the validity."""

    provider: str
    model: str
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    tier_start_tokens: int = 0
    rates: Mapping[str, Decimal] = field(default_factory=dict)


def read_overrides(path: Path) -> list[Override]:
    """The prices in the file, none where there is no file; raises `PricesInvalid` naming the file and the line."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise PricesInvalid(path, None, f"cannot be read: {error}") from error
    try:
        document = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        line = _LINE.search(str(error))
        raise PricesInvalid(path, int(line.group(1)) if line else None, f"not valid TOML: {error}") from error
    if unknown := sorted(set(document) - {"price"}):
        raise PricesInvalid(path, _line_of(text, unknown[0]), f"unknown key {unknown[0]!r}: write [[price]] entries")
    entries = document.get("price", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise PricesInvalid(path, _line_of(text, "price"), "write each price as a [[price]] entry")
    starts = [number for number, line in enumerate(text.splitlines(), 1) if re.match(r"\s*\[\[\s*price\s*\]\]", line)]
    return [
        _override(entry, _Place(path, starts[index] if index < len(starts) else None))
        for index, entry in enumerate(entries)
    ]


@dataclass(frozen=True)
class _Place:
    path: Path
    line: int | None

    def wrong(self, reason: str) -> PricesInvalid:
        return PricesInvalid(self.path, self.line, reason)


def _override(entry: Mapping[str, Any], place: _Place) -> Override:
    if unknown := sorted(set(entry) - _KEYS):
        raise place.wrong(f"unknown key {unknown[0]!r}: known are {', '.join(sorted(_KEYS))}")
    names = {key: entry.get(key) for key in ("provider", "model")}
    for key, value in names.items():
        if not isinstance(value, str) or not value:
            raise place.wrong(f"{key} must be a name in quotes")
    rates = {rate: _amount(entry[rate], rate, place) for rate in _RATES if rate in entry}
    if "web_search" in entry:
        rates["fee"] = _amount(entry["web_search"], "web_search", place) * _SEARCHES_PER_FEE_UNIT
    if not rates:
        raise place.wrong(f"no rate: give one of {', '.join(_RATES)}, web_search")
    tier = entry.get("tier_start_tokens", 0)
    if not isinstance(tier, int) or isinstance(tier, bool) or tier < 0:
        raise place.wrong("tier_start_tokens must be a whole number of tokens, 0 or more")
    start, end = (_moment(entry.get(key), key, place) for key in ("valid_from", "valid_to"))
    if start is not None and end is not None and start >= end:
        raise place.wrong("valid_from must be before valid_to")
    return Override(str(names["provider"]), str(names["model"]), start, end, tier, rates)


def _amount(value: object, key: str, place: _Place) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not Decimal(value).is_finite() or value < 0:
        raise place.wrong(f"{key} must be an amount in US dollars, 0 or more")
    if value > 1_000_000:
        raise place.wrong(f"{key} is out of range: US dollars per million tokens are meant")
    return Decimal(value).quantize(Decimal("1e-9"))


def _moment(value: object, key: str, place: _Place) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo is not None else value
    if isinstance(value, date):
        return datetime.combine(value, time())
    raise place.wrong(f"{key} must be a date, as 2026-01-31")


def _line_of(text: str, key: str) -> int | None:
    pattern = re.compile(rf"\s*\[*\s*[\"']?{re.escape(key)}\b")
    return next((number for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), None)
