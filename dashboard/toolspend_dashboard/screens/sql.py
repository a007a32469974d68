"""A question of one's own: SQL on a snapshot of the store, in a process that can do no harm."""

from __future__ import annotations

import io

import pandas as pd
import streamlit as st

from toolspend_dashboard import charts, components, data, formats, queries
from toolspend_dashboard.components import section
from toolspend_dashboard.formats import code, markdown
from toolspend_dashboard.queries import records
from toolspend_ingest.errors import ToolspendError

RESULT = "sql_result"
NONE = "No chart"
FIRST = "Tools by cost"

# The editor's text in a font of fixed width; static, nothing of the store goes in here.
st.html(
    "<style>.st-key-q textarea {font-family: 'Source Code Pro', monospace; font-size: 0.9rem; line-height: 1.5}</style>"
)


def take_example() -> None:
    """Put the picked example into the editor."""
    picked = st.session_state.get("example")
    if picked in queries.examples():
        st.session_state["q"] = queries.examples()[picked]
    st.session_state["example"] = None


def editor() -> None:
    """The statement, an example to start from, and the button that runs it."""
    st.selectbox(
        "Example",
        list(queries.examples()),
        index=None,
        placeholder="Start from an example question",
        key="example",
        on_change=take_example,
        label_visibility="collapsed",
        width=340,
    )
    st.text_area(
        "SQL", queries.examples()[FIRST], key="q", bind="query-params", height=210, label_visibility="collapsed"
    )
    if st.button("Run", type="primary", icon=":material/play_arrow:", shortcut="mod+enter"):
        run(str(st.session_state["q"]))


def run(sql: str) -> None:
    """Run the statement and keep its result, or the line that says why there is none."""
    try:
        with st.spinner("Running", show_time=True):
            frame, result = data.query(sql)
    except ToolspendError as error:
        st.session_state[RESULT] = str(error)
        return
    st.session_state[RESULT] = (frame, result.is_truncated, result.elapsed_ms)


def answer() -> None:
    """The last result: the table, a chart where there is something to draw, and downloads."""
    kept = st.session_state.get(RESULT)
    if kept is None:
        return
    if isinstance(kept, str):
        st.error(markdown(kept))
        return
    frame, is_truncated, elapsed_ms = kept
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        cut = " (the result is longer: this is its beginning)" if is_truncated else ""
        st.markdown(
            f"**{len(frame):,} {'row' if len(frame) == 1 else 'rows'}**{cut} :gray[in {formats.duration(elapsed_ms)}]"
        )
        with st.container(horizontal=True, width="content"):
            st.download_button("CSV", frame.to_csv(index=False), "result.csv", "text/csv", icon=":material/download:")
            st.download_button(
                "Parquet",
                parquet(frame),
                "result.parquet",
                "application/vnd.apache.parquet",
                icon=":material/download:",
            )
    st.dataframe(frame, hide_index=True, height="content" if len(frame) <= 12 else 420, placeholder="null")
    if len(frame):
        draw(frame)


def parquet(frame: pd.DataFrame) -> bytes:
    """The frame as the bytes of a Parquet file."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


def draw(frame: pd.DataFrame) -> None:
    """A chart of one column over another, where the result has a number."""
    numbers = [
        name for name in frame.columns if pd.api.types.is_numeric_dtype(frame[name]) and frame[name].dtype != "boolean"
    ]
    others = [name for name in frame.columns if name not in numbers] or list(frame.columns)
    if not numbers:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = st.segmented_control("Chart", [NONE, "Bars", "Line"], default=NONE, required=True, key="chart_kind")
        if kind == NONE:
            return
        across = st.selectbox("Across", others, width=220)
        up = st.selectbox("Up", numbers, width=220)
        split = st.selectbox(
            "Colour", [name for name in others if name != across], index=None, placeholder="None", width=220
        )
    figure = charts.of_result(
        frame, components.palette(), kind="bars" if kind == "Bars" else "line", x=across, y=up, split=split
    )
    components.chart(figure, key="result_chart", alt=f"{up} over {across}")


def schema() -> None:
    """Every relation with its columns, as the store documents them."""
    section("Schema", "Stable names; columns may be added.")
    columns = data.ask("schema")
    with st.container(height=620, border=False, gap="xsmall"):
        for relation, rows in columns.groupby("relation", sort=True):
            with st.expander(code(str(relation))):
                st.caption(markdown(str(rows["relation_comment"].iloc[0])))
                lines = [
                    f"{code(str(row.column_name))} :gray[{markdown(str(row.data_type))}]"
                    + (f"  \n:small[{markdown(row.column_comment)}]" if isinstance(row.column_comment, str) else "")
                    for row in records(rows)
                ]
                st.markdown("\n\n".join(lines))


left, right = st.columns([7, 3], gap="medium")
with right:
    schema()
with left:
    section(
        "Ask in SQL",
        "One reading statement, on a copy of the store: at most 10 s and 10,000 rows. Times are UTC, costs US dollars.",
    )
    if not int(data.extent()["spans"]):
        st.info("The store is empty. Load data with `toolspend demo` or `toolspend ingest PATH`.")
    editor()
    answer()
