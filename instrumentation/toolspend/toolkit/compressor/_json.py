"""JSON: the shape stays, rows become a table, long texts are shortened."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from ...evidence.weight import weigh
from . import _rows
from ._focus import Focus, facts_in, is_error
from ._pieces import FAIR, GOOD, MOST_CHARS_PER_TOKEN, MUST, Fitted

_LEVELS: Final = (
    (None, 10_000, 9), (None, 400, 9), (None, 160, 9), (64, 160, 9), (48, 160, 9), (32, 160, 8), (24, 120, 7),
    (16, 100, 6), (12, 80, 5), (8, 64, 5), (6, 48, 4), (4, 40, 3), (3, 32, 3), (2, 24, 2), (1, 24, 2),
)  # fmt: skip
"""(rows of each list, characters of each text, depth), from generous to mean."""
_RARE_KEYS: Final = 3
_MOST_FIELDS: Final = 20
"""An object of more like values than this is a map."""
_KEY: Final = "key"
_as_json: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_HUGE: Final = 1e300
"""Numbers from here on are no measures, and too large to be summed up."""


def parsed(text: str) -> Any:
    """The value of a JSON text, or of JSON lines as a list. Raises ValueError."""
    try:
        return _loads(text)
    except ValueError:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2 or not all(line.lstrip().startswith(("{", "[")) for line in lines):
            raise
        return [_loads(line) for line in lines]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key comes twice")  # what one of them says would be gone
    return found


def _number(text: str) -> float | str:
    """The number, or its text where a float is another one."""
    number = float(text)
    # 15 digits are always told apart.
    return number if (len(text) < 16 and "e" not in text.lower()) or Decimal(text) == Decimal(repr(number)) else text


_loads: Final = json.JSONDecoder(object_pairs_hook=_object, parse_float=_number).decode


def compress(text: str, max_tokens: int, focus: Focus) -> Fitted:
    """The fullest of the forms that fits, else the leanest."""
    value = parsed(text)
    whole = _as_json(value)
    if weigh(whole).tokens <= max_tokens:
        return Fitted(whole, "", is_lossy=False)
    worth = _Worth(value, focus, max_tokens)
    shaper, said = _Shaper(None, 0, 0, focus, worth, math.inf), whole
    for max_rows, max_chars, max_depth in _LEVELS:
        # The leanest is taken whatever its length.
        most_chars = math.inf if max_rows == _LEVELS[-1][0] else max_tokens * MOST_CHARS_PER_TOKEN
        shaper = _Shaper(max_rows, max_chars, max_depth, focus, worth, most_chars)
        try:
            said = shaper.render(value)
        except _rows.TooLong:
            continue
        if weigh(said).tokens <= max_tokens:
            break
    left = [
        f"{count:,} {unit}"
        for count, unit in ((shaper.rows, "rows"), (shaper.parts, "parts"), (shaper.chars, "characters of texts"))
        if count
    ]
    return Fitted(said, ", ".join(left), is_lossy=bool(shaper.rows))


class _Worth:
    """Which parts of a value must stay, and which hold facts under keys that nearly nothing else has."""

    def __init__(self, value: Any, focus: Focus, most_rows: int) -> None:
        self._focus = focus
        self.most_rows = most_rows
        self.tables: dict[int, tuple[_rows.Table, list[int]]] = {}
        """Tables of lists and maps, with the rows that hold facts, by the identity of the value."""
        self._ranks: dict[int, int] = {}
        self._of_each: dict[int, list[int]] = {}
        self._keys: Counter[str] = Counter()
        self._count(value)
        self._total = self._keys.total()
        self._rank(value)

    def of(self, value: Any) -> int:
        """MUST, GOOD or FAIR."""
        if isinstance(value, Mapping | list):
            return self._ranks.get(id(value), FAIR)
        if not isinstance(value, str):
            # No number speaks of an error.
            return MUST if self._focus.names and self._focus.is_named(_as_json(value)) else FAIR
        return MUST if self._focus.must_keep(value) else FAIR

    def of_each(self, values: list[Any]) -> list[int]:
        """The same of each of a list's values."""
        known = self._of_each.get(id(values))
        if known is None:
            known = self._of_each[id(values)] = [self.of(each) for each in values]
        return known

    def is_kept_by(self, key: str, value: Mapping[str, Any] | list[Any]) -> bool:
        """Whether `key` alone says that it must stay: the task named it, or it says that its parts are errors."""
        return self._focus.is_named(key) or (bool(value) and is_error(key))

    def _count(self, value: Any) -> None:
        if isinstance(value, Mapping):
            self._keys.update(value.keys())
        for each in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
            self._count(each)

    def _rank(self, value: Any) -> int:
        found = FAIR
        if isinstance(value, Mapping):
            for key, each in value.items():
                if isinstance(each, Mapping | list):
                    rank = min(MUST if self.is_kept_by(key, each) else FAIR, self._rank(each))
                elif (
                    self._focus.is_named(key)
                    or self.of(each) == MUST
                    or (each and self._focus.must_keep(f"{key}={each}"))
                ):
                    rank = MUST
                else:
                    is_rare = self._keys[key] <= _RARE_KEYS and self._total > 20 * _RARE_KEYS
                    rank = GOOD if is_rare and facts_in(str(each)) else FAIR
                found = min(found, rank)
        elif isinstance(value, list):
            for each in value:
                if isinstance(each, Mapping | list):
                    self._rank(each)
            found = min(self.of_each(value), default=FAIR)
        else:
            return self.of(value)
        self._ranks[id(value)] = found
        return found


