"""Each page on an empty store and on one with known sessions: it renders, and its figures are those of the store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import recorded_messages
import served
import synthetic_store
from agent_trace import agent_spans
from otlp_requests import Made, protobuf
from toolspend_dashboard import components, formats, health, state
from toolspend_dashboard.cli._report import gather
from toolspend_dashboard.queries import Filters
from toolspend_ingest import Store
from toolspend_ingest.decode import decode
from toolspend_ingest.signals import decode_logs
from toolspend_ingest.store import Load

Page = Callable[..., AppTest]
PAGES = ("overview", "tools", "audit", "session", "sql")


def value(store: Store, sql: str) -> Any:
    """The one value that a statement returns."""
    with store.cursor() as cursor:
        row = cursor.execute(sql).fetchone()
    assert row is not None
    return row[0]


def figures(app: AppTest) -> dict[str, str]:
    """The page's tiles: value by label, as shown."""
    return {tile.label: str(tile.value).replace("\\", "") for tile in app.metric}


def said(app: AppTest) -> str:
    """All text of a page, with Markdown's escapes taken out."""
    texts = [*app.markdown, *app.caption, *app.info, *app.error, *app.text, *app.code]
    return "\n".join(str(element.value) for element in texts).replace("\\", "")


def healthy(app: AppTest) -> AppTest:
    """The page, which raised nothing."""
    assert not app.exception, [error.message for error in app.exception]
    return app


@pytest.mark.parametrize("name", PAGES)
def test_an_empty_store_says_how_to_get_data(page: Page, empty_store: Store, name: str) -> None:
    """Nobody is left with empty charts: the two commands stand there."""
    app = healthy(page(empty_store, name))
    assert "toolspend demo" in said(app)
    assert "toolspend ingest PATH" in said(app)
    assert not app.get("plotly_chart")


@pytest.mark.parametrize("name", PAGES)
def test_every_page_renders_known_sessions(page: Page, sample_store: Store, name: str) -> None:
    """No page raises, and none has more charts than a browser draws at once."""
    app = healthy(page(sample_store, name))
    assert len(app.get("plotly_chart")) <= 7


def test_the_overview_shows_what_the_store_sums_to(page: Page, sample_store: Store) -> None:
    """Spend, context, calls and failures are the sums of the public tables."""
    shown = figures(healthy(page(sample_store)))
    assert shown == {
        "Spend": formats.usd(value(sample_store, "select sum(cost_usd) from llm_requests")),
        "Context tokens": formats.count(value(sample_store, "select sum(input_tokens) from llm_requests")),
        "Tool calls": formats.count(value(sample_store, "select count(*) from tool_calls")),
        "Failed tool calls": formats.count(
            value(sample_store, "select count(*) from tool_calls where status = 'error'")
        ),
    }


def test_the_overview_says_what_is_not_known(page: Page, sample_store: Store) -> None:
    """Requests without price or usage are counted and named, and the basis of attribution is said."""
    text = said(page(sample_store))
    unpriced = value(sample_store, "select count(*) from llm_requests where model = 'house-model-1' and is_usage_known")
    assert f"{unpriced} requests on house-model-1 have **no price**" in text
    assert "ended **before all of the usage was known**" in text
    assert "reconciled" in text


def test_the_overview_opens_with_who_drives_the_context(page: Page, sample_store: Store) -> None:
    """The sentence names the fewest tools that make most of the context, of all tools called or offered."""
    headline = next(str(text.value) for text in page(sample_store).markdown if str(text.value).startswith("### "))
    tools = value(sample_store, "select count(*) from tool_costs")
    assert f" of {tools} tools drive " in headline.replace("\\", "")


