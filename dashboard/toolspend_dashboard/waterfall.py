"""What ran when in a session, as a chart: frames and a palette in, a figure out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from toolspend_dashboard import formats
from toolspend_dashboard.charts import layout, rows_axis
from toolspend_dashboard.queries import records
from toolspend_dashboard.theme import Palette

_LANE = 0.8
_LANE_GAP = 0.55
_LONGEST_PAUSE_S = 20.0


def waterfall(requests: pd.DataFrame, calls: pd.DataFrame, palette: Palette) -> go.Figure:
    """Model requests and tool calls in time, a lane each for the model and every tool; parallel batches are shaded.

    `requests`: request_id, started_at, duration_ms, status, error_type, cost_usd, input_tokens, in the order of time;
    `calls`: tool, started_at, duration_ms, status, error_type, batch_id, batch_calls, speedup, result_tokens,
    times_sent. Pauses in which nothing ran are cut short and marked. A request of unknown duration is a line, where it
    began; a call is left out.
    """
    timed = calls[calls["duration_ms"].notna()]
    lanes = [None, *timed.groupby("tool")["started_at"].min().sort_values(kind="stable").index]
    starts = pd.concat([requests["started_at"], timed["started_at"]])
    durations = pd.concat([requests["duration_ms"].fillna(0.0), timed["duration_ms"]])
    clock = _Clock(starts, durations)
    figure = go.Figure()
    row, ticks, names = 0.0, [], []
    for lane in lanes:
        rows = requests if lane is None else timed[timed["tool"] == lane]
        begins = [clock.seconds(at) for at in rows["started_at"]]
        lengths = [float(length) / 1000 for length in rows["duration_ms"].fillna(0.0)]
        places = _places(begins, lengths)
        height = max(places, default=0) + 1
        names.append("<b>Model requests</b>" if lane is None else formats.figure_text(str(lane), 26))
        ticks.append(row + (height - 1) * 0.5 * _LANE)
        colour = palette.muted if lane is None else palette.accent
        hover = _request_hover(rows) if lane is None else _call_hover(rows)
        for is_error, name in ((False, "Model request" if lane is None else "Tool call"), (True, "Failed")):
            chosen = [index for index, status in enumerate(rows["status"]) if (status == "error") is is_error]
            figure.add_bar(
                base=[begins[index] for index in chosen],
                x=[lengths[index] for index in chosen],
                y=[row + places[index] * _LANE for index in chosen],
                width=_LANE * 0.78,
                orientation="h",
                name=name,
                showlegend=False,
                marker={
                    "color": "rgba(0, 0, 0, 0)" if is_error else colour,
                    "line": {"width": 1.4 if is_error else 1, "color": palette.error if is_error else colour},
                },
                customdata=[hover[index] for index in chosen],
                hovertemplate="%{customdata}<extra></extra>",
            )
            if is_error and chosen:
                figure.add_scatter(
                    x=[begins[index] + lengths[index] / 2 for index in chosen],
                    y=[row + places[index] * _LANE for index in chosen],
                    mode="markers",
                    marker={"symbol": "x", "size": 8, "color": palette.error},
                    showlegend=False,
                    customdata=[hover[index] for index in chosen],
                    hovertemplate="%{customdata}<extra></extra>",
                )
        row += height * _LANE + _LANE_GAP
    for _, batch in timed[timed["batch_calls"].fillna(0) > 1].groupby("batch_id"):
        begin = clock.seconds(batch["started_at"].min())
        end = max(
            clock.seconds(at) + length / 1000
            for at, length in zip(batch["started_at"], batch["duration_ms"], strict=True)
        )
        figure.add_shape(
            type="rect", x0=begin, x1=end, y0=0, y1=1, yref="paper", layer="below", line={"width": 0},
            fillcolor=palette.muted, opacity=0.14,
        )  # fmt: skip
    for at, pause in clock.cuts:
        figure.add_vline(x=at, line={"color": palette.muted, "width": 1, "dash": "dot"})
        figure.add_annotation(
            x=at, y=1, yref="paper", yanchor="bottom", showarrow=False, font={"size": 11},
            text=f"{formats.duration(pause * 1000)} pause",
        )  # fmt: skip
    figure.update_layout(
        barmode="overlay",
        height=max(150, int(row * 20) + 70),
        xaxis={"title": None, "ticksuffix": " s", "rangemode": "tozero", "showgrid": True, "zeroline": False},
        yaxis={**rows_axis([], []), "tickvals": ticks, "ticktext": names, "range": [row - _LANE_GAP, -_LANE]},
        **{**layout(top=26 if clock.cuts else 6), "dragmode": "zoom"},
    )
    figure.update_yaxes(fixedrange=True)
    return figure


class _Clock:
    """Seconds since the first start, with every pause in which nothing ran cut to a fixed length."""

    def __init__(self, starts: pd.Series, durations_ms: pd.Series) -> None:
        self._origin = starts.min()
        spans = sorted(
            (float((start - self._origin).total_seconds()), float(length) / 1000)
            for start, length in zip(starts, durations_ms, strict=True)
        )
        busy = sum(length for _, length in spans)
        longest = max(_LONGEST_PAUSE_S, busy * 0.1)
        kept = max(2.0, busy * 0.03)
        self._cuts: list[tuple[float, float]] = []
        self.cuts: list[tuple[float, float]] = []
        """Where a pause was cut, in seconds of the chart, and how long it was."""
        end, removed = 0.0, 0.0
        for start, length in spans:
            if start - end > longest:
                self.cuts.append((end - removed + kept / 2, start - end))
                removed += start - end - kept
                self._cuts.append((start, removed))
            end = max(end, start + length)

    def seconds(self, at: pd.Timestamp) -> float:
        """The place of a time on the chart."""
        second = float((at - self._origin).total_seconds())
        removed = 0.0
        for start, total in self._cuts:
            if second < start:
                break
            removed = total
        return second - removed


def _places(begins: Sequence[float], lengths: Sequence[float]) -> list[int]:
    """Which sub-lane each bar lies in, so that none covers another."""
    ends: list[float] = []
    places = []
    for begin, length in zip(begins, lengths, strict=True):
        place = next((index for index, end in enumerate(ends) if end <= begin), len(ends))
        ends[place : place + 1] = [begin + length]
        places.append(place)
    return places


def _request_hover(rows: pd.DataFrame) -> list[str]:
    return [
        f"<b>Request {number}</b> · {formats.duration(row.duration_ms)}<br>"
        f"{formats.count(row.input_tokens)} prompt tokens · {formats.usd(row.cost_usd)}{_failure(row)}"
        for number, row in enumerate(records(rows), start=1)
    ]


def _call_hover(rows: pd.DataFrame) -> list[str]:
    texts = []
    for row in records(rows):
        text = f"<b>{formats.figure_text(str(row.tool))}</b> · {formats.duration(row.duration_ms)}"
        text += f"<br>result {formats.count(row.result_tokens)} tokens, sent {formats.count(row.times_sent)} times"
        text += _failure(row)
        if (formats.number(row.batch_calls) or 0) > 1:
            faster = f", {row.speedup:.1f}{formats.TIMES} faster" if formats.number(row.speedup) else ""
            text += f"<br>one of {int(row.batch_calls)} calls in parallel{faster}"
        texts.append(text)
    return texts


def _failure(row: Any) -> str:
    if row.status != "error":
        return ""
    return f"<br>failed: {formats.figure_text(row.error_type) if isinstance(row.error_type, str) else 'no reason said'}"
