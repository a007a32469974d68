"""Whether everything that comes is stored: where spans come from, what waits, what was refused, and what it takes."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from toolspend_dashboard import charts_health, components, data, formats, health, snapshot, state
from toolspend_dashboard.components import section
from toolspend_dashboard.formats import markdown
from toolspend_ingest.errors import ToolspendError

LIVE_EVERY_S = 5
SHOWN_DAYS = 14
_BADGES = {"good": ("green", "check_circle"), "warning": ("orange", "warning"), "bad": ("red", "error")}


@st.fragment(run_every=LIVE_EVERY_S)
def live() -> None:
    """What changes by itself: the state in one sentence, and the tiles."""
    status = state.status()
    losses, storage = data.ask("losses"), data.ask("storage").iloc[0]
    kind, said = health.sentence(status, losses)
    colour, icon = _BADGES[kind]
    st.markdown(f"### :{colour}[:material/{icon}:] {markdown(said)}")
    waiting, loaded, refused, covered, stored = st.columns(5)
    tile(waiting, "Waiting", *_waiting(status))
    tile(loaded, "Spans stored", formats.count(storage["spans"]), _last_load())
    kept = f"{formats.size(status['refused_kept_bytes'])} kept aside" if status is not None else "since the start"
    tile(refused, "Refused", formats.count(health.lost(losses)[0]), kept)
    per_span = health.bytes_per_span(storage)
    unknown = "not known a span yet" if storage["spans"] else "no span yet"
    note = f"{formats.count(per_span)} bytes a span" if per_span is not None else unknown
    tile(stored, "On disk", formats.size(health.storage_bytes(status, storage)), note)
    tile(covered, "Bill known", *_coverage())


def tile(place: Any, label: str, figure: str, note: str) -> None:
    """One figure with a word on it."""
    place.metric(label, figure, note, delta_arrow="off", delta_color="off", border=True, height="stretch")


def _waiting(status: dict[str, Any] | None) -> tuple[str, str]:
    if status is None:
        return formats.NOTHING, "no server in this process"
    requests = formats.plural(status["waiting_requests"], "request")
    return formats.size(health.waiting(status)), f"{formats.size(status['spool_waiting_bytes'])} spool, {requests}"


def _last_load() -> str:
    at = data.extent()["loaded_at"]
    return "nothing loaded yet" if pd.isna(at) else f"last {formats.ago(at, data.now_exactly())}"


def _coverage() -> tuple[str, str]:
    totals, bases = data.ask("totals").iloc[0], data.ask("bases")
    requests, known = int(totals["requests"]), int(totals["known_requests"])
    if not requests:
        return formats.NOTHING, "no model request yet"
    tokens = float(bases["tokens"].sum())
    unattributed = float(bases.loc[bases["basis"] == "unattributed", "tokens"].sum())
    priced = known - int(totals["unpriced_requests"])
    shares = [f"{formats.percent(priced / requests)} priced"] if known else []
    shares += [f"{formats.percent(1 - unattributed / tokens)} attributed"] if tokens else []
    return formats.percent(known / requests), ", ".join(shares) or "no usage known"


def came_in() -> None:
    """What came over time on the left, by which way on the right."""
    left, right = st.columns(2, gap="medium")
    since = data.now() - pd.Timedelta(days=SHOWN_DAYS)
    with left, st.container(border=True, height="stretch"):
        bucket_s = data.bucket_of(data.ask("arrivals", bucket_s=60, since=since)["bucket_at"])
        frame = data.ask("arrivals", bucket_s=bucket_s, since=since)
        if frame.empty:
            section("What came in", f"Nothing in the last {SHOWN_DAYS} days.")
        else:
            section("What came in", f"Spans stored in the last {SHOWN_DAYS} days, by the time they were stored (UTC).")
            figure = charts_health.arrivals(frame, components.palette(), bucket_s=bucket_s)
            components.chart(figure, key="arrivals", alt="Spans stored over time", height="stretch")
    with right, st.container(border=True, height="stretch"):
        section(
            "Ways in",
            "What came again was stored before, and is counted each time: a sender that got no answer sends once more.",
        )
        ways = data.ask("ways_in")
        table(
            {
                "Way": [health.WAYS[way] for way in ways["way"]],
                "Spans": ways["spans"],
                "Came again": ways["duplicates"],
                "Refused": ways["refused"],
                "Dropped": ways["dropped"],
                "Last": ways["last_at"],
            },
            key="ways",
            nothing="Nothing was loaded yet.",
        )
        over_the_network()
        if (said := health.in_logs(data.ask("messages_in_logs").iloc[0])) is not None:
            st.caption(f"{said}.")


def over_the_network() -> None:
    """Each signal since the server started."""
    status = state.status()
    if status is None:
        return
    st.caption(
        "Over the network since the server started. Passed over: log records and metrics that say nothing of the bill."
    )
    frame = health.received(status)
    table(
        {
            "Signal": frame["signal"].str.capitalize(),
            "Requests": frame["requests"],
            "Spans": frame["spans"],
            "Refused": frame["refused"],
            "Passed over": frame["passed_over"],
        },
        key="signals",
        nothing="",
    )
    if status["turned_away"]:
        st.caption(f"{formats.plural(status['turned_away'], 'request')} told to come again later.")


def refused_and_senders() -> None:
    """What could not be read and why, which takes the whole width; below, who sends."""
    with st.container(border=True):
        losses = data.ask("losses")
        reasons = int(losses["all_reasons"].iloc[0]) if len(losses) else 0
        latest = (
            f"The latest {len(losses)} of {formats.count(reasons)} reasons" if reasons > len(losses) else "By reason"
        )
        section("Refused and dropped", f"{latest}. What is kept aside can be read again.")
        table(
            {
                "Source": losses["source"].map(formats.name, na_action="ignore"),
                "Why": losses["reason"].map(formats.name, na_action="ignore"),
                "Refused": losses["refused"],
                "Dropped": losses["dropped"],
                "Last": losses["last_at"],
            },
            key="losses",
            nothing="Nothing was refused or dropped.",
        )
        retry()
    with st.container(border=True):
        section("Who sends", "Services and the libraries that made their spans.")
        emitters = data.ask("emitters")
        table(
            {
                "Service": emitters["service"].map(formats.name, na_action="ignore"),
                "Library": emitters["scope"].map(formats.name, na_action="ignore"),
                "Spans": emitters["spans"],
                "Latest span": emitters["last_at"],
            },
            key="emitters",
            nothing="No span is stored.",
        )
        if (said := health.told_again(data.ask("copies"))) is not None:
            st.caption(f"{said}.")
        storage()


def retry() -> None:
    """Read what is kept aside once more."""
    status = state.status()
    if status is None or not status["refused_kept_bytes"]:
        return
    if st.button("Read it again", icon=":material/replay:"):
        try:
            summary = snapshot.retry()
        except ToolspendError as error:
            st.error(markdown(str(error)))
        else:
            st.caption(
                f"{formats.plural(summary.spans, 'span')} stored, {formats.count(summary.refused)} refused again."
            )


def storage() -> None:
    """What the file takes."""
    found, status = data.ask("storage").iloc[0], state.status()
    free = f", {formats.size(found['free_bytes'])} of it free to be used again" if found["free_bytes"] else ""
    lines = [f"The store takes {formats.size(health.storage_bytes(status, found))} on disk{free}."]
    if status is not None and status["disk_free_bytes"] is not None:
        lines.append(f"Its disk has {formats.size(status['disk_free_bytes'])} left.")
    if not pd.isna(found["first_at"]):
        lines.append(f"The oldest span is of {formats.moment(found['first_at'])} UTC.")
    if found["spans_ahead"]:
        lines.append(f"{formats.plural(found['spans_ahead'], 'span')} say a time to come: a sender's clock is wrong.")
    if status is not None and status["pruned_spans"]:
        lines.append(f"{formats.plural(status['pruned_spans'], 'span')} pruned since the server started.")
    st.caption(" ".join(lines))


def table(columns: dict[str, Any], *, key: str, nothing: str) -> None:
    """Rows as they are; a word where there are none."""
    frame = pd.DataFrame(columns)
    if frame.empty:
        st.markdown(f":gray[{nothing}]")
        return
    config: dict[str, Any] = {
        name: st.column_config.NumberColumn(format="compact", width=75)
        for name in frame.columns
        if pd.api.types.is_numeric_dtype(frame[name])
    }
    for name in ("Last", "Latest span"):
        config[name] = st.column_config.DatetimeColumn(format="D MMM HH:mm", help="UTC", width=110)
    config["Way"] = st.column_config.TextColumn(width=125)
    config["Source"] = st.column_config.TextColumn(width=200)
    config["Why"] = st.column_config.TextColumn(width=680)
    st.dataframe(frame, hide_index=True, key=key, placeholder="unknown", row_height=32, column_config=config)


live()
came_in()
refused_and_senders()