def test_a_tool_whose_runs_are_in_no_span_says_how_to_see_them(page: Page, tmp_path: Path) -> None:
    """An agent with the one line alone tells of what the model asked for, not of how long it took."""
    with Store.open(tmp_path / "toolspend.duckdb") as store:
        requests = [made for made in agent_spans() if made.name.startswith("chat")]
        store.append(decode(protobuf(requests), "protobuf").spans, "test", "test", None)
        assert "@toolspend.tool" in said(page(store, "tools", tool="fetch")).replace("\\", "")
    with Store.open(tmp_path / "other.duckdb") as store:
        store.append(decode(protobuf(agent_spans()), "protobuf").spans, "test", "test", None)
        assert "@toolspend.tool" not in said(page(store, "tools", tool="fetch")).replace("\\", "")


def test_what_the_chart_is_stacked_by_is_in_the_url(page: Page, sample_store: Store) -> None:
    """A link shows the same view; what it cannot be stacked by is passed over."""
    assert page(sample_store).segmented_control(key="by").value == "part"
    app = healthy(page(sample_store, by="tool"))
    assert (app.segmented_control(key="by").value, app.query_params["by"]) == ("tool", "tool")
    app.segmented_control(key="by").set_value("part").run()
    assert "by" not in app.query_params
    assert healthy(page(sample_store, by="<b>")).segmented_control(key="by").value == "part"


def test_filters_in_the_url_select(page: Page, sample_store: Store) -> None:
    """A link with a service shows that service, and the filter stands where it can be taken away."""
    app = healthy(page(sample_store, service="research-agent"))
    cost = value(sample_store, "select sum(cost_usd) from llm_requests where service = 'research-agent'")
    assert figures(app)["Spend"] == formats.usd(cost)
    assert app.selectbox(key="service").value == "research-agent"
    reset = next(button for button in app.button if button.label == "Reset filters")
    app = healthy(reset.click().run())
    assert figures(app)["Spend"] == formats.usd(value(sample_store, "select sum(cost_usd) from llm_requests"))
    assert "service" not in app.query_params


def test_a_filter_goes_into_the_url_and_stays_on_other_pages(page: Page, sample_store: Store) -> None:
    """What is picked can be sent to a colleague, and is still picked one page on."""
    app = page(sample_store)
    app.selectbox(key="model").set_value("claude-haiku-4-5").run()
    assert app.query_params["model"] == "claude-haiku-4-5"
    app.switch_page("screens/tools.py").run()
    assert app.selectbox(key="model").value == "claude-haiku-4-5"
    app.switch_page("screens/audit.py").run()
    assert app.selectbox(key="model").value == "claude-haiku-4-5"
    assert app.query_params["model"] == "claude-haiku-4-5"


def test_a_selection_without_requests_says_so(page: Page, sample_store: Store) -> None:
    """An old range has nothing in it; that is no error and no wall of zeros."""
    app = healthy(page(sample_store, time="dates", dates="2020-01-01..2020-01-02"))
    assert "No model request or tool call matches these filters" in said(app)
    assert not app.metric


@pytest.mark.parametrize("query", [{"time": "nonsense"}, {"dates": "x..y", "time": "dates"}, {"service": ""}])
def test_a_url_that_makes_no_sense_shows_everything(page: Page, sample_store: Store, query: dict[str, str]) -> None:
    """A mangled link is no reason to fail."""
    shown = figures(healthy(page(sample_store, **query)))
    assert shown["Tool calls"] == formats.count(value(sample_store, "select count(*) from tool_calls"))


def test_the_table_of_tools_agrees_with_the_public_view(page: Page, sample_store: Store) -> None:
    """Cost, context and calls of every tool are those of `tool_costs`."""
    table = healthy(page(sample_store, "tools")).dataframe[0].value.set_index("Tool")
    with sample_store.cursor() as cursor:
        costs = cursor.execute("select tool, total_cost_usd, context_tokens, calls from tool_costs").fetchall()
    assert set(table.index) == {row[0] for row in costs}
    for tool, cost, context, calls in costs:
        assert table.loc[tool, "Cost"] == pytest.approx(float(cost))
        assert (table.loc[tool, "Context"], table.loc[tool, "Calls"]) == (context, calls)


