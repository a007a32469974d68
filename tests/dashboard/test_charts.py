"""Charts are functions of a frame: what is in the frame is in the figure."""

from __future__ import annotations

import itertools
import re
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from toolspend_dashboard import charts, charts_health, charts_turns, formats, theme
from toolspend_dashboard.theme import DARK, LIGHT, Palette
from toolspend_dashboard.waterfall import waterfall

AT = datetime(2026, 11, 9, 8)
HOSTILE = "<script>alert(1)</script>"


def ledger() -> pd.DataFrame:
    """Two tools and the conversation in two buckets."""
    rows = [
        (AT, "carry", "read_file", 900, 0.9),
        (AT, "result", "read_file", 300, 0.3),
        (AT + timedelta(days=1), "definition", HOSTILE, 100, 0.1),
        (AT, "system", None, 200, 0.2),
        (AT, "unattributed", None, 50, None),
    ]
    return pd.DataFrame(rows, columns=["bucket_at", "part", "tool", "context_tokens", "cost_usd"])


def total(figure: object, axis: str) -> float:
    """The sum of a figure's bars along an axis."""
    return float(sum(np.nansum(np.asarray(bar[axis], dtype=float)) for bar in figure.data if bar.type == "bar"))  # type: ignore[attr-defined]


@pytest.mark.parametrize("by", ["part", "tool"])
def test_a_timeline_draws_all_of_the_bill(by: str) -> None:
    """Spend and context stacked by part or by tool add up to the frame."""
    figure = charts.timeline(ledger(), LIGHT, by=by, bucket_s=86_400)  # type: ignore[arg-type]
    upper = sum(float(np.nansum(bar.y)) for bar in figure.data if bar.yaxis == "y")
    lower = sum(float(np.nansum(bar.y)) for bar in figure.data if bar.yaxis == "y2")
    assert (upper, lower) == (pytest.approx(1.5), pytest.approx(1550))


def test_a_pareto_ends_at_the_tools_share_of_the_whole() -> None:
    """Bars add up to what tools cost, and the line ends at their share."""
    of_tools = ledger().dropna(subset=["tool"])
    figure = charts.pareto(of_tools, LIGHT, measure="cost_usd", whole=1.5, highlighted=1)
    assert total(figure, "x") == pytest.approx(1.3)
    line = next(trace for trace in figure.data if trace.type == "scatter")
    assert list(line.x) == [pytest.approx(0.8), pytest.approx(1.3 / 1.5)]
    assert list(line.text) == ["<b>80 %</b>", ""]


def test_a_pareto_of_many_tools_puts_the_small_ones_together() -> None:
    """The chart stays readable, and nothing is left out of it."""
    many = pd.DataFrame(
        {"tool": [f"tool_{n}" for n in range(40)], "part": "carry", "cost_usd": 1.0, "context_tokens": 1}
    )
    figure = charts.pareto(many, LIGHT, measure="cost_usd", whole=40, highlighted=3)
    assert list(figure.layout.yaxis.ticktext)[-1] == "28 other tools"
    assert total(figure, "x") == 40
    said = [label for _, label in next(trace for trace in figure.data if trace.type == "scatter").customdata]
    assert said == [*(f"{number} largest" for number in range(1, 13)), "All"]


def test_the_anatomy_names_each_part_and_adds_up() -> None:
    """Groups carry their subtotal in words; only parts have bars."""
    figure = charts.anatomy(ledger(), LIGHT, measure="context_tokens")
    assert total(figure, "x") == 1550
    assert list(figure.layout.yaxis.ticktext) == [
        "<b>Tools</b>", "Carry", "Results", "Definitions", "<b>Conversation</b>", "System prompt", "<b>Other</b>",
        "Unattributed",
    ]  # fmt: skip
    assert figure.data[0].text[0] == "<b>1.30k · 84 %</b>"


