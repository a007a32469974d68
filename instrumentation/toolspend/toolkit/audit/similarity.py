"""Which tools of a list have nearly the same definition.

Families of tools share most of their words (`get_group`, `get_group_users`, `delete_group`), so a similarity of texts
finds siblings. Asked is the reverse: whether any word of either tool tells it apart from the other.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .subjects import Subject
from .words import EFFECTS, content, first_sentence, name_words, stem, verb, verb_of_name, word_set, words

# How much of a thing is told, and how it is asked for: no reason for a tool of its own.
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
_SEARCHES: Final = frozenset(("search", "find", "query"))
_MANY: Final = frozenset(("list", "browse", "all", "multiple", "every"))
_ASIDE: Final = re.compile(r"\b(?:including|such as|based on)\b|[(,:;]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Twins:
    """Two tools that a model can hardly tell apart, and why: `second` comes later in the list."""

    first: Subject
    second: Subject
    why: str


def twins(tools: Sequence[Subject]) -> list[Twins]:
    """The pairs of tools of one list that are nearly the same."""
    alike: defaultdict[tuple[object, ...], list[Subject]] = defaultdict(list)
    for tool in tools:
        if (key := _meaning(tool)) is not None:
            alike[key].append(tool)
    found = [
        Twins(group[0], other, "It says the same as another tool, but for how much is told")
        for group in alike.values()
        for other in group[1:]
        if other.name != group[0].name
    ]
    known = {(id(pair.first), id(pair.second)) for pair in found}
    texts: defaultdict[str, list[Subject]] = defaultdict(list)
    for tool in tools:
        if len(words(tool.description)) >= 3:
            texts[" ".join(words(tool.description))].append(tool)
    found += [
        Twins(group[0], other, "Its description is that of another tool, word for word")
        for group in texts.values()
        for other in group[1:]
        if other.name != group[0].name and (id(group[0]), id(other)) not in known
    ]
    return found


def _meaning(tool: Subject) -> tuple[object, ...] | None:
    """What a tool does to what, as its name and the core of its first sentence say; None where they say too little."""
    of_name = name_words(tool.name)[tool.prefix :]
    of_text = words(_ASIDE.split(first_sentence(tool.description), maxsplit=1)[0])
    if not of_text:
        return None
    verbs = [plain for plain in (verb_of_name(of_name), verb(of_text[0])) if plain]
    if not verbs:
        return None
    nouns = [word for word in of_name if word not in verbs and content([word]) - _GENERIC]
    told = [word for word in of_text if verb(word) not in verbs and content([word]) - _GENERIC]
    objects = content((*nouns, *told))
    if not objects:
        return None
    is_many = bool(_MANY & {*verbs, *of_text}) or any(
        word.endswith("s") and not word.endswith("ss") for word in told[-1:]
    )
    is_read = EFFECTS[verbs[0]] == "read"
    does = "search" if _SEARCHES & set(verbs) else "read" if is_read else verbs[0]
    return does, is_many, stem(nouns[-1]) if nouns else "", frozenset(objects)