def test_one_tool_shows_its_own_figures(page: Page, sample_store: Store) -> None:
    """A link to a tool opens it, with its cost, calls, versions and definition."""
    app = healthy(page(sample_store, "tools", tool="query_warehouse"))
    shown = figures(app)
    condition = "where tool = 'query_warehouse'"
    assert shown["Cost"] == formats.usd(value(sample_store, f"select total_cost_usd from tool_costs {condition}"))
    assert shown["Calls"] == formats.count(value(sample_store, f"select count(*) from tool_calls {condition}"))
    assert "Use query_warehouse to work on what the task names." in said(app)
    versions = next(table.value for table in app.dataframe if "Version" in table.value)
    assert list(versions["Version"]) == ["a1b2c3d4e5f6", "b2c3d4e5f6a7"]


def test_versions_of_a_tool_stand_side_by_side_with_intervals(page: Page, sample_store: Store) -> None:
    """What the newest version changed is what `tool_versions` says, whatever is selected; one is not compared."""
    app = healthy(page(sample_store, "tools", tool="query_warehouse"))
    assert "Versions compared" in said(app)
    with sample_store.cursor() as cursor:
        rows = cursor.execute(
            "select result_tokens_mean, error_share, p50_ms, result_tokens_change, duration_ratio_low, "
            "duration_ratio_high from tool_versions where tool = 'query_warehouse' order by first_called_at"
        ).fetchall()
    table = next(table.value for table in app.dataframe if "Verdict" in table.value).set_index("Measure")
    for column, (tokens, share, median, *_) in zip(("Before", "Now"), rows, strict=True):
        assert list(table[column][["Tokens of a result", "Failed", "Median time"]]) == [
            formats.count(tokens), formats.percent(share), formats.duration(median),
        ]  # fmt: skip
    change, low, high = rows[1][3:]
    assert table.loc["Tokens of a result", "Change"].lstrip("+-") == formats.count(abs(change))
    assert table.loc["Median time", "95 % interval"] == f"{low:.2f}{formats.TIMES} to {high:.2f}{formats.TIMES}"
    assert "Versions compared" in said(page(sample_store, "tools", tool="query_warehouse", service="research-agent"))
    assert "Versions compared" not in said(healthy(page(sample_store, "tools", tool="translate")))


def test_a_tool_that_was_never_called_has_no_times(page: Page, sample_store: Store) -> None:
    """Offered tools cost their definitions; times and errors are left open, not 0."""
    app = healthy(page(sample_store, "tools"))
    row = app.dataframe[0].value.set_index("Tool").loc["translate"]
    assert (row["Calls"], row["Mostly"]) == (0, "Definitions 100 %")
    assert row["p50"] != row["p50"] or row["p50"] is None
    healthy(page(sample_store, "tools", tool="translate"))


@pytest.mark.parametrize(
    ("costs", "form"),
    [
        ([8.67, 0.5, 0.0, None], "$%,.2f"),
        ([0.5, 0.0001], "$%,.4f"),
        ([8.67, 0.004], "$%,.3g"),
        ([0.002, 0.00003], "$%,.3g"),
        ([12_345.6, 0.001], "$%,.5g"),
        ([None, None], "$%,.4f"),
    ],
)
def test_what_costs_little_is_not_shown_as_nothing(costs: list[float | None], form: str) -> None:
    """Cents beside dollars are enough where nothing costs less than half of one."""
    assert components.cost_column(pd.Series(costs, dtype="float64"))["type_config"]["format"] == form


def test_what_costs_nothing_is_not_of_unknown_cost(page: Page, tmp_path: Path) -> None:
    """A free model has a price: 0."""
    with Store.open(tmp_path / "toolspend.duckdb") as store:
        with store.cursor() as cursor:
            synthetic_store.fill(cursor)
            cursor.execute("update context_ledger set cost_usd = 0 where tool = 'translate'")
            cursor.execute("update context_ledger set cost_usd = null where tool = 'plot_chart'")
        mostly = healthy(page(store, "tools")).dataframe[0].value.set_index("Tool")["Mostly"]
        assert (mostly["translate"], mostly["plot_chart"]) == ("Costs nothing", "Cost unknown")
        assert "It costs nothing; the bars" in said(healthy(page(store, "tools", tool="translate")))
        assert "Its cost is not known; the bars" in said(healthy(page(store, "tools", tool="plot_chart")))


