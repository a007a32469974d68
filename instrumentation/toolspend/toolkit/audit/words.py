"""What names and descriptions say: their words, and which verbs read, create, change, delete or run."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import Final, Literal

Effect = Literal["read", "create", "change", "delete", "run"]


def word_set(text: str) -> frozenset[str]:
    """The words of a text as a set."""
    return frozenset(text.split())


_VERBS: Final[dict[Effect, str]] = {
    "read": (
        "get list read fetch search find query show view describe retrieve lookup check count inspect browse explain "
        "analyze analyse summarize summarise preview explore see display return monitor"
    ),
    "create": "create add insert upload register new make import clone post",
    "change": (
        "update upgrade edit modify set place change rename move replace patch enable disable toggle assign write save "
        "put mark merge restore configure reset overwrite scale append send publish deploy install submit cancel"
    ),
    "delete": "delete remove drop purge destroy erase uninstall unassign kill terminate revoke truncate wipe close",
    "run": "run execute start stop trigger invoke launch restart call",
}
EFFECTS: Final[dict[str, Effect]] = {verb: effect for effect, verbs in _VERBS.items() for verb in verbs.split()}
"""What a verb does, in its plain form."""

WRITING: Final = word_set(
    "create add insert append upload update upgrade edit modify rename move replace patch write save overwrite delete "
    "remove drop purge destroy erase uninstall install kill terminate revoke truncate wipe send publish deploy cancel "
    "merge enable disable toggle assign unassign restore scale submit import clone register change set mark put place"
)
"""Verbs that change something outside the call, whatever their object."""

DESTROYING: Final = word_set("delete remove drop purge destroy erase kill terminate truncate wipe overwrite")

# Nouns as often as verbs: taken for verbs only where a name begins with them.
_ALSO_NOUNS: Final = word_set(
    "query view check count post set change scale move patch put mark run call start stop new close display monitor "
    "import save reset search show drop trigger register clone submit merge place"
)
_STOP: Final = word_set(
    "a an the of for to in on by with from and or as at it its is are be this that these those all any one your my "
    "our their given specific specified particular existing new current using via based into tool use used which "
    "available get detail information info data about named details"
)
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9']*")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s|\n\s*\n|\n\s*[-*•]|\n(?=\s*[A-Z])")
_LEAD: Final = re.compile(
    r"^(?:\s*(?:this|a|an|the)\s+(?:\w+\s+){0,2}?(?:tool|function|command|endpoint)\s+"
    r"(?:that|which|to|for|will|is used to)?\s*"
    r"|\s*(?:use this(?: \w+)? (?:to|for)|used to|use to|allows? (?:you )?to|lets? you|you can)\s+)",
    re.IGNORECASE,
)


def name_words(name: str) -> list[str]:
    """The words of a name in lower case: `listMessages`, `list-messages` and `list_messages` alike."""
    return [word.lower() for part in re.split(r"[^A-Za-z0-9]+", name) for word in _CAMEL.split(part) if word]


def first_sentence(text: str) -> str:
    """The first sentence, without blanks around it."""
    return _SENTENCE_END.split(text.strip(), maxsplit=1)[0].strip()


def words(text: str) -> list[str]:
    """The words of a text in lower case."""
    return [word.lower() for word in _WORD.findall(text)]


@functools.lru_cache(maxsize=10_000)
def stem(word: str) -> str:
    """A word without the endings of plurals and verbs: enough to know `lists`, `listing` and `list` for one."""
    for ending, kept in (("ies", "y"), ("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("xes", "x"), ("ing", ""),
                         ("ed", ""), ("es", "e"), ("s", "")):  # fmt: skip
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word[: len(word) - len(ending)] + kept
            break
    return word[:-1] if word.endswith("e") and len(word) > 4 else word


def content(tokens: Iterable[str]) -> set[str]:
    """The stems of the words that carry meaning."""
    return {stem(token) for token in tokens if token not in _STOP and stem(token) not in _STOP}


def verb(word: str) -> str | None:
    """The plain form of a word that is a known verb, in the plain form or the third person."""
    word = word.lower()
    candidates = (word, word[:-1], word[:-2], word[:-3] + "y" if word.endswith("ies") else word)
    return next((each for each in candidates if each in EFFECTS and word in _inflected(each)), None)


def _inflected(plain: str) -> tuple[str, ...]:
    return plain, f"{plain}s", f"{plain}es", f"{plain[:-1]}ies" if plain.endswith("y") else plain


def verb_of_name(parts: list[str], prefix: int = 0) -> str | None:
    """The verb of a name given as words, of which the first `prefix` are shared by all tools beside it."""
    own = parts[prefix:] or parts
    if own and own[0] in EFFECTS:
        return own[0]
    return next((part for part in own[1:] if part in EFFECTS and part not in _ALSO_NOUNS), None)


def lead(text: str) -> str:
    """The first sentence from its verb on: "This tool lists pages" and "Use this to list pages" begin alike."""
    return _LEAD.sub("", first_sentence(text), count=1)


def verb_of_text(text: str) -> str | None:
    """The verb that a description begins with."""
    found = _WORD.match(lead(text))
    return verb(found[0]) if found is not None else None


def quoted(text: str, limit: int = 90) -> str:
    """The beginning of a text in quotes, on one line."""
    line = " ".join(text.split())
    return f'"{line}"' if len(line) <= limit else f'"{line[: limit - 1].rstrip()}…"'


def named(names: Iterable[str], limit: int = 6) -> str:
    """Names in backquotes, the first few of them."""
    every = list(names)
    shown = ", ".join(f"`{name}`" for name in every[:limit])
    return f"{shown} and {len(every) - limit} more" if len(every) > limit else shown
