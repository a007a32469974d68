"""The tool audit: five questions about every tool, answered with evidence in the tool's own words.

`audit(tools)` looks at definitions and handlers alone. What traces add is in `observed`; `sarif` writes
findings for code hosts. No check is a matter of taste: each one names what is there, or what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from . import choices, descriptions, one_thing, outputs, parameters, side_effects
from .findings import CHECKS, QUESTIONS, SEVERITIES, Check, Finding, Question, Severity, in_order, is_at_least, scores
from .subjects import Subject, subjects

__all__ = [
    "CHECKS",
    "QUESTIONS",
    "SEVERITIES",
    "Check",
    "Finding",
    "Question",
    "Severity",
    "audit",
    "in_order",
    "is_at_least",
    "scores",
]

Rule = Callable[[Sequence[Subject]], Iterator[Finding]]

_RULES: Final[tuple[Rule, ...]] = (
    one_thing.union_of_actions,
    one_thing.several_actions,
    one_thing.overlapping_tools,
    one_thing.duplicate_name,
    descriptions.missing_description,
    descriptions.restates_name,
    descriptions.name_disagrees,
    descriptions.invalid_name,
    parameters.undocumented_parameters,
    parameters.missing_unit,
    parameters.missing_format,
    parameters.choices_in_prose,
    parameters.untyped_parameter,
    parameters.required_with_default,
    parameters.single_choice,
    parameters.inconsistent_parameters,
    descriptions.unknown_tool_mentioned,
    choices.unclear_choice,
    descriptions.repeated_text,
    descriptions.long_definition,
    outputs.open_output_schema,
    side_effects.swallowed_errors,
    side_effects.read_only_contradicted,
    side_effects.destructive_contradicted,
    side_effects.side_effects_unmarked,
    side_effects.consequences_unsaid,
)


def audit(tools: Iterable[Any]) -> list[Finding]:
    """What is wrong with tools that are offered together, the gravest first.

    A tool is a `Tool` or anything with its fields, a definition as Anthropic, OpenAI or MCP write it, or an
    `mcp.types.Tool`. Raises TypeError or ValueError in one line for what is none of these.
    """
    given = subjects(tools)
    return in_order(finding for rule in _RULES for finding in rule(given))
