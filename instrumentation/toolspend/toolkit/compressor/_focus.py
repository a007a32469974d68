"""What must not be lost: errors, what the task named, and, where there is room, other ids and figures."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_ERROR: Final = re.compile(
    r"\b(?:\w*error|\w*exception|errors|fail(?:ed|s|ure|ures|ing)?|fatal|critical|panic(?:ked)?|traceback|denied|refused"
    r"|rejected|forbidden|unauthori[sz]ed|abort(?:ed)?|timed[ -]?out|unreachable|unavailable|out of memory|oom"
    r"|segfault|corrupt(?:ed|ion)?|deadlock|unable to|could not|cannot|conflict|overdrawn|invalid"
    # What other languages call an error.
    r"|fehler\w*|fehlgeschlagen|erreurs?|\u00e9chec|a \u00e9chou\u00e9|errores|fall[o\u00f3]|erro|falha|falhou|errore"
    r"|errori|\u043e\u0448\u0438\u0431\u043a\w*|\u043d\u0435 \u0443\u0434\u0430\u043b\u043e\u0441\u044c)\b"
    r"|\u9519\u8bef|\u932f\u8aa4|\u5931\u8d25|\u5931\u6557|\u30a8\u30e9\u30fc|\uc624\ub958|\uc2e4\ud328",
    re.IGNORECASE,
)
_NO_ERROR: Final = re.compile(
    r"\b(?:no|zero|without|any|keine?|ohne|sans|aucune?|sin|nenhum|senza|nessun)\s+"
    r"(?:error|fail|exception|conflict|fehler|erreur|erro)\w*"
    # None of them, but not "worker-0 failed" or "pump 0 failed", where the number is another word's.
    r"|(?<![^\s(\[,;|])0\s+(?:errors|failures|exceptions|conflicts)\b"
    r"|(?:(?<![^\s(\[,;|])(?<![^\W\d_]\s)"
    r"|\b(?:passed|ok|succeeded|skipped|done|and|with|of|has|have|had|found|are|were|was|got|tests|total|info)\s)"
    r"0\s+(?:error|fail|exception|conflict)\w*"
    r"|\"?\b\w{0,80}?(?:error|fail|exception)\w{0,80}\"?\s*[:=]\s*(?:\"\"|''|\[\]|\{\}|0(?:\.0+)?(?!\w|[.,]\d)"
    # "error=null user=x" has none, "error: null pointer" is one.
    r"|(?:null|none|false)(?!\w)(?!\s+[a-z]\w*\b(?!\s*[:=])))",
    re.IGNORECASE,
)
_ID: Final = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]+\.\w+|\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b"
    r"|(?<![\w/-])(?=[\w/-]{5})(?:[A-Za-z][\w/-]*?\d|\d[\w/-]*?[A-Za-z])[\w/-]*|#\d{2,}\b",
)
_NUMBER: Final = re.compile(
    r"[$€£¥]\s?\d[\d.,]*|\b\d[\d.,]{0,24}\s?(?:%|percent|EUR|USD|GBP|ms|s|kB|KB|MB|GB|TB|kW|MW|GW|kWh|MWh|TWh|km|kg|°C)\b"
    r"|\b\d+[.,]\d+\b|\b\d{3,}\b|\b\d[\d.,]{0,24}\s?%"
)
_QUOTED: Final = re.compile(r"[\"'`“\u2018]([^\"'`“”\u2018\u2019\n]{2,80})[\"'`”\u2019]")
_NEAR: Final = 20
"""A word that goes on for longer is cut."""
_LOOKED_AT_ONCE: Final = 1_000
"""Texts from here on are looked at once, however many lengths are tried."""
_WORD: Final = re.compile(r"[^\s,;:!?()\[\]{}\"'`“”\u2018\u2019]+")


class Focus:
    """What a task asks for by name. `keep` names more."""

    def __init__(self, task: str | None = None, keep: Iterable[str] = ()) -> None:
        self.names = sorted({*keep, *(_names_in(task) if task else ())} - {""}, key=len, reverse=True)
        self._each = {name: re.compile(rf"(?<!\w){re.escape(name)}(?!\w)", re.IGNORECASE) for name in self.names}
        whole = "|".join(pattern.pattern for pattern in self._each.values())
        self._named = re.compile(whole, re.IGNORECASE) if whole else None
        self._known: dict[str, list[tuple[int, int]]] = {}

    def is_named(self, text: str) -> bool:
        """Whether `text` holds something that the task named."""
        return self._named is not None and self._named.search(text) is not None

    def names_in(self, text: str) -> set[str]:
        """Which of the names stand in `text`."""
        return {name for name, pattern in self._each.items() if pattern.search(text)} if self.is_named(text) else set()

    def must_keep(self, text: str) -> bool:
        """Whether `text` must stay: it is about an error, or names what the task named."""
        return self.is_named(text) or is_error(text)

    def must_spans(self, text: str) -> list[tuple[int, int]]:
        """Where in `text` errors and what the task named are."""
        patterns = [each for each in (self._named, _ERROR) if each is not None]
        return sorted(match.span() for pattern in patterns for match in pattern.finditer(text))

    def around_names(self, text: str, around: int) -> str:
        """What the task named in `text`, with `around` characters on each side; empty where it is not there."""
        kept: list[list[int]] = []
        for match in self._named.finditer(text) if self._named is not None else ():
            start, end = max(0, match.start() - around), match.end() + around
            if kept and start <= kept[-1][1]:
                kept[-1][1] = end
            else:
                kept.append([start, end])
        return "…".join(text[start:end].strip() for start, end in kept)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where in `text` the things are that make it worth keeping."""
        known = self._known.get(text)
        if known is None:
            patterns = [each for each in (self._named, _ERROR, _ID, _NUMBER) if each is not None]
            known = sorted(match.span() for pattern in patterns for match in pattern.finditer(text))
            if len(text) >= _LOOKED_AT_ONCE:
                self._known[text] = known
        return known

    def shortened(self, text: str, around: int) -> str:
        """`text` with what lies further than `around` characters from its start or from any fact left out."""
        kept = [(0, min(around, len(text)))]
        for start, end in self.spans(text):
            start, end = _word_start(text, max(0, start - around)), word_end(text, min(len(text), end + around))
            if start <= kept[-1][1] + 3:
                kept[-1] = (kept[-1][0], max(kept[-1][1], end))
            else:
                kept.append((start, end))
        kept[0] = (0, word_end(text, kept[0][1]))
        said = "…".join(text[start:end].strip() for start, end in kept)
        return said if kept[-1][1] >= len(text) else said + "…"