def test_tables_sort_by_time_as_by_any_number(page: Page, sample_store: Store) -> None:
    """As text, 1.2 s would come before 85 ms; one unit for all of a table."""
    table = healthy(page(sample_store, "tools")).dataframe[0].value.set_index("Tool")
    with sample_store.cursor() as cursor:
        known = dict(cursor.execute("select tool, p50_ms from tool_costs where p50_ms is not null").fetchall())
    shown = {tool: float(table.loc[formats.name(tool), "p50"]) for tool in known}
    assert shown == pytest.approx(known)
    times = pd.DataFrame({"p50_ms": [85.0, None], "p95_ms": [12_000.0, None]})
    in_seconds, form = components.in_one_unit(times)
    assert (in_seconds.iloc[0].tolist(), form) == ([0.085, 12.0], "%,.3g s")
    assert components.in_one_unit(times[["p50_ms"]])[1] == "%,.3g ms"


def test_a_link_to_the_tools_never_called_shows_only_those(page: Page, sample_store: Store) -> None:
    """The finding about idle definitions leads to them."""
    table = healthy(page(sample_store, "tools", show="never-called")).dataframe[0].value
    assert set(table["Tool"]) == {"mcp__calendar__create_event", "mcp__calendar__find_slot", "translate"}


def test_tools_that_run_in_a_service_of_their_own_are_not_idle(page: Page, tmp_path: Path) -> None:
    """With the agent's service picked no run of theirs is selected; its prompts hold their results."""
    spans = [
        replace(made, service="worker") if made.name.startswith("execute_tool ") else made for made in agent_spans()
    ]
    with Store.open(tmp_path / "toolspend.duckdb") as store:
        store.append(decode(protobuf(spans), "protobuf").spans, "test", "test", None)
        app = healthy(page(store, "tools", service="agent"))
        table = app.dataframe[0].value.set_index("Tool")
        assert (table.loc["search", "Calls"], table.loc["search", "Context"] > 0) == (0, True)
        assert "2 tools, 0 of them never called" in said(app)


def test_results_as_returned_are_set_against_the_same_results_as_sent(page: Page, tmp_path: Path) -> None:
    """Of results whose size as returned is not known nothing is said to have been cut, or not to have been."""
    with Store.open(tmp_path / "toolspend.duckdb") as store:
        with store.cursor() as cursor:
            synthetic_store.fill(cursor)
            cursor.execute(
                "update seen_calls set raw_result_tokens = if(hash(tool_call_id) % 3 = 0, 2 * result_tokens, null) "
                "where tool = 'read_file'"
            )
            cursor.execute("update seen_calls set raw_result_tokens = null where tool = 'run_tests'")
            known = cursor.execute(
                "select sum(raw_result_tokens), sum(result_tokens) filter (where raw_result_tokens is not null), "
                "count(raw_result_tokens), count(result_tokens) from tool_calls where tool = 'read_file'"
            ).fetchone()
        assert known is not None
        returned, sent, both, of = (formats.count(each) for each in known)
        text = said(healthy(page(store, "tools", tool="read_file")))
        assert f"{returned} tokens returned, {sent} sent. Of {both} of {of} results both are known." in text
        assert "How large they were when returned is not known." in said(page(store, "tools", tool="run_tests"))


