"""What an audit says: findings, the checks that they come from, and a score for each tool."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

Severity = Literal["error", "warning", "note"]
Question = Literal["one_thing", "description", "output", "failures", "side_effects", "use"]

SEVERITIES: Final[tuple[Severity, ...]] = ("error", "warning", "note")
"""The gravest first."""

QUESTIONS: Final[dict[Question, str]] = {
    "one_thing": "Does it do one thing only?",
    "description": "Is it described so that a cold reader can use it?",
    "output": "Is its output consistent?",
    "failures": "Are its failure modes told?",
    "side_effects": "Are its side effects marked?",
    "use": "Does its use justify it?",
}

_WEIGHTS: Final[dict[Severity, int]] = {"error": 30, "warning": 10, "note": 3}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is looked for: `title` is what is wrong where it is found."""

    question: Question
    title: str


CHECKS: Final[dict[str, Check]] = {
    "union_of_actions": Check("one_thing", "A parameter chooses between actions of different kinds"),
    "several_actions": Check("one_thing", "The description joins actions of different kinds"),
    "overlapping_tools": Check("one_thing", "Another tool has nearly the same definition"),
    "duplicate_name": Check("one_thing", "Two tools have the same name"),
    "missing_description": Check("description", "The tool has no description"),
    "restates_name": Check("description", "The description only repeats the name"),
    "name_disagrees": Check("description", "Name and description say different things"),
    "invalid_name": Check("description", "Model APIs refuse the name"),
    "undocumented_parameters": Check("description", "Parameters have no description"),
    "missing_unit": Check("description", "A quantity has no unit"),
    "missing_format": Check("description", "A date or time has no format"),
    "choices_in_prose": Check("description", "Allowed values stand in the text and not in the schema"),
    "untyped_parameter": Check("description", "The schema does not say what a parameter takes"),
    "required_with_default": Check("description", "A required parameter has a default"),
    "single_choice": Check("description", "A parameter allows one value only"),
    "unknown_tool_mentioned": Check("description", "The description sends the model to a tool that is not offered"),
    "unclear_choice": Check("description", "Another tool could be taken instead, and nothing says when"),
    "inconsistent_parameters": Check("description", "The same parameter has several names or types"),
    "repeated_text": Check("description", "The same text stands in several definitions"),
    "long_definition": Check("description", "The definition is very long"),
    "open_output_schema": Check("output", "The output schema allows any object"),
    "varying_output": Check("output", "Results come in several shapes"),
    "unbounded_output": Check("output", "Results are large, and no parameter limits them"),
    "swallowed_errors": Check("failures", "The handler hides exceptions"),
    "unhandled_exceptions": Check("failures", "Calls end in exceptions of the handler"),
    "errors_without_guidance": Check("failures", "Errors do not say what to do"),
    "read_only_contradicted": Check("side_effects", "Declared free of side effects, and it is not"),
    "destructive_contradicted": Check("side_effects", "Declared not destructive, and it is"),
    "side_effects_unmarked": Check("side_effects", "Changes something, and does not declare it"),
    "consequences_unsaid": Check("side_effects", "Deletes, and does not say whether that can be undone"),
    "never_called": Check("use", "Offered and never called"),
    "called_wrongly": Check("use", "Often called wrongly"),
    "definition_outweighs_use": Check("use", "The definition costs more than the calls"),
    "duplicate_in_use": Check("use", "Another tool that is nearly the same gets the calls"),
}
"""Every check by its name, in the order of the questions."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about one tool: what was seen, in the tool's own words, and how to rewrite it.

    `parameters` are those concerned, `related` the other tools concerned.
    """

    tool: str
    check: str
    severity: Severity
    evidence: str
    hint: str
    parameters: tuple[str, ...] = ()
    related: tuple[str, ...] = ()

    @property
    def question(self) -> Question:
        """The question of the audit that it answers."""
        return CHECKS[self.check].question

    def __str__(self) -> str:
        return f"{self.severity}: {self.tool}: {self.evidence} {self.hint}"

    def as_dict(self) -> dict[str, Any]:
        """The finding as JSON values."""
        return {
            "tool": self.tool,
            "check": self.check,
            "question": self.question,
            "severity": self.severity,
            "evidence": self.evidence,
            "hint": self.hint,
            "parameters": list(self.parameters),
            "related": list(self.related),
        }


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """The gravest first, then by tool in the order given, then by check."""
    given = list(findings)
    tools: dict[str, int] = {}
    for finding in given:
        tools.setdefault(finding.tool, len(tools))
    checks = {name: place for place, name in enumerate(CHECKS)}
    return sorted(given, key=lambda each: (SEVERITIES.index(each.severity), tools[each.tool], checks[each.check]))


def scores(tools: Iterable[str], findings: Iterable[Finding]) -> dict[str, int]:
    """From 100 for a tool without findings down to 0, by name: an error takes 30, a warning 10, a note 3."""
    lost: defaultdict[str, int] = defaultdict(int)
    for finding in findings:
        lost[finding.tool] += _WEIGHTS[finding.severity]
    return {tool: max(0, 100 - lost[tool]) for tool in tools}


def is_at_least(severity: Severity, least: Severity) -> bool:
    """Whether a severity is as grave as `least`, or graver."""
    return SEVERITIES.index(severity) <= SEVERITIES.index(least)
