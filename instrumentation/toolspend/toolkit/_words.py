"""The words of a text as ranking compares them: stems, and what people say for one another."""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Callable, Container, Iterator, Sequence
from importlib import resources
from typing import Final, NamedTuple

from ._values import kinds

INSTALL: Final = "pip install 'toolspend[toolkit]'"
_WORD: Final = re.compile(r"[A-Z]{2,}(?=s(?![a-z]))|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_]+")
_LONGEST_PHRASE: Final = 3
_WORDS_BETWEEN: Final = 2
"""How many words may stand within a phrase of two: "let Alice know", "take the old one out"."""


class _Lexicon(NamedTuple):
    said_for: dict[str, frozenset[str]]
    meant_by: dict[str, frozenset[str]]
    topics: dict[str, frozenset[int]]
    topic_count: int
    actions: dict[str, frozenset[str]]
    phrases: frozenset[str]
    stop: frozenset[str]
    common: frozenset[str]
    questions: frozenset[str]


def is_question(text: str) -> bool:
    """Whether `text` asks for something to be found out, not done."""
    first = _WORD.search(text)
    return text.rstrip().endswith("?") or (first is not None and first[0].lower() in _lexicon().questions)


def terms(text: str) -> list[str]:
    """The stems of the words of `text` that say something, of names in camelCase and snake_case too, of phrases, and of
    what its values are."""
    return _found(text, {})


def asked(text: str) -> list[str]:
    """The terms of what somebody asks for, each once, and what only people say among them: "who", "keep an eye"."""
    return list(dict.fromkeys(_found(text, _lexicon().meant_by)))


def said_for(term: str) -> frozenset[str]:
    """What people also say for `term`."""
    return _lexicon().said_for.get(term, frozenset())


def meant_by(term: str) -> frozenset[str]:
    """The words of tools that people may mean when they say `term`, and that do not mean it."""
    return _lexicon().meant_by.get(term, frozenset())


def topics(term: str) -> frozenset[int]:
    """What `term` tells a text to be about, each topic as a number below `topic_count`."""
    return _lexicon().topics.get(term, frozenset())


def topic_count() -> int:
    """How many topics there are."""
    return _lexicon().topic_count


def is_common(term: str) -> bool:
    """Whether `term` is a word that people use whatever they speak of, so that it tells little."""
    return term in _lexicon().common


def actions(found: Sequence[str]) -> frozenset[str]:
    """The classes of actions (create, delete, list...) that terms speak of."""
    known = _lexicon().actions
    return frozenset().union(*(known[term] for term in found if term in known))


def _found(text: str, sayings: Container[str]) -> list[str]:
    """Terms in the order of the text, words that say nothing only where they are among `sayings`."""
    stem, lexicon = _stemmer(), _lexicon()
    words = [word.lower() for word in _WORD.findall(text)]
    stems = [stem(word) for word in words]
    found = [each for word, each in zip(words, stems, strict=True) if word not in lexicon.stop or each in sayings]
    found += [each for each in _runs(stems) if each in lexicon.phrases or each in sayings]
    return found + [stem(word) for word in kinds(text)]


def _stemmed(words: str) -> list[str]:
    """The stems of words that stand in a line, of each word of a phrase too."""
    return ["_".join(map(_stemmer(), word.split("_"))) for word in words.split()]


def _runs(stems: list[str]) -> Iterator[str]:
    for length in range(2, _LONGEST_PHRASE + 1):
        for start in range(len(stems) - length + 1):
            yield "_".join(stems[start : start + length])
    for apart in range(2, _WORDS_BETWEEN + 2):
        yield from map("_".join, zip(stems, stems[apart:], strict=False))


@functools.cache
def _stemmer() -> Callable[[str], str]:
    try:
        import Stemmer
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"get_tools_for_task(query=...): PyStemmer is not installed: {INSTALL}") from error
    return functools.lru_cache(maxsize=20_000)(Stemmer.Stemmer("english").stemWord)


@functools.cache
def _lexicon() -> _Lexicon:
    said: defaultdict[str, set[str]] = defaultdict(set)
    means: defaultdict[str, set[str]] = defaultdict(set)
    about: defaultdict[str, set[int]] = defaultdict(set)
    actions: defaultdict[str, set[str]] = defaultdict(set)
    apart: dict[str, set[str]] = {"stop": set(), "common": set(), "question": set()}
    places: dict[str, int] = {}
    for line in resources.files("toolspend.toolkit").joinpath("lexicon.txt").read_text(encoding="utf-8").splitlines():
        head, _, words = line.partition("#")[0].rpartition(":")
        saying, arrow, meaning = words.partition(">")
        if head in apart:
            apart[head].update(words.split())
        elif head.startswith("about "):
            place = places.setdefault(head, len(places))
            for word in _stemmed(words):
                about[word].add(place)
        elif arrow:
            for word in _stemmed(saying):
                means[word].update(_stemmed(meaning))
        else:
            group = _stemmed(words)
            for word in group:
                said[word].update(group)
                actions[word].update([head] if head else [])
    return _Lexicon(
        {word: frozenset(words - {word}) for word, words in said.items()},
        {word: frozenset(words - {word}) for word, words in means.items()},
        {word: frozenset(topics) for word, topics in about.items()},
        len(places),
        {word: frozenset(classes) for word, classes in actions.items()},
        frozenset(word for word in (*said, *about) if "_" in word),
        frozenset(apart["stop"]),
        frozenset(map(_stemmer(), apart["common"])),
        frozenset(apart["question"]),
    )