def test_a_tool_of_very_many_calls_says_that_the_latest_are_shown(page: Page, tmp_path: Path) -> None:
    """The tiles above are of all of them."""
    with Store.open(tmp_path / "toolspend.duckdb") as store:
        with store.cursor() as cursor:
            synthetic_store.fill(cursor)
            cursor.execute(
                "insert into seen_calls by name with one as (from seen_calls where tool = 'read_file' limit 1) "
                "select one.* replace (concat('more-', range) as tool_call_id, concat('more-', range) as span_id) "
                "from one, range(20100)"
            )
        app = healthy(page(store, "tools", tool="read_file"))
        assert figures(app)["Calls"] == "20.2k"
        assert said(app).count("Of the latest 20.0k calls.") == 3
    with Store.open(tmp_path / "few.duckdb") as store:
        with store.cursor() as cursor:
            synthetic_store.fill(cursor)
        assert "Of the latest" not in said(page(store, "tools", tool="read_file"))


def test_names_in_tables_can_be_read(page: Page, tmp_path: Path) -> None:
    """What a terminal or the direction of text would obey is written as an escape, and a blank name has a word."""
    odd, seen = "\x1b[31mred\u202e", "\\x1b[31mred\\u202e"
    with Store.open(tmp_path / "toolspend.duckdb") as store:
        with store.cursor() as cursor:
            synthetic_store.fill(cursor)
            for table in ("seen_calls", "context_ledger"):
                cursor.execute(f"update {table} set tool = ? where tool = 'translate'", [odd])
            cursor.execute("update seen_calls set tool = ? where tool = 'read_file'", [odd])
            cursor.execute("update context_ledger set tool = ? where tool = 'read_file'", [odd])
            cursor.execute(
                "insert into cache_breaks by name select request_id, trace_id, session_id, started_at, "
                "'r' as base_request_id, 'definitions' as cause, ? as tool, 1 as gap_ms, 9 as lost_tokens "
                "from llm_requests where session_id = 'coding-4700' limit 1",
                [odd],
            )
        store.append_load(
            decode(protobuf([replace(agent_spans()[0], service=odd)]), "protobuf").spans,
            Load("a", "a", None, refused=1, reason=odd),
        )
        for name in ("overview", "tools", "audit", "session", "health"):
            app = healthy(page(store, name, session="coding-4700") if name == "session" else page(store, name))
            texts = {str(cell) for table in app.dataframe for cell in table.value.to_numpy().ravel()}
            assert seen in texts, name
            assert not any("\x1b" in text for text in texts), name


def test_a_tool_that_is_not_there_is_no_error(page: Page, sample_store: Store) -> None:
    """An old link names a tool that the selection does not have."""
    assert "neither called nor offered" in said(healthy(page(sample_store, "tools", tool="gone")))


@pytest.mark.parametrize("tool", synthetic_store.HOSTILE_TOOLS)
@pytest.mark.parametrize("name", PAGES)
def test_hostile_tool_names_are_text(page: Page, sample_store: Store, name: str, tool: str) -> None:
    """Markup in a name reaches no page as markup: no HTML is allowed anywhere, and Markdown is escaped."""
    app = healthy(page(sample_store, name, tool=tool) if name == "tools" else page(sample_store, name))
    for text in app.markdown:
        assert not text.allow_html
        for bare in ("**bold** _it_", "[x](http://example.invalid)", "<script>"):
            if bare in str(text.value):
                assert any(formats.code(hostile) in str(text.value) for hostile in synthetic_store.HOSTILE_TOOLS)
    if name == "overview":
        assert any(formats.code(synthetic_store.FAILING_TOOL) in str(text.value) for text in app.markdown)


def test_a_session_shows_its_own_figures(page: Page, sample_store: Store) -> None:
    """A link to a session opens it with its requests, calls and cost."""
    app = healthy(page(sample_store, "session", session="research-4719"))
    condition = "where session_id = 'research-4719'"
    shown = figures(app)
    assert shown["Cost"] == formats.usd(value(sample_store, f"select cost_usd from sessions {condition}"))
    assert shown["Requests"] == formats.count(value(sample_store, f"select requests from sessions {condition}"))
    assert shown["Tool calls"] == formats.count(value(sample_store, f"select tool_calls from sessions {condition}"))
    assert len(app.get("plotly_chart")) == 4


