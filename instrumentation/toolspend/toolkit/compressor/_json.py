"""JSON: the shape stays, rows become a table, long texts are shortened."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from ...evidence.weight import weigh
from . import _rows
from ._focus import Focus
from ._pieces import Fitted

_LEVELS: Final = (
    (None, 10_000), (None, 400), (None, 160), (64, 160), (48, 160), (32, 160), (24, 120), (16, 100), (12, 80), (8, 64),
    (6, 48), (4, 40), (3, 32), (2, 24), (1, 24),
)  # fmt: skip
"""(rows of each list, characters of each text), from generous to mean."""


def parsed(text: str) -> Any:
    """The value of a JSON text, or of JSON lines as a list. Raises ValueError."""
    try:
        return json.loads(text)
    except ValueError:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2 or not all(line.lstrip().startswith(("{", "[")) for line in lines):
            raise
        return [json.loads(line) for line in lines]


def compress(text: str, max_tokens: int, focus: Focus) -> Fitted:
    """The fullest of the forms that fits, else the leanest."""
    value = parsed(text)
    whole = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if weigh(whole).tokens <= max_tokens:
        return Fitted(whole, "", is_lossy=False)
    for max_rows, max_chars in _LEVELS:
        shaper = _Shaper(max_rows, max_chars, focus)
        said = shaper.render(value)
        if weigh(said).tokens <= max_tokens:
            break
    left = [f"{shaper.rows:,} rows" if shaper.rows else "", f"{shaper.chars:,} characters of texts" if shaper.chars else ""]
    return Fitted(said, " and ".join(filter(None, left)), is_lossy=bool(shaper.rows))


class _Shaper:
    def __init__(self, max_rows: int | None, max_chars: int, focus: Focus) -> None:
        self._max_rows = max_rows
        self._max_chars = max_chars
        self._focus = focus
        self.rows = 0
        self.chars = 0

    def render(self, value: Any) -> str:
        """`value` at this level."""
        if isinstance(value, Mapping):
            return "{" + ",".join(f"{json.dumps(key)}:{self.render(each)}" for key, each in value.items()) + "}"
        if isinstance(value, list):
            return self._list(value)
        if isinstance(value, str) and len(value) > self._max_chars:
            short = self._focus.shortened(value, max(8, self._max_chars // 3))
            self.chars += len(value) - len(short)
            return json.dumps(short, ensure_ascii=False)
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def _list(self, values: list[Any]) -> str:
        if _rows.is_table(values):
            said, left = _rows.table(values, self._max_rows, self._max_chars, self._focus)
            self.rows += left
            return f"[\n{said}\n]"
        if self._max_rows is None or len(values) <= self._max_rows:
            return "[" + ",".join(map(self.render, values)) + "]"
        texts = [json.dumps(each, ensure_ascii=False) for each in values]
        kept = {i for i, text in enumerate(texts) if self._focus.must_keep(text)}
        kept |= {int(n * len(values) / self._max_rows) for n in range(self._max_rows)}
        self.rows += len(values) - len(kept)
        said = ",".join(self.render(values[index]) for index in sorted(kept))
        numbers = [each for each in values if isinstance(each, int | float) and not isinstance(each, bool)]
        about = f"{len(values)} values, {len(kept)} of them shown"
        if len(numbers) == len(values):
            about += f"; sum {sum(numbers):.10g}, min {min(numbers):.10g}, max {max(numbers):.10g}"
        return f"[{said}](…{about})"
