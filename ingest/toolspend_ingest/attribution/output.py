"""The billed output of a request -> thinking, text and tool calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from . import model as m
from .evidence import MAX_CHARS
from .model import Call, RequestBill, Segment
from .pieces import prior_size


class OutputShare(NamedTuple):
    """Tokens of an output that belong to one owner."""

    kind: int
    tool: str | None
    version: str | None
    call: str | None
    tokens: int
    basis: int


_KINDS = {"a": m.ASSISTANT, "c": m.USE, "t": m.THINKING, "k": m.COMPACTION}


def share_output(
    bill: RequestBill,
    segments: Sequence[Segment] | None,
    calls: Sequence[Call],
    versions: Mapping[str, str | None],
) -> list[OutputShare]:
    """Shares `bill.output` without its compaction; `calls` are those that the request is known to have asked for.

    Results of server tools lie in the output but are no output tokens. Thinking is exact where usage states it.
    """
    total = (bill.output or 0) - bill.compaction[4]
    if total == 0:
        return []
    if total < 0:
        return [OutputShare(m.UNATTRIBUTED, None, None, None, total, m.UNKNOWN)]
    shares: list[OutputShare] = []
    thinking = min(bill.thinking, total) if bill.thinking is not None else None
    if thinking:
        shares.append(OutputShare(m.THINKING, None, None, None, thinking, m.EXACT))
    rest = total - (thinking or 0)
    if rest == 0:
        return shares
    written = [each for each in segments or () if each.kind != "r" and (thinking is None or each.kind != "t")]
    if written:
        basis = m.EXACT if len(written) == 1 else m.RECONCILED
        for segment, tokens in zip(written, _split([prior_size(each) for each in written], rest), strict=True):
            shares.append(_share(segment, tokens, basis, versions))
        return shares
    if calls:
        sizes = [prior_size(Segment("c", min(max(call.argument_chars or 0, 0), MAX_CHARS))) for call in calls]
        for call, tokens in zip(calls, _split(sizes, rest), strict=True):
            version = call.tool_version or versions.get(call.tool)
            shares.append(OutputShare(m.USE, call.tool, version, call.tool_call_id, tokens, m.INFERRED))
        return shares
    if segments is None and bill.stop_reason in ("end_turn", "stop", "stop_sequence"):
        shares.append(OutputShare(m.ASSISTANT, None, None, None, rest, m.INFERRED))
    else:
        shares.append(OutputShare(m.UNATTRIBUTED, None, None, None, rest, m.UNKNOWN))
    return shares


def _share(segment: Segment, tokens: int, basis: int, versions: Mapping[str, str | None]) -> OutputShare:
    kind = _KINDS.get(segment.kind, m.UNATTRIBUTED)
    if kind == m.USE and segment.tool is not None:
        return OutputShare(kind, segment.tool, versions.get(segment.tool), segment.id, tokens, basis)
    if kind in (m.USE, m.UNATTRIBUTED):
        return OutputShare(m.UNATTRIBUTED, None, None, segment.id, tokens, m.UNKNOWN)
    return OutputShare(kind, None, None, None, tokens, basis)


def _split(sizes: Sequence[int], total: int) -> list[int]:
    """Whole tokens in proportion to the sizes; the places are rounded, so that they sum to the total."""
    weight = sum(sizes)
    if weight == 0:
        sizes, weight = [1] * len(sizes), len(sizes)
    shares, place, end = [], 0, 0
    for size in sizes:
        end += size
        now = (2 * end * total + weight) // (2 * weight)
        shares.append(now - place)
        place = now
    return shares