def test_without_a_session_the_most_expensive_is_shown_and_said_so(page: Page, sample_store: Store) -> None:
    """The page is never empty while there is something to see."""
    dearest = value(sample_store, "select session_id from sessions order by cost_usd desc nulls last limit 1")
    text = said(page(sample_store, "session"))
    assert f"`{dearest}`" in text
    assert "the most expensive session" in text


def test_a_session_without_a_price_is_unknown_and_not_free(page: Page, sample_store: Store) -> None:
    """Its cost reads "unknown", and its context is still shown."""
    app = healthy(page(sample_store, "session", session="support-4705"))
    assert figures(app)["Cost"] == "unknown"
    assert "Its cost is unknown: the model has no price." in said(app)
    assert app.dataframe[0].value["Cost"].isna().all()


def test_a_session_that_is_not_there_is_no_error(page: Page, sample_store: Store) -> None:
    """An old link names a session that the store does not have."""
    assert "No model request or tool call matches these filters" in said(
        healthy(page(sample_store, "session", session="gone"))
    )


def test_cache_breaks_are_listed_with_what_to_do(page: Page, tmp_path: Path) -> None:
    """On the overview by cause, in the session by request; a session that lost nothing says so."""
    with Store.open(tmp_path / "toolspend.duckdb") as store:
        with store.cursor() as cursor:
            synthetic_store.fill(cursor, sessions=3)
            cursor.execute(
                """insert into cache_breaks by name select request_id, trace_id, session_id, started_at, service, model,
                'b' as base_request_id, 'definitions' as cause, 'search_code' as tool, 8000.0 as gap_ms,
                12345 as lost_tokens, 9.25 as cost_usd from llm_requests where session_id = 'coding-4700'
                order by started_at limit 1 offset 1"""
            )
        overview = healthy(page(store))
        session = healthy(page(store, "session", session="coding-4700"))
        other = healthy(page(store, "session", session="support-4702"))
    assert "1 request was billed again for 12.3k tokens that had been cached: $9.25 more" in said(overview)
    assert "Changing the definition of `search_code` re-billed 12.3k cached tokens in 1 request." in said(overview)
    assert "billed again for what the one before had cached: $9.25 more" in said(session)
    listed = next(table.value for table in session.dataframe if "After" in table.value)
    assert listed[["Request", "Cause", "Tool", "Tokens"]].to_numpy().tolist() == [
        [2, "Definitions changed", "search_code", 12345]
    ]
    assert "Every request read what the one before it had cached." in said(other)


def test_tool_calls_without_a_model_request_are_shown(page: Page, tmp_path: Path) -> None:
    """An agent whose model spans never came still shows what its tools did, and its cost is unknown, not 0."""
    with Store.open(tmp_path / "toolspend.duckdb") as store:
        with store.cursor() as cursor:
            synthetic_store.fill(cursor, sessions=2)
            cursor.execute(
                """insert into seen_calls by name select 'lone' as session_id, 't' as trace_id, 'lone_tool' as tool,
                's' as span_id, timestamp '2026-11-10' as started_at, 5.0 as duration_ms, 'error' as status"""
            )
        session = healthy(page(store, "session", session="lone"))
        tool = healthy(page(store, "tools", tool="lone_tool"))
        healthy(page(store, service="coding-agent", session="lone"))
    assert "what they cost is unknown" in said(session)
    assert figures(tool)["Cost"] == "unknown"
    assert len(session.get("plotly_chart")) == 1


def test_sql_runs_an_example_in_the_sandbox(page: Page, sample_store: Store) -> None:
    """An example, run, gives the rows of the view, with a chart to choose and files to download."""
    app = page(sample_store, "sql")
    app.button[0].click().run(timeout=30)
    healthy(app)
    assert len(app.dataframe[0].value) == value(sample_store, "select count(*) from tool_costs")
    assert {download.label for download in app.get("download_button")} == {"CSV", "Parquet"}
    app.get("button_group")[0].set_value("Bars").run()
    assert len(healthy(app).get("plotly_chart")) == 1


