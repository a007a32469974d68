"""Which tools drive the context and the cost, why, and what to do about it."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from toolspend_dashboard import charts, components, data, findings, formats, selection
from toolspend_dashboard.components import section
from toolspend_dashboard.formats import markdown

MAX_FINDINGS = 7
MAX_SESSIONS = 10

components.stop_without_data()
filters = selection.current()
palette = components.palette()
bucket_s = data.bucket_s(filters)
totals = data.ask("totals", filters).iloc[0]
ledger = data.ask("ledger", filters, bucket_s=bucket_s)
tools = data.ask("tools", filters)
calls = data.ask("calls_over_time", filters, bucket_s=bucket_s)
bases = data.ask("bases", filters)


def over_time(frame: pd.DataFrame, measure: str) -> list[float] | None:
    """A sparkline's values, one a bucket, 0 where nothing happened; None where there is nothing to draw."""
    if frame[measure].isna().all():
        return None
    sums = frame.groupby("bucket_at")[measure].sum()
    buckets = pd.date_range(sums.index.min(), sums.index.max(), freq=pd.Timedelta(seconds=bucket_s))
    values = sums.reindex(buckets, fill_value=0).astype(float).tolist()
    return values if len(values) > 1 else None


def tiles() -> None:
    """The figures of the selection, each with its course over time."""
    requests, known = int(totals["requests"]), int(totals["known_requests"])
    priced = known - int(totals["unpriced_requests"])
    failed = int(totals["failed_calls"])
    call_count = int(totals["calls"])
    spend, context, called, errors, covered = st.columns(5)
    spend.metric(
        "Spend",
        formats.usd(totals["cost_usd"]).replace("$", "\\$"),
        formats.plural(requests, "request"),
        delta_arrow="off",
        delta_color="off",
        chart_data=over_time(ledger, "cost_usd"),
        chart_type="area",
        border=True,
        height="stretch",
    )
    context.metric(
        "Context tokens",
        formats.count(totals["input_tokens"]),
        f"{formats.percent(_share(totals['cache_read_tokens'], totals['input_tokens']))} read from cache",
        delta_arrow="off",
        delta_color="off",
        chart_data=over_time(ledger, "context_tokens"),
        chart_type="area",
        border=True,
        height="stretch",
    )
    called.metric(
        "Tool calls",
        formats.count(call_count),
        formats.plural(int(totals["called_tools"]), "tool"),
        delta_arrow="off",
        delta_color="off",
        chart_data=over_time(calls, "calls"),
        chart_type="bar",
        border=True,
        height="stretch",
    )
    errors.metric(
        "Failed tool calls",
        formats.count(failed),
        f"{formats.percent(_share(failed, call_count))} of calls" if call_count else "no calls",
        delta_arrow="off",
        delta_color="off",
        chart_data=over_time(calls, "errors"),
        chart_type="bar",
        border=True,
        height="stretch",
    )
    with covered, st.container(border=True, height="stretch", gap="xsmall"):
        st.markdown(":small[Coverage]", help="How much of the selection the figures beside this speak of.")
        unattributed = float(bases.loc[bases["basis"] == "unattributed", "tokens"].sum())
        for share, label in (
            (_share(known, requests), "usage known"),
            (_share(priced, requests), "priced"),
            (_share(float(bases["tokens"].sum()) - unattributed, float(bases["tokens"].sum())), "attributed"),
        ):
            st.progress(share or 0.0, f":small[**{formats.percent(share)}** {label}]")


def _share(part: float, whole: float) -> float | None:
    part_number, whole_number = formats.number(part), formats.number(whole)
    return part_number / whole_number if part_number is not None and whole_number else None


