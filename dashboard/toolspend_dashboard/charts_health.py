"""Charts of ingestion: a frame and a palette in, a figure out."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from toolspend_dashboard import formats
from toolspend_dashboard.charts import layout
from toolspend_dashboard.health import WAYS
from toolspend_dashboard.theme import Palette

_SERIES = (0, 2, 3, 4)
"""Not the second one: it reads as an error here."""
_LEAST_BUCKETS = 24


def arrivals(frame: pd.DataFrame, palette: Palette, *, bucket_s: int, height: int = 300) -> go.Figure:
    """Spans stored over time, stacked by the way they came in. `frame`: bucket_at, way, spans."""
    figure = go.Figure()
    colours = dict(zip(WAYS, (palette.series[index] for index in _SERIES), strict=True))
    for way, label in WAYS.items():
        rows = frame[frame["way"] == way]
        if rows.empty:
            continue
        figure.add_bar(
            x=rows["bucket_at"] + pd.Timedelta(seconds=bucket_s / 2),
            y=rows["spans"],
            width=bucket_s * 1000 * 0.86,
            name=label,
            marker={"color": colours[way]},
            customdata=[formats.count(value) for value in rows["spans"]],
            hovertemplate=f"{label}: %{{customdata}}<extra></extra>",
        )
    figure.update_layout(barmode="stack", hovermode="x unified", height=height, showlegend=True, **layout(top=36))
    last, bucket = frame["bucket_at"].max(), pd.Timedelta(seconds=bucket_s)
    # One bar alone would be as wide as the chart, on an axis of fractions of a second.
    first = min(frame["bucket_at"].min(), last - (_LEAST_BUCKETS - 1) * bucket)
    figure.update_xaxes(showgrid=False, title=None, range=[first, last + bucket])
    figure.update_yaxes(title="Spans stored", rangemode="tozero", nticks=5, tickformat="~s")
    return figure
