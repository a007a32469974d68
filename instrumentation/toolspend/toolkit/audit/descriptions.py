"""Is it described so that a cold reader can use it? What the name and the description say."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from . import similarity
from .findings import Finding
from .subjects import CATALOGUE, Subject
from .words import (
    EFFECTS,
    WRITING,
    content,
    name_words,
    named,
    quoted,
    verb,
    verb_of_name,
    verb_of_text,
    word_set,
    words,
)

LONG_TOKENS: Final = 1_000
"""A definition of more tokens is paid with every request, called or not: more than most results."""
MIN_REPEATED_CHARS: Final = 120
MIN_REPEATS: Final = 3

_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_FILLER: Final = frozenset(content(word_set("new existing specific all details information data one item items")))
_LIST_OF: Final = re.compile(r"\b(?:a |the )?list of\b", re.IGNORECASE)
_SNAKE: Final = r"[a-z][a-z0-9]*(?:_[a-z0-9]+)+"
_SENT_TO: Final = re.compile(
    r"\b(?:[Ii]nstead of|[Uu]se|[Cc]all|[Cc]alling|[Uu]sing|[Pp]refer|[Vv]ia|[Rr]un|[Ss]ee)(?: the| tool)?\s+"
    rf"[`'\"]?(?P<named>{_SNAKE})\b(?!\s*=)|[`'\"](?P<tool>{_SNAKE})[`'\"]?(?:\(\))? tool\b"
)


def missing_description(tools: Sequence[Subject]) -> Iterator[Finding]:
    """No description at all."""
    for tool in tools:
        if not tool.description:
            own = f" from {named(each.name for each in tool.parameters)}" if tool.parameters else ""
            yield Finding(
                tool.name,
                "missing_description",
                "error",
                f"`{tool.name}` has no description: the model has only the name to go by.",
                f"Say what `{tool.name}` does{own}, what it returns, and when to use it.",
            )


def restates_name(tools: Sequence[Subject]) -> Iterator[Finding]:
    """A description that has no word of meaning which the name does not have."""
    restated = [tool for tool in tools if is_restatement(tool)]
    known = similarity.vectors(tools) if restated else {}
    for tool in restated:
        nearest = similarity.nearest(tool, tools, known)
        beside = f", and when `{nearest.name}` is the right one" if nearest is not None else ""
        yield Finding(
            tool.name,
            "restates_name",
            "warning",
            f"{quoted(tool.description)} says nothing that `{tool.name}` does not say.",
            f"Complete {quoted(tool.description)}: {_wanting(tool)}{beside}.",
        )


def name_disagrees(tools: Sequence[Subject]) -> Iterator[Finding]:
    """A name that reads where the description changes, or the other way round."""
    for tool in tools:
        if not _verbs_differ(tool):
            continue
        of_name, of_text = _verbs(tool)
        yield Finding(
            tool.name,
            "name_disagrees",
            "warning",
            f"The name says `{of_name}`, the description begins with {of_text!r}: {quoted(tool.description)}.",
            f"Begin the description with what `{tool.name}` does to its object, or name the tool for {of_text!r}.",
        )


def invalid_name(tools: Sequence[Subject]) -> Iterator[Finding]:
    """Characters or a length that Anthropic's and OpenAI's APIs refuse."""
    for tool in tools:
        if _NAME.fullmatch(tool.name):
            continue
        bad = sorted(set(re.findall(r"[^a-zA-Z0-9_-]", tool.name)))
        what = f"the characters {', '.join(map(repr, bad))}" if bad else f"{len(tool.name)} characters"
        better = re.sub(r"[^a-z0-9]+", "_", tool.name.lower()).strip("_")[:64]
        yield Finding(
            tool.name,
            "invalid_name",
            "error",
            f"`{tool.name}` has {what}: model APIs take letters, digits, _ and -, at most 64 of them.",
            f"Name it `{better}`.",
        )


def unknown_tool_mentioned(tools: Sequence[Subject]) -> Iterator[Finding]:
    """A description that says to use a tool which the list does not have."""
    if len(tools) < 2:
        return
    offered = {tool.name.lower() for tool in tools}
    for tool in tools:
        own = " ".join(f"{each.name} {each.description} {each.choices}" for each in tool.parameters or ())
        if tool.parameters is None:
            continue  # what it names may be a parameter that is not known
        for name in dict.fromkeys(match["named"] or match["tool"] for match in _SENT_TO.finditer(tool.description)):
            if name in offered or name in own or any(name in each or each in name for each in offered):
                continue
            yield Finding(
                tool.name,
                "unknown_tool_mentioned",
                "warning",
                f"It speaks of `{name}`, and no tool has that name: {quoted(_around(tool.description, name))}.",
                f"Name the tool that is meant by the name that the model sees, or take `{name}` out.",
            )


def repeated_text(tools: Sequence[Subject]) -> Iterator[Finding]:
    """A paragraph that stands in several definitions, and is paid for in each."""
    holders: defaultdict[str, list[str]] = defaultdict(list)
    for tool in tools:
        for line in dict.fromkeys(" ".join(line.split()) for line in tool.description.splitlines()):
            if len(line) >= MIN_REPEATED_CHARS:
                holders[line].append(tool.name)
    by_tools: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for line, names in holders.items():
        if len(names) >= MIN_REPEATS:
            by_tools[tuple(names)].append(line)
    for holding, lines in by_tools.items():
        chars = sum(map(len, lines))
        yield Finding(
            holding[0],
            "repeated_text",
            "note",
            f"{chars:,} characters stand word for word in {len(holding)} definitions: {quoted(lines[0])}.",
            f"Say {quoted(lines[0], 40)} once, in the system prompt or the server's instructions, and take it out of "
            f"{named(holding)}.",
            related=holding[1:],
        )


def long_definition(tools: Sequence[Subject]) -> Iterator[Finding]:
    """A definition that costs more than most results do."""
    for tool in tools:
        tokens = tool.definition_tokens
        if tokens <= LONG_TOKENS:
            continue
        parts = [" ".join(part.split()) for part in re.split(r"\n\s*\n", tool.description)]
        longest = max(parts, key=len)
        is_text = len(tool.description) > len(str(tool.schema or ""))
        where = f"the description ({len(tool.description):,} characters)" if is_text else "the schema"
        what = (
            f"what begins with {quoted(longest, 50)} ({len(longest):,} characters)"
            if is_text
            else "what only some calls need"
        )
        yield Finding(
            tool.name,
            "long_definition",
            "note",
            f"About {tokens:,} tokens in every request that offers it, most of them in {where}.",
            f"Keep what the model needs to choose `{tool.name}` and to call it; move {what} to a tool of its own, "
            "or to what the tool answers when it matters.",
        )


def is_restatement(tool: Subject) -> bool:
    """Whether a description has no word of meaning that the name does not have."""
    said = words(_LIST_OF.sub("", tool.description))
    if not said:
        return False
    of_name, of_text = verb_of_name(name_words(tool.name), tool.prefix), verb(said[0])
    if of_text is not None and (of_name is None or EFFECTS[of_name] != EFFECTS[of_text]):
        return False  # the verb is news
    meant = content(said[1:] if of_text is not None else said) - _FILLER
    return not meant - content(word for word in name_words(tool.name) if word != of_name or of_text is None)


def _wanting(tool: Subject) -> str:
    """What a description of this kind of tool has to say beside its name."""
    optional = [each.name for each in tool.parameters or () if not each.is_required and CATALOGUE not in each.schema]
    match EFFECTS.get(tool.verb or ""):
        case "delete":
            return "what goes with it, and whether it can be undone"
        case "create" | "change":
            kept = f"; what holds where {named(optional, 4)} are left out" if optional else ""
            return f"what it changes and what it returns{kept}"
        case "run":
            return "what runs, for how long, and what it returns"
        case None:
            return "what it does to its object, and what it returns"
        case "read" if tool.verb in ("list", "search", "find", "query"):
            return "which fields of each it returns, how many at most, and in which order"
        case "read":
            return "which fields it returns, and what it answers where there is nothing"


def _verbs(tool: Subject) -> tuple[str | None, str | None]:
    return verb_of_name(name_words(tool.name), tool.prefix), verb_of_text(tool.description) or _vague(tool.description)


def _vague(text: str) -> str | None:
    first = words(text)[:1]
    return "manage" if first and first[0] in ("manage", "manages") else None


def _verbs_differ(tool: Subject) -> bool:
    of_name, of_text = _verbs(tool)
    if of_name is None or of_text is None or of_text in name_words(tool.name):
        return False
    reads = EFFECTS[of_name] == "read"
    if of_text == "manage":
        return reads
    return (reads and of_text in WRITING) or (of_name in WRITING and EFFECTS[of_text] == "read")


def _around(text: str, name: str) -> str:
    line = " ".join(text.split())
    at = line.find(name)
    return line[max(0, at - 40) : at + len(name) + 30]
