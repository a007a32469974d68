"""Requests that were billed again for what the one before had left in the prompt cache: how much, why, at what cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import duckdb
import numpy as np

from . import model as m
from .calls import UNKNOWN
from .causes import blame
from .contexts import Contexts
from .costs import costs_nano, is_priced
from .losses import LEAST_TOKENS, Facts, Pairs, losses_of
from .model import Ints
from .shares import Shares


class Breaks(NamedTuple):
    """One element a break, by session and time; `place` is a piece's in the prompt; `cost` in nano-dollars."""

    p: Ints
    base: Ints
    cause: Ints
    tool: Ints
    version: Ints
    place: Ints
    gap_us: Ints
    lost: Ints
    cost: Ints


def find_breaks(
    con: duckdb.DuckDBPyConnection, query: Callable[[str], str], contexts: Contexts, shares: Shares, pairs: Pairs,
    billed: Ints,
) -> Breaks:  # fmt: skip
    """The breaks among pairs of the prompts that `attributed_prompts` lists; `query` gives a statement by name."""
    if not len(pairs):
        return Breaks(*(np.zeros(0, dtype=np.int64) for _ in Breaks._fields))
    facts = _facts(con, query, pairs, len(contexts.start))
    losses = losses_of(contexts, shares, pairs, billed, facts)
    kept = losses.tokens.sum(axis=1) > LEAST_TOKENS
    found = blame(contexts, losses, facts)
    kept &= ~found.is_apart
    prompts = contexts.inputs.prompts
    breaks = Breaks(
        pairs.rows, pairs.base, found.cause, found.tool, found.version, found.place,
        prompts.started_us[pairs.rows] - prompts.started_us[pairs.base],
        losses.tokens.sum(axis=1), _costs(contexts, pairs.rows, losses.tokens),
    )  # fmt: skip
    return Breaks(*(column[kept] for column in breaks))


def _facts(con: duckdb.DuckDBPyConnection, query: Callable[[str], str], pairs: Pairs, prompts: int) -> Facts:
    listed = {"prompts": np.unique(np.concatenate([pairs.rows, pairs.base])).tolist()}
    marks = con.sql(query("marks"), params=listed).to_arrow_table()
    answers = con.sql(query("answers"), params=listed).to_arrow_table()
    answered = np.zeros(prompts, dtype=np.int64)
    answered[answers["p"].to_numpy()] = answers["answered_us"].to_numpy()
    return Facts(marks["p"].to_numpy(), marks["place"].to_numpy(), marks["is_hour"].to_numpy(), answered)


def _costs(contexts: Contexts, rows: Ints, tokens: Ints) -> Ints:
    """What tokens cost more than read from the cache, in nano-dollars; `UNKNOWN` where not priced."""
    prompts = contexts.inputs.prompts
    prices = prompts.prices[rows, : len(m.PROMPT_RATES)]
    more = np.maximum(prices, 0) - np.maximum(prices[:, :1], 0)
    is_known = is_priced(prompts)[rows] & (prices[:, 0] >= 0)
    cost = np.where(is_known[:, None], costs_nano(np.where(is_known[:, None], tokens, 0), more), 0).sum(axis=1)
    return np.where(is_known, cost, UNKNOWN)
