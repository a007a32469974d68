"""Stores of which something is not known: every page and the report say what is, and no figure that is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

import served
from agent_trace import SESSION, chat, tool
from otlp_requests import protobuf
from toolspend import attributes as at
from toolspend_dashboard import charts, charts_turns, theme
from toolspend_dashboard.cli import _report
from toolspend_dashboard.queries import Filters
from toolspend_ingest import Store
from toolspend_ingest.decode import decode

Page = Callable[..., AppTest]
PAGES = ["overview", "tools", "audit", "session", "sql", "health"]


def figures(app: AppTest) -> dict[str, str]:
    """The page's figures by their labels, as they are read."""
    return {str(metric.label): str(metric.value).replace("\\", "") for metric in app.metric}


@pytest.mark.parametrize("name", PAGES)
def test_every_page_shows_a_store_without_prices(page: Page, unpriced_store: Store, name: str) -> None:
    """Tokens are known, and what they cost is unknown rather than zero."""
    app = page(unpriced_store, name)
    assert not app.exception
    if name == "overview":
        shown = figures(app)
        assert shown["Spend"] == "unknown"
        assert shown["Context tokens"] not in ("unknown", "0")
    assert not any("$0" in value for value in figures(app).values())


def test_the_report_of_a_store_without_prices_has_no_cost(unpriced_store: Store) -> None:
    """Nothing is priced, so nothing is said in dollars."""
    with unpriced_store.cursor() as cursor:
        content = _report.gather(cursor, Filters())
    assert content["totals"]["cost_usd"] is None
    assert {entry["cost_usd"] for entry in content["tools"]} == {None}
    assert not any("carry" in found["finding"] for found in content["findings"])
    assert all(found["cost_usd"] is None for found in content["findings"])


@pytest.mark.parametrize("name", PAGES)
def test_every_page_shows_a_store_of_tool_calls_alone(page: Page, calls_store: Store, name: str) -> None:
    """Calls, failures and times are shown; what they cost is unknown, and nothing says that there is no data."""
    app = page(calls_store, name)
    assert not app.exception
    assert not any("No data yet" in str(text.value) for text in app.markdown)
    assert not any("store is empty" in str(text.value) for text in app.info)
    assert not any("$" in value for value in figures(app).values())
    if name == "overview":
        shown = figures(app)
        assert (shown["Spend"], shown["Tool calls"], shown["Failed tool calls"]) == ("unknown", "5", "1")
        assert shown["Context tokens"] == "unknown"
    if name in ("overview", "tools", "session"):
        tables = [frame.value for frame in app.dataframe if "Calls" in frame.value]
        assert "search" in set(tables[0 if name == "overview" else -1]["Tool"])


def test_one_tool_without_a_request_is_shown(page: Page, calls_store: Store) -> None:
    """Its calls and times are known."""
    app = page(calls_store, "tools", tool="search")
    assert not app.exception
    assert figures(app)["Calls"] == "4"
    assert figures(app)["Cost"] == figures(app)["Context tokens"] == "unknown"


def test_what_a_tool_takes_of_prompts_that_are_not_known_is_unknown(page: Page, tmp_path: Path) -> None:
    """Beside sessions with a bill, and none where its own prompts are known: report, page and `tool_costs` alike."""
    asked = {at.OUTPUT_SEGMENTS: json.dumps([["c", 30, "last", "call_a"]])}
    called = {at.CONVERSATION_ID: SESSION}
    made = [
        chat(1, 1, 0, 1, attributes=asked),
        tool(1, 2, "last", "call_a", 2, attributes=called),
        tool(9, 3, "far", "c1", 2),
    ]
    with Store.open(tmp_path / "toolspend.duckdb") as store, store.cursor() as cursor:
        store.append(decode(protobuf(made), "protobuf").spans, "test", "test", None)
        relation = cursor.execute("select tool, context_tokens, context_share from tool_costs order by 1").fetchall()
        content = _report.gather(cursor, Filters())
        shown = page(store, "tools").dataframe[0].value.set_index("Tool")["Context"]
        alone = figures(page(store, "tools", tool="far"))["Context tokens"]
    assert relation == [("far", None, None), ("last", 0, 0.0)]
    said = [(entry["tool"], entry["context_tokens"], entry["context_share"]) for entry in content["tools"]]
    assert sorted(said) == relation
    assert (shown["last"], shown.isna()["far"], alone) == (0, True, "unknown")


def test_the_report_of_tool_calls_alone_says_when_they_ran(calls_store: Store, tmp_path: Path) -> None:
    """Times and sessions are those of the calls."""
    home = tmp_path / "home"
    home.mkdir()
    calls_store.snapshot(home / "toolspend.duckdb")
    said = served.run_here(home, "report").stdout
    assert "no model request, 2026-09-21 14:13:20 to 2026-09-25 14:13:20 UTC" in said
    assert "5 calls of 2 tools, 1 failed, in 2 sessions" in said
    assert "None" not in said and "0 requests" not in said