def test_a_hostile_tool_name_is_text_in_a_chart() -> None:
    """No trace, tick or hover text holds the tag."""
    figures = [
        charts.pareto(ledger().dropna(subset=["tool"]), LIGHT, measure="cost_usd", whole=1, highlighted=1),
        charts.timeline(ledger(), LIGHT, by="tool", bucket_s=60),
        waterfall(requests(2), calls([HOSTILE]), LIGHT),
    ]
    for figure in figures:
        text = figure.to_json()
        assert "<script" not in text
        assert "&lt;script" in text or "\\u0026lt;script" in text


def requests(number: int) -> pd.DataFrame:
    """Requests of one second each, one every ten seconds."""
    return pd.DataFrame(
        {
            "request_id": [f"r{n}" for n in range(number)],
            "started_at": [AT + timedelta(seconds=10 * n) for n in range(number)],
            "duration_ms": 1000.0, "status": "ok", "error_type": None, "cost_usd": 0.1, "input_tokens": 1000,
        }
    )  # fmt: skip


def calls(tools: list[str], status: str = "ok") -> pd.DataFrame:
    """Calls that start together, after the first request."""
    return pd.DataFrame(
        {
            "tool": tools, "started_at": AT + timedelta(seconds=1), "duration_ms": 2000.0, "status": status,
            "error_type": "TimeoutError" if status == "error" else None, "batch_id": "b", "batch_calls": len(tools),
            "speedup": 2.0, "result_tokens": 10, "times_sent": 3,
        }
    )  # fmt: skip


def test_parallel_calls_of_one_tool_lie_side_by_side() -> None:
    """Bars that overlap in time have places of their own, and the batch is shaded."""
    figure = waterfall(requests(2), calls(["search"] * 3), LIGHT)
    places = [y for bar in figure.data if bar.type == "bar" and len(bar.x) == 3 for y in bar.y]
    assert len(set(places)) == 3
    band = next(shape for shape in figure.layout.shapes if shape.type == "rect")
    assert (band.x0, band.x1) == (1.0, 3.0)


def test_a_failed_call_is_marked_beside_its_colour() -> None:
    """A cross stands on it, so that colour is not all that tells."""
    figure = waterfall(requests(1), calls(["search"], "error"), LIGHT)
    crosses = [trace for trace in figure.data if trace.type == "scatter" and trace.marker.symbol == "x"]
    assert len(crosses) == 1
    assert "TimeoutError" in crosses[0].customdata[0]


def test_a_request_of_unknown_duration_is_a_line_where_it_began() -> None:
    """It says that its time is unknown, and moves nothing beside it."""
    two = requests(2)
    two.loc[0, "duration_ms"] = None
    bars = waterfall(two, calls(["search"]), LIGHT).data[0]
    assert (bars.x[0], bars.base[0]) == (0.0, 0.0)
    assert formats.UNKNOWN in bars.customdata[0]


def test_a_long_pause_is_cut_and_says_how_long_it_was() -> None:
    """A session that waited overnight still shows its requests."""
    two = requests(2)
    two.loc[1, "started_at"] = AT + timedelta(hours=9)
    figure = waterfall(two, calls([]), LIGHT)
    assert "9 h 00 min pause" in [note.text for note in figure.layout.annotations]
    assert max(float(start) for bar in figure.data for start in bar.base) < 10


def test_turns_keep_requests_without_usage_as_gaps() -> None:
    """The third request stays the third, also when the second has no usage."""
    frame = pd.DataFrame(
        {"request_id": ["a", "c"], "part": "system", "rate": "input", "tokens": [10, 20], "cost_usd": [0.1, 0.2]}
    )
    figure = charts_turns.context_by_turn(frame, LIGHT, ["a", "b", "c"])
    assert [list(bar.y) for bar in figure.data] == [[10, 0, 20]]


