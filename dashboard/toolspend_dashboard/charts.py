"""Charts of the bill: a frame and a palette in, a figure out; nothing is read or drawn here."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from toolspend_dashboard import formats
from toolspend_dashboard.theme import (
    CONVERSATION_PARTS,
    OTHER_PARTS,
    PART_LABELS,
    PART_MEANINGS,
    PARTS,
    TOOL_PARTS,
    Palette,
)

Measure = Literal["cost_usd", "context_tokens"]

CONFIG: dict[str, Any] = {"displayModeBar": False, "scrollZoom": False}
"""Plotly's options for every chart."""

MAX_TOOLS = 12
FEW_CALLS = 4
OTHER_TOOLS = "Other tools"
NO_TOOL = "Conversation and overhead"

_ZEROS = re.compile(r"\.0+(?!\d)")
USD_AXIS: dict[str, Any] = {"tickprefix": "$", "tickformat": ",.6~f"}
TOKEN_AXIS: dict[str, Any] = {"tickformat": "~s"}
_DAY_S = 86_400
_GROUPS = {"Tools": TOOL_PARTS, "Conversation": CONVERSATION_PARTS, "Other": OTHER_PARTS}
_ROW_PX = 27


def timeline(
    frame: pd.DataFrame, palette: Palette, *, by: Literal["part", "tool"], bucket_s: int, height: int = 455
) -> go.Figure:
    """Spend above, context below, over time; stacked by part of the bill or by tool.

    `frame`: bucket_at, part, tool, cost_usd, context_tokens.
    """
    # Without a price there is no spend to draw, and no axis for it.
    shown = [measure for measure in ("cost_usd", "context_tokens") if frame[measure].notna().any()]
    figure = make_subplots(rows=max(len(shown), 1), cols=1, shared_xaxes=True, vertical_spacing=0.09)
    stacked, colours, labels = _by_part(frame, palette) if by == "part" else _by_tool(frame, palette)
    # A bar stands in the middle of its bucket; the bar of a day stands over the day's date.
    middle = pd.Timedelta(seconds=bucket_s / 2 if bucket_s < _DAY_S else 0)
    for owner, colour in colours.items():
        rows = (
            stacked[stacked["owner"] == owner]
            .groupby("bucket_at", as_index=False)[["cost_usd", "context_tokens"]]
            .sum()
        )
        for row, measure in enumerate(shown, start=1):
            write = formats.usd if measure == "cost_usd" else tokens
            figure.add_bar(
                x=rows["bucket_at"] + middle,
                y=rows[measure],
                width=bucket_s * 1000 * 0.86,
                name=labels[owner],
                legendgroup=str(owner),
                showlegend=row == 1,
                marker=fill(colour, palette, owner),
                customdata=[write(value) for value in rows[measure]],
                hovertemplate=f"{labels[owner]}: %{{customdata}}<extra></extra>",
                row=row,
                col=1,
            )
    figure.update_layout(barmode="stack", hovermode="x unified", height=height, **layout(top=58))
    figure.update_xaxes(showgrid=False, title=None)
    for row, measure in enumerate(shown, start=1):
        title, axis = ("Spend", USD_AXIS) if measure == "cost_usd" else ("Context tokens", TOKEN_AXIS)
        figure.update_yaxes(title=title, rangemode="tozero", nticks=5, **axis, row=row, col=1)
    return figure