def test_a_whole_request_of_an_unknown_library_did_not_end_early(page: Page, tmp_path: Path) -> None:
    """The library counts in a way that is not known: that is said, and not that the request was cut off."""
    whole = chat(1, 1, 0, 1, scope="somebody.elses", attributes={at.CACHE_READ_TOKENS: 5})
    with Store.open(tmp_path / "toolspend.duckdb") as store:
        store.append(decode(protobuf([whole]), "protobuf").spans, "test", "test", None)
        said = " ".join(str(text.value) for text in page(store).caption)
    assert "not known what they count" in said
    assert "before all of the usage was known" not in said


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ([None, None], "2 requests that name no model have **no price**"),
        ([None], "1 request that names no model has **no price**"),
        ([None, "house"], "2 requests on house or, 1 of them, no named model, have **no price**"),
        (["house"], "1 request on house has **no price**"),
    ],
)
def test_requests_without_a_price_are_said_with_the_models_that_they_name(
    page: Page, tmp_path: Path, models: list[str | None], said: str
) -> None:
    """Also where they name none."""
    made = []
    for number, model in enumerate(models, start=1):
        request = chat(number, number, number, number)
        named = {} if model is None else {at.REQUEST_MODEL: model, at.RESPONSE_MODEL: model}
        rest = {key: it for key, it in request.attributes.items() if key not in (at.REQUEST_MODEL, at.RESPONSE_MODEL)}
        made.append(replace(request, attributes={**rest, **named}))
    with Store.open(tmp_path / "toolspend.duckdb") as store:
        store.append(decode(protobuf(made), "protobuf").spans, "test", "test", None)
        app = page(store)
    assert not app.exception
    assert said in " ".join(str(text.value) for text in app.caption)


def test_a_session_whose_answer_broke_off_is_not_all_known(page: Page, tmp_path: Path) -> None:
    """Its prompt is billed, its answer is not: the cost is a part of what it was."""
    broken = chat(2, 2, 60, 2)
    broken = replace(broken, attributes={key: it for key, it in broken.attributes.items() if key != at.OUTPUT_TOKENS})
    with Store.open(tmp_path / "toolspend.duckdb") as store:
        store.append(decode(protobuf([chat(1, 1, 0, 1), broken]), "protobuf").spans, "test", "test", None)
        with store.cursor() as cursor:
            bills = "select is_usage_known, cost_usd > 0 from llm_requests order by started_at"
            known = cursor.execute(bills).fetchall()
        cost = next(tile for tile in page(store, "session").metric if tile.label == "Cost")
    assert known == [(True, True), (False, True)]
    assert cost.delta == "1 of 2 not all known"


def test_a_session_of_tool_calls_alone_says_whom_it_was_for(calls_store: Store) -> None:
    """User and tags are on the calls' spans, and a session needs no request to have them."""
    with calls_store.cursor() as cursor:
        assert cursor.execute("select user_id, tags, tool_calls from sessions order by 3").fetchall() == [
            ("u-17", ["eval"], 2),
            ("u-17", ["eval"], 3),
        ]


def test_a_chart_without_a_price_has_no_axis_of_dollars() -> None:
    """Where no cost is known there is nothing to draw it on."""
    frame = pd.DataFrame(
        {
            "bucket_at": pd.to_datetime(["2026-01-01"]),
            "part": ["system"],
            "tool": [None],
            "cost_usd": [float("nan")],
            "context_tokens": [9],
        }
    )
    figure = charts.timeline(frame, theme.LIGHT, by="part", bucket_s=60)
    assert [axis.title.text for axis in figure.select_yaxes()] == ["Context tokens"]
    figure = charts.timeline(frame.assign(cost_usd=0.5), theme.LIGHT, by="part", bucket_s=60)
    assert [axis.title.text for axis in figure.select_yaxes()] == ["Spend", "Context tokens"]


def test_the_axis_of_requests_names_those_that_there_are() -> None:
    """A session of one request has no sixth."""
    frame = pd.DataFrame({"request_id": ["r"], "part": ["system"], "rate": ["input"], "tokens": [9]})
    figure = charts_turns.context_by_turn(frame, theme.LIGHT, ["r"])
    assert list(figure.layout.xaxis.tickvals) == [1]


def test_a_session_without_a_call_has_no_empty_table(page: Page, tmp_path: Path) -> None:
    """A word stands there instead."""
    with Store.open(tmp_path / "toolspend.duckdb") as store:
        store.append(decode(protobuf([chat(1, 1, 0, 1)]), "protobuf").spans, "test", "test", None)
        app = page(store, "session")
    assert not app.exception
    assert "No tool was called" in " ".join(str(text.value) for text in app.markdown)
    assert all(len(frame.value) for frame in app.dataframe)


def test_a_selection_of_nothing_has_one_way_back(page: Page, unpriced_store: Store) -> None:
    """One button sets the filters back, not two beside each other."""
    app = page(unpriced_store, time="dates", dates="2020-01-01..2020-01-02")
    assert [button.label for button in app.button if "filters" in button.label] == ["Reset filters"]


def test_health_says_one_size_of_the_store(page: Page, empty_store: Store) -> None:
    """The tile and the line below speak of the same file."""
    app = page(empty_store, "health")
    line = next(str(text.value) for text in app.caption if "The store takes" in str(text.value))
    assert f"The store takes {figures(app)['On disk']} on disk" in line
