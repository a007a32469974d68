"""What a token costs: the bundled price lists of genai-prices and the user's own, as dated rows of `prices`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from functools import cache
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb
import pyarrow as pa

from toolspend import _home

from . import schema
from .arrow import registered
from .price_overrides import Override, read_overrides

if TYPE_CHECKING:
    # Imported where it is needed: its models take 0.15 s to load, and most commands need no price list.
    from genai_prices import data_snapshot, types

__all__ = ["Override", "PriceBook", "default_file", "fingerprint", "load", "price_model", "read_overrides"]

RATES = {
    "input": "input_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write_5m": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "output": "output_mtok",
    "fee": "web_searches_kcount",
}
"""Our rates, and the names that genai-prices has for them."""

_ALIASES = {
    "gcp.gen_ai": "google",
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "mistral_ai": "mistral",
    "x_ai": "x-ai",
}
_USER = "user"
_ORDINARY_TIERS = {None, "", "standard", "default", "auto", "standard_only"}
_GEO_PROVIDER, _GEO, _GEO_FACTOR = "anthropic", "us", Decimal("1.1")
"""Its page on prices: tokens cost a tenth more where a request asks for inference in the United States."""


class PriceRow(NamedTuple):
    """One row of `prices`; `valid_from` inclusive and `valid_to` exclusive, naive UTC, None for open."""

    provider: str
    model: str
    rate: str
    usd_per_mtok: Decimal
    tier_start_tokens: int
    valid_from: datetime | None
    valid_to: datetime | None
    source: str


_SCHEMA = pa.schema(
    [
        ("provider", pa.string()),
        ("model", pa.string()),
        ("rate", pa.string()),
        ("usd_per_mtok", pa.decimal128(18, 9)),
        ("tier_start_tokens", pa.int64()),
        ("valid_from", pa.timestamp("us")),
        ("valid_to", pa.timestamp("us")),
        ("source", pa.string()),
    ]
)


def default_file() -> Path:
    """Where the user's own prices are read from."""
    return _home.home() / "prices.toml"


def fingerprint(overrides: Sequence[Override]) -> str:
    """What `prices` is made of: the version of genai-prices and a hash of the user's own prices."""
    return f"{version('genai-prices')} {hashlib.sha256(repr(list(overrides)).encode()).hexdigest()[:16]}"


def load(con: duckdb.DuckDBPyConnection, overrides: Sequence[Override] = ()) -> None:
    """Replace the rows of `prices`; where a user's price holds, no other does."""
    rows = with_overrides(bundled(), overrides)
    columns = list(zip(*rows, strict=True))
    table = pa.Table.from_arrays(
        [pa.array(column, type=field.type) for column, field in zip(columns, _SCHEMA, strict=True)], schema=_SCHEMA
    )
    con.execute("delete from prices")
    with registered(con, incoming_prices=table):
        con.execute(schema.query("insert_prices"))


def with_overrides(rows: Sequence[PriceRow], overrides: Sequence[Override]) -> list[PriceRow]:
    """The price rows with the user's own in place of those whose model, rate and time they cover."""
    result = list(rows)
    for override in overrides:
        provider, model = _canonical(override)
        for rate, usd_per_mtok in override.rates.items():
            tier, start, end = override.tier_start_tokens, override.valid_from, override.valid_to
            price = PriceRow(provider, model, rate, usd_per_mtok, tier, start, end, _USER)
            result = [kept for row in result for kept in (_outside(row, start, end) if _yields(row, price) else (row,))]
            result.append(price)
    return result


def _yields(row: PriceRow, price: PriceRow) -> bool:
    """Whether a user's price takes the place of this row: of every tier of the list, of the same tier of the user's."""
    is_same_rate = (row.provider, row.model, row.rate) == (price.provider, price.model, price.rate)
    return is_same_rate and (row.source != _USER or row.tier_start_tokens == price.tier_start_tokens)


def _canonical(override: Override) -> tuple[str, str]:
    return price_model(override.provider, override.model) or (override.provider, override.model)


def _outside(row: PriceRow, start: datetime | None, end: datetime | None) -> Iterator[PriceRow]:
    """The parts of a row's validity that lie before `start` and from `end` on."""
    if start is not None and (row.valid_from is None or row.valid_from < start):
        yield row._replace(valid_to=start if row.valid_to is None else min(row.valid_to, start))
    if end is not None and (row.valid_to is None or row.valid_to > end):
        yield row._replace(valid_from=end if row.valid_from is None else max(row.valid_from, end))


