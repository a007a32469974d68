"""Facts planted in a document, and whether a compressed text still has them."""

from __future__ import annotations

import csv
import io
import itertools
import json
import random
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from compression import bodies

EACH = 3
BODY = "body"


class Fact(NamedTuple):
    """A text that must be found again. `kind`: `named` (an id that the task names), `id`, `number` or `error`."""

    kind: str
    text: str


class Planted(NamedTuple):
    """A document with facts in it, and the task that names some."""

    text: str
    task: str
    facts: list[Fact]


def plant(kind: str, text: str, seed: int) -> Planted:
    """Plants facts of every kind at places that `seed` chooses."""
    dice = random.Random(seed)
    if kind == BODY:
        found = bodies.facts(dice)
        return Planted(bodies.insert(text, found, dice), _task(found), [Fact(*each) for each in found])
    facts = [
        *(Fact("named", f"INV-{dice.randint(10_000, 99_999)}-{dice.choice('KLMX')}") for _ in range(EACH)),
        *(Fact("id", f"{dice.choice(('AC', 'TK', 'DP'))}{dice.randint(100_000, 999_999)}") for _ in range(EACH)),
        *(Fact("number", f"{dice.randint(1_000_000, 9_999_999) / 100:.2f}") for _ in range(EACH)),
        *(Fact("error", f"E{dice.randint(4_000, 5_999)}") for _ in range(EACH)),
    ]
    dice.shuffle(facts)
    task = _task(facts)
    make = _ROWS if kind == "rows" else None
    planted = _into_rows(text, facts, dice) if make else _into_text(kind, text, facts, dice)
    return Planted(planted, task, [fact for fact in facts if fact.text in planted])


def _task(facts: Iterable[tuple[str, str]]) -> str:
    return "Compare " + ", ".join(text for kind, text in facts if kind == "named") + " with the ledger."


_ROWS = "rows"
_SAID = {
    "prose": {
        "named": (
            "The invoice {} was sent to the office in Porto.",
            "Nobody has paid {} so far.",
            "For {} the customs papers are missing.",
        ),
        "id": (
            "The contract is filed under {} since then.",
            "Ask for shelf {} in the basement archive.",
            "A replacement was ordered as {} from the mill.",
        ),
        "number": (
            "In all they paid {} EUR for it.",
            "Its yearly output reached {} MWh.",
            "Surveyors measured {} metres of fence.",
        ),
        "error": (
            "The transfer failed with code {} at the bank.",
            "Printing stopped: error {} on the second tray.",
            "Login was denied ({}) for the night shift.",
        ),
    },
    "log": {
        "named": ("INFO  [billing] invoice {} was sent",),
        "id": ("INFO  [contracts] filed as {}",),
        "number": ("INFO  [totals] closing balance {} EUR",),
        "error": ("ERROR [bank] transfer failed with code {}",),
    },
    "code": {
        "named": ("    # see invoice {} for the reason",),
        "id": ('CONTRACT_REF = "{}"',),
        "number": ("LEDGER_LIMIT = {}",),
        "error": ("    # FIXME: fails with {} when the bank is closed",),
    },
}


def _into_text(kind: str, text: str, facts: list[Fact], dice: random.Random) -> str:
    said = _SAID["prose" if kind in ("html", "json") else kind]
    if kind == "json":
        value = json.loads(text)
        for fact in facts:
            place = dice.choice([each for each in _lists_and_dicts(value) if each])
            sentence = dice.choice(said[fact.kind]).format(fact.text)
            place.append({"remark": sentence}) if isinstance(place, list) else place.update(
                {f"remark_{fact.kind}": sentence}
            )
        return json.dumps(value)
    units = re.split(r"(?<=</p>)|(?<=</dd>)|(?<=<br>)" if kind == "html" else r"\n", text)
    joiner = "" if kind == "html" else "\n"
    turns = {kind: itertools.cycle(wordings) for kind, wordings in said.items()}
    for fact in facts:
        line = next(turns[fact.kind]).format(fact.text)
        if kind == "html":
            line = f"<p>{line}</p>"
        elif kind == "log":
            line = f"2026-11-02T11:{dice.randint(0, 59):02d}:00Z " + line
        # Not among the first or the last, and in code between two lines of no deeper block.
        units.insert(dice.randint(len(units) // 10 + 1, max(len(units) * 9 // 10, 2)), line)
    return joiner.join(units)


def _into_rows(text: str, facts: list[Fact], dice: random.Random) -> str:
    is_csv = not text.lstrip().startswith(("{", "["))
    if is_csv:
        rows: list[dict[str, Any]] = list(csv.DictReader(io.StringIO(text)))
        whole: Any = rows
    else:
        try:
            whole = json.loads(text)
        except ValueError:
            whole = [json.loads(line) for line in text.splitlines()]
        rows = whole["items"] if isinstance(whole, dict) else whole
    for fact, row in zip(facts, dice.sample(rows, len(facts)), strict=True):
        if fact.kind == "named":
            row["id" if "id" in row else "title"] = fact.text
        elif fact.kind == "id":
            # A row's own id is like all others; one that stands where nothing else does is not.
            row["note" if "note" in row else "state"] = f"see {fact.text}"
        elif fact.kind == "number":
            if "amount" in row:
                row["amount"] = float(fact.text) if not is_csv else fact.text
            else:
                row["repo"]["stars"] = float(fact.text)
        elif "status" in row:
            row["status"] = f"failed {fact.text}"
        else:
            row["state"] = f"failed with {fact.text}"
    if is_csv:
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        return buffer.getvalue()
    return json.dumps(whole)


def _lists_and_dicts(value: Any) -> list[Any]:
    found = [value] if isinstance(value, dict | list) else []
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        found += _lists_and_dicts(each)
    return [each for each in found if not isinstance(each, list) or all(isinstance(one, dict) for one in each)]


def is_kept(fact: Fact, text: str) -> bool:
    """Whether `text` has the fact, a number in whatever way it is written."""
    if fact.kind != "number":
        return fact.text in text
    bare = text.replace(",", "").replace("_", "")
    return fact.text in bare or fact.text.rstrip("0").rstrip(".") in bare
