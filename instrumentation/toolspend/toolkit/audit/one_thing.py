"""Does it do one thing only? Unions of actions, and tools that are nearly another one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from . import similarity
from .findings import Finding
from .parameters import closed_choices
from .purposes import renamed
from .subjects import Parameter, Subject
from .words import EFFECTS, Effect, lead, name_words, named, quoted, verb, word_set

_CHOOSERS: Final = word_set("action operation op command verb method task subcommand mode activity")
_LISTED: Final = re.compile(
    r"(?P<verbs>[A-Za-z]+(?:\s*[,/]\s*[A-Za-z]+)*)\s*(?:,?\s*\b(?:and/or|and|or)\b\s*|/\s*)(?P<last>[A-Za-z]+)\b"
)
_APART: Final = re.compile(
    r"(?P<verbs>[A-Za-z]+)\s+(?:[\w'()/.-]+\s+){1,6}?or\s+(?P<last>[A-Za-z]+)\s+(?:an?|the|it|one|them|existing)\b"
)

_GETS: Final = frozenset(("get", "find", "fetch"))
_MANAGES: Final = re.compile(r"(?:manages?|handles?)\b[^:]*:\s*(?P<what>.+)", re.IGNORECASE | re.DOTALL)
_CLAUSES: Final = re.compile(r",\s*(?:(?:and|or)\s+)?|\s+(?:and|or)\s+")


def union_of_actions(tools: Sequence[Subject]) -> Iterator[Finding]:
    """An `action` or the like, whose values read, create, change or delete; its description may say which there are."""
    for tool in tools:
        for parameter in tool.parameters or ():
            if not set(name_words(parameter.name)) & _CHOOSERS:
                continue
            text = parameter.description
            choices = [*map(str, parameter.choices)] or closed_choices(text) or _joined_verbs(lead(text))
            actions = {choice: effect for choice in choices if (effect := _effect(choice))}
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
                f"Offer {named(_split_names(tool, parameter, choices))} instead, without `{parameter.name}`.{moved}",
                parameters=(parameter.name,),
            )


def several_actions(tools: Sequence[Subject]) -> Iterator[Finding]:
    """A name or a description's first sentence that joins verbs of different kinds."""
    for tool in tools:
        sentence = lead(tool.description)
        found = _joined_verbs(sentence)
        kinds = {EFFECTS[each] for each in found}
        # What was run is read in the same work; "create or update" and "get or create" are one idempotent write.
        is_one = kinds == {"read", "run"} or (kinds == {"create", "change"} and _LISTED.match(sentence))
        if len(kinds) < 2 or is_one or (len(found) == 2 and found[0] in _GETS and kinds == {"read", "create"}):
            found = _verbs_of_name(tool)
            if len({EFFECTS[each] for each in found}) < 2:
                continue
            says = f"Its name joins {_told(found)}"
        else:
            says = f"Its description joins {_told(found)}: {quoted(sentence)}"
        yield Finding(
            tool.name,
            "several_actions",
            "warning",
            f"{says}.",
            f"Make one tool for each of {', '.join(found)}, named for it, with only the parameters that it needs.",
        )


def overlapping_tools(tools: Sequence[Subject]) -> Iterator[Finding]:
    """Pairs that a model cannot tell apart, said of the later tool, unless one of them speaks of the other."""
    for pair in similarity.twins(tools):
        first, second = pair.first, pair.second
        if first.names(second) or second.names(first):
            continue
        words = renamed(second, first)
        why = (
            "Its description is that of another tool, word for word"
            if pair.is_word_for_word
            else f"It says the same as another tool, but for how much is told (similarity {pair.score:.2f})"
            if words is None
            else f"It says {words[0]!r} where another tool says {words[1]!r}, and else the same "
            f"(similarity {pair.score:.2f})"
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


def _split_names(tool: Subject, parameter: Parameter, choices: Sequence[str]) -> list[str]:
    noun = "_".join(word for word in name_words(tool.name) if word not in {"manage", "handle", parameter.name})
    return [f"{'_'.join(name_words(action))}_{noun or tool.name}" for action in choices]


def _joined_verbs(sentence: str) -> list[str]:
    """The verbs that a sentence joins: "list, create or delete", also each with an object of its own."""
    match = _LISTED.match(sentence) or _APART.match(sentence)
    if match is not None:
        plain = [verb(each) for each in (*re.split(r"[\s,/]+", match["verbs"]), match["last"])]
        if all(plain):
            return [each for each in plain if each is not None]
    managed = _MANAGES.match(sentence)
    if managed is None and not re.search(r"\bor\b", sentence):
        return []  # "uploads it and gets its address" is one action and what it answers
    clauses = _CLAUSES.split(managed["what"] if managed is not None else sentence)
    first = [clause.split()[0] for clause in clauses if clause.strip()]
    # In capitals they are words of a language: "an INSERT, UPDATE, or DELETE query".
    plain = [None if word.isupper() else verb(word.strip(".,;")) for word in first]
    return [each for each in plain if each is not None] if all(plain) else []


def _verbs_of_name(tool: Subject) -> list[str]:
    """The verbs that a name joins by "and", none of them one that reads: `search_and_replace` is one action."""
    parts = name_words(tool.name)
    places = [place for place, word in enumerate(parts) if word == "and" and 0 < place < len(parts) - 1]
    found = [verb for place in places for verb in (parts[place - 1], parts[place + 1])]
    return found if all(EFFECTS.get(each, "read") != "read" for each in found) else []


def _told(verbs: Sequence[str]) -> str:
    return ", ".join(f"{each} ({EFFECTS[each]})" for each in verbs)