def test_cache_breaks_are_marked_above_their_requests() -> None:
    """A triangle stands on the bar and says why; without breaks there is none."""
    frame = pd.DataFrame(
        {"request_id": ["a", "b"], "part": "system", "rate": "input", "tokens": [10, 20], "cost_usd": [0.1, 0.2]}
    )
    for chart in (charts_turns.context_by_turn, charts_turns.cost_by_turn):
        marks = [
            trace for trace in chart(frame, LIGHT, ["a", "b"], breaks={"b": "Expired"}).data if trace.type == "scatter"
        ]
        assert [(list(mark.x), list(mark.customdata)) for mark in marks] == [([2], ["Expired"])]
        assert not [trace for trace in chart(frame, LIGHT, ["a", "b"]).data if trace.type == "scatter"]


def test_a_distribution_counts_every_value() -> None:
    """The bars add up to the number of values, and lines mark the quantiles."""
    figure = charts.distribution({"Calls": [0, 5, 80, 81, 9000]}, LIGHT, unit="duration", marks={"p50": 80})
    assert total(figure, "y") == 5
    assert figure.layout.annotations[0].text == "p50 80 ms"


def test_few_calls_are_counted_in_whole_ones() -> None:
    """Between one and two there is no mark that reads like one of them."""
    few, many = (
        charts.distribution({"Calls": [5] * count}, LIGHT, unit="tokens", marks={}).layout.yaxis.dtick
        for count in (2, 40)
    )
    assert (few, many) == (1, None)


def luminance(colour: str) -> np.ndarray:
    """Linear red, green and blue."""
    assert re.fullmatch("#[0-9a-f]{6}", colour)
    channels = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG."""
    weights = np.array([0.2126, 0.7152, 0.0722])
    low, high = sorted((float(luminance(one) @ weights), float(luminance(other) @ weights)))
    return (high + 0.05) / (low + 0.05)


# Machado, Oliveira and Fernandes 2009, severity 1.
SIGHTS = {
    "full": np.eye(3),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
}


def lab(linear: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear red, green and blue."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ np.clip(linear, 0, 1) / np.array([0.9505, 1, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_every_colour_stands_out_from_its_background(palette: Palette) -> None:
    """At least 3 : 1 for shapes and 4.5 : 1 for text."""
    for name, colour in {**palette.parts, **palette.rates, **dict(enumerate(palette.series))}.items():
        assert contrast(colour, palette.background) >= 3, name
    for colour in (palette.text, palette.muted, palette.error):
        assert contrast(colour, palette.background) >= 4.5


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_the_parts_of_tools_stay_apart_for_every_sight(palette: Palette, sight: str) -> None:
    """A difference of 10 in L*a*b* is plain to see; 2.3 is the least that is noticed."""
    seen = {part: lab(SIGHTS[sight] @ luminance(palette.parts[part])) for part in theme.TOOL_PARTS}
    for one, other in itertools.combinations(seen, 2):
        assert np.linalg.norm(seen[one] - seen[other]) >= 10, (one, other)


def test_every_part_has_a_label_a_meaning_and_a_colour() -> None:
    """No part of the bill can turn up without its look."""
    assert set(theme.PARTS) == set(theme.PART_LABELS) == set(LIGHT.parts) == set(DARK.parts)
    assert set(theme.RATES) == set(theme.RATE_LABELS) == set(LIGHT.rates) == set(DARK.rates)


def test_spans_of_one_minute_are_one_bar_among_others() -> None:
    """A bar is as wide as its bucket, on an axis that has room for more."""
    at = pd.Timestamp("2026-05-04 12:00")
    frame = pd.DataFrame({"bucket_at": [at], "way": ["files"], "spans": [7]})
    figure = charts_health.arrivals(frame, LIGHT, bucket_s=60)
    first, last = figure.layout.xaxis.range
    assert (pd.Timestamp(first), pd.Timestamp(last)) == (at - pd.Timedelta(minutes=23), at + pd.Timedelta(minutes=1))
    assert figure.data[0].width < 60_000
