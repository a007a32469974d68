"""What traces add to the audit, from figures alone."""

from __future__ import annotations

from typing import Any

import pytest

from toolspend.toolkit.audit import Finding
from toolspend.toolkit.audit.observed import Use, audit_use

SCHEMA = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
SEARCH = {"name": "search", "description": "Searches the archive.", "input_schema": SCHEMA}

CASES: dict[str, tuple[Use, Use]] = {
    "never_called": (Use("search", offered_requests=40, definition_tokens=120.0), Use("search", offered_requests=3)),
    "called_wrongly": (
        Use("search", calls=20, failed=4, errors={"ValidationError": 4}),
        Use("search", calls=200, failed=4, errors={"ValidationError": 4}),
    ),
    "unhandled_exceptions": (
        Use("search", calls=20, failed=4, errors={"KeyError": 4}),
        Use("search", calls=20, failed=4, errors={"tool_error": 2, "timeout": 2}),
    ),
    "errors_without_guidance": (
        Use("search", calls=9, failed=3, messages={"failed": 3}),
        Use("search", calls=9, failed=3, messages={"no archive named 'x': call list_archives first": 3}),
    ),
    "varying_output": (
        Use("search", calls=20, shapes={"an object of hits": 12, "text": 8}),
        Use("search", calls=20, shapes={"an object of hits": 19, "text": 1}),
    ),
    "unbounded_output": (
        Use("search", calls=20, mean_result_tokens=9_000.0),
        Use("search", calls=20, mean_result_tokens=300.0),
    ),
    "definition_outweighs_use": (
        Use("search", calls=1, offered_requests=90, definition_cost_usd=0.9, other_cost_usd=0.01),
        Use("search", calls=1, offered_requests=90, definition_cost_usd=0.9, other_cost_usd=2.0),
    ),
}


def of_check(use: Use, check: str, tools: list[Any] | None = None) -> list[Finding]:
    return [each for each in audit_use([SEARCH] if tools is None else tools, [use]) if each.check == check]


@pytest.mark.parametrize("check", CASES)
def test_use_shows_what_a_definition_cannot(check: str) -> None:
    """Each has figures that show it, and figures that are no reason to speak."""
    shown, ordinary = CASES[check]
    [finding] = of_check(shown, check)
    assert any(word in finding.hint for word in ("`search`", "`query`", '"failed"', "hits"))
    assert not of_check(ordinary, check)


def test_a_tool_whose_runs_were_not_seen_was_called_all_the_same() -> None:
    """Its results in the prompts say so, as where tools run in a service of their own."""
    assert not of_check(Use("search", offered_requests=40, is_used=True), "never_called")


@pytest.mark.parametrize(
    ("text", "is_empty"),
    [
        ("Something went wrong. Please try again later.", True),
        ("An unexpected error occurred while processing your request.", True),
        ("Error: request failed with status code 500", True),
        ("The request failed because station 12 has no archive.", False),
        ("Error: try again later with a smaller limit", False),
    ],
)
def test_many_words_may_say_nothing(text: str, is_empty: bool) -> None:
    """An error guides where any of its words is of this tool, this call or this failure."""
    found = of_check(Use("search", calls=9, failed=3, messages={text: 3}), "errors_without_guidance")
    assert bool(found) is is_empty


def test_failures_of_unknown_text_are_judged_by_their_words() -> None:
    """Beside those whose text is known; half of all have to be bare."""
    silent = of_check(Use("search", calls=9, failed=3, error_words={0: 3}), "errors_without_guidance")
    assert silent[0].evidence == "3 of 3 failures say nothing of what went wrong."
    mixed = Use("search", calls=9, failed=5, messages={"failed": 1}, error_words={2: 1, 20: 3})
    assert not of_check(mixed, "errors_without_guidance")


def test_a_wrong_call_is_answered_with_the_parameters() -> None:
    """The hint names what the model has to get right; a tool that does not exist has none."""
    assert "`query` (string, required)" in of_check(CASES["called_wrongly"][0], "called_wrongly")[0].hint
    unknown = Use("serach", calls=2, failed=2, errors={"unknown_tool": 2})
    assert "a conversation from before" in of_check(unknown, "called_wrongly", [])[0].hint


def test_a_parameter_that_limits_results_is_seen() -> None:
    """A tool with a limit can be told to return less; nothing is said of one whose parameters are not known."""
    limited = {**SEARCH, "input_schema": {"type": "object", "properties": {"maxResults": {"type": "integer"}}}}
    large = CASES["unbounded_output"][0]
    assert not of_check(large, "unbounded_output", [limited])
    assert not of_check(large, "unbounded_output", [{"name": "search", "description": "Searches."}])


def test_of_two_that_are_alike_the_unused_one_is_named() -> None:
    """Nearly the same definition, and all calls go to one of them."""
    tools = [
        {"name": "get_node", "description": "Get details of a node", "input_schema": {}},
        {"name": "get_node_metadata", "description": "Get metadata of a node", "input_schema": {}},
    ]
    uses = [Use("get_node", calls=40), Use("get_node_metadata", calls=2)]
    [finding] = [each for each in audit_use(tools, uses) if each.check == "duplicate_in_use"]
    assert (finding.tool, finding.related) == ("get_node_metadata", ("get_node",))
    even = [Use("get_node", calls=40), Use("get_node_metadata", calls=30)]
    assert not [each for each in audit_use(tools, even) if each.check == "duplicate_in_use"]


def test_unknown_costs_are_no_reason() -> None:
    """Where nothing is priced, nothing is said of what costs more."""
    assert not of_check(
        Use("search", calls=1, offered_requests=90, definition_cost_usd=0.9), "definition_outweighs_use"
    )
