"""The world that the agents' tools reach for: pages, code, tables and logs, made up but the same every time."""

from __future__ import annotations

import asyncio
import json
import math
import random
from typing import Any, Final

_SUBJECTS: Final = (
    "The operator", "A second supplier", "The regional authority", "An independent review", "The finance team",
    "Demand in the north", "The pilot plant", "A longer contract", "The new tariff", "Each additional site",
    "The maintenance crew", "Early adopters", "The storage unit", "A comparable project", "The grid connection",
)  # fmt: skip
_VERBS: Final = (
    "reported", "reduced", "delayed", "confirmed", "exceeded", "replaced", "published", "questioned", "doubled",
    "revised", "tested", "recommended", "absorbed", "postponed",
)  # fmt: skip
_OBJECTS: Final = (
    "the expected cost per megawatt hour", "its capacity forecast for the coming winter", "most of the planned outages",
    "the assumptions behind the first tender", "a third of the remaining permits", "the share of recycled material",
    "an unusually long warranty period", "the risk of a late delivery", "its earlier statement on safety",
    "the price of replacement modules", "the results of the stress test",
)  # fmt: skip
_ENDINGS: Final = (
    "within two quarters", "according to the filing", "despite higher interest rates", "for the first time since 2019",
    "by roughly {n} percent", "at {n} of its sites", "although the sample was small", "as analysts had predicted",
)  # fmt: skip
_IDENTIFIERS: Final = (
    "order", "invoice", "ledger", "shipment", "customer", "payload", "cursor", "retry", "tenant", "window", "batch",
    "quota", "session", "token", "webhook", "schedule",
)  # fmt: skip


def rng(*key: object) -> random.Random:
    """A generator of its own for every key, so that nothing depends on the order in which tools run."""
    return random.Random("/".join(map(str, key)))


async def wait(median_s: float, *key: object) -> None:
    """Waits as long as a call to the outside takes: log-normal around `median_s`, the same for the same key."""
    await asyncio.sleep(duration_s(median_s, *key))


def duration_s(median_s: float, *key: object) -> float:
    """How long a call takes that takes `median_s` seconds in the middle."""
    return median_s * math.exp(rng("duration", *key).gauss(0.0, 0.45))


def prose(chars: int, *key: object) -> str:
    """About `chars` characters of sentences, in paragraphs."""
    dice = rng("prose", *key)
    paragraphs: list[str] = []
    length = 0
    while length < chars:
        sentences = [
            f"{dice.choice(_SUBJECTS)} {dice.choice(_VERBS)} {dice.choice(_OBJECTS)} "
            f"{dice.choice(_ENDINGS).format(n=dice.randint(3, 48))}."
            for _ in range(dice.randint(3, 6))
        ]
        paragraphs.append(" ".join(sentences))
        length += len(paragraphs[-1]) + 2
    return "\n\n".join(paragraphs)[:chars]


def page(chars: int, *key: object) -> str:
    """A web page as readable text: a title, headings, paragraphs, a few links."""
    dice = rng("page", *key)
    parts = [f"# {dice.choice(_SUBJECTS)} and {dice.choice(_OBJECTS)}"]
    while sum(map(len, parts)) < chars:
        section = len(parts)
        parts.append(f"## {section}. {dice.choice(_OBJECTS).capitalize()}\n\n{prose(900, *key, section)}")
        parts.append(f"[{dice.choice(_SUBJECTS)}](https://example.org/{dice.getrandbits(32):08x})")
    return "\n\n".join(parts)[:chars]