class _Shaper:
    """A value at one level. It gives up, with TooLong, as soon as it has said more than `most_chars`."""

    def __init__(
        self, max_rows: int | None, max_chars: int, max_depth: int, focus: Focus, worth: _Worth, most_chars: float
    ) -> None:
        self._max_rows = max_rows
        self._max_chars = max_chars
        self._max_depth = max_depth
        self._focus = focus
        self._worth = worth
        self._left_chars = most_chars
        self.rows = 0
        self.chars = 0
        self.parts = 0

    def render(self, value: Any, depth: int = 0) -> str:
        """`value` at this level."""
        if isinstance(value, Mapping):
            return self._object(value, depth)
        if isinstance(value, list):
            return self._list(value, depth)
        if isinstance(value, str) and len(value) > self._max_chars:
            short = self._focus.shortened(value, max(8, self._max_chars // 3))
            self.chars += len(value) - len(short)
            return self._counted(_as_json(short))
        return self._counted(_as_json(value))

    def _counted(self, said: str) -> str:
        self._left_chars -= len(said)
        if self._left_chars < 0:
            raise _rows.TooLong
        return said

    def _object(self, value: Mapping[str, Any], depth: int) -> str:
        if (rows := self._rows_of(value)) is not None:
            return "{\n" + self._table(value, rows, value.values()) + "\n}"
        parts, dropped = [], 0
        for key, each in value.items():
            is_deep = depth >= self._max_depth and isinstance(each, Mapping | list) and each
            if is_deep and self._worth.of(each) > GOOD and not self._worth.is_kept_by(key, each):
                dropped += 1
            else:
                parts.append(f"{self._counted(_as_json(key))}:{self.render(each, depth + 1)}")
        self.parts += dropped
        return "{" + ",".join(parts) + (f",…{dropped} more" if dropped else "") + "}"

    def _rows_of(self, value: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
        """The entries of an object that is a map (of many like values) as rows with their key, else None."""
        if len(value) <= _MOST_FIELDS:
            return None
        values = list(value.values())
        full = [each for each in values if each not in (None, {})]
        if len(full) >= 0.5 * len(values) and _rows.is_table(full):
            column = "(key)" if any(_KEY in each for each in full) else _KEY
            return [{column: key, **(each or {})} for key, each in value.items()]
        is_long = self._max_rows is not None and len(value) > self._max_rows
        kinds = {type(each) for each in values if each is not None}
        is_short = kinds == {list} and all(each is None or _is_short(each) for each in values)
        if is_long and (is_short or kinds <= {int, float} or kinds in ({str}, {bool})):
            return [{_KEY: key, "value": each} for key, each in value.items()]
        return None

    def _table(self, value: object, rows: list[Any], values: Iterable[Any]) -> str:
        worth = self._worth
        if (known := worth.tables.get(id(value))) is None:
            good = [index for index, each in enumerate(values) if worth.of(each) == GOOD]
            known = worth.tables[id(value)] = (_rows.Table(rows, self._focus), good)
        # A row has a token at least.
        max_rows = worth.most_rows if self._max_rows is None and len(rows) > worth.most_rows else self._max_rows
        said, left = known[0].said(max_rows, self._max_chars, known[1], most_chars=self._left_chars)
        self.rows += left
        return self._counted(said)

    def _list(self, values: list[Any], depth: int) -> str:
        if _rows.is_table(values):
            return f"[\n{self._table(values, values, values)}\n]"
        if self._max_rows is None or len(values) <= self._max_rows:
            return "[" + ",".join(self.render(each, depth + 1) for each in values) + "]"
        ranks = self._worth.of_each(values)
        kept = {index for index, rank in enumerate(ranks) if rank == MUST}
        for index, rank in enumerate(ranks):
            if rank == GOOD and len(kept) < self._max_rows + 2 * _RARE_KEYS:
                kept.add(index)
        step = len(values) / max(self._max_rows - len(kept), 1)
        kept |= {int(number * step) for number in range(max(self._max_rows - len(kept), 0))}
        self.rows += len(values) - len(kept)
        said = ",".join(self.render(values[index], depth + 1) for index in sorted(kept))
        numbers = [each for each in values if type(each) in (int, float) and abs(each) < _HUGE]
        about = f"{len(values)} values, {len(kept)} of them shown"
        if len(numbers) == len(values):
            about += f"; sum {sum(numbers):.10g}, min {min(numbers):.10g}, max {max(numbers):.10g}"
        return f"[{said}](…{about})"


def _is_short(values: list[Any]) -> bool:
    """Whether a list is as good as one value: a point, a range, some tags."""
    return len(values) <= _MOST_FIELDS and not any(isinstance(each, Mapping | list) for each in values)
