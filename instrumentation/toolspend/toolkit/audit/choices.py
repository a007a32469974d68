"""Is it described so that a cold reader can use it? Which of two tools to take, where a model could take either."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from . import similarity
from .findings import Finding
from .purposes import PREPOSITIONS, SEARCHES, core, renamed
from .subjects import Subject
from .words import name_words, named, quoted, stem, verb, word_set

_SAYS_WHEN: Final = re.compile(
    r"\b(?:instead|(?<!read[- ])only|(?:do|does|did|is|are|will|can|may|should|must) ?not|\w+n't|cannot|unlike"
    r"|prefer\w*|when(?:ever)?|where|whereas|rather|use (?:this|it)|if (?:you|the)|not for"
    r"|(?:suitable|useful|meant|best|better) for|cheaper|faster|better than|as opposed to|in contrast)\b",
    re.IGNORECASE,
)
_SMALL: Final = PREPOSITIONS | word_set("a an the and or specific particular given new existing all")
_MUCH: Final = word_set("complete full detailed details comprehensive whole entire")
_LITTLE: Final = word_set("concise brief basic summary overview short lite light minimal compact")
_MOST_WORDS: Final = 3


def unclear_choice(tools: Sequence[Subject]) -> Iterator[Finding]:
    """A tool beside another that a model could take instead, where neither names the other or says when to use it."""
    overlapping = {id(pair.second) for pair in similarity.twins(tools)}
    for pair in similarity.siblings(tools):
        first, second = pair.first, pair.second
        if id(second) in overlapping or _is_told(first, second) or _is_told(second, first):
            continue
        if {_amount(first), _amount(second)} == {_MUCH, _LITTLE}:
            continue
        yield Finding(
            second.name,
            "unclear_choice",
            "note",
            f"It shares {named(pair.shared)} with `{first.name}` (similarity {pair.score:.2f}), and neither names the "
            f"other or says when to use it: {quoted(second.description)} beside {quoted(first.description)}.",
            _hint(first, second),
            related=(first.name,),
        )


def _is_told(tool: Subject, other: Subject) -> bool:
    """Whether a description says when to use the tool, or there is none that could."""
    return not tool.description or tool.names(other) or _SAYS_WHEN.search(tool.description) is not None


def _amount(tool: Subject) -> frozenset[str] | None:
    """Whether a tool says that it tells all, or that it tells little; None where it says neither, or both."""
    said = {*name_words(tool.name), *core(tool.description)}
    found = [each for each in (_MUCH, _LITTLE) if each & said]
    return found[0] if len(found) == 1 else None


def _hint(first: Subject, second: Subject) -> str:
    if (words := renamed(second, first)) is not None:
        return (
            f"Say in `{second.name}` what {words[0]!r} means that {words[1]!r} in `{first.name}` does not; if they are "
            "one thing, keep one of the two."
        )
    return f'Add to `{second.name}` what sets it apart, such as "{_sentence(first, second)}"'


def _sentence(first: Subject, second: Subject) -> str:
    """When to use which, by the words that only one of them has."""
    mine, theirs = _only(second, first), _only(first, second)
    if (first.verb in SEARCHES) != (second.verb in SEARCHES) or not (mine or theirs):
        return f"Only to {second.verb}; to {first.verb} use {first.name} instead."
    if not mine:
        return f"For {theirs} use {first.name} instead."
    return (
        f"Only for {mine}; for {theirs} use {first.name} instead." if theirs else f"Only for {mine}; else {first.name}."
    )


def _only(tool: Subject, other: Subject) -> str:
    """The words of a tool's purpose and name that another has not, those of its object first, verbs left out."""
    known = {stem(word) for word in (*core(other.description), *name_words(other.name))} | _SMALL
    own: dict[str, str] = {}
    for word in (*core(tool.description), *name_words(tool.name)[tool.prefix :]):
        if verb(word) is None and word not in _SMALL and stem(word) not in known:
            own.setdefault(stem(word), word)
    return ", ".join(list(own.values())[:_MOST_WORDS])
