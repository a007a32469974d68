"""How many tokens of a billed prompt each of its pieces has.

`estimate` is the one function that decides it. What follows it (`whole_tokens`) makes whole tokens of any estimates
so that they sum to the bill.

The estimates: a request that only adds to one with a known bill has grown by exactly what was added, so the new
pieces share the growth and the others keep their estimate for as long as they stay. Elsewhere a prompt is shared by
the prior sizes of its pieces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from . import model as m
from .contexts import Contexts, Prompt
from .model import Ints, RequestBill
from .overhead import hidden_prompt_tokens
from .pieces import MICRO, Columns

_MAX_LEARNED: Final = 10**9
"""Prompts with more tokens are garbled: shared by prior sizes alone, so that no sum can overflow."""
_WRITTEN: Final = (m.USE, m.ASSISTANT, m.THINKING, m.COMPACTION)
_LEAST_DENSITY: Final = 0.3
"""The published size of the hidden tool prompt is believed unless it leaves the rest this much of its prior."""


@dataclass(slots=True, eq=False)
class Estimate:
    """The tokens of each piece of a prompt, in millionths, and the basis of each."""

    sizes: Ints
    bases: npt.NDArray[np.int8]


@dataclass(slots=True)
class _Anchor:
    """A prefix of a prompt whose tokens a bill states: pieces, tokens, and the output that followed it."""

    length: int
    tokens: int
    model: str | None
    output: int | None


def estimate(contexts: Contexts, bills: Mapping[str, RequestBill]) -> dict[str, Estimate]:
    """Estimates for every prompt of a session, by request."""
    columns = contexts.pieces.columns()
    estimates: dict[str, Estimate] = {}
    by_prompt: dict[int, Estimate] = {}
    anchors: dict[int, _Anchor | None] = {}
    models: dict[int, str | None] = {}
    for request_id in contexts.order:
        prompt, bill = contexts.prompts[request_id], bills.get(request_id)
        base = prompt.base
        tokens = _learnable_tokens(bill)
        anchor = None
        if base is not None and len(prompt.copies) == 1:
            anchor = _applicable(anchors[id(base)], prompt, base, bill)
        model = bill.model if bill is not None else None
        is_same_model = base is None or bill is None or models[id(base)] in (None, model)
        models[id(prompt)] = model if model is not None or base is None else models[id(base)]
        result = _prior(prompt, columns, by_prompt[id(base)] if base is not None else None, model, bill, is_same_model)
        if bill is None or tokens is None:
            anchors[id(prompt)] = anchor if bill is None or not bill.is_usage_known else None
        else:
            if anchor is None or not _share_growth(prompt, result, columns, anchor, tokens):
                _share_all(prompt, result, tokens, is_same_model)
            written = None if bill.output is None else bill.output - (bill.thinking or 0)
            # What a server tool added to the bill is not what the next prompt has of it.
            is_stated = prompt.tail == 0
            anchors[id(prompt)] = _Anchor(prompt.length, tokens, bill.model, written) if is_stated else None
        if prompt.is_inferred:
            result.bases[:] = m.INFERRED
        result.bases[columns.kind[prompt.ids] == m.UNATTRIBUTED] = m.UNKNOWN
        estimates[request_id] = by_prompt[id(prompt)] = result
    return estimates


def whole_tokens(sizes: Ints, starts: Ints, totals: Ints) -> tuple[Ints, Ints]:
    """First and last token (exclusive) of every piece, for many prompts end to end.

    `starts` are the prompts' first pieces, with the number of pieces as a last element; `totals` their billed tokens.
    The places are rounded, not the pieces: `round(end) - round(start)` sums to the total whatever the sizes are.
    """
    counts = np.diff(starts)
    ends = np.cumsum(sizes)
    before = np.concatenate([[0], ends])[starts[:-1]]
    weights = np.concatenate([[0], ends])[starts[1:]] - before
    scale = np.repeat(totals / np.maximum(weights, 1), counts)
    inside = ends - np.repeat(before, counts)
    # Totals are at most some 10**12, so that the last place is off by less than 0.001 before it is rounded.
    last = np.rint(inside * scale).astype(np.int64)
    first = np.empty_like(last)
    first[1:] = last[:-1]
    first[starts[:-1][counts > 0]] = 0
    return first, last


def _learnable_tokens(bill: RequestBill | None) -> int | None:
    if bill is None or not bill.is_usage_known:
        return None
    tokens = sum(max(each, 0) for each in bill.prompt) - sum(bill.compaction[:4])
    return tokens if 0 < tokens <= _MAX_LEARNED else None


def _applicable(anchor: _Anchor | None, prompt: Prompt, base: Prompt, bill: RequestBill | None) -> _Anchor | None:
    """The anchor, if the prompt has all of the base's and only adds to it."""
    run = prompt.copies[0]
    is_addition = run.at == 0 == run.start and run.length == base.length
    if anchor is None or not is_addition or (bill is not None and bill.model != anchor.model):
        return None
    return anchor


