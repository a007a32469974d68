"""What a value that stands in a text is: an address, an amount, a time. Its digits match no tool; its kind may."""

from __future__ import annotations

import re
from typing import Final

_LONGEST: Final = 200
_MARKS: Final = re.compile(r"[\d@./:]")
# The first that fits counts: an address is no domain.
_KINDS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), words.split())
    for words, pattern in {
        "email address": r"[\w.+-]+@[\w-]+\.[\w.]+",
        "url web page": r"(?:https?://|www\.).+",
        "mac address device": r"(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}",
        "ip address host": r"(?:\d{1,3}\.){3}\d{1,3}(?:/\d+)?",
        "cve vulnerability": r"cve-\d{4}-\d+",
        "hash": r"[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32}",
        "file": r"[\w./-]+\.(?:csv|docx?|gif|html?|ini|ipynb|jpe?g|json|log|md|pdf|png|py|svg|toml|tsx?|txt|xlsx?|xml"
        r"|ya?ml|zip)",
        "domain url": r"[\w.-]+\.(?:com|dev|edu|gov|io|net|org)",
        "price amount": r"[$€£¥]\d[\d.,]*|\d[\d.,]*(?:[$€£¥]|eur|gbp|usd)",
        "percent": r"\d[\d.]*%",
        "time": r"\d{1,2}(?::\d\d)?[ap]m|\d{1,2}:\d\d",
    }.items()
)
_UNITS: Final = {
    unit: words.split()
    for words, units in {
        "price amount": "dollar dollars eur euro euros gbp pounds usd",
        "percent": "percent",
        "time": "am pm",
        "time timeout": "second seconds minute minutes hour hours",
    }.items()
    for unit in units.split()
}


def kinds(text: str) -> list[str]:
    """The words for what the values in `text` are, each once."""
    found: dict[str, None] = {}
    was_number = False
    for token in text.split():
        bare = token.strip("\"'`.,;:!?()[]<>{}")
        if was_number and bare.lower() in _UNITS:
            found.update(dict.fromkeys(_UNITS[bare.lower()]))
        was_number = bare.isdecimal()
        if not was_number and len(bare) <= _LONGEST and _MARKS.search(bare):
            words = next((words for pattern, words in _KINDS if pattern.fullmatch(bare)), ())
            found.update(dict.fromkeys(words))
    return list(found)
