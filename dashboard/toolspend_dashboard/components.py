"""Pieces that several pages draw alike."""

from __future__ import annotations

import json
from typing import Any, Literal

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from toolspend.toolkit.audit import Finding, Severity
from toolspend_dashboard import causes, charts, data, findings, formats, selection, theme
from toolspend_dashboard.formats import markdown
from toolspend_dashboard.queries import records

PAGES = {name: f"screens/{name}.py" for name in ("overview", "tools", "audit", "session", "sql")}
LONGEST_NAME = 64
_SEVERITIES: dict[Severity, str] = {"error": "red", "warning": "orange", "note": "gray"}


def palette() -> theme.Palette:
    """The colours for the mode that the browser shows."""
    return theme.palette(st.context.theme.type)


def chart(figure: go.Figure, *, key: str, alt: str, height: Literal["content", "stretch"] = "content") -> None:
    """Draw a figure; `alt` says in words what it shows; with `height="stretch"` it grows to fill its card."""
    st.plotly_chart(figure, key=key, alt=alt, height=height, config=charts.CONFIG)


def badge(found: Finding) -> str:
    """How grave a finding of the audit is, as Markdown."""
    return f":{_SEVERITIES[found.severity]}-badge[{found.severity}]"


def audit_finding(found: Finding) -> None:
    """A finding of the audit: what was seen, and below it what to do."""
    st.markdown(f"{badge(found)} {formats.told(found.evidence)}  \n:gray[{formats.told(found.hint)}]")


def section(title: str, note: str = "") -> None:
    """A heading with a muted sentence under it."""
    with st.container(gap=None):
        st.markdown(f"#### {title}")
        if note:
            st.caption(note)


def stop_without_data() -> None:
    """Say how to get data, and end the page, where the store or the selection has no request and no call."""
    extent = data.extent()
    if int(extent["requests"]) or int(extent["calls"]):
        totals = data.ask("totals", selection.current()).iloc[0]
        if int(totals["requests"]) or int(totals["calls"]):
            return
        st.info("No model request or tool call matches these filters.")
        st.stop()
    st.markdown("### No data yet")
    spans = int(extent["spans"])
    if spans:
        st.markdown(f"{formats.plural(spans, 'span')} received, none of them a model request or a tool call.")
    st.markdown("Look around with the sample traces, or load OTLP files that you have:")
    st.code("toolspend demo\ntoolspend ingest PATH", language="bash")
    st.markdown("To see your own agent, add one line to it and run it while this page is open:")
    st.code("import toolspend\n\ntoolspend.instrument()", language="python")
    st.stop()


def coverage(totals: pd.Series[Any], bases: pd.DataFrame) -> None:
    """Say what is not known about the selection's bill; nothing where everything is."""
    requests = int(totals["requests"])
    unclear, unpriced = int(totals["unclear_requests"]), int(totals["unpriced_requests"])
    unknown = requests - int(totals["known_requests"]) - unclear
    lines = []
    if unpriced:
        verb, what = ("has", "it costs") if unpriced == 1 else ("have", "they cost")
        priceless = f"{formats.plural(unpriced, 'request')}{_models(totals)} {verb} **no price**"
        lines.append(f"{priceless}: what {what} is unknown and in no figure here.")
    if unknown:
        unsaid = f"{formats.plural(unknown, 'request')} ended **before all of the usage was known**"
        lines.append(f"{unsaid}: only what is known is counted.")
    if unclear:
        come = "comes" if unclear == 1 else "come"
        unread = (
            f"{formats.plural(unclear, 'request')} {come} from libraries of which it is **not known what they count**"
        )
        lines.append(f"{unread} as input: only what is known is counted.")
    whole = float(bases["tokens"].sum())
    if whole and (shares := _basis_shares(bases, whole)):
        lines.append(f"Tokens by basis of attribution: {shares}.")
    if lines:
        st.caption(" ".join(line.replace("$", "\\$") for line in lines))


def _models(totals: pd.Series[Any]) -> str:
    """Of which models the requests without a price are."""
    unnamed = int(totals["unnamed_requests"])
    if unnamed == int(totals["unpriced_requests"]):
        return " that name no model" if unnamed > 1 else " that names no model"
    models = markdown(formats.listed(str(totals["unpriced_models"]).split(", ")))
    return f" on {models}" + (f" or, {formats.count(unnamed)} of them, no named model," if unnamed else "")


def _basis_shares(bases: pd.DataFrame, whole: float) -> str:
    if set(bases["basis"]) == {"exact"}:
        return ""
    return ", ".join(f"{formats.percent(row.tokens / whole)} {row.basis}" for row in records(bases))


