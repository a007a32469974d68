"""Small operations on flat arrays of runs that lie end to end."""

from __future__ import annotations

import numpy as np

from .model import Flags, Ints

_ODD = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)


def spans(starts: Ints, counts: Ints) -> Ints:
    """The integers from `start` on, `count` of them, for every pair, end to end."""
    ends = np.cumsum(counts)
    found: Ints = np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(starts - (ends - counts), counts)
    return found


def before(counts: Ints) -> Ints:
    """The sum of the counts before each."""
    found: Ints = np.cumsum(counts) - counts
    return found


def run_starts(owner: Ints) -> Flags:
    """Whether each element begins a run of equal ones."""
    found = np.ones(len(owner), dtype=np.bool_)
    np.not_equal(owner[1:], owner[:-1], out=found[1:])
    return found


def _lengths(first: Ints, count: int) -> Ints:
    """The lengths of runs that begin there and fill `count`."""
    found = np.empty(len(first), dtype=np.int64)
    np.subtract(first[1:], first[:-1], out=found[:-1])
    if len(first):
        found[-1] = count - first[-1]
    return found


def running(values: Ints, is_start: Flags) -> Ints:
    """Running sums, inclusive, that begin anew wherever `is_start`."""
    ends = np.cumsum(values)
    if not len(ends):
        return ends
    starts = is_start.nonzero()[0]
    base = (ends - values)[starts]
    found: Ints = ends - base.repeat(_lengths(starts, len(values)))
    return found


def sums(values: Ints, owner: Ints, size: int) -> Ints:
    """Exact sums of integers by owner."""
    total = np.zeros(size, dtype=np.int64)
    np.add.at(total, owner, values)
    return total


def mixed(*columns: Ints) -> Ints:
    """One number for the numbers of each row, so well mixed that other rows have others."""
    found = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        found = (found ^ column.astype(np.uint64)) * _ODD
        found ^= found >> _HALF
    return found.view(np.int64)


def split(sizes: Ints, starts: Flags, totals: Ints) -> Ints:
    """Whole numbers in proportion to the sizes of each run that sum to the run's total.

    `starts` marks the first size of each run, `totals` has one number a run. The places are rounded, not the parts:
    `round(end) - round(start)` sums to the total whatever the sizes are. A run whose sizes are all 0 stays as it is.
    """
    if not len(sizes):
        return sizes
    first = starts.nonzero()[0]
    counts = _lengths(first, len(sizes))
    inside = running(sizes, starts)
    weights = inside[first + counts - 1]
    scale = totals / np.maximum(weights, 1)
    places = np.rint(inside * np.repeat(scale, counts)).astype(np.int64)
    is_end = inside == np.repeat(weights, counts)
    places[is_end] = np.repeat(totals, counts)[is_end]
    parts = places.copy()
    parts[1:] -= places[:-1]
    parts[first] = places[first]
    found: Ints = np.where(np.repeat(weights, counts) > 0, parts, sizes)
    return found


def lean(sizes: Ints, slack: Ints, starts: Flags, totals: Ints) -> Ints:
    """Sizes for `split`, of which those give way to the run's total that are least certain.

    What the sizes of a run lack of its total, or have beyond it, is shared in proportion to `slack`, the variance of
    each; none falls below a quarter of what it was.
    """
    if not len(sizes):
        return sizes
    first = starts.nonzero()[0]
    counts = _lengths(first, len(sizes))
    last = first + counts - 1
    lacking = (totals - running(sizes, starts)[last]) / np.maximum(running(slack, starts)[last], 1)
    found: Ints = np.maximum(sizes + np.rint(slack * np.repeat(lacking, counts)).astype(np.int64), sizes // 4)
    return found