@pytest.mark.parametrize(
    "sql", ["select nothing from nowhere", "drop table spans", "select 1; select 2", "copy spans to 'x.csv'", ""]
)
def test_a_statement_that_fails_is_one_line(page: Page, sample_store: Store, sql: str) -> None:
    """No trace and no exception: a line that says what is wrong."""
    app = page(sample_store, "sql")
    app.text_area[0].set_value(sql)
    app.button[0].click().run(timeout=30)
    healthy(app)
    assert len(app.error) == 1
    assert "\n" not in str(app.error[0].value)
    assert not app.dataframe


def test_columns_of_one_name_and_nested_values_are_shown(page: Page, sample_store: Store) -> None:
    """Whatever a statement returns can be shown, downloaded and drawn."""
    app = page(sample_store, "sql")
    app.text_area[0].set_value("select 1 as a, null as a, [1, 2] as l, {'k': 1} as s, 1.5 as d, now()::timestamp as t")
    app.button[0].click().run(timeout=30)
    table = healthy(app).dataframe[0].value
    assert list(table.columns) == ["a", "a_2", "l", "s", "d", "t"]


def test_the_schema_stands_beside_the_editor(page: Page, sample_store: Store) -> None:
    """Relations with what they are, columns with their types."""
    text = said(page(sample_store, "sql"))
    assert "`cache_read_tokens` :gray[bigint]" in text