class PriceBook:
    """Which rows of `prices` a model's name means, for one content of `prices`."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._known = {
            (str(provider), str(model)) for provider, model in con.execute(schema.query("priced_models")).fetchall()
        }
        self._memo: dict[tuple[str | None, ...], str | None] = {}

    def price_model(
        self, provider: str | None, model: str | None, tier: str | None = None, geo: str | None = None
    ) -> str | None:
        """`provider/model` of the rows that apply to a model's name, service tier and place; None where there are
        none."""
        key = (provider, model, tier, geo)
        if key not in self._memo:
            self._memo[key] = self._find(provider, model, tier, geo)
        return self._memo[key]

    def _find(self, provider: str | None, model: str | None, tier: str | None, geo: str | None) -> str | None:
        if not model:
            return None
        found = price_model(provider, model) or (provider or "", model)
        found = (found[0], _variant(found[1], None if tier in _ORDINARY_TIERS else tier, geo))
        return "/".join(found) if found in self._known else None


def _variant(model: str, tier: str | None, geo: str | None) -> str:
    """The name in `prices` of a model in a service tier, or at a place: `claude-opus-4-6 (batch, us)`."""
    said = [each for each in (tier, geo) if each is not None]
    return f"{model} ({', '.join(said)})" if said else model


@cache
def price_model(provider: str | None, model: str) -> tuple[str, str] | None:
    """Provider and model of the bundled list that a provider's and a model's name mean; None where unknown."""
    snapshot = _snapshot()
    try:
        asked = _ALIASES.get(provider, provider) if provider else None
        found_provider, found = snapshot.find_provider_model(model, None, asked, None)
    except LookupError:
        return None
    return _owners().get(id(found), found_provider.id), found.id


@cache
def bundled() -> tuple[PriceRow, ...]:
    """Every price of genai-prices that can be said by dates and prompt sizes."""
    source = f"genai-prices {version('genai-prices')}"
    return tuple(
        row for provider in _snapshot().providers for model in provider.models for row in _rows(provider, model, source)
    )


@cache
def _snapshot() -> data_snapshot.DataSnapshot:
    from genai_prices import data_snapshot

    return data_snapshot.get_snapshot()


@cache
def _owners() -> dict[int, str]:
    """The provider of each model object: a lookup may fall back to a model of another provider's list."""
    return {id(model): provider.id for provider in _snapshot().providers for model in provider.models}


def _rows(provider: types.Provider, model: types.ModelInfo, source: str) -> Iterator[PriceRow]:
    from genai_prices import types

    constraints = [price.constraint for price in model.prices] if isinstance(model.prices, list) else []
    constraints += [variant.constraint for variant in model.price_variants or ()]
    # A price by the time of day (off-peak discounts) has no dates: such a model stays unpriced rather than wrong.
    if any(isinstance(constraint, types.TimeOfDateConstraint) for constraint in constraints):
        return
    dated = [constraint for constraint in constraints if isinstance(constraint, types.StartDateConstraint)]
    starts = sorted({constraint.start_date for constraint in dated})
    contexts: list[dict[str, str]] = [{}]
    contexts += [
        variant.when for variant in model.price_variants or () if len(variant.when) == 1 and _tier(variant.when)
    ]
    for context in _unique(contexts):
        tier = _tier(context)
        for row in _merged(_dated(provider.id, _variant(model.id, tier, None), model, context, starts, source)):
            yield row
            if provider.id == _GEO_PROVIDER:
                factor = 1 if row.rate == "fee" else _GEO_FACTOR
                there = _variant(model.id, tier, _GEO)
                yield row._replace(model=there, usd_per_mtok=_rounded(row.usd_per_mtok * factor))


def _tier(when: dict[str, str]) -> str | None:
    key, value = next(iter(when.items()), ("", ""))
    return value if key in {"processing", "service_tier", "speed"} and value not in _ORDINARY_TIERS else None


def _unique(contexts: list[dict[str, str]]) -> list[dict[str, str]]:
    return [context for index, context in enumerate(contexts) if context not in contexts[:index]]


def _dated(
    provider: str, name: str, model: types.ModelInfo, context: dict[str, str], starts: Sequence[date], source: str
) -> Iterator[PriceRow]:
    from genai_prices import types

    edges: list[datetime | None] = [None, *(datetime.combine(start, time()) for start in starts), None]
    for begin, end in pairwise(edges):
        at = begin if begin is not None else datetime.min
        # The price list falls back to the ordinary price where a tier's own is not in force yet: not known, for us.
        if context and not any(
            variant.when == context and (variant.constraint is None or variant.constraint.active(at))
            for variant in model.price_variants or ()
        ):
            continue
        listed: Any = model.get_prices(at, context or None)
        for rate, key in RATES.items():
            price = getattr(listed, key)
            if price is None:
                continue
            scale = 1000 if rate == "fee" else 1
            base = price.base if isinstance(price, types.TieredPrices) else price
            yield PriceRow(provider, name, rate, _rounded(base * scale), 0, begin, end, source)
            for tier in price.tiers if isinstance(price, types.TieredPrices) else ():
                yield PriceRow(provider, name, rate, _rounded(tier.price * scale), tier.start, begin, end, source)


def _rounded(usd_per_mtok: Decimal) -> Decimal:
    return usd_per_mtok.quantize(Decimal("1e-9"))


def _merged(rows: Iterator[PriceRow]) -> Iterator[PriceRow]:
    """The rows with equal prices of consecutive periods as one row."""
    open_rows: dict[tuple[str, int], PriceRow] = {}
    for row in rows:
        key = (row.rate, row.tier_start_tokens)
        before = open_rows.get(key)
        if before is not None and before.valid_to == row.valid_from and before.usd_per_mtok == row.usd_per_mtok:
            open_rows[key] = before._replace(valid_to=row.valid_to)
            continue
        if before is not None:
            yield before
        open_rows[key] = row
    yield from open_rows.values()
