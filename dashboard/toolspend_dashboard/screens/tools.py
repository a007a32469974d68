"""What each tool costs and why; one tool in depth when it is picked."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from toolspend_dashboard import charts, components, data, findings, formats, selection, versions
from toolspend_dashboard.components import section
from toolspend_dashboard.formats import code, markdown
from toolspend_dashboard.theme import PART_LABELS

MAX_CALLS = 20_000
NEVER_CALLED = "never-called"
MAX_SESSIONS = 8

components.stop_without_data()
filters = selection.current()
palette = components.palette()
bucket_s = data.bucket_s(filters)
ledger = data.ask("ledger", filters, bucket_s=bucket_s)
activity = data.ask("tools", filters)
definitions = data.ask("definitions")


def overview() -> pd.DataFrame:
    """One row per tool called, offered or billed, the most expensive first."""
    of_tools = ledger[ledger["tool"].notna()]
    bill = of_tools.groupby("tool")[["context_tokens", "unpriced_tokens"]].sum()
    bill["cost_usd"] = of_tools.groupby("tool")["cost_usd"].sum(min_count=1)
    parts = of_tools.pivot_table(index="tool", columns="part", values="cost_usd", aggfunc="sum", fill_value=0.0)
    bill["main_part"] = [_main_part(row) for _, row in parts.reindex(bill.index).fillna(0.0).iterrows()]
    bill.loc[bill["cost_usd"].isna(), "main_part"] = "Cost unknown"
    bill["trend"] = components.trends(of_tools, "cost_usd", "tool", bucket_s).reindex(bill.index)
    table = bill.join(activity.set_index("tool"), how="outer").join(
        definitions.set_index("tool")[["definition_tokens"]], how="left"
    )
    # Billed for answers alone: none of the prompts where these are known, else unknown.
    is_unknown = (table["context_tokens"] == 0) & ~table["is_measured"].eq(True)
    table["context_tokens"] = table["context_tokens"].mask(is_unknown)
    table[["calls", "errors"]] = table[["calls", "errors"]].fillna(0).astype("int64")
    table["error_share"] = (table["errors"] / table["calls"]).where(table["calls"] > 0)
    table["cost_share"] = table["cost_usd"] / (float(ledger["cost_usd"].sum()) or float("nan"))
    return table.sort_values(["cost_usd", "context_tokens"], ascending=False, kind="stable").reset_index()


def _main_part(costs: pd.Series) -> str:
    """The part that makes most of a tool's known cost, with its share; `costs` by part."""
    whole = float(costs.sum())
    if not whole:
        return "Costs nothing"
    return f"{PART_LABELS[str(costs.idxmax())]} {formats.percent(float(costs.max()) / whole)}"


def open_clicked_tool() -> None:
    """Make the tool of the clicked row the one that the page shows."""
    rows = st.session_state["tools_table"].selection.rows
    if rows:
        st.session_state["tool"] = str(st.session_state["tools_shown"][rows[0]])