def pareto(frame: pd.DataFrame, palette: Palette, *, measure: Measure, whole: float, highlighted: int) -> go.Figure:
    """Tools, the largest on top, each bar made of its parts, with the cumulative share of `whole` as a line.

    `frame`: tool, part, cost_usd, context_tokens; the first `highlighted` tools reach the share that is named.
    """
    sums = frame.groupby("tool")[measure].sum().sort_values(ascending=False, kind="stable")
    shown = list(sums.index[:MAX_TOOLS])
    rest = list(sums.index[MAX_TOOLS:])
    rows = [*shown, *([OTHER_TOOLS] if rest else [])]
    values = [*(float(sums[tool]) for tool in shown), *([float(sums[rest].sum())] if rest else [])]
    positions = list(range(len(rows)))
    names = [f"{len(rest)} other tools" if tool is OTHER_TOOLS else formats.figure_text(str(tool), 26) for tool in rows]
    write = formats.usd if measure == "cost_usd" else tokens
    figure = go.Figure()
    for part in TOOL_PARTS:
        of_part = frame[frame["part"] == part].groupby("tool")[measure].sum()
        lengths = [
            float(of_part.reindex(rest).sum()) if tool is OTHER_TOOLS else float(of_part.get(tool, 0.0))
            for tool in rows
        ]
        if not any(lengths):
            continue
        figure.add_bar(
            y=positions,
            x=lengths,
            orientation="h",
            name=PART_LABELS[part],
            marker=fill(palette.parts[part], palette, part),
            customdata=[[name, write(length)] for name, length in zip(names, lengths, strict=True)],
            hovertemplate=f"<b>%{{customdata[0]}}</b><br>{PART_LABELS[part]}: %{{customdata[1]}}<extra></extra>",
        )
    shares = [sum(values[: index + 1]) / whole if whole else 0.0 for index in positions]
    figure.add_scatter(
        x=shares,
        y=positions,
        xaxis="x2",
        mode="lines+markers+text",
        showlegend=False,
        line={"color": palette.muted, "width": 1.3, "dash": "dot"},
        marker={"size": [9 if index == highlighted - 1 else 5 for index in positions], "color": palette.muted},
        text=[
            f"<b>{formats.percent(share)}</b>" if index == highlighted - 1 else "" for index, share in enumerate(shares)
        ],
        textposition="middle right",
        customdata=[
            [formats.percent(share), "All" if index + 1 == len(rows) else f"{index + 1} largest"]
            for index, share in enumerate(shares)
        ],
        hovertemplate="%{customdata[1]} together: %{customdata[0]}<extra></extra>",
        cliponaxis=False,
    )
    axis = USD_AXIS if measure == "cost_usd" else TOKEN_AXIS
    figure.update_layout(
        barmode="stack",
        bargap=0.32,
        height=_ROW_PX * len(rows) + 110,
        xaxis={"title": None, "nticks": 6, "rangemode": "tozero", **axis},
        xaxis2={
            "overlaying": "x", "side": "top", "range": [0, 1.08], "tickformat": ".0%", "showgrid": False,
            "tickvals": [0, 0.25, 0.5, 0.75, 1], "zeroline": False,
        },
        yaxis=rows_axis(positions, names),
        **layout(top=64),
    )  # fmt: skip
    return figure


def anatomy(frame: pd.DataFrame, palette: Palette, *, measure: Measure) -> go.Figure:
    """The whole bill, one bar a part, in the groups tools, conversation and other, which add up to it.

    `frame`: part, cost_usd, context_tokens.
    """
    sums = frame.groupby("part")[measure].sum()
    whole = float(sums.sum())
    write = formats.usd if measure == "cost_usd" else tokens
    names: list[str] = []
    values: list[float] = []
    texts: list[str] = []
    hovers: list[str] = []
    colours: list[str] = []
    shapes: list[str] = []
    groups = sum(bool(sums.reindex(list(parts)).fillna(0).any()) for parts in _GROUPS.values())
    for group, parts in _GROUPS.items():
        inside = sums.reindex(list(parts)).dropna().sort_values(ascending=False, kind="stable")
        inside = inside[inside != 0]
        if inside.empty:
            continue
        if groups > 1:
            total = float(inside.sum())
            names.append(f"<b>{group}</b>")
            values.append(0.0)
            texts.append(f"<b>{write(total)} · {formats.percent(_share(total, whole))}</b>")
            hovers.append(names[-1])
            colours.append(palette.muted)
            shapes.append("")
        for part, value in inside.items():
            names.append(PART_LABELS.get(str(part), str(part)))
            values.append(float(value))
            texts.append(f"{write(value)} · {formats.percent(_share(float(value), whole))}")
            hovers.append(f"<b>{names[-1]}</b>: {texts[-1]}<br>{PART_MEANINGS.get(str(part), '')}")
            colours.append(palette.parts.get(str(part), palette.muted))
            shapes.append("/" if part == "unattributed" else "")
    positions = list(range(len(names)))
    figure = go.Figure(
        go.Bar(
            y=positions,
            x=values,
            orientation="h",
            marker={"color": colours, "pattern": {"shape": shapes, "size": 5, "solidity": 0.35}},
            text=texts,
            textposition="outside",
            cliponaxis=False,
            customdata=hovers,
            hovertemplate="%{customdata}<extra></extra>",
        )
    )
    figure.update_layout(
        height=_ROW_PX * max(len(names), 3) + 30,
        bargap=0.34,
        xaxis={"visible": False, "range": [0, max(values, default=0) * 1.42 or 1]},
        yaxis=rows_axis(positions, names),
        showlegend=False,
        **layout(top=4),
    )
    return figure


