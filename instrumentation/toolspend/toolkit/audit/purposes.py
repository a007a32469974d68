"""What a tool does to what, as its name and the first sentence of its description say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from .subjects import Subject
from .words import (
    EFFECTS,
    content,
    first_sentence,
    lead,
    name_words,
    stem,
    verb,
    verb_of_name,
    verb_of_text,
    word_set,
    words,
)

SEARCHES: Final = frozenset(("search", "find", "query"))
_LISTS: Final = frozenset(("list", "browse", *SEARCHES))
_SAME: Final = (
    "delete remove drop purge destroy erase wipe truncate",
    "kill terminate stop",
    "update edit modify change patch",
    "create add new make insert register",
    "run execute start launch trigger invoke",
)
_PLAIN: Final = {word: group.split()[0] for group in _SAME for word in group.split()}
# Nouns of which people take either for one thing, whatever the server.
_ALIKE: Final = {
    stem(word): stem(group.split()[0])
    for group in (
        "customer client",
        "order purchase",
        "document article doc",
        "image picture photo photograph",
        "query sql statement q",
        "database db",
        "folder directory dir",
        "employee worker",
        "meeting appointment",
        "company firm",
        "repository repo",
        "movie film",
        "web internet",
        "invoice bill",
        "car vehicle automobile",
        "error exception",
    )
    for word in group.split()
}
# How much of a thing is told, and how it is asked for: no other thing.
_GENERIC: Final = frozenset(
    map(
        stem,
        word_set(
            "detail details detailed info information data metadata attribute property full complete basic concise "
            "brief comprehensive specific particular single individual id ids identifier unique result results "
            "filtering sorting option options pagination support provide return by"
        ),
    )
)
_FORMS: Final = frozenset(map(stem, word_set("summary overview lite light short minimal compact")))
"""A form of a thing and not another thing: `list_devices_lite` lists devices."""
PREPOSITIONS: Final = word_set("by for with from in of to on at as without via using into")
_IDENTIFYING: Final = word_set("id ids uuid key name slug url uri path ip number index pid query q sql statement text")
_ASIDE: Final = re.compile(r"\b(?:including|such as|based on)\b|[(,:;]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a tool does: its verb, to one thing or to many, the thing (`head`), and which of its kind (`modifiers`)."""

    tool: Subject
    verb: str
    is_many: bool
    head: str
    modifiers: frozenset[str]

    @property
    def action(self) -> tuple[str, bool]:
        """The same for tools that do the same: `fetch` and `get` one thing, `kill` and `terminate` it."""
        effect = EFFECTS[self.verb]
        return (effect, self.is_many) if effect == "read" else (_PLAIN.get(self.verb, self.verb), False)

    @property
    def signature(self) -> frozenset[str]:
        """The names of its parameters."""
        return frozenset(each.name for each in self.tool.parameters or ())

    @property
    def identifiers(self) -> frozenset[str]:
        """Those of its parameters that say which thing is meant."""
        return frozenset(
            "_".join(_ALIKE.get(stem(word), word) for word in words)
            for words in map(name_words, self.signature)
            if _IDENTIFYING.intersection(words[-1:])
        )


def core(text: str) -> list[str]:
    """The words of the first sentence up to where it goes into detail."""
    return words(_ASIDE.split(first_sentence(text), maxsplit=1)[0])


def meaning(tokens: list[str]) -> set[str]:
    """The stems of the words that tell one thing from another, one for all that people call the same thing."""
    return {_ALIKE.get(each, each) for each in content(tokens) - _GENERIC}


def renamed(tool: Subject, other: Subject) -> tuple[str, str] | None:
    """What two tools call one thing, a word each; None where they call it the same, or nothing alike."""
    mine, theirs = _called(tool), _called(other)
    for thing in mine.keys() & theirs.keys():
        if mine[thing].keys().isdisjoint(theirs[thing]):
            return next(iter(mine[thing].values())), next(iter(theirs[thing].values()))
    return None


def _called(tool: Subject) -> dict[str, dict[str, str]]:
    """Of the things that have several names, those that a tool speaks of: its words for each, by their stems."""
    found: dict[str, dict[str, str]] = {}
    for said in (*name_words(tool.name), *core(tool.description)):
        word = said.removesuffix("'s").removesuffix("'")
        if (key := stem(word)) in _ALIKE:
            found.setdefault(_ALIKE[key], {}).setdefault(key, word)
    return found


def purpose(tool: Subject) -> Purpose | None:
    """What a tool does to what; None where it has no verb that is known."""
    of_name = name_words(tool.name)[tool.prefix :]
    told = verb_of_text(tool.description)
    does = verb_of_name(of_name) or told
    if does is None:
        return None
    things, rest = _parted([word for word in of_name if word != does])
    nouns = [_ALIKE.get(each, each) for each in map(stem, _telling(things))]
    heads = [each for each in nouns if each not in _FORMS]
    head = heads[-1] if heads else ""
    return Purpose(tool, does, _is_many(tool, does, told, things), head, frozenset({*nouns, *meaning(rest)} - {head}))


def _is_many(tool: Subject, does: str, told: str | None, things: list[str]) -> bool:
    """Whether a tool that reads gives many of a thing, as its verbs or the number of its object say."""
    if _LISTS & {does, told}:
        return True
    said = words(_ASIDE.split(lead(tool.description), maxsplit=1)[0])
    objects, _ = _parted(said[1:] if said and verb(said[0]) else said)
    last = _telling(objects) or _telling(things)
    return any(word.endswith("s") and not word.endswith(("ss", "us")) for word in last[-1:])


def _telling(tokens: list[str]) -> list[str]:
    return [word for word in tokens if meaning([word])]


def _parted(tokens: list[str]) -> tuple[list[str], list[str]]:
    """The words before the first preposition, and those after it."""
    place = next((place for place, word in enumerate(tokens) if place and word in PREPOSITIONS), len(tokens))
    return tokens[:place], tokens[place:]