def _prior(
    prompt: Prompt,
    columns: Columns,
    base: Estimate | None,
    model: str | None,
    bill: RequestBill | None,
    is_same_model: bool,
) -> Estimate:
    """The base's estimates for what was copied, prior sizes for the rest."""
    sizes = columns.size[prompt.ids]
    blank = columns.is_blank[prompt.ids]
    if not prompt.is_whole and blank.any():
        known = int(columns.chars[prompt.ids].sum())
        each = max((prompt.chars or known) - known, 0) / int(blank.sum())
        sizes[blank] = int(each * 0.25 * MICRO) + 1
    hidden = hidden_prompt_tokens(model) * MICRO if prompt.has_tools or (bill and bill.tools_offered) else 0
    sizes[0] = hidden
    bases = np.full(len(sizes), m.RECONCILED, dtype=np.int8)
    if base is not None:
        for at, start, count in prompt.copies:
            sizes[at : at + count] = base.sizes[start : start + count]
            bases[at : at + count] = base.bases[start : start + count]
        if not is_same_model:
            sizes[0] = hidden
    return Estimate(sizes, bases)


def _share_growth(prompt: Prompt, result: Estimate, columns: Columns, anchor: _Anchor, tokens: int) -> bool:
    """Shares what the prompt grew by among its new pieces; False where it cannot have grown by them alone."""
    growth, new = tokens - anchor.tokens, slice(anchor.length, None)
    sizes = result.sizes[new]
    if growth <= 0 or not sizes.any():
        return False
    # What the model wrote is as long as its output was billed, unless thinking stays or outputs were lost.
    kinds = columns.kind[prompt.ids[new]]
    is_written = np.isin(kinds, _WRITTEN)
    written = anchor.output or 0
    is_stated = not prompt.has_stand_in and not (kinds == m.THINKING).any()
    if is_stated and 0 < written < growth and is_written.any() and not is_written.all():
        groups = [(is_written, written), (~is_written, growth - written)]
    else:
        groups = [(np.ones(len(kinds), dtype=np.bool_), growth)]
    bases = result.bases[new]
    for mask, total in groups:
        sizes[mask] = _split(sizes[mask], total * MICRO)
        bases[mask] = m.EXACT if int(mask.sum()) == 1 else m.RECONCILED
    return True


def _share_all(prompt: Prompt, result: Estimate, tokens: int, is_same_model: bool) -> None:
    """Scales the estimates to the bill: the new ones alone where that is plausible, else all of them.

    After a change of model all of them: each model has a tokenizer of its own.
    """
    sizes, total = result.sizes, tokens * MICRO
    result.bases[:] = m.RECONCILED
    is_new = np.ones(len(sizes), dtype=np.bool_)
    for at, _, count in prompt.copies if is_same_model else ():
        is_new[at : at + count] = False
    is_new[0] = False
    prior = int(sizes[is_new].sum())
    rest = total - int(sizes[~is_new].sum())
    if prior and _LEAST_DENSITY * prior <= rest and (is_new[1:].all() or rest <= prior / _LEAST_DENSITY):
        sizes[is_new] = _split(sizes[is_new], rest)
    else:
        sizes[:] = _split(sizes, total)


def _split(sizes: Ints, total: int) -> Ints:
    """Whole numbers in proportion to the sizes that sum to the total."""
    ends = np.cumsum(sizes)
    weight = int(ends[-1])
    if weight == 0:
        return sizes
    places: Ints = np.rint(ends * (total / weight)).astype(np.int64)
    places[ends == weight] = total
    places[1:] -= places[:-1].copy()
    return places
