"""The filters above every page, kept in the URL: which time, service, model and session the pages speak of.

So is what the Overview's chart is stacked by.

Streamlit can bind a widget to the URL itself, but then refuses `st.switch_page`, which rows of tables need; so the
URL is read before the widgets are drawn and written after.
"""

from __future__ import annotations

import contextlib
from datetime import date, datetime, time, timedelta

import streamlit as st

from toolspend_dashboard import data
from toolspend_dashboard.queries import Filters

ALL_TIME = "all"
DATES = "dates"
MAX_CHOICES = 500
STACKED_BY = ("part", "tool")
"""What the Overview's chart can be stacked by."""
_LENGTHS = {
    "1h": ("Last hour", timedelta(hours=1)),
    "24h": ("Last 24 hours", timedelta(hours=24)),
    "7d": ("Last 7 days", timedelta(days=7)),
    "30d": ("Last 30 days", timedelta(days=30)),
}
_LABELS = {ALL_TIME: "All time", **{key: label for key, (label, _) in _LENGTHS.items()}, DATES: "Dates…"}
_NAMES = ("service", "model", "session")
_CURRENT, _PAGE, _WRITTEN = "toolspend_filters", "toolspend_page", "toolspend_written"


def show(page: str) -> Filters:
    """Draw the filters of a page, by its title, and return what they are set to."""
    has_tool = page == "Tools"
    fields = (*_NAMES, "tool") if has_tool else _NAMES
    kept = (*fields, "time", "dates", *(["by"] if page == "Overview" else []))
    _read_url(page, kept)
    choices = data.ask("filter_values", max_rows=MAX_CHOICES)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom", key="filters"):
        st.selectbox(
            "Time",
            list(_LABELS),
            format_func=lambda key: str(_LABELS.get(key, key)),
            key="time",
            persist_state="session",
            width=150,
            label_visibility="collapsed",
        )
        if st.session_state["time"] == DATES:
            st.date_input(
                "Dates", [], key="dates", persist_state="session", width=240, label_visibility="collapsed",
                format="YYYY-MM-DD",
            )  # fmt: skip
        for field in fields:
            _choose(field, choices.loc[choices["field"] == field, "value"].tolist())
        filters = Filters(*_range(), *(st.session_state[field] for field in _NAMES))
        if filters != Filters() or (has_tool and tool()):
            st.button("Reset filters", on_click=clear, type="tertiary")
    st.session_state[_CURRENT] = filters
    _write_url(kept)
    return filters


def current() -> Filters:
    """What the filters of this run are set to."""
    filters = st.session_state.get(_CURRENT)
    return filters if isinstance(filters, Filters) else Filters()


def tool() -> str | None:
    """The tool that is picked on the page that has such a filter."""
    picked = st.session_state.get("tool")
    return picked if isinstance(picked, str) else None


def query(**more: str) -> dict[str, str]:
    """The filters as the URL has them, with `more`: for links that keep the selection."""
    kept = {field: said for field, said in st.session_state.get(_WRITTEN, {}).items() if field not in ("tool", "by")}
    return {**kept, **more}


def clear() -> None:
    """Set every filter back to all."""
    for field in (*_NAMES, "tool"):
        st.session_state[field] = None
    st.session_state["time"] = ALL_TIME


def _choose(field: str, values: list[str]) -> None:
    chosen = st.session_state.get(field)
    if chosen is not None and chosen not in values:
        values = [chosen, *values]
    st.selectbox(
        field.capitalize(),
        values,
        index=None,
        placeholder=f"All {field}s",
        key=field,
        persist_state="session",
        width=230 if field in ("session", "tool") else 190,
        label_visibility="collapsed",
    )


def _read_url(page: str, fields: tuple[str, ...]) -> None:
    """Take over what the URL says, where it says something else than this session last wrote there."""
    written = st.session_state.get(_WRITTEN, {})
    is_same_page = st.session_state.get(_PAGE) == page
    st.session_state[_PAGE] = page
    for field in fields:
        said = st.query_params.get(field)
        if said == written.get(field):
            continue
        if said is not None:
            _set(field, said)
        elif is_same_page:
            # The browser went back. On another page the URL starts bare, and the filters stay as they are.
            _set(field, None)


def _set(field: str, said: str | None) -> None:
    if field == "time":
        st.session_state[field] = said if said in _LABELS else ALL_TIME
    elif field == "by":
        st.session_state[field] = said if said in STACKED_BY else STACKED_BY[0]
    elif field == "dates":
        days = []
        with contextlib.suppress(ValueError):
            days = [date.fromisoformat(day) for day in (said or "").split("..") if day]
        st.session_state[field] = tuple(days[:2])
    else:
        st.session_state[field] = said or None


def _write_url(fields: tuple[str, ...]) -> None:
    """Put what differs from all into the URL."""
    written = {}
    for field in fields:
        value = st.session_state.get(field)
        if field == "dates":
            value = "..".join(day.isoformat() for day in value) if value and st.session_state["time"] == DATES else None
        if value is None or (field, value) in (("time", ALL_TIME), ("by", STACKED_BY[0])):
            if field in st.query_params:
                del st.query_params[field]
        else:
            written[field] = str(value)
            if st.query_params.get(field) != written[field]:
                st.query_params[field] = written[field]
    st.session_state[_WRITTEN] = written


def _range() -> tuple[datetime | None, datetime | None]:
    chosen = st.session_state["time"]
    if chosen in _LENGTHS:
        return data.now() - _LENGTHS[chosen][1], None
    days: tuple[date, ...] = tuple(st.session_state.get("dates") or ()) if chosen == DATES else ()
    if not days:
        return None, None
    return datetime.combine(days[0], time()), datetime.combine(days[-1] + timedelta(days=1), time())
