"""What to do, computed from the bill: each rule speaks when there is something to say, and is silent when not."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from toolspend_dashboard import causes as words
from toolspend_dashboard import findings
from toolspend_dashboard.findings import Evidence, Finding
from toolspend_ingest.attribution.causes import CAUSES

LEDGER = ["part", "tool", "context_tokens", "cost_usd"]


def evidence(ledger: list[tuple[Any, ...]], calls: dict[str, dict[str, Any]] | None = None, **more: Any) -> Evidence:
    """The answers of the queries, as far as the rules read them; by default nothing is uncached or compressed."""
    frame = pd.DataFrame(ledger, columns=LEDGER)
    tools = pd.DataFrame(
        [
            {"tool": tool, "calls": 10, "errors": 0, "mean_times_sent": 1.0, "mean_result_tokens": 2_000.0, **facts}
            for tool, facts in (calls or {}).items()
        ],
        columns=[
            "tool", "calls", "errors", "main_error_type", "failed_cost_usd", "mean_times_sent", "mean_result_tokens",
        ],
    )  # fmt: skip
    return Evidence(
        frame,
        tools,
        pd.Series({"cost_usd": frame["cost_usd"].sum()}),
        pd.Series(
            {
                "sessions": 0,
                "uncached_sessions": 0,
                "uncached_cost_usd": None,
                "saved_usd": None,
                "largest_session_id": "s-1",
                **more.get("uncached", {}),
            }
        ),
        pd.DataFrame(more.get("compressions", []), columns=["tool", "saved_usd"]),
        more.get("breaks", lost()),
        pd.Series({"sessions": 5, "paying_sessions": 3, "breaks": 4, "saved_usd": more.get("longer")}),
        pd.DataFrame(more.get("results", []), columns=["tool", "cost_usd"]),
    )


def only(found: list[Finding]) -> Finding:
    """The one finding there is."""
    assert len(found) == 1, [finding.sentence() for finding in found]
    return found[0]


def test_long_results_are_named_with_what_half_of_them_would_cost_less() -> None:
    """How large they are, how often they are sent, their share of the bill; results are billed by their length."""
    rows = [("carry", "read_file", 9000, 0.72), ("result", "read_file", 800, 0.08), ("system", None, 10, 0.2)]
    facts = {"read_file": {"mean_times_sent": 14.2}}
    made = evidence(rows, facts, results=[("read_file", 0.8)])
    found = only(findings.findings(made))
    assert found.sentence() == "read_file: results of 2.00k tokens, each in 14.2 requests, are 80 % of the bill."
    assert (found.cost_usd, found.saves_usd, found.query) == (0.8, pytest.approx(0.4), {"tool": "read_file"})
    assert findings.of_tool(made, "read_file") == [found]
    short = {"read_file": {"mean_result_tokens": 30.0}}
    assert findings.findings(evidence(rows, short, results=[("read_file", 0.8)])) == []
    assert findings.findings(evidence(rows, facts, results=[("read_file", 0.05)])) == []


def test_tools_offered_and_never_called_are_counted_with_what_they_cost() -> None:
    """Definitions of called tools are no waste; those of the others are."""
    rows = [("definition", tool, 1000, 0.1) for tool in ("used", "idle", "lazy")] + [("system", None, 1000, 0.7)]
    found = only(findings.findings(evidence(rows, {"used": {}})))
    assert found.sentence().startswith("2 tools were offered and never called: their definitions took 2.00k tokens")
    assert (found.cost_usd, found.saves_usd) == (pytest.approx(0.2), pytest.approx(0.2))
    alone = only(findings.of_tool(evidence(rows, {"used": {}}), "idle"))
    assert (alone.subject, alone.saves_usd) == ("idle", pytest.approx(0.1))
    assert findings.of_tool(evidence(rows, {"used": {}}), "used") == []


def test_a_tool_whose_results_are_billed_was_called() -> None:
    """Its run may be in no span of the selection: in another service, or before it."""
    rows = [("definition", "far", 1000, 0.1), ("carry", "far", 1000, 0.1), ("definition", "idle", 1000, 0.1)]
    made = evidence([*rows, ("system", None, 1000, 0.7)], {})
    assert findings.never_called(made.ledger, made.tools) == {"idle"}
    assert only(findings.findings(made)).sentence().startswith("1 tool was offered and never called")
    assert findings.of_tool(made, "far") == []


@pytest.mark.parametrize(("saved", "is_said"), [(0.3, True), (None, True), (0.01, False), (0.0, False)])
def test_uncached_sessions_are_said_where_caching_saves(saved: float | None, is_said: bool) -> None:
    """Their share of the sessions that could have been cached, and the dollars; not prompts too short to be cached."""
    uncached = {"sessions": 9, "uncached_sessions": 4, "uncached_cost_usd": 0.6, "saved_usd": saved}
    found = findings.findings(evidence([("system", None, 10, 1.0)], uncached=uncached))
    assert [(each.cost_usd, each.saves_usd) for each in found] == ([(0.6, saved)] if is_said else [])
    for each in found:
        assert each.sentence().startswith("4 of 9 sessions that could read from the cache read nothing")


@pytest.mark.parametrize(("longer", "saved"), [(0.2, 0.2), (0.01, None), (None, None)])
def test_the_longer_cache_is_advised_where_it_pays(longer: float | None, saved: float | None) -> None:
    """It costs more to write: what pauses re-billed is not what it saves."""
    breaks = lost(("expiry", None, 4, 90_000, 0.5))
    found = only(findings.findings(evidence([("system", None, 10, 1.0)], breaks=breaks, longer=longer)))
    assert (found.cost_usd, found.saves_usd) == (0.5, saved)
    told = (
        "Write to the 1-hour cache in the 3 sessions where that pays."
        if saved
        else "The 1-hour cache would have cost as much"
    )
    assert found.action.startswith("Keep pauses under 5 minutes; " if longer is None else told)


def lost(*rows: tuple[str, str | None, int, int, float | None]) -> pd.DataFrame:
    """Causes of lost caches: cause, tool, requests, tokens, dollars."""
    frame = pd.DataFrame(list(rows), columns=["cause", "tool", "breaks", "lost_tokens", "cost_usd"])
    return frame.assign(sessions=1, largest_session_id="s-7")


def test_a_changed_definition_is_said_with_its_tool_and_what_it_cost() -> None:
    """It leads to the session that lost most by it."""
    breaks = lost(("definitions", "search", 14, 412_000, 0.5))
    found = only(findings.findings(evidence([("system", None, 10, 1.0)], breaks=breaks)))
    assert found.sentence() == "Changing the definition of search re-billed 412k cached tokens in 14 requests."
    assert (found.cost_usd, found.saves_usd, found.page) == (0.5, 0.5, "session")
    assert found.query == {"session": "s-7"}


@pytest.mark.parametrize("cause", [*CAUSES, "one of a later version"])
def test_every_cause_of_a_lost_cache_says_what_to_do(cause: str) -> None:
    """Also one that this version does not know."""
    found = only(findings.findings(evidence([("system", None, 10, 1.0)], breaks=lost((cause, None, 1, 9_000, 0.5)))))
    assert found.sentence().endswith("re-billed 9.00k cached tokens in 1 request.")
    assert found.action.endswith(".")


def test_every_cause_has_words() -> None:
    """The attribution knows none that the dashboard does not, and the other way round."""
    assert set(words.CAUSES) == set(CAUSES)


def test_lost_caches_that_cost_little_are_no_finding() -> None:
    """Below three percent of the bill; without a price, of the context."""
    rows = [("system", None, 1_000_000, 1.0)]
    assert findings.findings(evidence(rows, breaks=lost(("expiry", None, 2, 5_000, 0.02)))) == []
    unpriced = [("system", None, 1_000_000, None)]
    assert findings.findings(evidence(unpriced, breaks=lost(("expiry", None, 2, 5_000, None)))) == []
    found = only(findings.findings(evidence(unpriced, breaks=lost(("expiry", None, 2, 50_000, None)))))
    assert found.cost_usd is None


@pytest.mark.parametrize(("calls", "errors", "is_said"), [(50, 9, True), (50, 4, False), (4, 2, False)])
def test_a_tool_that_fails_often_is_named(calls: int, errors: int, is_said: bool) -> None:
    """At least three failures and a tenth of the calls; two of four are chance."""
    facts = {"calls": calls, "errors": errors, "main_error_type": "TimeoutError", "failed_cost_usd": 0.25}
    found = findings.findings(evidence([("system", None, 10, 1.0)], {"fetch": facts}))
    assert [finding.sentence() for finding in found] == (
        ["fetch fails 18 % of its calls (9 of 50, mostly TimeoutError)."] if is_said else []
    )
    assert [finding.saves_usd for finding in found] == ([0.25] if is_said else [])


def test_compression_that_costs_more_than_it_saves_is_said() -> None:
    """A gain is no finding."""
    compressions = [{"tool": "search", "saved_usd": -0.25}, {"tool": "fetch", "saved_usd": 3.0}]
    found = only(findings.findings(evidence([("system", None, 10, 1.0)], compressions=compressions)))
    assert found.sentence() == "Compressing the results of search cost $0.250 more than it saved."


def test_context_that_nobody_owns_is_said() -> None:
    """Without evidence there is no attribution, and the page says so rather than guess."""
    found = only(findings.findings(evidence([("unattributed", None, 90, 0.9), ("system", None, 10, 0.1)])))
    assert found.sentence().startswith("90 % of the context has no owner")


def test_what_saves_most_comes_first() -> None:
    """Findings without a figure come last; three of a kind are enough."""
    results = [("a", 0.3), ("b", 0.6), ("d", 0.2), ("e", 0.1)]
    rows = [("result", tool, 10, cost) for tool, cost in results]
    tools: dict[str, dict[str, Any]] = {**{tool: {} for tool, _ in results}, "c": {"errors": 5}}
    found = findings.findings(evidence(rows, tools, results=sorted(results, key=lambda row: -row[1])))
    assert [finding.subject for finding in found] == ["b", "a", "d", "c"]


def test_nothing_stands_out_in_an_empty_or_unpriced_selection() -> None:
    """No division by a bill of nothing."""
    assert findings.findings(evidence([])) == []
    assert findings.headline(pd.DataFrame([], columns=LEDGER), pd.DataFrame({"tool": []})) == ""
    unpriced = evidence([("result", "a", 10, None), ("system", None, 90, None)], {"a": {}})
    assert findings.findings(unpriced) == []
    assert findings.headline(unpriced.ledger, unpriced.tools) == "1 of 1 tool drives 10 % of the context."


def test_the_headline_counts_the_fewest_tools_that_make_most() -> None:
    """Four fifths of what tools take, as a share of all the context and of all the spend."""
    rows = [("carry", f"tool_{n}", tokens, tokens / 100) for n, tokens in enumerate([50, 30, 10, 6, 4])]
    made = evidence([*rows, ("system", None, 100, 1.0)], {"never_billed": {}})
    assert findings.headline(made.ledger, made.tools) == "2 of 6 tools drive 40 % of the context and 40 % of the spend."


def test_the_headline_joins_context_and_spend_of_the_same_tools_alone() -> None:
    """As many tools that drive the spend are not those that drive the context."""
    two = [("carry", "read", 90, 0.1), ("call", "write", 10, 0.9)]
    made = evidence([*two, ("system", None, 100, 1.0)], {})
    assert findings.headline(made.ledger, made.tools) == (
        "1 of 2 tools drives 45 % of the context; another drives 45 % of the spend."
    )
    three = [("carry", "read", 50, 0.5), ("carry", "grep", 45, 0.1), ("call", "write", 5, 0.4)]
    made = evidence([*three, ("system", None, 100, 1.0)], {})
    assert findings.headline(made.ledger, made.tools) == (
        "2 of 3 tools drive 48 % of the context; 2, not all the same, drive 45 % of the spend."
    )


def test_a_hostile_subject_stays_what_it_is() -> None:
    """A name with braces or the placeholder's own text changes no sentence."""
    finding = Finding(f"{findings.SUBJECT} fails.", "Mend it.", subject="{0} {subject} %s")
    assert finding.sentence() == "{0} {subject} %s fails."
