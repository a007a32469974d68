"""Does it do one thing only? Unions of actions, and tools that are nearly another one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from . import similarity
from .findings import Finding
from .subjects import Parameter, Subject
from .words import EFFECTS, Effect, lead, name_words, named, quoted, verb, word_set

_CHOOSERS: Final = word_set("action operation op command verb method task subcommand mode activity")
_LISTED: Final = re.compile(
    r"(?P<verbs>[A-Za-z]+(?:\s*[,/]\s*[A-Za-z]+)*)\s*(?:,?\s*\b(?:and/or|and|or)\b\s*|/\s*)(?P<last>[A-Za-z]+)\b"
)
_APART: Final = re.compile(
    r"(?P<verbs>[A-Za-z]+)\s+(?:[\w'()/.-]+\s+){1,6}?or\s+(?P<last>[A-Za-z]+)\s+(?:an?|the|it|one|them|existing)\b"
)


def union_of_actions(tools: Sequence[Subject]) -> Iterator[Finding]:
    """An `action` or the like, whose values read, create, change or delete."""
    for tool in tools:
        for parameter in tool.parameters or ():
            if not set(name_words(parameter.name)) & _CHOOSERS:
                continue
            actions = {str(choice): effect for choice in parameter.choices if (effect := _effect(str(choice)))}
            if len(set(actions.values())) < 2:
                continue
            kinds = ", ".join(f"{name} ({effect})" for name, effect in actions.items())
            optional = [each.name for each in tool.parameters or () if each != parameter and not each.is_required]
            moved = f" {named(optional)} then go to the action that uses them." if optional else ""
            yield Finding(
                tool.name,
                "union_of_actions",
                "warning",
                f"`{parameter.name}` chooses between actions of different kinds: {kinds}.",
                f"Offer {named(_split_names(tool, parameter))} instead, without `{parameter.name}`.{moved}",
                parameters=(parameter.name,),
            )


def several_actions(tools: Sequence[Subject]) -> Iterator[Finding]:
    """A description whose first sentence joins verbs of different kinds."""
    for tool in tools:
        sentence = lead(tool.description)
        found = _joined_verbs(sentence)
        kinds = {EFFECTS[each] for each in found}
        # What was run is read in the same work, and "create or update" is one idempotent write.
        if len(kinds) < 2 or kinds == {"read", "run"} or (kinds == {"create", "change"} and _LISTED.match(sentence)):
            continue
        told = ", ".join(f"{each} ({EFFECTS[each]})" for each in found)
        yield Finding(
            tool.name,
            "several_actions",
            "warning",
            f"Its description joins {told}: {quoted(sentence)}.",
            f"Make one tool for each of {', '.join(found)}, named for it, with only the parameters that it needs.",
        )


def overlapping_tools(tools: Sequence[Subject]) -> Iterator[Finding]:
    """Pairs that a model cannot tell apart, said of the later tool, unless one of them speaks of the other."""
    for pair in similarity.twins(tools):
        first, second = pair.first, pair.second
        if first.names(second) or second.names(first):
            continue
        why = (
            "Its description is that of another tool, word for word"
            if pair.is_word_for_word
            else f"It says the same as another tool, but for how much is told (similarity {pair.score:.2f})"
        )
        yield Finding(
            second.name,
            "overlapping_tools",
            "warning",
            f"{why}: {quoted(second.description)} beside `{first.name}`: {quoted(first.description)}.",
            f"Keep one of `{first.name}` and `{second.name}`, or let each description begin with what only that tool "
            f"does and name the other for the rest.",
            related=(first.name,),
        )


def duplicate_name(tools: Sequence[Subject]) -> Iterator[Finding]:
    """A name that several tools have: which of them a call means cannot be known."""
    for name, count in Counter(tool.name for tool in tools).items():
        if count > 1:
            yield Finding(
                name,
                "duplicate_name",
                "error",
                f"{count} tools are named `{name}`: model APIs refuse such a list, or all but one are never called.",
                f"Name each for its server or its object, for example `server__{name}`.",
            )


def _effect(value: str) -> Effect | None:
    parts = name_words(value)
    plain = verb(parts[0]) if parts else None
    return EFFECTS[plain] if plain is not None else None


def _split_names(tool: Subject, parameter: Parameter) -> list[str]:
    noun = "_".join(word for word in name_words(tool.name) if word not in {"manage", "handle", parameter.name})
    return [f"{'_'.join(name_words(action))}_{noun or tool.name}" for action in map(str, parameter.choices)]


def _joined_verbs(sentence: str) -> list[str]:
    match = _LISTED.match(sentence) or _APART.match(sentence)
    if match is None:
        return []
    plain = [verb(each) for each in (*re.split(r"[\s,/]+", match["verbs"]), match["last"])]
    return [each for each in plain if each is not None] if all(plain) else []