def over_time_and_actions() -> None:
    """Spend and context over time on the left, what to do on the right."""
    left, right = st.columns([2, 1], gap="medium")
    with left, st.container(border=True, height="stretch"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown("#### Over time")
            st.session_state.setdefault("by", selection.STACKED_BY[0])
            by = st.segmented_control(
                "Stacked by",
                selection.STACKED_BY,
                required=True,
                format_func=lambda key: f"By {key}",
                key="by",
                persist_state="session",
                label_visibility="collapsed",
            )
        figure = charts.timeline(ledger, palette, by="tool" if by == "tool" else "part", bucket_s=bucket_s)
        components.chart(figure, key="timeline", alt="Spend and context tokens over time", height="stretch")
    with right, st.container(border=True, height="stretch"):
        components.what_to_do(findings.findings(evidence)[:MAX_FINDINGS])


def paretos() -> None:
    """Tools by cost and by context, each with the fewest that drive most of it."""
    of_tools = ledger[ledger["tool"].notna()]
    known = findings.known_tools(ledger, tools)
    left, right = st.columns(2, gap="medium")
    with left, st.container(border=True, height="stretch"):
        pareto("Tools by cost", "spend", "cost_usd", of_tools, known)
    with right, st.container(border=True, height="stretch"):
        pareto("Tools by context", "context", "context_tokens", of_tools, known)


def pareto(title: str, whole: str, measure: charts.Measure, of_tools: pd.DataFrame, known: int) -> None:
    """Tools by one measure, the largest on top."""
    drivers = findings.drivers(ledger, measure, known)
    if drivers is None:
        section(title, f"No tool has a share of the {whole} that is known.")
        return
    share = formats.percent(drivers.share)
    section(title, f"{drivers.count} of {drivers.tools} make {share} of the {whole}; the dotted line adds them up.")
    figure = charts.pareto(
        of_tools, palette, measure=measure, whole=float(ledger[measure].sum()), highlighted=drivers.count
    )
    components.chart(figure, key=f"pareto_{measure}", alt=title)


def bill_and_sessions() -> None:
    """The bill by part on the left, the most expensive sessions on the right."""
    left, right = st.columns([2, 3], gap="medium")
    measure: charts.Measure = "cost_usd" if formats.number(totals["cost_usd"]) else "context_tokens"
    with left, st.container(border=True, height="stretch"):
        whole = (
            formats.usd(totals["cost_usd"])
            if measure == "cost_usd"
            else f"{formats.count(totals['input_tokens'])} tokens"
        )
        section("Where the bill goes", f"Every part has an owner; together they are {markdown(whole)}.")
        components.chart(charts.anatomy(ledger, palette, measure=measure), key="anatomy", alt="The bill by part")
    with right, st.container(border=True, height="stretch"):
        section("Most expensive sessions", "Click a row to open the session.")
        components.sessions_table(data.ask("sessions", filters, max_rows=MAX_SESSIONS), key="top_sessions")


def lost_caches() -> None:
    """What was billed again although it had been cached, by cause."""
    with st.container(border=True):
        requests = int(breaks["breaks"].sum())
        if not requests:
            is_cached = bool(formats.number(totals["cache_read_tokens"]))
            note = "Every request read what the one before it had cached." if is_cached else "Nothing was cached."
            section("Cache breaks", note)
            return
        was = "request was" if requests == 1 else "requests were"
        cost = markdown(formats.usd(breaks["cost_usd"].sum(min_count=1)))
        tokens = formats.count(breaks["lost_tokens"].sum())
        section(
            "Cache breaks",
            f"{formats.count(requests)} {was} billed again for {tokens} tokens that had been cached: {cost} more than "
            "to read them. Click a row to open the session that lost most.",
        )
        components.breaks_table(breaks, key="cache_breaks")


def calls_alone() -> None:
    """What ran, where no model request says what it cost."""
    left, right = st.columns(2, gap="medium")
    with left, st.container(border=True, height="stretch"):
        section("Tools by calls", "No model request is in this selection: what the calls cost is unknown.")
        components.calls_table(tools, key="calls_alone")
    with right, st.container(border=True, height="stretch"):
        section("Sessions", "The latest first. Click a row to open the session.")
        components.sessions_of_calls_table(
            data.ask("sessions_of_calls", filters, max_rows=MAX_SESSIONS), key="sessions_of_calls"
        )


sentence = findings.headline(ledger, tools)
if sentence:
    st.markdown(f"### {markdown(sentence)}")
tiles()
components.coverage(totals, bases)
# Asked once the figures above are on their way.
evidence = findings.evidence(ledger, tools, totals, lambda name: data.ask(name, filters))
breaks = evidence.cache_breaks
if int(totals["requests"]):
    over_time_and_actions()
    paretos()
    bill_and_sessions()
    lost_caches()
else:
    calls_alone()
