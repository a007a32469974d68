"""Prices at a time and for a length, and what tokens cost at them: reckoned apart from the product."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import NamedTuple


class Price(NamedTuple):
    """A price of one rate; the validity is from inclusive to exclusive, None for open."""

    rate: str
    usd_per_mtok: Decimal
    tier_start_tokens: int
    valid_from: datetime | None
    valid_to: datetime | None


def prices_at(rows: Sequence[Price], at: datetime, prompt_tokens: int) -> dict[str, Decimal]:
    """Dollars for a million tokens by rate; the highest tier that the prompt is longer than, the latest price."""
    valid = [
        row
        for row in rows
        if (row.valid_from is None or row.valid_from <= at)
        and (row.valid_to is None or at < row.valid_to)
        and (row.tier_start_tokens <= 0 or prompt_tokens > row.tier_start_tokens)
    ]
    valid.sort(key=lambda row: (row.tier_start_tokens, row.valid_from or datetime.min))
    return {row.rate: row.usd_per_mtok for row in valid}


def cost_nano(tokens: int, usd_per_mtok: Decimal) -> int:
    """Nano-dollars, rounded half to even."""
    return int((tokens * usd_per_mtok * 1000).quantize(Decimal(1), ROUND_HALF_EVEN))
