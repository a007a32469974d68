"""Facts planted inside function bodies, as statements and comments that a program might have there."""

from __future__ import annotations

import random
from typing import Final

Wordings = dict[str, tuple[str, ...]]

EACH: Final = 3
_LEAST_INDENT: Final = 2
_UNFINISHED: Final = (",", "(", "[", "{", "\\", "+", "|", "&", "=", "?", ":", "<", ">", ".", "*/")
_INDENTED: Final[Wordings] = {
    "named": ("record = ledger[{!r}]", "# {} was booked twice", "if invoice == {!r}: return None"),
    "id": (
        "account = {!r}",
        "# see {} for the reason",
        "self.audit(user={!r})",
        "if key == {!r}: return None",
        "return find(id={!r})",
    ),
    "number": ("limit = {}", "return {}", "if total > {}: return None", "total += weight * {}", "pause(ms={})"),
    "error": (
        "raise TransferFailed({!r})",
        "# FIXME: fails with {} when the bank is closed",
        'log.error("the transfer failed with {}")',
        'return "refused: {}"',
    ),
}
_BRACED: Final[Wordings] = {
    "named": ('record = ledger.get("{}");', "// {} was booked twice", 'if (invoice == "{}") return;'),
    "id": (
        'account = "{}";',
        "// see {} for the reason",
        'audit(user, "{}");',
        'if (key == "{}") return;',
        'return find("{}");',
    ),
    "number": ("limit = {};", "return {};", "if (total > {}) return;", "total += weight * {};", "pause({});"),
    "error": (
        'throw TransferFailed("{}");',
        "// FIXME: fails with {} when the bank is closed",
        'log_error("the transfer failed with {}");',
        'return "refused: {}";',
    ),
}


def facts(dice: random.Random) -> list[tuple[str, str]]:
    """(kind, text) of facts of every kind, in the forms that programs have them in."""

    def hexed(count: int) -> str:
        return "".join(dice.choice("0123456789abcdef") for _ in range(count))

    ids = [
        f"{dice.choice(('AC', 'TK', 'DP'))}{dice.randint(100_000, 999_999)}",
        f"{dice.choice(('OPS', 'BILL', 'NET'))}-{dice.randint(1_000, 99_999)}",
        f"{hexed(8)}-{hexed(4)}-{hexed(4)}-{hexed(4)}-{hexed(12)}",
        f"{dice.randint(1, 9)}{hexed(10)}b",
        f"https://docs.example.org/{dice.choice(('rates', 'limits'))}/{dice.randint(10, 99)}",
        f"cust_{hexed(6)}{dice.randint(10, 99)}",
    ]
    numbers = [
        f"{dice.randint(1_000_000, 9_999_999) / 100:.2f}",
        f"{dice.randint(2_000, 9_999_999)}",
        f"0.{dice.randint(10_001, 99_999)}",
        f"{dice.randint(201, 999)}.5",
    ]
    return [
        *(("named", f"INV-{dice.randint(10_000, 99_999)}-{dice.choice('KLMX')}") for _ in range(EACH)),
        *(("id", text) for text in dice.sample(ids, EACH)),
        *(("number", text) for text in dice.sample(numbers, EACH)),
        *(("error", f"E{dice.randint(4_000, 5_999)}") for _ in range(EACH)),
    ]


def insert(text: str, found: list[tuple[str, str]], dice: random.Random) -> str:
    """`text` with each fact as a line between two statements of one block, at random."""
    lines = text.split("\n")
    is_braced = sum(line.rstrip().endswith(";") for line in lines) > 0.1 * len(lines)
    wordings = _BRACED if is_braced else _INDENTED
    places = [n for n in range(1, len(lines)) if _is_between(lines[n - 1], lines[n], is_braced)]
    for (kind, fact), place in sorted(
        zip(found, dice.sample(places, len(found)), strict=True), key=lambda each: -each[1]
    ):
        indent = lines[place][: _indent(lines[place])]
        lines.insert(place, indent + dice.choice(wordings[kind]).format(fact))
    return "\n".join(lines)


def _is_between(before: str, after: str, is_braced: bool) -> bool:
    """Whether a statement of a block ends before and another begins after."""
    if not before.strip() or not after.strip() or not _LEAST_INDENT <= _indent(before) == _indent(after):
        return False
    end = before.rstrip()
    return end.endswith(";") if is_braced else not end.endswith(_UNFINISHED)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
