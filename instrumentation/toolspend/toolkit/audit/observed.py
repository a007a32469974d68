"""What traces add to the audit: how tools that were offered were used. Pure: whoever has the figures asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ... import attributes as at
from ...evidence.guidance import FEW_WORDS, error_words
from . import similarity
from .findings import Finding, in_order
from .subjects import Subject, subjects
from .words import name_words, named, quoted, word_set

MIN_CALLS: Final = 5
"""Fewer calls say nothing about a rate."""
WRONG_SHARE: Final = 0.1
LARGE_TOKENS: Final = 2_000
ONE_SIDED: Final = 5
MIN_REQUESTS: Final = 10
"""In fewer requests a tool may simply not have been needed yet."""

# What instrumentations write when the fault lies with the call and not with the tool.
_WRONG: Final = at.WRONG_CALL_ERRORS | {"validationerror", "invalid_params", "-32602"}
# Failures that are told as such, and exceptions that say what happened by themselves.
_TOLD: Final = at.CALL_ERRORS | {"toolerror", "_other"}
_LIMITS: Final = word_set(
    "limit max count page offset cursor length lines size depth fields columns top first head tail n k start end range"
)


@dataclass(frozen=True, slots=True)
class Use:
    """How one tool was used. None is unknown; `messages` need captured content.

    `errors` counts failed calls by error type, `shapes` results by their shape, `messages` the texts of failures, and
    `error_words` failures of which no text is known by the number of its words (`attributes.TOOL_ERROR_WORDS`).
    `is_used` says that prompts or answers hold calls or results of the tool, also where none of its runs was seen.
    """

    tool: str
    calls: int = 0
    failed: int = 0
    offered_requests: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)
    shapes: Mapping[str, int] = field(default_factory=dict)
    messages: Mapping[str, int] = field(default_factory=dict)
    error_words: Mapping[int, int] = field(default_factory=dict)
    definition_tokens: float | None = None
    mean_result_tokens: float | None = None
    definition_cost_usd: float | None = None
    other_cost_usd: float | None = None
    is_used: bool = False


def audit_use(tools: Iterable[Any], uses: Iterable[Use]) -> list[Finding]:
    """What the use of tools shows about them, the gravest first; tools without a definition are looked at too."""
    given = {each.name: each for each in subjects(tools)}
    seen = list(uses)
    found = [finding for use in seen for rule in _RULES for finding in rule(use, given.get(use.tool))]
    found += _duplicates_in_use(list(given.values()), {use.tool: use for use in seen})
    return in_order(found)


def never_called(use: Use, tool: Subject | None) -> Iterator[Finding]:
    """Offered in many requests, and not once called."""
    del tool
    if use.calls or use.is_used or use.offered_requests < MIN_REQUESTS:
        return
    size = f", with {use.definition_tokens:,.0f} tokens each time" if use.definition_tokens else ""
    cost = f", {_usd(use.definition_cost_usd)} together" if use.definition_cost_usd else ""
    yield Finding(
        use.tool,
        "never_called",
        "warning",
        f"Offered in {use.offered_requests:,} requests{size}{cost}, and never called.",
        f"Offer `{use.tool}` only to the tasks that need it, or drop it; if it should have been called, say in its "
        "description for what.",
    )


def called_wrongly(use: Use, tool: Subject | None) -> Iterator[Finding]:
    """Calls refused for what the model wrote: wrong arguments, or a tool that does not exist."""
    wrong = {kind: count for kind, count in use.errors.items() if kind.lower() in _WRONG}
    count = sum(wrong.values())
    if not count or ((count < WRONG_SHARE * use.calls or use.calls < MIN_CALLS) and at.ERROR_UNKNOWN_TOOL not in wrong):
        return
    kinds = ", ".join(f"{number:,} {kind}" for kind, number in sorted(wrong.items(), key=lambda each: -each[1]))
    if tool is None or at.ERROR_UNKNOWN_TOOL in wrong:
        hint = f"Find what names `{use.tool}` to the model: a description, a prompt, or a conversation from before."
    else:
        needed = [each for each in tool.parameters or () if each.is_required] or list(tool.parameters or ())
        bare = [each.told() for each in needed if not each.description] or [each.told() for each in needed]
        hint = (
            f"Give an example of {'; '.join(bare[:4]) or 'a call'} in the description, and answer a wrong call with it."
        )
    yield Finding(use.tool, "called_wrongly", "warning", f"{count:,} of {use.calls:,} calls were wrong: {kinds}.", hint)


def unhandled_exceptions(use: Use, tool: Subject | None) -> Iterator[Finding]:
    """Calls that ended in an exception of a class, which a handler did not turn into an answer."""
    del tool
    raised = {
        kind: count
        for kind, count in use.errors.items()
        if kind.lower() not in _TOLD and kind.lower() not in _WRONG and kind[:1].isupper() and kind.isidentifier()
    }
    count = sum(raised.values())
    if not count or use.calls < MIN_CALLS:
        return
    kinds = sorted(raised, key=lambda kind: -raised[kind])
    yield Finding(
        use.tool,
        "unhandled_exceptions",
        "warning" if count >= WRONG_SHARE * use.calls else "note",
        f"{count:,} of {use.calls:,} calls ended in {', '.join(f'{kind} ({raised[kind]:,})' for kind in kinds[:4])}.",
        f"Catch {kinds[0]} in the handler of `{use.tool}`, and answer with what failed, whether trying again helps, "
        "and what to do instead.",
    )


def errors_without_guidance(use: Use, tool: Subject | None) -> Iterator[Finding]:
    """Failures whose text is a few words, or no word that says what failed: no next step follows from it."""
    del tool
    bare = {text: count for text, count in use.messages.items() if error_words(text) <= FEW_WORDS}
    wordless = {words: count for words, count in use.error_words.items() if words <= FEW_WORDS}
    count = sum(bare.values()) + sum(wordless.values())
    known = sum(use.messages.values()) + sum(use.error_words.values())
    if count < 2 or count < 0.5 * known:
        return
    if bare:
        most = quoted(max(bare, key=lambda text: bare[text]), 60)
        said, instead = f"no more than {most}", f"In place of {most}, say"
    else:
        longest = max(wordless)
        said = f"no more than {longest} word{'s' * (longest > 1)}" if longest else "nothing of what went wrong"
        instead = f"Let each failure of `{use.tool}` say"
    yield Finding(
        use.tool,
        "errors_without_guidance",
        "warning",
        f"{count:,} of {known:,} failures say {said}.",
        f"{instead} which argument or state was the cause, and what to call or change next.",
    )


def varying_output(use: Use, tool: Subject | None) -> Iterator[Finding]:
    """Results that worked, in shapes that a model cannot foresee."""
    del tool
    known = sum(use.shapes.values())
    ranked = sorted(use.shapes.items(), key=lambda each: -each[1])
    if known < MIN_CALLS or len(ranked) < 2 or ranked[1][1] < 2 or known - ranked[0][1] < WRONG_SHARE * known:
        return
    shown = "; ".join(f"{count:,} times {shape}" for shape, count in ranked[:3])
    more = f" and {len(ranked) - 3} more" if len(ranked) > 3 else ""
    yield Finding(
        use.tool,
        "varying_output",
        "warning",
        f"{known:,} results came in {len(ranked)} shapes: {shown}{more}.",
        f"Always return {ranked[0][0]}: with the field empty where there is nothing to say, never {ranked[1][0]}.",
    )


def unbounded_output(use: Use, tool: Subject | None) -> Iterator[Finding]:
    """Large results of a tool that no parameter can keep small."""
    if tool is None or tool.parameters is None or use.calls < MIN_CALLS or (use.mean_result_tokens or 0) < LARGE_TOKENS:
        return

    if any(_LIMITS & set(name_words(each.name)) for each in tool.parameters):
        return
    yield Finding(
        use.tool,
        "unbounded_output",
        "warning",
        f"A result has {use.mean_result_tokens:,.0f} tokens on average, and none of its parameters limits that"
        f"{': ' + named(each.name for each in tool.parameters) if tool.parameters else ''}.",
        f"Give `{use.tool}` a `limit` and a `cursor`, or let it return a summary and a handle to the rest.",
    )


def definition_outweighs_use(use: Use, tool: Subject | None) -> Iterator[Finding]:
    """Called, and still dearer to offer than to use."""
    del tool
    definition, rest = use.definition_cost_usd, use.other_cost_usd
    if (
        not use.calls
        or use.offered_requests < MIN_REQUESTS
        or definition is None
        or rest is None
        or definition <= 2 * rest
    ):
        return
    yield Finding(
        use.tool,
        "definition_outweighs_use",
        "note",
        f"Its definition cost {_usd(definition)} in {use.offered_requests:,} requests, "
        f"and all else about it {_usd(rest)}, in {_calls(use.calls)}.",
        f"Offer `{use.tool}` only to the tasks that call it, or shorten its definition"
        f"{f' of {use.definition_tokens:,.0f} tokens' if use.definition_tokens else ''}.",
    )


_RULES: Final = (
    never_called,
    called_wrongly,
    unhandled_exceptions,
    errors_without_guidance,
    varying_output,
    unbounded_output,
    definition_outweighs_use,
)


def _duplicates_in_use(tools: Sequence[Subject], uses: Mapping[str, Use]) -> Iterator[Finding]:
    """Of two tools that are nearly the same, the one that the model hardly uses."""
    for pair in similarity.twins(tools):
        rare, most = sorted(
            (pair.first.name, pair.second.name), key=lambda name: uses[name].calls if name in uses else 0
        )
        calls = [uses[name].calls if name in uses else 0 for name in (rare, most)]
        if calls[1] < max(MIN_CALLS, ONE_SIDED * calls[0]):
            continue
        yield Finding(
            rare,
            "duplicate_in_use",
            "note",
            f"`{most}`, which says nearly the same, was called {calls[1]:,} times, `{rare}` {calls[0]:,} times.",
            f"Drop `{rare}`: the model uses `{most}`.",
            related=(most,),
        )


def _calls(number: int) -> str:
    return f"{number:,} call{'' if number == 1 else 's'}"


def _usd(amount: float | None) -> str:
    return "an unknown amount" if amount is None else f"${amount:,.4f}" if amount < 1 else f"${amount:,.2f}"
