"""Tokens and prices -> nano-dollars: whole numbers that sum to the cost of a request and rate exactly."""

from __future__ import annotations

from typing import Final

import numpy as np

from .inputs import Prompts
from .model import Flags, Ints

PER: Final = 1_000_000
"""Prices are for a million tokens."""
_MOST_NANO: Final = 1e17
"""A request that costs more (100 million dollars) has garbled usage or a garbled price: not priced."""


def costs_nano(tokens: Ints, prices: Ints) -> Ints:
    """Costs of tokens at prices, rounded half to even; every product must be below what `is_priced` allows."""
    whole, part = np.divmod(prices, PER)
    if not part.any():  # whole nano-dollars a token, as all prices of up to three decimals are
        return tokens * whole
    more, rest = np.divmod(tokens * part, PER)
    cost: Ints = tokens * whole + more
    cost += (rest * 2 > PER) | ((rest * 2 == PER) & (cost % 2 == 1))
    return cost


def units(prompts: Prompts) -> Ints:
    """What each request is billed for, by `RATES`: tokens, and web searches for the fee."""
    return np.concatenate([prompts.billed, prompts.output[:, None], prompts.web_searches[:, None]], axis=1)


def is_priced(prompts: Prompts) -> Flags:
    """Whether every rate that the request used has a price. What used none costs nothing at any price."""
    count = units(prompts)
    is_small = np.abs(count).astype(np.float64) * prompts.prices < _MOST_NANO * PER
    found: Flags = ((count == 0) | ((prompts.prices >= 0) & is_small)).all(axis=1)
    return found
