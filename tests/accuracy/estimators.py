"""Other ways to share a bill, for comparison: the same prompts and ledger, other sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import duckdb
import numpy as np

from simulator import TruthRow
from toolspend_ingest.attribution import model as m
from toolspend_ingest.attribution import run
from toolspend_ingest.attribution.contexts import Contexts, read_contexts
from toolspend_ingest.attribution.densities import learn
from toolspend_ingest.attribution.equations import Measured
from toolspend_ingest.attribution.inputs import Items, read
from toolspend_ingest.attribution.ledger import keep_ledger
from toolspend_ingest.attribution.shares import Shares, share

Estimator = Callable[[Contexts], Shares]

# Tokens of a character by kind of content, as rules of thumb have them.
_RATIOS = {m.D: 0.30, m.C: 0.30, m.R: 0.30, m.S: 0.25, m.U: 0.25, m.A: 0.25, m.T: 0.25, m.K: 0.25}
_IMAGE_TOKENS = 1_500


def by_characters(contexts: Contexts) -> Shares:
    """Every request's total in proportion to the characters of its pieces."""
    return _fixed(contexts, np.full(m.BLANK + 1, 0.25), has_media=False)


def by_ratios(contexts: Contexts) -> Shares:
    """Every request's total by fixed ratios of tokens to characters for each kind of content."""
    ratios = np.full(m.BLANK + 1, 0.25)
    ratios[list(_RATIOS)] = list(_RATIOS.values())
    return _fixed(contexts, ratios, has_media=True)


def learned(contexts: Contexts) -> Shares:
    """The product's own."""
    return share(contexts)


def _fixed(contexts: Contexts, ratios: np.ndarray, *, has_media: bool) -> Shares:
    pieces, prompts = contexts.pieces, contexts.inputs.prompts
    nothing = np.full(len(prompts), -1, dtype=np.int64)
    densities = learn(contexts, Measured(nothing, nothing, np.zeros(len(prompts))))
    sizes = pieces.chars * ratios[pieces.letter]
    if has_media:
        sizes = np.where(pieces.medium > 0, _IMAGE_TOKENS, sizes)
    densities.pieces.weight = sizes
    densities.factor[:], densities.block[:], densities.count[:] = 1.0, 0.0, 0.0
    densities.message[:], densities.answer[:] = 0, 0
    zeros = np.zeros(len(prompts), dtype=np.int64)
    elements = np.rint(sizes[contexts.pool] * m.MICRO).astype(np.int64)
    return replace(
        share(contexts),
        densities=densities,
        elements=elements,
        bases=np.full(len(contexts.pool), m.RECONCILED),
        hidden=zeros,
        message=zeros,
        residual=zeros,
    )


def ledger_with(con: duckdb.DuckDBPyConnection, session_id: str, estimator: Estimator) -> Sequence[TruthRow]:
    """The ledger of a stored session with the sizes of an estimator, in the form of the truth."""
    con.execute(run.query("create_prompts"), {"sessions": [session_id]})
    inputs = read(con, run.query, [session_id])
    responses = dict(
        con.execute(
            "select prompts.p, requests.response_id from attributed_prompts as prompts"
            " inner join llm_requests as requests using (trace_id, request_id)"
        ).fetchall()
    )
    if estimator is not learned:
        for items in (inputs.delta, inputs.restated, inputs.output):
            _forget_weights(items)
    ledger = keep_ledger(contexts := read_contexts(inputs), estimator(contexts))
    rows = ledger.rows
    columns = (
        rows.p,
        ledger.owners.kind[rows.owner],
        ledger.owners.tool[rows.owner],
        rows.rate,
        rows.tokens,
        rows.cost,
    )
    return [
        TruthRow(responses[p], m.KINDS[kind], inputs.tools[tool] if tool >= 0 else None, m.RATES[rate], tokens, cost)
        for p, kind, tool, rate, tokens, cost in zip(*(column.tolist() for column in columns), strict=True)
        if p in responses
    ]


def _forget_weights(items: Items) -> None:
    items.weight[:], items.digits[:], items.extra_bytes[:] = 0, 0, 0
