"""Tools that are nearly the same, and tools of which a model could take either."""

from __future__ import annotations

from typing import Any

import pytest

from toolspend.toolkit import audit
from toolspend.toolkit.audit import Finding, similarity
from toolspend.toolkit.audit.subjects import subjects


def tool(name: str, description: str, **parameters: Any) -> dict[str, Any]:
    """A definition as Anthropic takes it."""
    return {"name": name, "description": description, "input_schema": {"type": "object", "properties": parameters}}


def described(text: str) -> dict[str, Any]:
    """A parameter with a description."""
    return {"type": "string", "description": text}


def of_check(tools: list[dict[str, Any]], check: str) -> list[Finding]:
    return [finding for finding in audit(tools) if finding.check == check]


@pytest.mark.parametrize(
    ("name", "description", "parameters"),
    [
        ("list_past_alerts", "List the past alerts of a site. Use list_alerts for those that go on.", {}),
        ("list_past_alerts", "List the past alerts of a site, for audits only.", {}),
        ("list_past_alerts", "List the past alerts of a site. Does not tell of those that go on.", {}),
        ("list_past_alerts", "List the past alerts of a site. Prefer it for statistics.", {}),
        ("list_past_alerts", "List the past alerts of a site, when they have ended.", {}),
        ("list_past_alerts", "List the past alerts of a site.", {"site_id": described("Which site")}),
        ("list_past_alerts", "List the past alerts of a site.", {"past": described("How long ago, in days")}),
        ("list_all_alerts", "List all alerts of a site.", {}),
        ("get_past_alert", "Get a past alert of a site.", {}),
        ("list_past_reports", "List the past alerts of a site.", {}),
        ("delete_past_alerts", "Delete the past alerts of a site.", {}),
        ("list_past_alerts", "", {}),
    ],
)
def test_a_choice_is_clear_where_it_is_told_or_plain(name: str, description: str, parameters: Any) -> None:
    """Another tool named, a word that says when, a parameter, a number, another thing or another action."""
    beside = tool("list_alerts", "List the alerts of a site (read-only).")
    assert of_check([beside, tool("list_past_alerts", "List the past alerts of a site (read-only).")], "unclear_choice")
    assert not of_check([beside, tool(name, description, **parameters)], "unclear_choice")


def test_how_much_is_told_sets_two_tools_apart_where_both_say_it() -> None:
    """All of it here and little there is plain; a detailed summary is neither."""
    every = tool("get_alert_details", "Get complete information about a past alert.")
    little = tool("get_alert_summary", "Get a concise summary of an alert.")
    assert not of_check([every, little], "unclear_choice")
    neither = tool("get_alert_summary", "Get a detailed summary of an alert.")
    assert of_check([every, neither], "unclear_choice")


def test_an_unclear_choice_names_both_tools_what_they_share_and_what_to_add() -> None:
    """Also where nothing but the parameters is the same, and what is done to them; as the least of faults."""
    pid = {"pid": {"type": "integer", "description": "Of the process"}}
    kills = [
        tool("terminate_session", "Terminate a running session of a terminal.", **pid),
        tool("kill_process", "Kill a running process.", **pid),
        tool("read_file", "Read one file of the workspace.", path=described("Where it lies")),
        tool("move_file", "Move one file of the workspace.", path=described("Where it lies")),
    ]
    [finding] = of_check(kills, "unclear_choice")
    assert (finding.tool, finding.related, finding.severity) == ("kill_process", ("terminate_session",), "note")
    assert "It shares `running`, `pid` with `terminate_session`" in finding.evidence
    assert '"Kill a running process." beside "Terminate a running session of a terminal."' in finding.evidence
    said = "Only for process; for session, terminal use terminate_session instead."
    assert finding.hint == f'Add to `kill_process` what sets it apart, such as "{said}"'


@pytest.mark.parametrize(
    ("first", "second", "word"),
    [
        (("get_customer", "Returns a customer's record: name, address and email.", "customer_id"),
         ("fetch_client", "Fetches a client's record: name, address and email.", "client_id"), "'client'"),
        (("list_orders", "Lists the orders of a shop.", "shop"),
         ("get_purchases", "Gets the purchases of a shop.", "shop"), "'purchases'"),
        (("search_documents", "Searches the handbook for documents about a topic.", "query"),
         ("find_articles", "Finds articles of the handbook.", "q"), "'articles'"),
        (("run_query", "Runs a query against the database and returns rows.", "sql"),
         ("execute_sql", "Executes a SQL statement and returns the rows.", "statement"), "'sql'"),
        (("get_invoice", "Gets an invoice of a tenant, with all its rows.", "id"),
         ("fetch_bill", "Fetches the bill that was sent last, with all its rows.", "id"), "'bill'"),
    ],
)  # fmt: skip
def test_one_thing_under_two_names_is_one_thing(first: Any, second: Any, word: str) -> None:
    """Words that people use for each other set no two tools apart, and the finding says which they are."""
    pair = [tool(name, text, **{of: described("Which one is meant")}) for name, text, of in (first, second)]
    [finding] = [each for each in audit(pair) if each.check in ("overlapping_tools", "unclear_choice")]
    assert (finding.tool, finding.related) == (second[0], (first[0],))
    assert word in finding.evidence + finding.hint


def test_tools_overlap_by_similarity_and_not_by_equal_words() -> None:
    """A word more makes no other tool, many do; of three that are alike each is told of once, with the nearest."""
    get = tool("get_device", "Get details of a device by its MAC address.")
    again = tool("get_device_info", "Retrieve information about a network device by MAC address.")
    other = tool("get_device_data", "Get the vendor, firmware release and rack position of a device.")
    [finding] = of_check([get, again, other], "overlapping_tools")
    assert (finding.tool, finding.related) == ("get_device_info", ("get_device",))
    assert [each.tool for each in of_check([get, again, other], "unclear_choice")] == ["get_device_data"]
    reports = [tool(f"list_reports{each}", "List reports of a station.") for each in ("", "_details", "_info")]
    found = of_check(reports, "overlapping_tools")
    assert [(each.tool, each.related) for each in found] == [
        ("list_reports_details", ("list_reports",)),
        ("list_reports_info", ("list_reports",)),
    ]


def test_what_every_tool_says_makes_none_alike() -> None:
    """A shared word counts less the more tools have it; tools of one thing with little more in common are apart."""
    alike = [tool("list_alerts", "List alerts of a site."), tool("list_past_alerts", "List past alerts of a site.")]
    others = [tool(f"{verb}_report", f"{verb.capitalize()} a report of a site.") for verb in ("read", "send", "move")]
    strangers = [tool(f"{verb}_report", f"{verb.capitalize()} a report.") for verb in ("read", "send", "move")]
    scores = [similarity.siblings(subjects([*alike, *rest]))[0].score for rest in (strangers, others)]
    assert scores[0] > scores[1] > similarity.SIBLINGS
    apart = [
        tool("list_messages", "List unread mails of the inbox by the hour of their arrival."),
        tool("browse_messages", "Browse archived newsletters, sorted into folders for each subscription."),
    ]
    assert not of_check(apart, "unclear_choice")
