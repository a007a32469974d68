"""What pages ask the store, cached: the only module that knows both the queries and Streamlit."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from toolspend_dashboard import queries, snapshot, state
from toolspend_dashboard.queries import Filters
from toolspend_dashboard.state import current_store
from toolspend_ingest import sandbox

if TYPE_CHECKING:
    from toolspend_dashboard import tool_audit

TTL_S = 300
"""Answers are kept this long for one state of the store; a change of the store asks anew at once."""
REVISION_TTL_S = 1
"""A page asks many questions in one run; whether the store has changed is looked up once."""
MAX_ANSWERS = 400
MAX_BUCKETS = 60
_BUCKETS_S = (1, 5, 15, 60, 300, 900, 3600, 3 * 3600, 6 * 3600, 86_400, 7 * 86_400, 30 * 86_400)

_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}

Revision = tuple[str, int, int, str]


def revision() -> Revision:
    """What identifies the store's present contents: its path, spans, requests and the time of the last load."""
    return _revision(str(current_store().path))


def extent() -> pd.Series[Any]:
    """How much the store holds, from when to when: spans, requests, calls, first_at, last_at, loaded_at."""
    return ask("extent").iloc[0]


def ask(name: str, filters: Filters | None = None, **values: Any) -> pd.DataFrame:
    """The answer of one query for the filters, from the cache where the store has not changed."""
    bound = {**(filters or Filters()).parameters(), **values}
    used = {parameter: bound[parameter] for parameter in queries.parameters(name)}
    return _ask(revision(), name, tuple(sorted(used.items())))


def audit(filters: Filters) -> tool_audit.Audit:
    """The tool audit of what the store has seen, from the cache where the store has not changed."""
    return _audit(revision(), tuple(sorted(filters.parameters().items())))


def bucket_s(filters: Filters) -> int:
    """How long a bucket of a chart over time is, in seconds, so that at most `MAX_BUCKETS` cover the selection."""
    totals = ask("totals", filters).iloc[0]
    first = pd.Series([totals["first_at"], totals["first_call_at"]]).min()
    last = pd.Series([totals["last_at"], totals["last_call_at"]]).max()
    if pd.isna(first) or pd.isna(last):
        return _BUCKETS_S[0]
    return _bucket_s((last - first).total_seconds())


def bucket_of(times: pd.Series[Any]) -> int:
    """The same for these times."""
    return _bucket_s((times.max() - times.min()).total_seconds()) if len(times) else _BUCKETS_S[0]


def _bucket_s(length_s: float) -> int:
    return next((size for size in _BUCKETS_S if length_s / size <= MAX_BUCKETS), _BUCKETS_S[-1])


def now() -> datetime:
    """The present, UTC, to the minute: relative time ranges move once a minute, so that answers can be kept."""
    return pd.Timestamp.now(tz="UTC").floor("min").tz_localize(None).to_pydatetime()


def now_exactly() -> datetime:
    """The present, UTC, for what is drawn anew every few seconds."""
    return pd.Timestamp.now(tz="UTC").tz_localize(None).to_pydatetime()


def query(sql: str) -> tuple[pd.DataFrame, sandbox.Result]:
    """The answer to a stranger's SQL, as a frame and as received; it runs in a sandbox on a snapshot, never here.

    Raises a ToolspendError of one line.
    """
    result = sandbox.run(sql, snapshot.fresh())
    return frame_of(result), result


def frame_of(result: sandbox.Result) -> pd.DataFrame:
    """A sandbox's result as a frame: columns of one name are numbered, whole numbers and times keep their types."""
    columns: dict[str, pd.Series[Any]] = {}
    for index, (name, kind) in enumerate(zip(result.columns, result.types, strict=True)):
        values = pd.Series([row[index] for row in result.rows], dtype="object")
        unique, number = name, 2
        while unique in columns:
            unique, number = f"{name}_{number}", number + 1
        columns[unique] = _typed(values, kind.upper())
    return pd.DataFrame(columns)


def _typed(values: pd.Series[Any], kind: str) -> pd.Series[Any]:
    if kind in _INTEGERS:
        return values.astype("Int64")
    if kind in {"DOUBLE", "FLOAT"} or (kind.startswith("DECIMAL") and not kind.endswith("]")):
        return values.astype("float64")
    if kind in {"TIMESTAMP", "DATE"}:
        return pd.to_datetime(values, errors="coerce", format="ISO8601")
    if kind == "BOOLEAN":
        return values.astype("boolean")
    return values.map(lambda value: value if value is None or isinstance(value, str) else json.dumps(value)).astype(
        "str"
    )


@st.cache_data(ttl=REVISION_TTL_S, max_entries=8, show_spinner=False)
def _revision(path: str) -> Revision:
    row = state.read(lambda cursor: queries.run(cursor, "extent")).iloc[0]
    return path, int(row["spans"]), int(row["requests"]), str(row["loaded_at"])


@st.cache_data(ttl=TTL_S, max_entries=MAX_ANSWERS // 10, show_spinner=False)
def _audit(revision: Revision, values: tuple[tuple[str, Any], ...]) -> tool_audit.Audit:
    del revision  # part of the key
    # It brings all of the tool layer, for which the first page would wait.
    from toolspend_dashboard import tool_audit

    return state.read(lambda cursor: tool_audit.of_store(lambda name: queries.run(cursor, name, **dict(values))))


@st.cache_data(ttl=TTL_S, max_entries=MAX_ANSWERS, show_spinner=False)
def _ask(revision: Revision, name: str, values: tuple[tuple[str, Any], ...]) -> pd.DataFrame:
    del revision  # part of the key
    return state.read(lambda cursor: queries.run(cursor, name, **dict(values)))
