"""Are its failure modes told, and its side effects marked? What is declared against what the tool shows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from . import handlers
from .descriptions import is_restatement
from .findings import Finding
from .subjects import Subject
from .words import DESTROYING, WRITING, name_words, named, quoted, verb_of_name, verb_of_text, word_set

_FATE: Final = re.compile(
    r"\b(?:permanent\w*|irrevers\w*|revers\w*|undo\w*|undone|trash|recycle\w*|restor\w*|recover\w*|destructive\w*|cannot|can't|"
    r"caution|warning|careful\w*|forceful\w*|gracefully|archiv\w*|soft|confirm\w*|backup|unassign\w*)\b",
    re.IGNORECASE,
)
_PERSISTENT: Final = word_set("delete remove purge destroy erase truncate wipe")
_MARKED: Final = re.compile(
    r"\bread[- ]?only\b|\bwrite operation\b|\bdestructive\b|\bside[- ]effects?\b", re.IGNORECASE
)


def swallowed_errors(tools: Sequence[Subject]) -> Iterator[Finding]:
    """Handlers that answer an exception with nothing, or with what looks like an empty result."""
    for tool in tools:
        for seen in handlers.swallowed(tool.handler) if tool.handler is not None else ():
            yield Finding(
                tool.name,
                "swallowed_errors",
                "warning",
                f"Line {seen.line} of its handler: `{seen.what}`. The model takes a failure for an empty result.",
                f"Let `{tool.name}` raise an error that says what failed and what to try, in place of `{seen.what}`.",
            )


def read_only_contradicted(tools: Sequence[Subject]) -> Iterator[Finding]:
    """Declared read-only, while the name or the handler changes something."""
    for tool in tools:
        if tool.is_read_only is not True:
            continue
        of_name = verb_of_name(name_words(tool.name), tool.prefix)
        seen = handlers.effects(tool.handler) if tool.handler is not None else []
        if of_name not in WRITING and not seen:
            continue
        why = (
            f"its name says `{of_name}`"
            if of_name in WRITING
            else f"line {seen[0].line} of its handler calls `{seen[0].what}`"
        )
        declared = "readOnlyHint is true" if tool.is_mcp else "has_side_effects is False"
        yield Finding(
            tool.name,
            "read_only_contradicted",
            "error",
            f"{declared}, and {why}: clients then run it without asking, and retry it.",
            f"Set readOnlyHint of `{tool.name}` to false, and destructiveHint to what is true."
            if tool.is_mcp
            else f"Set has_side_effects=True on `{tool.name}`.",
        )


def destructive_contradicted(tools: Sequence[Subject]) -> Iterator[Finding]:
    """Declared not destructive, while the name destroys."""
    for tool in tools:
        of_name = verb_of_name(name_words(tool.name), tool.prefix)
        if tool.is_destructive is False and tool.is_read_only is not True and of_name in DESTROYING:
            yield Finding(
                tool.name,
                "destructive_contradicted",
                "warning",
                f"destructiveHint is false, and its name says `{of_name}`: {quoted(tool.description)}.",
                f"Set destructiveHint to true, or say in the description why what `{tool.name}` does can be undone.",
            )


def side_effects_unmarked(tools: Sequence[Subject]) -> Iterator[Finding]:
    """Tools that change something and declare nothing: one by one, or once where no tool of the list declares."""
    silent = [tool for tool in tools if tool.can_declare and _is_silent(tool)]
    writing = [tool for tool in silent if _why_writing(tool)]
    if not writing:
        return
    if len(silent) == len(tools) > 1 and all(tool.is_mcp for tool in tools):
        yield Finding(
            writing[0].name,
            "side_effects_unmarked",
            "warning",
            f"None of {len(tools)} tools declares whether it changes anything, and by name or description "
            f"{_has_names(writing)}.",
            f"Set readOnlyHint and destructiveHint, first on {named(tool.name for tool in writing)}.",
            related=tuple(tool.name for tool in writing[1:]),
        )
        return
    for tool in writing:
        how = "readOnlyHint and destructiveHint" if tool.is_mcp else "has_side_effects"
        assumed = "clients must take it for destructive" if tool.is_mcp else "nothing keeps it from being retried"
        yield Finding(
            tool.name,
            "side_effects_unmarked",
            "note" if tool.is_mcp else "warning",
            f"{_why_writing(tool)}, and {how} {'are' if tool.is_mcp else 'is'} not set: {assumed}.",
            f"Set {how} on `{tool.name}`.",
        )


def consequences_unsaid(tools: Sequence[Subject]) -> Iterator[Finding]:
    """Tools that delete, and whose description leaves open whether that can be undone."""
    for tool in tools:
        of_name = verb_of_name(name_words(tool.name), tool.prefix)
        about = " ".join((tool.description, *(f"{each.name} {each.description}" for each in tool.parameters or ())))
        if of_name not in _PERSISTENT or not tool.description or is_restatement(tool) or _FATE.search(about):
            continue
        if re.search(r"\bfrom\b", tool.description):
            continue  # what is taken from a set can be put back
        yield Finding(
            tool.name,
            "consequences_unsaid",
            "note",
            f"{quoted(tool.description)} does not say whether it can be undone, nor what goes with it.",
            f"Add to {quoted(tool.description, 50)}: whether it is permanent, and what else `{of_name}` takes along.",
        )


def _is_silent(tool: Subject) -> bool:
    return tool.is_read_only is None and tool.is_destructive is None and not _MARKED.search(tool.description)


def _why_writing(tool: Subject) -> str | None:
    """What shows that a tool changes something: its name, its description, or its handler."""
    of_name, of_text = verb_of_name(name_words(tool.name), tool.prefix), verb_of_text(tool.description)
    if of_name in WRITING:
        return f"Its name says `{of_name}`"
    if of_text in WRITING:
        return f"Its description says `{of_text}`"
    seen = handlers.effects(tool.handler) if tool.handler is not None else []
    return f"Line {seen[0].line} of its handler calls `{seen[0].what}`" if seen else None


def _has_names(tools: Sequence[Subject]) -> str:
    verb = "does" if len(tools) == 1 else "do"
    return f"{named(tool.name for tool in tools)} {verb}"