def what_to_do(found: list[findings.Finding], *, is_linked: bool = True) -> None:
    """What to act on, each with what it would have saved; a word where there is nothing."""
    note = "Saved is what this selection would have cost less. Savings overlap: they do not add up."
    section("What to do", note if found else "")
    for index, each in enumerate(found):
        finding(each, key=f"finding_{index}", is_linked=is_linked)
    if not found:
        st.markdown(":gray[Nothing stands out in this selection.]")


def finding(found: findings.Finding, *, key: str, is_linked: bool) -> None:
    """One finding: what is so, what to do, its figure, and a link to where it can be seen."""
    before, subject, after = found.fact.partition(findings.SUBJECT)
    subject_name = formats.shortened(found.subject or "", LONGEST_NAME)
    # The spaces beside the name stand apart: `markdown` takes them off.
    named = f"{' ' * before.endswith(' ')}{formats.code(subject_name)}{' ' * after.startswith(' ')}"
    fact = f"{markdown(before)}{named if subject else ''}{markdown(after)}"
    amount = f"**Saves {markdown(formats.usd(found.saves_usd))}.** " if found.saves_usd is not None else ""
    with st.container(horizontal=True, wrap=False, vertical_alignment="top", gap="small", key=key):
        st.markdown(f"{amount}{fact}  \n:gray[{markdown(found.action)}]", width="stretch")
        if is_linked:
            st.page_link(PAGES[found.page], label="Open", query_params=selection.query(**found.query))


def sessions_table(sessions: pd.DataFrame, *, key: str) -> None:
    """Sessions, the most expensive first; a click on a row opens the session."""
    shown = pd.DataFrame(
        {
            "Session": sessions["session_id"].map(formats.name),
            "Cost": sessions["cost_usd"],
            "Requests": sessions["requests"],
            "Calls": sessions["calls"],
            "Errors": sessions["errors"],
            "Context": sessions["input_tokens"],
            "Cached": sessions["cached_share"] * 100,
            "Started": sessions["started_at"],
        }
    )
    event = st.dataframe(
        shown,
        hide_index=True,
        key=key,
        on_select="rerun",
        selection_mode="single-row",
        placeholder="unknown",
        row_height=32,
        column_config={
            "Session": st.column_config.TextColumn(pinned=True, width=150),
            "Cost": cost_column(shown["Cost"]),
            **{name: st.column_config.NumberColumn(width=70) for name in ("Requests", "Calls", "Errors")},
            "Context": st.column_config.NumberColumn(format="compact", width=70, help="Prompt tokens"),
            # Streamlit's own "percent" cuts digits off.
            "Cached": st.column_config.NumberColumn(
                format="%.0f %%", width=70, help="Share of the context read from the cache"
            ),
            "Started": st.column_config.DatetimeColumn(format="D MMM HH:mm", width=105, help="UTC"),
        },
    )
    _open_clicked_session(event, sessions["session_id"])


def calls_table(tools: pd.DataFrame, *, key: str) -> None:
    """Tools by their calls, where nothing is known of what they cost."""
    times, form = in_one_unit(tools[["p50_ms", "p95_ms"]])
    number = st.column_config.NumberColumn
    st.dataframe(
        pd.DataFrame(
            {
                "Tool": tools["tool"].map(formats.name),
                "Calls": tools["calls"],
                "Failed": tools["errors"],
                "p50": times["p50_ms"],
                "p95": times["p95_ms"],
                "Sessions": tools["sessions"],
            }
        ),
        hide_index=True,
        key=key,
        placeholder="unknown",
        row_height=32,
        column_config={
            "p50": number(format=form, help="Median time of calls that did not fail"),
            "p95": number(format=form, help="95th percentile of calls that did not fail"),
        },
    )


def sessions_of_calls_table(sessions: pd.DataFrame, *, key: str) -> None:
    """Sessions by their tool calls, the latest first; a click on a row opens the session."""
    event = st.dataframe(
        pd.DataFrame(
            {
                "Session": sessions["session_id"].map(formats.name),
                "Calls": sessions["calls"],
                "Failed": sessions["errors"],
                "Tools": sessions["tools"],
                "Started": sessions["started_at"],
            }
        ),
        hide_index=True,
        key=key,
        on_select="rerun",
        selection_mode="single-row",
        row_height=32,
        column_config={"Started": st.column_config.DatetimeColumn(format="D MMM HH:mm", help="UTC")},
    )
    _open_clicked_session(event, sessions["session_id"])


