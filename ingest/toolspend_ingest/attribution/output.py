"""The billed output of requests -> thinking, text and tool calls."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import model as m
from .arrays import lean, run_starts, split
from .contexts import Contexts
from .densities import Densities
from .equations import is_output_part, output_segments
from .identities import owners
from .model import C, Ints
from .segments import segments, slack


class OutputShares(NamedTuple):
    """One element a share: tokens of a prompt's output that belong to one owner; `call` is -1 for none."""

    p: Ints
    kind: Ints
    tool: Ints
    call: Ints
    basis: Ints
    tokens: Ints


def share_outputs(contexts: Contexts, densities: Densities) -> OutputShares:
    """Shares the outputs that are billed, without those of compactions and of requests that compress a result.

    Results of server tools lie in an output but are no output tokens. Thinking is exact where usage states it.
    """
    inputs, pieces = contexts.inputs, contexts.pieces
    prompts = inputs.prompts
    total = np.where(prompts.is_billed & (prompts.compressed_tool < 0), prompts.output - prompts.compaction[:, 4], 0)
    is_known = (prompts.thinking >= 0) & (total > 0)
    thinking = np.where(is_known, np.minimum(prompts.thinking, total), 0)
    rest = np.where(total > 0, total - thinking, 0)
    closing = np.minimum(np.rint(densities.answer[densities.group_of] / m.MICRO).astype(np.int64), rest // 4)
    rest = rest - closing

    output = inputs.output
    part = np.flatnonzero((rest[output.p] > 0) & is_output_part(contexts))
    p, letter = output.p[part], output.kind[part]
    written = output_segments(contexts, part)
    size = np.maximum(densities.of(written, densities.group_of[p]), 1)
    starts = run_starts(p)
    size = lean(size, slack(written), starts, rest[p[starts]] * m.MICRO)
    counts = np.bincount(p, minlength=len(prompts))
    kind, tool = owners(letter, output.tool[part], pieces.call_of_output[part], pieces.tool_of_call)
    basis = np.where(kind == m.UNATTRIBUTED, m.UNKNOWN, np.where(counts[p] == 1, m.EXACT, m.RECONCILED))
    shares = [
        OutputShares(p, kind, tool, pieces.call_of_output[part], basis, split(size, starts, rest[p[starts]])),
        _plain(np.flatnonzero(thinking), m.THINKING, m.EXACT, thinking),
        _plain(np.flatnonzero(closing), m.OVERHEAD, m.RECONCILED, closing),
        _plain(np.flatnonzero(total < 0), m.UNATTRIBUTED, m.UNKNOWN, total),
        _plain(np.flatnonzero(prompts.is_billed & (prompts.compaction[:, 4] > 0) & (prompts.compressed_tool < 0)),
               m.COMPACTION, m.EXACT, prompts.compaction[:, 4]),
    ]  # fmt: skip

    bare = (rest > 0) & (counts == 0)
    asked = _asked(contexts, densities, bare, rest)
    shares.append(asked)
    bare[asked.p] = False
    is_text = bare & ~prompts.has_output & prompts.is_finished
    shares.append(_plain(np.flatnonzero(is_text), m.ASSISTANT, m.INFERRED, rest))
    shares.append(_plain(np.flatnonzero(bare & ~is_text), m.UNATTRIBUTED, m.UNKNOWN, rest))
    return OutputShares(*(np.concatenate(columns) for columns in zip(*shares, strict=True)))


def _plain(p: Ints, kind: int, basis: int, tokens: Ints) -> OutputShares:
    none = np.full(len(p), -1, dtype=np.int64)
    return OutputShares(p, none + 1 + kind, none, none, none + 1 + basis, tokens[p])


def _asked(contexts: Contexts, densities: Densities, bare: np.ndarray, rest: Ints) -> OutputShares:
    """Outputs of which nothing is known but the calls that they asked for."""
    calls, pieces = contexts.inputs.calls, contexts.pieces
    found = np.flatnonzero((calls.p >= 0) & bare[calls.p])
    found = found[np.argsort(calls.p[found], kind="stable")]
    p, zeros = calls.p[found], np.zeros(len(found), dtype=np.int64)
    chars = np.maximum(calls.argument_chars[found], 0)
    some = segments(zeros + C, calls.tool[found], chars, zeros, zeros, zeros, zeros, zeros > 0)
    size = densities.of(some, densities.group_of[p])
    starts = run_starts(p)
    tokens = split(np.maximum(size, 1), starts, rest[p[starts]])
    kind, basis = zeros + m.USE, zeros + m.INFERRED
    return OutputShares(p, kind, calls.tool[found], pieces.calls[found], basis, tokens)