def table_of_tools(tools: pd.DataFrame) -> None:
    """Every tool as a row: what it costs, mostly for what, how it runs."""
    idle = tools[tools["tool"].isin(findings.never_called(ledger, activity))]
    if st.query_params.get("show") == NEVER_CALLED and len(idle):
        tools = idle
        section("Tools that were never called", "Click a row to see one tool in depth.")
        st.page_link(components.PAGES["tools"], label="All tools", query_params=selection.query())
    else:
        note = (
            f"{formats.plural(len(tools), 'tool')}, {len(idle)} of them never called. Click a row to see one in depth."
        )
        section("Tools", note)
    times, form = components.in_one_unit(tools[["p50_ms", "p95_ms"]])
    shown = pd.DataFrame(
        {
            "Tool": tools["tool"].map(formats.name),
            "Cost": tools["cost_usd"],
            "Share": tools["cost_share"] * 100,
            "Over time": tools["trend"],
            "Mostly": tools["main_part"],
            "Context": tools["context_tokens"],
            "Calls": tools["calls"],
            "Errors": tools["error_share"] * 100,
            "p50": times["p50_ms"],
            "p95": times["p95_ms"],
            "Result": tools["mean_result_tokens"],
            "Sent": tools["mean_times_sent"],
            "Definition": tools["definition_tokens"],
            "Server": tools["server"],
        }
    )
    if tools["server"].isna().all():
        shown = shown.drop(columns="Server")
    st.session_state["tools_shown"] = tools["tool"].tolist()
    number = st.column_config.NumberColumn
    st.dataframe(
        shown,
        hide_index=True,
        key="tools_table",
        on_select=open_clicked_tool,
        selection_mode="single-row",
        placeholder=formats.NOTHING,
        row_height=34,
        height="content" if len(shown) <= 24 else 860,
        column_config={
            "Tool": st.column_config.TextColumn(pinned=True, width=170),
            # Bars, also where a cost is not known: "Mostly" says so then.
            "Cost": components.cost_column(shown["Cost"].fillna(0.0) if shown["Cost"].any() else shown["Cost"]),
            "Share": number(format="%.1f %%", help="Of everything that was billed"),
            "Over time": st.column_config.AreaChartColumn(width=110, color="primary", help="Cost over time"),
            "Mostly": st.column_config.TextColumn(width=135, help="The part that makes most of its cost"),
            "Context": number(format="compact", help="Prompt tokens: definition, results and carry"),
            "Errors": number(format="%.1f %%", help="Share of its calls that failed"),
            "p50": number(format=form, help="Median time of calls that did not fail"),
            "p95": number(format=form, help="95th percentile of calls that did not fail"),
            "Result": number(format="compact", help="Mean tokens of a result as sent"),
            "Sent": number(format=f"%.1f{formats.TIMES}", help="How many requests a result is part of, on average"),
            "Definition": number(format="%d", help="Tokens of its latest definition"),
        },
    )


def one_tool(tool: str, tools: pd.DataFrame) -> None:
    """One tool in depth."""
    row = tools[tools["tool"] == tool].iloc[0]
    of_tool = ledger[ledger["tool"] == tool]
    calls = data.ask("calls_of_tool", filters, tool=tool, max_rows=MAX_CALLS)
    facts(row)
    left, right = st.columns([2, 3], gap="medium")
    with left, st.container(border=True, height="stretch"):
        priced = bool(formats.number(row["cost_usd"]))
        section("What it costs", why(of_tool, row))
        components.chart(
            charts.anatomy(of_tool, palette, measure="cost_usd" if priced else "context_tokens"),
            key="tool_anatomy",
            alt="Cost of the tool by part",
        )
        totals = data.ask("totals", filters).iloc[0]
        evidence = findings.evidence(ledger, activity, totals, lambda name: data.ask(name, filters))
        components.what_to_do(findings.of_tool(evidence, tool), is_linked=False)
    with right, st.container(border=True, height="stretch"):
        section("Over time")
        components.chart(
            charts.timeline(of_tool, palette, by="part", bucket_s=bucket_s, height=310),
            key="tool_timeline",
            alt="Cost and context of the tool over time",
        )
    if not calls.empty:
        runs(calls, row)
    compared = data.ask("version_comparison", tool=tool, max_rows=versions.MAX_VERSIONS)
    if len(compared) > 1:
        comparison(compared)
    versions_and_sessions(tool)
    definition(tool)


def why(of_tool: pd.DataFrame, row: pd.Series) -> str:
    """The part that makes most of a tool's cost, and how it comes about."""
    sums = of_tool.groupby("part")["cost_usd"].sum()
    whole = float(sums.sum())
    if not whole:
        known = "It costs nothing" if of_tool["cost_usd"].notna().any() else "Its cost is not known"
        return f"{known}; the bars are its context tokens."
    main = str(sums.idxmax())
    share = formats.percent(float(sums.max()) / whole)
    if main == "carry":
        times = formats.number(row["mean_times_sent"])
        return f"{share} is carry: a result is part of {formats.count(round(times or 0))} requests on average."
    if main == "definition":
        return f"{share} is its definition, which every request that offers it carries."
    return f"{share} is for {PART_LABELS[main].lower()}."