def distribution(
    series: Mapping[str, Iterable[float]],
    palette: Palette,
    *,
    unit: Literal["duration", "tokens"],
    marks: dict[str, float],
) -> go.Figure:
    """How often which size occurs, on a logarithmic axis: first series filled, others outlined; `marks` as lines."""
    write = formats.duration if unit == "duration" else tokens
    edges = _log_edges([value for values in series.values() for value in values])
    figure, highest = go.Figure(), 0
    for index, (name, values) in enumerate(series.items()):
        # What is smaller than the axis begins (a call of no time) counts in its first bar.
        inside = pd.Series(list(values), dtype="float64").clip(lower=edges[0])
        heights = pd.cut(inside, edges, include_lowest=True, labels=False).value_counts()
        counts = [int(heights.get(position, 0)) for position in range(len(edges) - 1)]
        highest = max(highest, *counts)
        ranges = [f"{write(low)} to {write(high)}" for low, high in pairwise(edges)]
        hover = f"{name}, %{{customdata}}: %{{y}}<extra></extra>"
        if index == 0:
            figure.add_bar(
                x=[(low * high) ** 0.5 for low, high in pairwise(edges)],
                y=counts,
                width=[(high - low) * 0.94 for low, high in pairwise(edges)],
                name=name,
                marker={"color": palette.parts["definition"], "line": {"width": 0}},
                customdata=ranges,
                hovertemplate=hover,
            )
        else:
            figure.add_scatter(
                x=edges,
                y=[*counts, counts[-1]],
                name=name,
                mode="lines",
                line={"shape": "hv", "color": palette.parts["result"], "width": 2},
                customdata=[*ranges, ranges[-1]],
                hovertemplate=hover,
            )
    for index, (name, value) in enumerate(marks.items()):
        # On a logarithmic axis a shape stands at the value, an annotation at its logarithm.
        figure.add_shape(
            type="line", x0=value, x1=value, y0=0, y1=1, yref="paper",
            line={"color": palette.muted, "width": 1, "dash": "dot"},
        )  # fmt: skip
        figure.add_annotation(
            x=math.log10(value) if value > 0 else 0, y=1, yref="paper", yanchor="bottom", showarrow=False,
            xanchor="right" if index == 0 and len(marks) > 1 else "left", text=f"{name} {write(value)}",
            font={"size": 11},
        )  # fmt: skip
    ticks = _log_ticks(edges)
    # Of few calls every one has its mark: between them there is none.
    whole = {"dtick": 1} if highest <= FEW_CALLS else {}
    figure.update_layout(
        height=250,
        bargap=0,
        showlegend=len(series) > 1,
        xaxis={
            "type": "log",
            "tickvals": ticks,
            "ticktext": [_ZEROS.sub("", write(tick)) for tick in ticks],
            "showgrid": False,
        },
        yaxis={"title": "Calls", "nticks": 5, "rangemode": "tozero", "tickformat": "d", **whole},
        **layout(top=48 if len(series) > 1 else 30),
    )
    return figure


def _by_part(frame: pd.DataFrame, palette: Palette) -> tuple[pd.DataFrame, dict[str, str], dict[str, str]]:
    stacked = frame.assign(owner=frame["part"])
    present = set(stacked.loc[(stacked["cost_usd"].fillna(0) != 0) | (stacked["context_tokens"] != 0), "part"])
    colours = {part: palette.parts[part] for part in PARTS if part in present}
    return stacked, colours, {part: PART_LABELS[part] for part in colours}


def _by_tool(frame: pd.DataFrame, palette: Palette) -> tuple[pd.DataFrame, dict[str, str], dict[str, str]]:
    sums = frame[frame["tool"].notna()].groupby("tool")[["cost_usd", "context_tokens"]].sum()
    ranked = list(sums.sort_values(["cost_usd", "context_tokens"], ascending=False, kind="stable").index)
    named = ranked[: len(palette.series) - 1]
    # Positions, not names: a tool may be called like one of the labels.
    owners = {tool: str(index) for index, tool in enumerate(named)}
    stacked = frame.assign(
        owner=[
            "rest" if pd.isna(tool) else owners.get(tool, "others")
            for tool in frame["tool"]
        ]
    )  # fmt: skip
    colours = {owners[tool]: palette.series[index] for index, tool in enumerate(named)}
    labels = {owners[tool]: formats.figure_text(str(tool), 28) for tool in named}
    if len(ranked) > len(named):
        colours["others"], labels["others"] = palette.series[-1], f"{len(ranked) - len(named)} other tools"
    colours["rest"], labels["rest"] = palette.parts["system"], NO_TOOL
    return stacked, colours, labels