def is_error(text: str) -> bool:
    """Whether `text` speaks of something that went wrong."""
    if _ERROR.search(text) is None:
        return False
    return _ERROR.search(_NO_ERROR.sub(" ", text)) is not None


def facts_in(text: str) -> int:
    """How many ids and figures `text` holds."""
    return len({match.group() for pattern in (_ID, _NUMBER) for match in pattern.finditer(text)})


def _names_in(task: str) -> set[str]:
    """What a task names: quoted texts, and words that are no ordinary words."""
    found = {match.group(1).strip() for match in _QUOTED.finditer(task)}
    for match in _WORD.finditer(task):
        word = match.group().strip(".-/")
        has_digit = any(character.isdigit() for character in word)
        is_mixed = any(character in "_@#/.-" for character in word) and len(word) > 4
        is_coined = word[:1].isalpha() and word[1:] != word[1:].lower() and len(word) > 2
        if (has_digit and len(word) > 2) or (is_mixed and word.lower() != word.capitalize()) or is_coined:
            found.add(word)
    return found


def _word_start(text: str, index: int) -> int:
    space = text.rfind(" ", max(0, index - _NEAR), index + 1)
    return space + 1 if index > 0 and index - space < _NEAR else index


def word_end(text: str, index: int) -> int:
    """Where the word at `index` of `text` ends; `index` itself where that is far."""
    space = text.find(" ", index, index + _NEAR)
    return space if space >= 0 else (len(text) if len(text) - index < _NEAR else index)
