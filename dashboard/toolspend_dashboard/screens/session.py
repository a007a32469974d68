"""One session: what its context was made of turn by turn, what each turn cost, and what ran when."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from toolspend_dashboard import causes, charts, charts_turns, components, data, findings, formats, selection
from toolspend_dashboard.components import section
from toolspend_dashboard.formats import code, markdown
from toolspend_dashboard.queries import Filters, records
from toolspend_dashboard.waterfall import waterfall

MAX_SESSIONS = 8
MAX_CALLS = 15
# One bucket of time for all of a session.
WHOLE_S = 1_000 * 366 * 86_400

components.stop_without_data()
filters = selection.current()
palette = components.palette()


def pick() -> str:
    """The session of the filter, else the most expensive one of the selection, or the latest without a request."""
    if filters.session is not None:
        st.markdown(f"### {code(filters.session)}")
        return filters.session
    which, show, key = "most expensive", components.sessions_table, "pick_session"
    sessions = data.ask("sessions", filters, max_rows=MAX_SESSIONS)
    if sessions.empty:
        which, show, key = "latest", components.sessions_of_calls_table, "pick_session_of_calls"
        sessions = data.ask("sessions_of_calls", filters, max_rows=MAX_SESSIONS)
    session = str(sessions["session_id"].iloc[0])
    st.markdown(f"### {code(session)} :gray[:small[the {which} session of the selection; pick another above or here]]")
    with st.expander(f"{which.capitalize()} sessions"):
        show(sessions, key=key)
    return session


def facts(summary: pd.Series, requests: pd.DataFrame, calls: pd.DataFrame) -> None:
    """The session's figures as tiles."""
    took_ms = (summary["ended_at"] - summary["started_at"]).total_seconds() * 1000
    unknown = int(summary["requests_of_unknown_cost"])
    batches = calls[calls["batch_calls"].fillna(0) > 1].drop_duplicates("batch_id")
    saved = float(batches["speedup"].mean()) if batches["speedup"].notna().any() else None
    parallel = f"{len(batches)} {'batch' if len(batches) == 1 else 'batches'}" if len(batches) else "no batches"
    figures = (
        (
            "Cost",
            formats.usd(summary["cost_usd"]),
            f"{unknown} of {len(requests)} not all known" if unknown else "all known",
        ),
        ("Requests", formats.count(len(requests)), f"{formats.count(summary['failed_requests'])} failed"),
        (
            "Context tokens",
            formats.count(summary["input_tokens"]),
            f"{formats.percent(summary['cached_share'])} cached",
        ),
        ("Tool calls", formats.count(len(calls)), f"{int((calls['status'] == 'error').sum())} failed"),
        ("Batch speed-up", f"{saved:.1f}{formats.TIMES}" if saved else formats.NOTHING, parallel),
        ("Lasted", formats.duration(took_ms), formats.moment(summary["started_at"])),
    )
    for column, (label, value, note) in zip(st.columns([*[5] * 5, 7]), figures, strict=True):
        column.metric(label, markdown(value), markdown(note), delta_arrow="off", delta_color="off", border=True)


def by_turn(ledger: pd.DataFrame, requests: pd.DataFrame, breaks: pd.DataFrame) -> None:
    """Context by owner and cost by rate, request by request."""
    if ledger.empty:
        st.info("No usage was reported for this session: its context and cost are unknown.")
        return
    turns = requests["request_id"].tolist()
    missing = int((~requests["is_usage_known"]).sum())
    gap = (
        f" {formats.plural(missing, 'request')} without usage {'is' if missing == 1 else 'are'} left empty."
        if missing
        else ""
    )
    note = f"What the prompt was made of, in its order from below.{gap}"
    marks = {row.request_id: f"{causes.cause(row.cause).label}, {formats.count(row.lost_tokens)} tokens"
             for row in records(breaks)}  # fmt: skip
    has_cost = bool(ledger["cost_usd"].notna().any())
    left, right = st.columns(2, gap="medium") if has_cost else (st.container(), st.container())
    with left, st.container(border=True, height="stretch"):
        section(
            "Context, request by request", note if has_cost else f"{note} Its cost is unknown: the model has no price."
        )
        components.chart(
            charts_turns.context_by_turn(ledger, palette, turns, breaks=marks),
            key="context_by_turn",
            alt="Context by owner",
        )
    if has_cost:
        with right, st.container(border=True, height="stretch"):
            section("Cost, request by request", f"By the rate that the tokens were billed at.{gap}")
            components.chart(
                charts_turns.cost_by_turn(ledger, palette, turns, breaks=marks), key="cost_by_turn", alt="Cost by rate"
            )


def what_to_do(session_id: str) -> None:
    """What would have made the session cheaper."""
    of_session = Filters(session=session_id)
    evidence = findings.evidence(
        data.ask("ledger", of_session, bucket_s=WHOLE_S),
        data.ask("tools", of_session),
        data.ask("totals", of_session).iloc[0],
        lambda name: data.ask(name, of_session),
    )
    with st.container(border=True):
        components.what_to_do([each for each in findings.findings(evidence) if each.page != "sql"], is_linked=False)