def facts(row: pd.Series) -> None:
    """The tool's figures as tiles."""
    figures = (
        ("Cost", formats.usd(row["cost_usd"]), f"{formats.percent(row['cost_share'])} of the bill"),
        (
            "Context tokens",
            formats.count(row["context_tokens"]),
            f"definition {formats.count(row['definition_tokens'])}",
        ),
        ("Calls", formats.count(row["calls"]), f"in {formats.plural(formats.number(row['sessions']) or 0, 'session')}"),
        (
            "Failed",
            formats.count(row["errors"]),
            f"{formats.percent(row['error_share'])} of calls" if row["calls"] else "no calls",
        ),
        ("Median time", formats.duration(row["p50_ms"]), f"p95 {formats.duration(row['p95_ms'])}"),
        ("Result", formats.count(row["mean_result_tokens"]), "tokens on average"),
    )
    for column, (label, value, note) in zip(st.columns(len(figures)), figures, strict=True):
        column.metric(label, markdown(value), markdown(note), delta_arrow="off", delta_color="off", border=True)


def runs(calls: pd.DataFrame, row: pd.Series) -> None:
    """How long calls take, how large results are, and what fails."""
    worked = calls[(calls["status"] != "error") & calls["duration_ms"].notna()]
    latest = f" Of the latest {formats.count(len(calls))} calls." if int(row["calls"]) > len(calls) else ""
    left, middle, right = st.columns([3, 3, 2], gap="medium")
    with left, st.container(border=True, height="stretch"):
        timed = formats.plural(len(worked), "call")
        unseen = (
            "Unknown: no span tells of the runs. Give instrument() the executor that runs the tool, or put "
            "@toolspend.tool above the function."
        )
        note = f"{timed} that did not fail and whose time is known."
        section("Time", markdown(unseen) if calls["duration_ms"].isna().all() else f"{note}{latest}")
        if len(worked):
            marks = {"p50": float(row["p50_ms"]), "p95": float(row["p95_ms"])}
            figure = charts.distribution({"Calls": worked["duration_ms"]}, palette, unit="duration", marks=marks)
            components.chart(figure, key="tool_times", alt="Distribution of call times")
    with middle, st.container(border=True, height="stretch"):
        sent = calls["result_tokens"].dropna()
        both = calls[calls["result_tokens"].notna() & calls["raw_result_tokens"].notna()]
        raw, kept = both["raw_result_tokens"], float(both["result_tokens"].sum())
        is_cut = float(raw.sum()) > kept * 1.005
        note = f"{formats.count(raw.sum())} tokens returned, {formats.count(kept)} sent."
        if not is_cut:
            note = "Sent as they were returned." if len(both) else "How large they were when returned is not known."
        elif len(both) < len(sent):
            note += f" Of {formats.count(len(both))} of {formats.plural(len(sent), 'result')} both are known."
        section("Result sizes", f"{note}{latest}" if len(sent) else "Their sizes are not known.")
        if len(sent):
            series = {"As sent": sent, **({"As returned": raw} if is_cut else {})}
            components.chart(
                charts.distribution(series, palette, unit="tokens", marks={"mean": float(sent.mean())}),
                key="tool_results",
                alt="Distribution of result sizes in tokens",
            )
    with right, st.container(border=True, height="stretch"):
        failed = calls[calls["status"] == "error"]
        none = f"None of {formats.plural(len(calls), 'call')} failed."
        some = f"{formats.count(len(failed))} of {formats.count(len(calls))} failed."
        section("Errors", f"{some if len(failed) else none}{latest}")
        if len(failed):
            kinds = failed["error_type"].fillna("not said").value_counts().rename_axis("Type").reset_index(name="Calls")
            st.dataframe(
                kinds,
                hide_index=True,
                column_config={
                    "Calls": st.column_config.ProgressColumn(
                        format="%d", min_value=0, max_value=int(kinds["Calls"].max())
                    ),
                },
            )


