"""Tables in text: CSV, TSV, and Markdown's."""

from __future__ import annotations

import csv
import itertools
import math
from collections import Counter
from typing import Final

from ...evidence.weight import weigh
from . import _rows
from ._focus import Focus
from ._pieces import MOST_CHARS_PER_TOKEN, Fitted

_DELIMITERS: Final = ("\t", "|", ";", ",")
_LEVELS: Final = ((None, 400), (64, 160), (40, 120), (28, 100), (20, 80), (14, 60), (10, 48), (6, 40), (4, 32), (2, 24))


def rows_of(text: str) -> list[dict[str, str]] | None:
    """The rows of `text` by their columns, or None where it is no table."""
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) < 4:
        return None
    for delimiter in _DELIMITERS:
        if delimiter not in lines[0]:
            continue
        bare = [line.strip().strip("|") if delimiter == "|" else line for line in lines]
        try:
            read = csv.reader(bare, delimiter=delimiter, skipinitialspace=True)
            found = [[cell.strip() for cell in row] for row in read]
        except csv.Error:  # a quote that does not end, a cell beyond all measure
            continue
        width, count = Counter(map(len, found)).most_common(1)[0]
        header = found[0]
        if width < 2 or count < 0.95 * len(found) or len(header) != width or len(set(header)) < width:
            continue
        if delimiter in ",;" and max(map(len, header)) > 40:
            continue  # prose with commas
        body = [row for row in found[1:] if not all(set(cell) <= set("-: ") for cell in row)]
        return [_row(header, row, delimiter) for row in body]
    return None


def _row(header: list[str], row: list[str], delimiter: str) -> dict[str, str]:
    """A row by its columns; what it has beyond these stands in the last one."""
    last = len(header) - 1
    cells = [*row[:last], delimiter.join(row[last:])] if len(row) > len(header) else row
    return dict(itertools.zip_longest(header, cells, fillvalue=""))


def compress(rows: list[dict[str, str]], max_tokens: int, focus: Focus) -> Fitted:
    """The fullest of the forms that fits, else the leanest."""
    table, said, left = _rows.Table(rows, focus), "", 0
    for max_rows, max_chars in _LEVELS:
        if max_rows is None and len(rows) > max_tokens:
            continue  # a row has a token at least
        # The leanest is taken whatever its length.
        most_chars = math.inf if (max_rows, max_chars) == _LEVELS[-1] else max_tokens * MOST_CHARS_PER_TOKEN
        try:
            said, left = table.said(max_rows, max_chars, most_chars=most_chars)
        except _rows.TooLong:
            continue
        if weigh(said).tokens <= max_tokens:
            break
    return Fitted(said, f"{left:,} rows" if left else "", is_lossy=bool(left))
