"""Tokens and prices -> nano-dollars: whole numbers that sum to the cost of a request and rate exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

import numpy as np

from .model import RATES, Ints, RequestBill

PER: Final = 1_000_000
"""Prices are for a million tokens."""
_MOST_NANO: Final = 10**17
"""A request that costs more (100 million dollars) has garbled usage or a garbled price: not priced."""


class Price(NamedTuple):
    """One row of `prices`; the validity is from inclusive to exclusive, None for open."""

    rate: str
    usd_per_mtok: Decimal
    tier_start_tokens: int
    valid_from: datetime | None
    valid_to: datetime | None


def prices_at(rows: Sequence[Price], at: datetime, prompt_tokens: int) -> dict[str, int]:
    """Nano-dollars per million tokens by rate, at a time and for a prompt of so many tokens.

    A long-context tier holds for the whole request once the prompt is longer than its start: one of exactly 200,000
    tokens still has the ordinary price.
    """
    found: dict[str, tuple[int, datetime, int]] = {}
    for row in rows:
        if (row.valid_from is not None and at < row.valid_from) or (row.valid_to is not None and at >= row.valid_to):
            continue
        if row.tier_start_tokens > 0 and prompt_tokens <= row.tier_start_tokens:
            continue
        candidate = (row.tier_start_tokens, row.valid_from or datetime.min, int(row.usd_per_mtok.scaleb(9)))
        found[row.rate] = max(found.get(row.rate, candidate), candidate)
    return {rate: nano for rate, (_, _, nano) in found.items()}


def cost_nano(tokens: int, price: int) -> int:
    """Cost of tokens at a price, rounded half to even."""
    whole, rest = divmod(tokens * price, PER)
    return whole + (rest * 2 > PER or (rest * 2 == PER and whole % 2 == 1))


def costs_nano(tokens: Ints, prices: Ints) -> Ints:
    """`cost_nano` of many at once; every product must be below what `is_priced` allows."""
    whole, part = np.divmod(prices, PER)
    if not part.any():  # whole nano-dollars a token, as all prices of up to three decimals are
        return tokens * whole
    more, rest = np.divmod(tokens * part, PER)
    cost: Ints = tokens * whole + more
    cost += (rest * 2 > PER) | ((rest * 2 == PER) & (cost % 2 == 1))
    return cost


def units(bill: RequestBill) -> tuple[int, ...]:
    """What a request is billed for, by `RATES`: tokens, and web searches for the fee."""
    return (*bill.prompt, bill.output or 0, bill.web_searches)


def is_priced(bill: RequestBill) -> bool:
    """Whether every rate that the request used has a price. What used none costs nothing at any price."""
    return all(
        count == 0 or (rate in bill.prices and abs(count) * bill.prices[rate] < _MOST_NANO * PER)
        for rate, count in zip(RATES, units(bill), strict=True)
    )


def request_cost_nano(bill: RequestBill) -> int | None:
    """Cost of a request: the sum over its rates; None where usage or a price is not known."""
    if not bill.is_usage_known or not is_priced(bill):
        return None
    return sum(cost_nano(count, bill.prices[rate]) for rate, count in zip(RATES, units(bill), strict=True) if count)


def price_table(bills: Sequence[RequestBill]) -> Ints:
    """Prices by request and rate; 0 where there is none, which is only read where nothing was used."""
    table: list[list[int]] = [[_bounded(bill.prices, rate) for rate in RATES] for bill in bills]
    return np.array(table, dtype=np.int64).reshape(len(bills), len(RATES))


def _bounded(prices: Mapping[str, int], rate: str) -> int:
    return min(prices.get(rate, 0), 2**62)
