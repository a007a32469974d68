"""What each tool call, compression and selection came to, from the entries of the ledger."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import model as m
from .costs import request_cost_nano
from .ledger import Batch
from .model import Call, CallRow, Compression, Ints, Session

DEFAULT_TOKENS_PER_CHAR = 0.25


class CompressionRow(NamedTuple):
    """What one compression did: tokens before and after, its cost, and what it saved net; money in nano-dollars."""

    row: int
    tokens_before: int | None
    tokens_after: int | None
    cost_nano: int | None
    saved_nano: int | None


class SelectionRow(NamedTuple):
    """The definitions that one selection offered and left out, in tokens of one sending."""

    row: int
    offered_tokens: int | None
    avoided_tokens: int | None


class _PerCall(NamedTuple):
    """Sums by call: tokens, or nano-dollars."""

    arguments: Ints
    first_result: Ints
    first_result_chars: Ints
    result_tokens: Ints
    result_cost: Ints
    cost: Ints
    has_unpriced: Ints


def account(batch: Batch) -> tuple[list[CallRow], list[CompressionRow], list[SelectionRow]]:
    """Calls, compressions and selections of a batch."""
    sums = _per_call(batch)
    calls: list[CallRow] = []
    compressions: list[CompressionRow] = []
    selections: list[SelectionRow] = []
    densities = _definition_densities(batch)
    for place, session in enumerate(batch.sessions):
        calls.extend(_call_rows(batch, sums, place, session))
        if session.compressions:
            compressions.extend(_compression_rows(batch, sums, place, session))
        for selection in session.selections:
            density = densities.get(place, DEFAULT_TOKENS_PER_CHAR)
            offered, avoided = (
                None if chars is None else round(chars * density)
                for chars in (selection.offered_chars, selection.avoided_chars)
            )
            selections.append(SelectionRow(selection.row, offered, avoided))
    return calls, compressions, selections


def _per_call(batch: Batch) -> _PerCall:
    entries, size = batch.entries, len(batch.calls)
    with_call = np.flatnonzero(entries.call >= 0)
    call, tokens, cost = entries.call[with_call], entries.tokens[with_call], entries.cost[with_call]
    kinds = np.array([owner.kind for owner in batch.owners], dtype=np.int64)
    is_result = kinds[entries.owner[with_call]] == m.RESULT
    is_first = is_result & entries.is_first[with_call]
    is_output = entries.rate[with_call] == m.OUTPUT_RATE

    def total(values: Ints, mask: np.ndarray[tuple[int], np.dtype[np.bool_]] | None = None) -> Ints:
        sums = np.zeros(size, dtype=np.int64)
        np.add.at(sums, call if mask is None else call[mask], values if mask is None else values[mask])
        return sums

    # A piece that two rates bill is two entries of one length.
    pieces = np.zeros(size, dtype=np.int64)
    seen = np.flatnonzero(is_first)
    _, once = np.unique(np.stack([call[seen], entries.chars[with_call][seen]]), axis=1, return_index=True)
    np.add.at(pieces, call[seen][once], entries.chars[with_call][seen][once])
    return _PerCall(
        total(tokens, is_output),
        total(tokens, is_first),
        pieces,
        total(tokens, is_result),
        total(cost, is_result),
        total(cost),
        total((~batch.is_priced[entries.request[with_call]]).astype(np.int64)),
    )


def _call_rows(batch: Batch, sums: _PerCall, place: int, session: Session) -> list[CallRow]:
    # Attempts share one id: what went to the model was the last.
    last = {call.tool_call_id: call for call in sorted(session.calls, key=lambda call: (call.started_at, call.order))}
    rows = []
    for call in session.calls:
        index = batch.calls.get((place, call.tool_call_id)) if call.tool_call_id is not None else None
        if index is None or last[call.tool_call_id] is not call:
            rows.append(CallRow(call.row, None, None, None, None, None))
            continue
        sent = int(batch.sent[index])
        arguments, result = int(sums.arguments[index]) or None, int(sums.first_result[index]) or None
        is_known = sent > 0 or call.request_id in batch.described
        is_costed = (arguments is not None or sent > 0) and not sums.has_unpriced[index]
        rows.append(
            CallRow(
                call.row,
                arguments,
                result,
                _raw_tokens(call, result, int(sums.first_result_chars[index])),
                sent if is_known else None,
                int(sums.cost[index]) if is_costed else None,
            )
        )
    return rows


def _raw_tokens(call: Call, result_tokens: int | None, sent_chars: int) -> int | None:
    """The tokens of the raw result at the density of what was sent."""
    chars = sent_chars or call.result_chars
    if call.raw_result_chars is None or result_tokens is None or not chars:
        return None
    return round(call.raw_result_chars * result_tokens / chars)


def _compression_rows(batch: Batch, sums: _PerCall, place: int, session: Session) -> list[CompressionRow]:
    bills = {bill.request_id: bill for bill in session.requests}
    tools = {call.tool_call_id: call.tool for call in session.calls if call.tool_call_id is not None}
    tokens: dict[str, int] = {}
    chars: dict[str, int] = {}
    for call_id, tool in tools.items():
        index = batch.calls.get((place, call_id))
        if index is not None and sums.first_result_chars[index]:
            tokens[tool] = tokens.get(tool, 0) + int(sums.first_result[index])
            chars[tool] = chars.get(tool, 0) + int(sums.first_result_chars[index])
    rows = []
    for each in session.compressions:
        named = each.tool or tools.get(each.tool_call_id or "", "")
        density = tokens[named] / chars[named] if named in tokens else DEFAULT_TOKENS_PER_CHAR
        before, after = (
            None if length is None else round(length * density) for length in (each.chars_before, each.chars_after)
        )
        spent = [request_cost_nano(bills[request]) if request in bills else None for request in each.requests]
        cost = None if None in spent else sum(nano for nano in spent if nano is not None)
        rows.append(
            CompressionRow(each.row, before, after, cost, _saved(batch, sums, place, each, before, after, cost))
        )
    return rows


def _saved(
    batch: Batch,
    sums: _PerCall,
    place: int,
    compression: Compression,
    before: int | None,
    after: int | None,
    cost: int | None,
) -> int | None:
    """What the tokens left out would have cost wherever the result was billed, less the compression's own cost."""
    index = batch.calls.get((place, compression.tool_call_id)) if compression.tool_call_id is not None else None
    if index is None or before is None or after is None or cost is None or sums.has_unpriced[index]:
        return None
    sent = int(sums.first_result[index])
    if sent == 0:
        return -cost
    return round(int(sums.result_cost[index]) * (before - after) / sent) - cost


def _definition_densities(batch: Batch) -> dict[int, float]:
    """Tokens per character of tool definitions by session."""
    entries = batch.entries
    kinds = np.array([owner.kind for owner in batch.owners], dtype=np.int64)
    found = np.flatnonzero((kinds[entries.owner] == m.DEFINITION) & (entries.chars > 0))
    sessions = batch.session_of[entries.request[found]]
    tokens = np.bincount(sessions, weights=entries.tokens[found], minlength=len(batch.sessions))
    chars = np.bincount(sessions, weights=entries.chars[found], minlength=len(batch.sessions))
    return {int(place): float(tokens[place] / chars[place]) for place in np.flatnonzero(chars)}
