"""Rows of like objects as a table: a header once, what is constant once, the rows that matter, and aggregates."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from ._focus import Focus, facts_in, is_error

_MOST_VALUES: Final = 6
_AROUND: Final = 32
"""Characters that stay on each side of an error, or of what the task named, however short texts are to be."""
_DIGIT: Final = re.compile(r"\d")
_MOST_GOOD: Final = 12
_SELDOM: Final = 0.3
"""Fields of fewer rows than this share of them get no column of their own."""
_RARE: Final = 0.1
"""A value is rare that comes up as seldom, against the mean of its column's values."""


class TooLong(Exception):
    """What is being said is longer than it may be, and not yet at its end."""


def is_table(values: Sequence[Any]) -> bool:
    """Whether `values` are objects of much the same fields."""
    if len(values) < 3 or not all(isinstance(each, Mapping) and each for each in values):
        return False
    fields = Counter(key for each in values for key in each)
    return sum(1 for count in fields.values() if count >= 0.5 * len(values)) >= 0.5 * len(fields)


class Table:
    """Rows, looked at once and said at any length."""

    def __init__(self, values: Sequence[Mapping[str, Any]], focus: Focus) -> None:
        self._focus = focus
        self._rows = flat = [_flat(each) for each in values]
        columns = list(dict.fromkeys(key for row in flat for key in row))
        self._constant = {
            column: flat[0][column]
            for column in columns
            if len(flat) > 3 and all(column in row and row[column] == flat[0][column] for row in flat)
        }
        present = Counter(column for row in flat for column in row)
        self._seldom = {column for column in columns if present[column] < _SELDOM * len(flat)}
        self._columns = [column for column in columns if column not in self._constant and column not in self._seldom]
        self._numeric = {column: found for column in self._columns if (found := _numbers(flat, column))}

    def __len__(self) -> int:
        return len(self._rows)

    def said(
        self, max_rows: int | None, max_chars: int, good: Collection[int] = (), *, most_chars: float = math.inf
    ) -> tuple[str, int]:
        """The table as text, and how many rows were left out. `max_rows` None is all of them; `good` ones go first.

        Raises TooLong as soon as its rows have more than `most_chars`.
        """
        flat, focus = self._rows, self._focus
        shown = list(range(len(flat))) if max_rows is None else self._sample(max_rows, good)
        is_sampled = len(shown) < len(flat)
        lines = [f"{len(flat)} rows" + (f", {len(shown)} of them shown, by number" if is_sampled else "")]
        if self._constant:
            same = (f"{key}={_cell(value, max_chars, focus)}" for key, value in self._constant.items())
            lines.append("in every row: " + ", ".join(same))
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow((["#"] if is_sampled else []) + self._columns + (["others"] if self._seldom else []))
        for index in shown:
            row = [_cell(flat[index].get(column), max_chars, focus) for column in self._columns]
            if self._seldom:
                row.append(_others(flat[index], self._seldom, max_chars, focus))
            writer.writerow(([str(index)] if is_sampled else []) + row)
            if buffer.tell() > most_chars:
                raise TooLong
        lines.append(buffer.getvalue().rstrip("\n"))
        if is_sampled:
            lines += [_aggregate(column, found) for column, found in self._numeric.items()]
            lines += [
                told for column, counts in self._counts.items()
                if (told := _said_counts(column, counts, len(flat), max_chars, focus))
            ]  # fmt: skip
        return "\n".join(lines), len(flat) - len(shown)

    @cached_property
    def _texts(self) -> list[str]:
        # Other columns stand in the header, whichever rows are shown.
        named = {column for column in self._seldom if self._focus.is_named(column)}
        return [" ".join([*map(_plain, row.values()), *(named & row.keys())]) for row in self._rows]

    @cached_property
    def _must(self) -> list[int]:
        fields = (
            " ".join(f"{key}={_plain(value)}" for key, value in row.items() if "err" in key.lower())
            for row in self._rows
        )
        kept = enumerate(zip(self._texts, fields, strict=True))
        return [index for index, (text, field) in kept if self._focus.must_keep(text) or is_error(field)]

    @cached_property
    def _distinct(self) -> list[int]:
        """Where most rows fail, each way of failing once, and what the task named always."""
        seen: set[str] = set()
        found = []
        for index in self._must:
            kind = _shape(self._texts[index])
            if self._focus.is_named(self._texts[index]) or kind not in seen:
                seen.add(kind)
                found.append(index)
        return found

    @cached_property
    def _unusual(self) -> list[int]:
        return _unusual(self._rows, self._columns, self._numeric, self._texts)

    @cached_property
    def _counts(self) -> dict[str, Counter[str]]:
        columns = (column for column in self._columns if column not in self._numeric)
        return {column: Counter(_plain(row.get(column)) for row in self._rows) for column in columns}

    def _sample(self, max_rows: int, good: Collection[int]) -> list[int]:
        """The rows to show: those about errors and named ids always, then outliers and rare values, then a spread."""
        rows, must = self._rows, self._must
        if len(must) > max(0.5 * len(rows), max_rows):
            must = self._distinct
        chosen = dict.fromkeys(must)
        for index in (*sorted(good), *self._unusual):
            if len(chosen) >= max(max_rows, len(must) + min(len(good), _MOST_GOOD)):
                break
            chosen.setdefault(index)
        left = max_rows - len(chosen)
        if left > 0:
            step = len(rows) / left
            for number in range(left):
                chosen.setdefault(min(int(number * step), len(rows) - 1))
        return sorted(chosen)