def breaks_table(breaks: pd.DataFrame, *, key: str) -> None:
    """Causes of lost caches with what to do; a click on a row opens the session that lost most by it."""
    told = [causes.cause(str(name)) for name in breaks["cause"]]
    shown = pd.DataFrame(
        {
            "Cause": [cause.label for cause in told],
            "Tool": breaks["tool"].map(formats.name, na_action="ignore").fillna(formats.NOTHING),
            "Cost": breaks["cost_usd"],
            "Tokens": breaks["lost_tokens"],
            "Requests": breaks["breaks"],
            "Sessions": breaks["sessions"],
            "What to do": [cause.action for cause in told],
        }
    )
    event = st.dataframe(
        shown,
        hide_index=True,
        key=key,
        on_select="rerun",
        selection_mode="single-row",
        placeholder="unknown",
        row_height=32,
        column_config={
            "Cause": st.column_config.TextColumn(pinned=True, width=180),
            "Tool": st.column_config.TextColumn(help="Whose definition changed", width=150),
            "Cost": cost_column(shown["Cost"]),
            "Tokens": st.column_config.NumberColumn(format="compact", help="Cached before, and billed again"),
            "What to do": st.column_config.TextColumn(width="large"),
        },
    )
    _open_clicked_session(event, breaks["largest_session_id"])


def _open_clicked_session(event: Any, sessions: pd.Series[Any]) -> None:
    """Go to the session of the clicked row; the other filters stay."""
    if rows := event.selection.rows:
        session = str(sessions.iloc[rows[0]])
        st.switch_page(PAGES["session"], query_params=selection.query(session=session))


def cost_column(costs: pd.Series[Any]) -> Any:
    """A column of dollars: bars of the largest where all are known, else numbers, as a bar cannot say "unknown"."""
    largest = formats.number(costs.max()) or 0.0
    decimals = 2 if largest >= 1 else 4
    # Cents alone would show what costs less as nothing.
    is_cut = bool(((costs != 0) & (costs.abs() < 0.5 * 10**-decimals)).any())
    form = f"$%,.{max(3, len(str(int(largest))))}g" if is_cut else f"$%,.{decimals}f"
    if costs.isna().any():
        return st.column_config.NumberColumn("Cost", format=form, width=90)
    return st.column_config.ProgressColumn(
        "Cost", format=form, width=110, min_value=0.0, max_value=largest or 1.0, color="primary"
    )


def in_one_unit(times_ms: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Times as numbers, by which a table can be sorted, and the format that shows them: in ms, or s from 10 s on."""
    if (formats.number(times_ms.max(axis=None)) or 0.0) < 10_000:
        return times_ms, "%,.3g ms"
    return times_ms / 1000, "%,.3g s"


def sessions_of_tool_table(sessions: pd.DataFrame) -> None:
    """Sessions by what one tool cost in them; a click on a row opens the session."""
    shown = pd.DataFrame(
        {
            "Session": sessions["session_id"].map(formats.name),
            "Cost": sessions["cost_usd"],
            "Context": sessions["context_tokens"],
            "Calls": sessions["calls"],
            "Errors": sessions["errors"],
            "Started": sessions["started_at"],
        }
    )
    event = st.dataframe(
        shown,
        hide_index=True,
        key="sessions_of_tool",
        on_select="rerun",
        selection_mode="single-row",
        placeholder="unknown",
        column_config={
            "Cost": cost_column(shown["Cost"]),
            "Context": st.column_config.NumberColumn(format="compact"),
            "Started": st.column_config.DatetimeColumn(format="D MMM HH:mm", help="UTC"),
        },
    )
    _open_clicked_session(event, sessions["session_id"])


def trends(frame: pd.DataFrame, measure: str, by: str, bucket_s: int) -> pd.Series[Any]:
    """For each value of a column, the measure over all buckets as a list, 0 where nothing happened."""
    if frame.empty:
        return pd.Series(dtype="object")
    buckets = pd.date_range(frame["bucket_at"].min(), frame["bucket_at"].max(), freq=pd.Timedelta(seconds=bucket_s))
    sums = frame.pivot_table(index=by, columns="bucket_at", values=measure, aggfunc="sum", fill_value=0.0)
    wide = sums.reindex(columns=buckets, fill_value=0.0).astype(float)
    return pd.Series(wide.to_numpy().tolist(), index=wide.index)


def pretty_json(text: str) -> str:
    """JSON with indents; the text as it is where it is not JSON."""
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text