def records(count: int, fields: dict[str, Any], *key: object) -> list[dict[str, Any]]:
    """Rows of a table; a field is a list to choose from, a (low, high) pair of numbers, or a text with {n}."""
    dice = rng("records", *key)
    rows = []
    for index in range(count):
        row: dict[str, Any] = {}
        for name, kind in fields.items():
            if isinstance(kind, tuple):
                low, high = kind
                row[name] = round(dice.uniform(low, high), 2) if isinstance(low, float) else dice.randint(low, high)
            elif isinstance(kind, list):
                row[name] = dice.choice(kind)
            else:
                row[name] = str(kind).format(
                    n=1000 + index * 7 + dice.randint(0, 6), hex=f"{dice.getrandbits(40):010x}"
                )
        rows.append(row)
    return rows


def as_json(value: object) -> str:
    """`value` as an API would return it."""
    return json.dumps(value, indent=1)


def code(lines: int, path: str) -> str:
    """A Python file with line numbers, as a coding agent's file reader shows it."""
    dice = rng("code", path)
    written = [
        "from __future__ import annotations",
        "",
        "import logging",
        "",
        "logger = logging.getLogger(__name__)",
        "",
    ]
    while len(written) < lines:
        noun, other = dice.choice(_IDENTIFIERS), dice.choice(_IDENTIFIERS)
        written += [
            "",
            f"def {dice.choice(('load', 'merge', 'check', 'build', 'close'))}_{noun}({other}: dict[str, object], *, "
            f"limit: int = {dice.randint(5, 500)}) -> list[str]:",
            f'    """{dice.choice(("Loads", "Checks", "Collects"))} every {noun} that belongs to the {other}."""',
            f"    found = [{noun}_id for {noun}_id in {other}.get('{noun}s', []) if {noun}_id is not None]",
            "    if len(found) > limit:",
            f"        logger.warning('%s: %d {noun}s, limit %d', {other}.get('id'), len(found), limit)",
            "        found = found[:limit]",
            f"    return sorted(found, key=lambda {noun}_id: str({noun}_id))",
            "",
        ]
    return "\n".join(f"{number:5d}\t{line}" for number, line in enumerate(written[:lines], 1))


def matches(count: int, pattern: str, *key: object) -> str:
    """What grep prints: path, line number, line."""
    dice = rng("matches", pattern, *key)
    return "\n".join(
        f"src/{dice.choice(_IDENTIFIERS)}s/{dice.choice(_IDENTIFIERS)}.py:{dice.randint(3, 640)}:    "
        f"{pattern}({dice.choice(_IDENTIFIERS)}, limit={dice.randint(1, 90)})"
        for _ in range(count)
    )


def log(lines: int, *key: object) -> str:
    """Lines of a service's log."""
    dice = rng("log", *key)
    return "\n".join(
        f"2026-11-{dice.randint(2, 20):02d}T{dice.randint(0, 23):02d}:{dice.randint(0, 59):02d}:"
        f"{dice.randint(0, 59):02d}.{dice.randint(0, 999):03d}Z {dice.choice(('INFO', 'INFO', 'WARN', 'ERROR'))} "
        f"{dice.choice(_IDENTIFIERS)}-worker[{dice.randint(100, 999)}] trace={dice.getrandbits(64):016x} "
        f"{dice.choice(_IDENTIFIERS)} {dice.choice(('accepted', 'rejected', 'retried', 'expired'))} "
        f"after {dice.randint(2, 9000)} ms"
        for _ in range(lines)
    )


def pytest_output(passed: int, failures: list[str], *key: object) -> str:
    """What pytest prints at the end of a run."""
    parts = []
    for name in failures:
        dice = rng("failure", name, *key)
        parts.append(
            f"_____ {name} _____\n\n{code(14, f'tests/{name}')}\n\n"
            f"E       AssertionError: assert {dice.randint(0, 9)} == {dice.randint(10, 99)}\n"
            f"tests/{name}.py:{dice.randint(10, 200)}: AssertionError"
        )
    summary = f"{len(failures)} failed, {passed} passed" if failures else f"{passed} passed"
    seconds = duration_s(6.0, "tests", passed, *failures, *key)
    return "\n\n".join([*parts, f"===== {summary} in {seconds:.2f}s ====="])
