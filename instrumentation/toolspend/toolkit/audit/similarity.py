"""Which tools of a list are alike: two that are nearly the same, and two of which a model could take either.

How alike two tools are is the cosine of their words, of which rare ones count more: TF-IDF over names, descriptions and
names of parameters. Families share most of their words (`get_group`, `get_group_users`, `delete_group`), so only tools
that do the same to the same thing are compared, where neither names nor parameters tell which is meant.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from typing import Final

from .purposes import SEARCHES, Purpose, core, meaning, purpose
from .subjects import Subject
from .words import name_words, stem, verb, word_set, words

# Chosen by reading what is found in recorded lists: all of it was right, and below it stood what is told apart.
TWINS: Final = 0.75
SIBLINGS: Final = 0.25
WRITES: Final = 0.1
"""Enough where both change what the same parameters name."""

_NUMBERS: Final = frozenset(map(stem, word_set("bulk batch multiple many all each every single")))
_NAME, _CORE, _PARAMETER, _REST = 3.0, 2.0, 1.0, 0.5
_MOST_WORDS: Final = 60
_MOST_SHARED: Final = 4

Vector = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two tools that are alike, `second` later in the list: how much, and by which words."""

    first: Subject
    second: Subject
    score: float
    shared: tuple[str, ...] = ()
    is_word_for_word: bool = False


def twins(tools: Sequence[Subject]) -> list[Pair]:
    """The pairs of tools that are nearly the same: to each tool the most similar one before it."""
    found = _nearest(pair for one, other, pair in _alike(tools) if pair.score >= TWINS and _is_one_kind(one, other))
    known = {id(pair.second) for pair in found}
    texts: dict[str, Subject] = {}
    for tool in tools:
        said = words(tool.description)
        first = texts.setdefault(" ".join(said), tool)
        if len(said) >= 3 and first.name != tool.name and id(tool) not in known:
            found.append(Pair(first, tool, 1.0, is_word_for_word=True))
    return found


def siblings(tools: Sequence[Subject]) -> list[Pair]:
    """The pairs of tools of which a model could take either: to each tool the most similar one before it."""
    return _nearest(pair for _, _, pair in _alike(tools))


def vectors(tools: Sequence[Subject]) -> dict[int, Vector]:
    """Each tool's words as a vector of length 1, by the tool's identity."""
    counts = [_counts(tool) for tool in tools]
    holding = Counter(term for each in counts for term in each)
    found: dict[int, Vector] = {}
    for tool, each in zip(tools, counts, strict=True):
        weights = {term: math.log1p(n) * math.log1p(len(tools) / holding[term]) for term, n in each.items()}
        length = math.hypot(*weights.values()) or 1.0
        found[id(tool)] = {term: weight / length for term, weight in weights.items()}
    return found


def nearest(tool: Subject, tools: Sequence[Subject], known: Mapping[int, Vector]) -> Subject | None:
    """The tool that is most similar to one of them, whatever it does, by their `vectors`; None where none is."""
    own = known[id(tool)]
    scores = [(sum(_common(own, known[id(other)]).values()), other) for other in tools if other is not tool]
    score, found = max(scores, key=lambda each: each[0], default=(0.0, None))
    return found if score >= SIBLINGS else None


def _nearest(pairs: Iterable[Pair]) -> list[Pair]:
    best: dict[int, Pair] = {}
    for pair in pairs:
        known = best.get(id(pair.second))
        if known is None or pair.score > known.score:
            best[id(pair.second)] = pair
    return list(best.values())


def _alike(tools: Sequence[Subject]) -> Iterator[tuple[Purpose, Purpose, Pair]]:
    """The pairs whose tools do the same to the same thing, and are similar."""
    by_action: defaultdict[tuple[str, bool], list[Purpose]] = defaultdict(list)
    for each in filter(None, map(purpose, tools)):
        by_action[each.action].append(each)
    heads = {each.head for doing in by_action.values() for each in doing}
    known = vectors(tools)
    for one, other in chain.from_iterable(combinations(doing, 2) for doing in by_action.values()):
        if one.tool.name == other.tool.name:
            continue
        least = SIBLINGS if _is_one_thing(one, other, heads) else WRITES if _is_one_write(one, other) else None
        if least is None:
            continue
        mine, theirs = known[id(one.tool)], known[id(other.tool)]
        common = _common(mine, theirs)
        if (score := sum(common.values())) >= least:
            yield one, other, Pair(one.tool, other.tool, score, _as_written(other.tool, common))


def _is_one_thing(one: Purpose, other: Purpose, heads: set[str]) -> bool:
    """Whether both are about the same thing, and nothing plain tells which kind of it."""
    if not one.head or one.head != other.head or one.identifiers != other.identifiers:
        return False
    own = one.modifiers ^ other.modifiers
    if one.modifiers - other.modifiers and other.modifiers - one.modifiers:
        return False
    # Plain are a word that is another tool's thing (`get_events`, `get_pod_events`), a number, and a parameter's name.
    asked = {stem(word) for name in one.signature ^ other.signature for word in name_words(name)}
    return not own & (heads | _NUMBERS | asked)


def _is_one_write(one: Purpose, other: Purpose) -> bool:
    """Whether both change what the same parameters name, whatever they call it."""
    return one.action[0] != "read" and bool(one.identifiers) and one.signature == other.signature


def _is_one_kind(one: Purpose, other: Purpose) -> bool:
    """Whether no word of either tells it apart, but for how much is told."""
    return (
        one.head == other.head
        and one.modifiers == other.modifiers
        and (one.verb in SEARCHES) == (other.verb in SEARCHES)
    )


def _common(one: Vector, other: Vector) -> dict[str, float]:
    """What each word that both have adds to their cosine."""
    return {term: weight * other[term] for term, weight in one.items() if term in other}


def _counts(tool: Subject) -> dict[str, float]:
    """How much each word says of a tool: those of its name most, verbs not at all."""
    counts: defaultdict[str, float] = defaultdict(float)
    purpose_words = core(tool.description)
    for weight, said in (
        (_NAME, name_words(tool.name)[tool.prefix :]),
        (_CORE, purpose_words),
        (_REST, words(tool.description)[len(purpose_words) :][:_MOST_WORDS]),
        (_PARAMETER, [word for each in tool.parameters or () for word in name_words(each.name)]),
    ):
        for word in said:
            if verb(word) is None:
                for term in meaning([word]):
                    counts[term] += weight
    return counts


def _as_written(tool: Subject, weights: Vector) -> tuple[str, ...]:
    """The weightiest of terms, as the words that a tool's name, purpose and parameters have for them."""
    parameters = [word for each in tool.parameters or () for word in name_words(each.name)]
    written: dict[str, str] = {}
    for word in (*name_words(tool.name), *core(tool.description), *parameters):
        for term in meaning([word]) & weights.keys():
            written.setdefault(term, word)
    return tuple(written[term] for term in sorted(written, key=lambda term: -weights[term])[:_MOST_SHARED])