def comparison(compared: pd.DataFrame) -> None:
    """Versions of the tool side by side, and what the newest changed."""
    with st.container(border=True):
        section(
            "Versions compared",
            "Of all calls that are stored, whatever is selected above: means, or the median, of those that did not "
            "fail, with 95 % intervals.",
        )
        components.chart(
            versions.comparison(compared, palette),
            key="tool_versions",
            alt="Tokens, cost, failures and time of each version of the tool, with 95 % intervals",
        )
        before, now = (code(name) for name in versions.labels(compared)[-2:])
        st.caption(f"What changed from {before} to {now}; times by the ratio of their geometric means.")
        st.dataframe(versions.changes(compared), hide_index=True)


def versions_and_sessions(tool: str) -> None:
    """How versions of the tool compare, and where it costs most."""
    left, right = st.columns(2, gap="medium")
    with left, st.container(border=True, height="stretch"):
        of_tool = data.ask("versions_of_tool", filters, tool=tool)
        section(
            "Versions",
            "A version is the hash of name, description and schema." if len(of_tool) else "No version was recorded.",
        )
        if len(of_tool):
            times, form = components.in_one_unit(of_tool[["p50_ms"]])
            st.dataframe(
                pd.DataFrame(
                    {
                        "Version": of_tool["tool_version"],
                        "Declared": of_tool["declared_version"],
                        "Since": of_tool["first_seen_at"],
                        "Definition": of_tool["definition_tokens"],
                        "Calls": of_tool["calls"],
                        "Errors": (of_tool["errors"] / of_tool["calls"] * 100).where(of_tool["calls"] > 0),
                        "p50": times["p50_ms"],
                        "Result": of_tool["mean_result_tokens"],
                        "Sent": of_tool["mean_times_sent"],
                    }
                ),
                hide_index=True,
                placeholder=formats.NOTHING,
                column_config={
                    "Since": st.column_config.DatetimeColumn(format="D MMM HH:mm", help="UTC"),
                    "Definition": st.column_config.NumberColumn(format="%d", help="Tokens"),
                    "Errors": st.column_config.NumberColumn(format="%.1f %%"),
                    "p50": st.column_config.NumberColumn(format=form),
                    "Result": st.column_config.NumberColumn(format="compact", help="Mean tokens of a result as sent"),
                    "Sent": st.column_config.NumberColumn(
                        format=f"%.1f{formats.TIMES}", help="How many requests a result is part of"
                    ),
                },
            )
    with right, st.container(border=True, height="stretch"):
        sessions = data.ask("sessions_of_tool", filters, tool=tool, max_rows=MAX_SESSIONS)
        section("Sessions where it costs most", "Click a row to open the session.")
        components.sessions_of_tool_table(sessions)


def definition(tool: str) -> None:
    """What the model is told about the tool, and what the audit finds against it."""
    known = definitions[definitions["tool"] == tool]
    audit = data.audit(filters)
    found = [each for each in audit.findings if each.tool == tool]
    if known.empty:
        if found:
            with st.container(border=True):
                section("Audit", f"{audit.scores[tool]} of 100.")
                for each in found:
                    components.audit_finding(each)
        return
    row = known.iloc[0]
    with st.container(border=True):
        version = markdown(str(row["tool_version"]))
        note = f"{formats.count(row['definition_tokens'])} tokens in every request that offers it; version {version}."
        if tool in audit.scores:
            note += f" The audit gives it {audit.scores[tool]} of 100."
        section("Definition", note)
        left, right = st.columns(2, gap="medium")
        with left:
            st.text(row["description"] if isinstance(row["description"], str) else "No description was recorded.")
            for each in found:
                components.audit_finding(each)
        if isinstance(row["input_schema"], str):
            with right:
                st.code(components.pretty_json(row["input_schema"]), language="json", height=260)


every = overview()
picked = selection.tool()
if picked is None:
    table_of_tools(every)
elif picked not in set(every["tool"]):
    st.markdown(f"### {code(picked)}")
    st.info("This tool was neither called nor offered in the selection.")
else:
    st.markdown(f"### {code(picked)}")
    one_tool(picked, every)
