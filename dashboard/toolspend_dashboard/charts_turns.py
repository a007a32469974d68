"""Charts of one session, request by request: a frame and a palette in, a figure out."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from toolspend_dashboard import charts, formats
from toolspend_dashboard.theme import PART_LABELS, RATE_LABELS, RATES, Palette


def context_by_turn(
    frame: pd.DataFrame, palette: Palette, turns: Sequence[Hashable], *, breaks: Mapping[Hashable, str] | None = None
) -> go.Figure:
    """The prompt of each request in its order (definitions below, then system, then messages), in tokens.

    `frame`: request_id, part, rate, tokens; `turns`: the request ids in the order of time; `breaks`: what to say of
    those that are marked.
    """
    prompt = frame[~frame["rate"].isin(["output", "fee"])]
    order = ("definition", "overhead", "system", "user", "assistant", "thinking", "compaction", "carry", "result",
             "call", "compression", "unattributed")  # fmt: skip
    figure = _by_turn(prompt, palette, turns, column="part", keys=order, value="tokens", title="Prompt tokens")
    return _mark(figure, palette, prompt.groupby("request_id")["tokens"].sum(), turns, breaks or {})


def cost_by_turn(
    frame: pd.DataFrame, palette: Palette, turns: Sequence[Hashable], *, breaks: Mapping[Hashable, str] | None = None
) -> go.Figure:
    """What each request cost, by rate; as `context_by_turn`. `frame`: request_id, part, rate, cost_usd."""
    figure = _by_turn(frame, palette, turns, column="rate", keys=RATES, value="cost_usd", title="Cost")
    return _mark(figure, palette, frame.groupby("request_id")["cost_usd"].sum(), turns, breaks or {})


def _mark(
    figure: go.Figure,
    palette: Palette,
    heights: pd.Series[Any],
    turns: Sequence[Hashable],
    breaks: Mapping[Hashable, str],
) -> go.Figure:
    """Points a triangle at the bars of some requests."""
    if not breaks:
        return figure
    heights = heights.astype(float)
    marked = [(number, turn) for number, turn in enumerate(turns, start=1) if turn in breaks]
    figure.add_scatter(
        x=[number for number, _ in marked],
        y=[float(heights.get(turn, 0.0)) + 0.04 * float(heights.max()) for _, turn in marked],
        mode="markers",
        name="Cache break",
        marker={"symbol": "triangle-down", "size": 11, "color": palette.error},
        customdata=[breaks[turn] for _, turn in marked],
        hovertemplate="<b>Cache break</b>: %{customdata}<extra></extra>",
        cliponaxis=False,
    )
    return figure


def _by_turn(
    frame: pd.DataFrame,
    palette: Palette,
    turns: Sequence[Hashable],
    *,
    column: str,
    keys: Sequence[str],
    value: str,
    title: str,
) -> go.Figure:
    labels = PART_LABELS if column == "part" else RATE_LABELS
    colours = palette.parts if column == "part" else palette.rates
    write = formats.usd if value == "cost_usd" else charts.tokens
    numbers = list(range(1, len(turns) + 1))
    figure = go.Figure()
    sums = frame.groupby([column, "request_id"])[value].sum()
    present = set(sums.index.get_level_values(0))
    for key in keys:
        if key not in present:
            continue
        heights = sums[key].reindex(list(turns)).fillna(0).astype(float)
        if not heights.any():
            continue
        figure.add_bar(
            x=numbers,
            y=heights,
            name=labels[key],
            marker=charts.fill(colours[key], palette, key),
            customdata=[write(height) for height in heights],
            hovertemplate=f"{labels[key]}: %{{customdata}}<extra></extra>",
        )
    axis = charts.USD_AXIS if value == "cost_usd" else charts.TOKEN_AXIS
    figure.update_layout(
        barmode="stack",
        bargap=0.18 if len(turns) < 80 else 0,
        hovermode="x unified",
        height=320,
        xaxis={
            "title": "Request", "showgrid": False, "tickformat": "d", "tickangle": 0,
            "tickvals": numbers[:: _step(len(turns))], "range": [0.4, max(len(turns), 6) + 0.6],
        },
        yaxis={"title": title, "nticks": 6, "rangemode": "tozero", **axis},
        **charts.layout(top=54),
    )  # fmt: skip
    return figure


def _step(turns: int) -> int:
    """How many requests lie between two labels."""
    return next((step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500) if turns / step <= 16), 1000)