def _others(row: Mapping[str, Any], seldom: Collection[str], max_chars: int, focus: Focus) -> str:
    """The fields that few rows have, by name; those with facts in full, the rest as far as there is room."""
    told = [f"{column}={_cell(value, max_chars, focus)}" for column, value in row.items() if column in seldom]
    good: list[str] = []
    rest: list[str] = []
    for text in told:
        is_good = focus.must_keep(text) or (len(text) <= 2 * max_chars and facts_in(text))
        (good if is_good else rest).append(text)
    ends = itertools.accumulate(map(len, rest))
    return "; ".join([*good, *(text for text, end in zip(rest, ends, strict=True) if end <= max_chars)])


def _flat(row: Mapping[str, Any], prefix: str = "", depth: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, Mapping) and value and depth < 2:
            found |= _flat(value, f"{prefix}{key}.", depth + 1)
        else:
            found[f"{prefix}{key}"] = value
    return found


def _numbers(rows: Sequence[Mapping[str, Any]], column: str) -> dict[int, float]:
    """The column's numbers by row; empty unless it is a column of measures (not of ids)."""
    values = {index: row.get(column) for index, row in enumerate(rows) if row.get(column) not in (None, "")}
    found: dict[int, float] = {}
    for index, value in values.items():
        if isinstance(value, bool):
            return {}
        try:
            found[index] = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            if not isinstance(value, str | int | float):
                return {}
    if len(found) < 3 or len(found) < 0.8 * len(values):
        return {}
    name = column.rsplit(".", 1)[-1].lower()
    if name in ("id", "no", "nr", "key", "(key)", "index", "year") or name.endswith(
        ("_id", "_no", "_at", "ts", "timestamp")
    ):
        return {}
    return found


def _unusual(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    numeric: Mapping[str, Mapping[int, float]],
    texts: Sequence[str],
) -> list[int]:
    scores: Counter[int] = Counter()
    for found in numeric.values():
        ordered = sorted(found.values())
        low, high = ordered[len(ordered) // 4], ordered[(3 * len(ordered)) // 4]
        reach = 3 * (high - low) or abs(high) or 1.0
        for index, value in found.items():
            if value > high + reach or value < low - reach:
                scores[index] += 4
        scores[max(found, key=lambda index: found[index])] += 1
        scores[min(found, key=lambda index: found[index])] += 1
    present = Counter(column for row in rows for column in row)
    for index, row in enumerate(rows):
        if any(
            present[column] <= max(1, 0.05 * len(rows)) and facts_in(_plain(value)) for column, value in row.items()
        ):
            scores[index] += 3
    for column in columns:
        if column in numeric:
            continue
        values = [_plain(row.get(column)) for row in rows]
        counts = Counter(values)
        usual_count = len(rows) / len(counts)
        for index, said in enumerate(values):
            if counts[said] <= _RARE * usual_count:
                scores[index] += 3
    if rows:
        facts = [facts_in(text) for text in texts]
        usual = sorted(facts)[len(facts) // 2]
        for index, count in enumerate(facts):
            if count > usual:
                scores[index] += 1
    return [index for index, _ in sorted(scores.items(), key=lambda item: (-item[1], item[0]))]


def _aggregate(column: str, found: Mapping[int, float]) -> str:
    values = list(found.values())
    low, high = min(found, key=lambda i: found[i]), max(found, key=lambda i: found[i])
    return (
        f"{column}: sum {_number(sum(values))}, mean {_number(sum(values) / len(values))}, "
        f"min {_number(found[low])} (#{low}), max {_number(found[high])} (#{high})"
    )


def _said_counts(column: str, counts: Counter[str], rows: int, max_chars: int, focus: Focus) -> str | None:
    if len(counts) > max(0.5 * rows, 3):
        return None
    told = [f"{_cell(value, max_chars, focus)} {count}" for value, count in counts.most_common(_MOST_VALUES)]
    return (
        f"{column}: "
        + ", ".join(told)
        + (f", {len(counts) - _MOST_VALUES} more values" if len(counts) > _MOST_VALUES else "")
    )


def _cell(value: Any, max_chars: int, focus: Focus) -> str:
    text = _plain(value)
    if len(text) <= max_chars:
        return text
    return focus.shortened(text, max(_AROUND if focus.must_keep(text) else 8, max_chars // 3))


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _number(value: float) -> str:
    return f"{value:.10g}" if abs(value) < 1e15 else f"{value:.6g}"


def _shape(text: str) -> str:
    return _DIGIT.sub("0", text[:120])
