"""Versions of one tool beside each other: a frame of `version_comparison` in, a figure and a table out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from toolspend_dashboard import formats
from toolspend_dashboard.charts import layout, rows_axis
from toolspend_dashboard.theme import Palette

MAX_VERSIONS: Final = 8
_ROW_PX: Final = 38
_LONGEST_LABEL: Final = 34


@dataclass(frozen=True)
class Measure:
    """One thing that versions are compared by: its columns, and how its values and changes read."""

    title: str
    value: str
    interval: str
    change: str
    write: Callable[[float | None], str]
    write_change: Callable[[float], str]
    same: float = 0.0
    """The change that is none."""


def _signed(write: Callable[[float], str]) -> Callable[[float], str]:
    def signed(value: float) -> str:
        sign = "+" if value > 0 else "-" if value < 0 else ""
        return f"{sign}{write(abs(value))}"

    return signed


def _points(share: float) -> str:
    return f"{share * 100:.1f} points"


def _times(ratio: float) -> str:
    return f"{ratio:.2f}{formats.TIMES}"


MEASURES: Final = (
    Measure(
        "Tokens of a result",
        "result_tokens_mean",
        "result_tokens",
        "result_tokens_change",
        formats.count,
        _signed(formats.count),
    ),
    Measure("Cost of a call", "cost_usd_mean", "cost_usd", "cost_usd_change", formats.usd, _signed(formats.usd)),
    Measure("Failed", "error_share", "error_share", "error_share_change", formats.percent, _signed(_points)),
    Measure("Median time", "p50_ms", "p50_ms", "duration_ratio", formats.duration, _times, same=1.0),
)


def labels(frame: pd.DataFrame) -> list[str]:
    """A name for each version: what its author declared and the tool's name where that differs, else its hash."""
    is_family = frame["tool"].nunique() > 1
    found = []
    for row in frame.to_dict("records"):
        declared = row["declared_version"] if isinstance(row["declared_version"], str) else None
        found.append(" ".join(filter(None, (str(row["tool"]) if is_family else None, declared and f"v{declared}"))))
    return [
        name if name and found.count(name) == 1 else f"{name} {version}".strip()
        for name, version in zip(found, frame["tool_version"].astype(str), strict=True)
    ]


def comparison(frame: pd.DataFrame, palette: Palette) -> go.Figure:
    """Each measure in a panel of its own, a row a version: its value as a point, its 95 % interval as a line."""
    names = [formats.figure_text(name, _LONGEST_LABEL) for name in labels(frame)]
    positions = list(range(len(names)))
    figure = make_subplots(
        rows=1, cols=len(MEASURES), shared_yaxes=True, horizontal_spacing=0.035,
        subplot_titles=[measure.title for measure in MEASURES],
    )  # fmt: skip
    newest = len(names) - 1
    for column, measure in enumerate(MEASURES, start=1):
        values, lows, highs = (
            [formats.number(each) for each in frame[name]]
            for name in (measure.value, f"{measure.interval}_low", f"{measure.interval}_high")
        )
        known = [place for place in positions if values[place] is not None]
        figure.add_scatter(
            x=[values[place] for place in known],
            y=known,
            mode="markers+text",
            showlegend=False,
            marker={
                "size": 9,
                "color": [palette.accent if place == newest else palette.muted for place in known],
            },
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [_reach(highs[place], values[place]) for place in known],
                "arrayminus": [_reach(values[place], lows[place]) for place in known],
                "color": palette.muted,
                "thickness": 1.6,
                "width": 4,
            },
            text=[measure.write(values[place]) for place in known],
            textposition="top center",
            textfont={"size": 11},
            customdata=[[names[place], _interval(measure.write, lows[place], highs[place])] for place in known],
            hovertemplate="<b>%{customdata[0]}</b><br>%{text}<br>%{customdata[1]}<extra></extra>",
            cliponaxis=False,
            row=1,
            col=column,
        )
        ends = [each for each in (*values, *lows, *highs) if each is not None]
        high = max(ends, default=0.0) or 1.0
        ticks = _ticks(high)
        # From zero, so that lengths can be compared; a little beyond, so that what is written at the ends is seen.
        figure.update_xaxes(
            range=[-0.06 * high, 1.16 * high], tickvals=ticks, ticktext=[measure.write(tick) for tick in ticks],
            showgrid=True, gridcolor=palette.grid, zeroline=False, row=1, col=column,
        )  # fmt: skip
    figure.update_yaxes(showgrid=False, zeroline=False)
    figure.update_yaxes(**rows_axis(positions, names), row=1, col=1)
    figure.update_yaxes(range=[len(positions) - 0.45, -0.7])
    figure.update_annotations(font={"size": 12})
    figure.update_layout(height=_ROW_PX * len(names) + 96, **layout(top=34))
    return figure


def changes(frame: pd.DataFrame) -> pd.DataFrame:
    """What the newest version changed against the one before it: a row a measure, with the interval in words."""
    before, now = (row for _, row in frame.tail(2).iterrows())
    rows: list[dict[str, Any]] = []
    for measure in MEASURES:
        low, high = (formats.number(now[f"{measure.change}_{end}"]) for end in ("low", "high"))
        change, write = formats.number(now[measure.change]), measure.write_change
        rows.append(
            {
                "Measure": measure.title,
                "Before": measure.write(before[measure.value]),
                "Now": measure.write(now[measure.value]),
                "Change": formats.UNKNOWN if change is None else write(change),
                "95 % interval": formats.UNKNOWN if low is None or high is None else f"{write(low)} to {write(high)}",
                "Verdict": _verdict(low, high, measure.same),
            }
        )
    return pd.DataFrame(rows)


def _verdict(low: float | None, high: float | None, same: float) -> str:
    if low is None or high is None:
        return "too few calls to tell"
    return "lower" if high < same else "higher" if low > same else "no clear difference"


def _reach(high: float | None, low: float | None) -> float:
    return 0.0 if high is None or low is None else max(high - low, 0.0)


def _interval(write: Callable[[float | None], str], low: float | None, high: float | None) -> str:
    return "no interval: too few calls" if low is None or high is None else f"{write(low)} to {write(high)}"


def _ticks(high: float) -> list[float]:
    """Zero and one to three round steps up to `high`."""
    power = 10.0 ** math.floor(math.log10(high))
    step = next(each * power for each in (0.5, 1.0, 2.0, 2.5, 5.0) if each * power * 3 >= high)
    return [step * place for place in range(4) if step * place <= high * 1.001]