def lost_caches(breaks: pd.DataFrame, requests: pd.DataFrame) -> None:
    """The requests that were billed again for what had been cached: why, and what to do."""
    with st.container(border=True):
        if breaks.empty:
            is_cached = bool(formats.number(requests["cache_read_tokens"].sum()))
            section(
                "Cache breaks",
                "Every request read what the one before it had cached."
                if is_cached
                else "Nothing was read from a cache.",
            )
            return
        cost = markdown(formats.usd(breaks["cost_usd"].sum(min_count=1)))
        section(
            "Cache breaks",
            f"Requests that were billed again for what the one before had cached: {cost} more than to read it, "
            "▼ in the charts above.",
        )
        number = {str(request): index for index, request in enumerate(requests["request_id"], start=1)}
        told = [causes.cause(str(name)) for name in breaks["cause"]]
        st.dataframe(
            pd.DataFrame(
                {
                    "Request": [number.get(str(request)) for request in breaks["request_id"]],
                    "Cause": [cause.label for cause in told],
                    "Tool": breaks["tool"].map(formats.name, na_action="ignore").fillna(formats.NOTHING),
                    "Cost": breaks["cost_usd"],
                    "Tokens": breaks["lost_tokens"],
                    "Piece": [formats.NOTHING if pd.isna(at) else str(int(at)) for at in breaks["message_index"]],
                    "After": breaks["gap_ms"].map(formats.duration),
                    "What to do": [cause.action for cause in told],
                }
            ),
            hide_index=True,
            placeholder="unknown",
            column_config={
                "Request": st.column_config.NumberColumn(format="%d", pinned=True),
                "Cause": st.column_config.TextColumn(width=180),
                "Tool": st.column_config.TextColumn(width=150, help="The tool to blame, where there is one"),
                "Cost": components.cost_column(breaks["cost_usd"]),
                "Tokens": st.column_config.NumberColumn(format="compact", help="Cached before, and billed again"),
                "Piece": st.column_config.TextColumn(
                    alignment="right", help="Which piece of the prompt was edited, counted from 0"
                ),
                "After": st.column_config.TextColumn(alignment="right", help="Time since the request before began"),
                "What to do": st.column_config.TextColumn(width="large"),
            },
        )


def in_time(requests: pd.DataFrame, calls: pd.DataFrame) -> None:
    """The requests and calls as a waterfall."""
    untimed = int(calls["duration_ms"].isna().sum())
    note = "A shaded band is one batch of parallel calls; ✕ marks what failed. Drag to zoom, double-click to go back."
    if untimed == 1:
        note += " 1 call without a span of its own is not drawn."
    elif untimed:
        note += f" {formats.count(untimed)} calls without spans of their own are not drawn."
    with st.container(border=True):
        section("In time", note)
        components.chart(waterfall(requests, calls, palette), key="waterfall", alt="Requests and calls in time")


def bill(ledger: pd.DataFrame, calls: pd.DataFrame) -> None:
    """The bill by part on the left, the most expensive calls on the right."""
    left, right = st.columns([2, 3], gap="medium")
    with left, st.container(border=True, height="stretch"):
        has_cost = bool(float(ledger["cost_usd"].sum()))
        note = "Nothing is known of it." if ledger.empty else "" if has_cost else "In tokens."
        section("Where the bill goes" if has_cost else "Where the context goes", note)
        if not ledger.empty:
            prompt = ledger.assign(context_tokens=ledger["tokens"].where(~ledger["rate"].isin(["output", "fee"]), 0))
            components.chart(
                charts.anatomy(prompt, palette, measure="cost_usd" if has_cost else "context_tokens"),
                key="session_anatomy",
                alt="The bill by part",
            )
    with right, st.container(border=True, height="stretch"):
        section(
            "Most expensive calls",
            "A call costs what the model wrote, its result, and every time both were sent again.",
        )
        if calls.empty:
            st.markdown(":gray[No tool was called.]")
            return
        top = calls.sort_values("cost_usd", ascending=False, na_position="last", kind="stable").head(MAX_CALLS)
        number = {str(request): index for index, request in enumerate(requests["request_id"], start=1)}
        times, form = components.in_one_unit(top[["duration_ms"]])
        st.dataframe(
            pd.DataFrame(
                {
                    "Tool": top["tool"].map(formats.name),
                    "Cost": top["cost_usd"],
                    "Request": [number.get(str(request)) for request in top["request_id"]],
                    "Result": top["result_tokens"],
                    "Returned": top["raw_result_tokens"],
                    "Sent": top["times_sent"],
                    "Time": times["duration_ms"],
                    "Status": [_status(row) for row in records(top)],
                }
            ),
            hide_index=True,
            placeholder="unknown",
            column_config={
                "Tool": st.column_config.TextColumn(width=170),
                "Cost": components.cost_column(top["cost_usd"]),
                "Request": st.column_config.NumberColumn(format="%d", help="The request whose response made the call"),
                "Result": st.column_config.NumberColumn(format="compact", help="Tokens as sent to the model"),
                "Returned": st.column_config.NumberColumn(format="compact", help="Tokens as the tool returned them"),
                "Sent": st.column_config.NumberColumn(
                    format=f"%d{formats.TIMES}", help="How many requests the result was part of"
                ),
                "Time": st.column_config.NumberColumn(format=form),
            },
        )


def _status(row: object) -> str:
    kind = getattr(row, "error_type", None)
    if getattr(row, "status", "") != "error":
        return str(getattr(row, "status", "unset"))
    return f"✕ {kind}" if isinstance(kind, str) else "✕ error"


session_id = pick()
requests = data.ask("session_requests", session=session_id)
calls = data.ask("session_calls", session=session_id)
if requests.empty and calls.empty:
    st.info("The store has no session of this name.")
    st.stop()
ledger = data.ask("session_ledger", session=session_id)
breaks = data.ask("session_breaks", session=session_id)
summary = data.ask("sessions", Filters(session=session_id), max_rows=1)
if summary.empty:
    st.info("This session has tool calls and no model request: what they cost is unknown.")
    of_calls = data.ask("tools", Filters(session=session_id))
    components.calls_table(of_calls, key="calls_of_session")
else:
    facts(summary.iloc[0], requests, calls)
    by_turn(ledger, requests, breaks)
    what_to_do(session_id)
    lost_caches(breaks, requests)
in_time(requests, calls)
bill(ledger, calls)
