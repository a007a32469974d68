"""Where a piece lies in the prompt -> the rates at which its tokens were billed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .model import PROMPT_RATES, Ints


class Portion(NamedTuple):
    """The tokens of pieces that one rate billed; `ends` counts them within their request and rate."""

    rate: int
    pieces: Ints
    tokens: Ints
    ends: Ints


def by_rate(first: Ints, last: Ints, counts: Ints, billed: Ints) -> list[Portion]:
    """Cuts every piece where the rate changes; `counts` are the pieces of each prompt.

    `billed` has a row for each prompt with its tokens in the order of `PROMPT_RATES`, none negative: the first so many
    tokens of the prompt were read from the cache, the next written for an hour, the next for five minutes.
    """
    places = np.concatenate([np.zeros((len(billed), 1), dtype=np.int64), np.cumsum(billed, axis=1)], axis=1)
    portions = []
    for rate in range(len(PROMPT_RATES)):
        if not billed[:, rate].any():
            continue
        begin, end = np.repeat(places[:, rate], counts), np.repeat(places[:, rate + 1], counts)
        low, high = np.maximum(first, begin), np.minimum(last, end)
        pieces = np.flatnonzero(high > low)
        portions.append(Portion(rate, pieces, (high - low)[pieces], (high - begin)[pieces]))
    return portions