def test_what_a_span_takes_is_unknown_while_it_is_in_the_log(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB works its log into the file later: until then no span takes nothing; nor all of a young store."""
    with Store.open(tmp_path / "toolspend.duckdb") as store:
        made = [Made(1, number, "work" * 20, at_s=number) for number in range(1, 65)]
        store.append(decode(protobuf(made), "protobuf").spans, "test", "test", None)
        monkeypatch.setattr(health, "FEWEST_SPANS", 1)
        before = healthy(page(store, "health"))
        with store.cursor() as cursor:
            cursor.execute("checkpoint")
        st.cache_data.clear()
        monkeypatch.setattr(health, "FEWEST_SPANS", 65)
        young = healthy(page(store, "health"))
        monkeypatch.setattr(health, "FEWEST_SPANS", 64)
        after = healthy(page(store, "health"))
    noted = [next(tile.delta for tile in app.metric if tile.label == "On disk") for app in (before, young, after)]
    assert noted[:2] == ["not known a span yet"] * 2
    assert noted[2].endswith(" bytes a span") and not noted[2].startswith("0 ")


def test_pages_and_report_mean_the_same_by_priced(page: Page, sample_store: Store) -> None:
    """The share of all requests, also of those whose usage is unknown."""
    with sample_store.cursor() as cursor:
        content = gather(cursor, Filters())["coverage"]
    assert content["usage_known"] < content["requests"]
    priced = f"{formats.percent(content['priced'] / content['requests'])}"
    overview, status = healthy(page(sample_store, "overview")), healthy(page(sample_store, "health"))
    assert f":small[**{priced}** priced]" in [bar.proto.text for bar in overview.get("progress")]
    assert f"{priced} priced" in next(tile.delta for tile in status.metric if tile.label == "Bill known")


def test_health_of_an_empty_store_says_so(page: Page, empty_store: Store) -> None:
    """Nothing came, nothing waits, and no figure is made up."""
    app = healthy(page(empty_store, "health"))
    shown = figures(app)
    assert (shown["Spans stored"], shown["Refused"], shown["Bill known"]) == ("0", "0", formats.NOTHING)
    assert "Nothing was loaded yet." in said(app)
    assert not app.get("plotly_chart")


def test_health_and_doctor_count_all_that_was_refused(page: Page, tmp_path: Path) -> None:
    """Also what is beyond the latest reasons, which are all that is listed."""
    with Store.open(tmp_path / "toolspend.duckdb") as store:
        none = decode(protobuf([]), "protobuf").spans
        for number in range(25):
            store.append_load(none, Load(f"{number}.jsonl", "a", None, refused=2, dropped=1, reason="not JSON"))
        app = healthy(page(store, "health"))
        assert figures(app)["Refused"] == "50"
        text = said(app)
        assert "50 records could not be read and 25 spans dropped" in text
        assert "The latest 20 of 25 reasons." in text
    doctor = served.run(tmp_path, "doctor").stdout
    assert "and 5 more; in all 50 refused, 25 dropped" in doctor


def test_health_says_what_was_refused_and_who_sends(page: Page, tmp_path: Path) -> None:
    """The log of the store by way, with reasons, and the size of a span."""
    with Store.open(tmp_path / "toolspend.duckdb") as store:
        spans = decode(protobuf(agent_spans()), "protobuf").spans
        store.append_load(spans, Load("otlp-http", "a", None, refused=2, reason="a bad id; kept as refused/a.pb"))
        for _ in range(2):
            store.append_load(spans, Load("otlp-grpc", "a", None))
        app = healthy(page(store, "health"))
        shown = figures(app)
        assert (shown["Spans stored"], shown["Refused"]) == (str(len(spans)), "2")
        tables = [table.value for table in app.dataframe]
        ways = next(table for table in tables if "Way" in table).set_index("Way")
        assert ways.loc["OTLP over HTTP", "Spans"] == len(spans)
        assert ways.loc["OTLP over gRPC", "Came again"] == 2 * len(spans)
        assert "counted each time" in said(app)
        losses = next(table for table in tables if "Why" in table)
        assert losses["Why"].tolist() == ["a bad id; kept as refused/a.pb"]
        senders = next(table for table in tables if "Library" in table)
        assert set(senders["Library"]) == {"toolspend", "mcp-python-sdk"}
        assert "2 records could not be read" in said(app)
        assert app.get("plotly_chart")


def test_health_counts_spans_that_only_log_records_tell_of(page: Page, tmp_path: Path) -> None:
    """Their messages wait for them; who looks sees that spans are missing."""
    emitted = recorded_messages.conversation("messages")
    with Store.open(tmp_path / "toolspend.duckdb") as store:
        for logs in emitted.logs:
            store.append(decode_logs(logs.SerializeToString(), "protobuf").spans, "test", "test", None)
        spans = decode(emitted.spans[0].SerializeToString(), "protobuf").spans
        store.append(spans, "test", "test", None)
        text = said(healthy(page(store, "health")))
    assert "Log records hold messages of 3 spans; 2 of these have not come." in text


def test_health_says_first_that_nothing_can_be_stored(page: Page, sample_store: Store) -> None:
    """The server's problem stands on top, with what waits."""
    status = {
        "problem": "the disk of /data is full, free some space",
        "spool_failure": None,
        "spool_waiting_bytes": 2048,
        "held_bytes": 1024,
        "waiting_requests": 1,
        "refused_kept_bytes": 0,
        "store_bytes": 5 << 20,
        "disk_free_bytes": 100,
        "pruned_spans": 7,
        "turned_away": 3,
        "received": {"logs": {"requests": 4, "bytes": 9, "spans": 0, "refused": 0, "skipped": 4, "passed_over": 9}},
    }
    state.set_status(lambda: status)
    try:
        app = healthy(page(sample_store, "health"))
    finally:
        state.set_status(None)
    assert "Nothing can be stored: the disk of /data is full, free some space." in said(app)
    shown = figures(app)
    assert (shown["Waiting"], shown["On disk"]) == ("3.00 KiB", "5.00 MiB")
    assert "3 requests told to come again later" in said(app)
    signals = next(table.value for table in app.dataframe if "Signal" in table.value)
    assert signals[["Signal", "Requests", "Passed over"]].to_numpy().tolist() == [["Logs", 4, 9]]


def test_a_store_that_cannot_be_read_is_one_line(page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page on a closed store says so and what to do, and raises nothing."""
    monkeypatch.setattr(state, "REOPENED_WITHIN_S", 0.1)
    store = Store.open(tmp_path / "toolspend.duckdb")
    store.close()
    app = healthy(page(store, "overview"))
    assert "is closed: it is opened again as soon as it can be" in said(app)