def fill(colour: str, palette: Palette, owner: str) -> dict[str, Any]:
    """A bar's look: a hairline of background between neighbours, and hatching for what is not explained."""
    fill: dict[str, Any] = {"color": colour, "line": {"color": palette.background, "width": 0.6}}
    if owner == "unattributed":
        fill["pattern"] = {"shape": "/", "size": 5, "solidity": 0.35}
    return fill


def rows_axis(positions: Sequence[int], names: Sequence[str]) -> dict[str, Any]:
    """A vertical axis of names, the first on top."""
    return {
        "tickvals": list(positions),
        "ticktext": list(names),
        "range": [len(positions) - 0.45, -0.55],
        "showgrid": False,
        "zeroline": False,
        "automargin": True,
        "ticklabelstandoff": 6,
    }


def layout(*, top: int) -> dict[str, Any]:
    """Margins and legend of every chart; `top` leaves room for the legend, in pixels."""
    return {
        "margin": {"l": 4, "r": 8, "t": top, "b": 4},
        "legend": {
            "orientation": "h", "x": 0, "xanchor": "left", "y": 1, "yanchor": "top", "yref": "container",
            "title": {"text": ""}, "traceorder": "normal", "itemsizing": "constant",
        },
        "hoverlabel": {"align": "left"},
        "dragmode": False,
    }  # fmt: skip


def tokens(value: float | None) -> str:
    """A number of tokens as charts show it."""
    return formats.count(value)


def _share(value: float, whole: float) -> float | None:
    return value / whole if whole else None


def _log_edges(values: Sequence[float], bins: int = 28) -> list[float]:
    """Bin edges in equal ratios around the values, at least a factor of ten apart."""
    low = max(min(values, default=1.0), 0.1)
    high = max(*values, low, 1.0)
    middle, span = math.log10(low * high) / 2, max(math.log10(high / low) * 1.04, 1.0)
    return [10 ** (middle - span / 2 + span * step / bins) for step in range(bins + 1)]


def _log_ticks(edges: Sequence[float]) -> list[float]:
    powers = range(math.floor(math.log10(edges[0])), math.ceil(math.log10(edges[-1])) + 1)
    steps = (1, 2, 5) if len(powers) <= 4 else (1,)
    return [step * 10.0**power for power in powers for step in steps if edges[0] <= step * 10.0**power <= edges[-1]]


def of_result(
    frame: pd.DataFrame, palette: Palette, *, kind: Literal["bars", "line"], x: str, y: str, split: str | None = None
) -> go.Figure:
    """A column of any result over another; with `split`, a series for each of its most frequent values."""
    figure = go.Figure()
    groups: list[tuple[str, pd.DataFrame]] = [(y, frame)]
    if split is not None:
        keys = frame[split].astype("str").fillna("null")
        largest = list(keys.value_counts().index[: len(palette.series) - 1])
        groups = [(str(key), frame[keys == key]) for key in largest]
        if len(rest := frame[~keys.isin(largest)]):
            groups.append(("others", rest))
    for (name, rows), colour in zip(groups, palette.series, strict=False):
        across = rows[x] if pd.api.types.is_datetime64_any_dtype(rows[x]) else [_label(value) for value in rows[x]]
        up = rows[y].astype("float64")
        label = formats.figure_text(name, 28)
        if kind == "bars":
            figure.add_bar(x=across, y=up, name=label, marker={"color": colour})
        else:
            figure.add_scatter(x=across, y=up, name=label, mode="lines+markers", line={"color": colour, "width": 2})
    figure.update_layout(
        height=340,
        barmode="stack",
        showlegend=split is not None,
        xaxis={"title": formats.figure_text(x, 40), "automargin": True},
        yaxis={"title": formats.figure_text(y, 40), "rangemode": "tozero"},
        **layout(top=54 if split is not None else 12),
    )
    return figure


def _label(value: Any) -> str:
    return "null" if value is None or value is pd.NA or value != value else formats.figure_text(str(value), 28)
