"""Versions of a tool beside each other: what is in the frame is in the figure and the table."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from toolspend_dashboard import versions
from toolspend_dashboard.formats import TIMES
from toolspend_dashboard.theme import DARK, LIGHT, Palette

NAN = float("nan")


def row(tool: str, version: str, declared: str | None, **values: Any) -> dict[str, Any]:
    """One version with a value of 100 in 90 to 110 for everything, but for what is given."""
    made: dict[str, Any] = {"tool": tool, "tool_version": version, "declared_version": declared}
    for measure in versions.MEASURES:
        made |= {measure.value: 100.0, f"{measure.interval}_low": 90.0, f"{measure.interval}_high": 110.0}
        made |= {measure.change: NAN, f"{measure.change}_low": NAN, f"{measure.change}_high": NAN}
    return made | values


def test_a_version_is_called_by_what_tells_it_apart() -> None:
    """The declared version, the tool's name where versions differ in it, the hash where nothing else does."""

    def names(*rows: dict[str, Any]) -> list[str]:
        return versions.labels(pd.DataFrame(rows))

    assert names(row("find", "aaa", "1"), row("find", "bbb", "2")) == ["v1", "v2"]
    assert names(row("find", "aaa", "1"), row("find", "bbb", "1")) == ["v1 aaa", "v1 bbb"]
    assert names(row("find", "aaa", None), row("find", "bbb", None)) == ["aaa", "bbb"]
    assert names(row("find", "aaa", None), row("find_v2", "bbb", "2")) == ["find", "find_v2 v2"]


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_every_measure_has_a_panel_with_points_and_intervals(palette: Palette) -> None:
    """Known values are drawn where they are, an interval that is not known has no length, hostile names are text."""
    frame = pd.DataFrame(
        [
            row("<b>find</b>", "aaa", None),
            row("<b>find</b>", "bbb", None, p50_ms=300.0, p50_ms_low=NAN, p50_ms_high=NAN, cost_usd_mean=NAN),
        ]
    )
    figure = versions.comparison(frame, palette)
    assert [note.text for note in figure.layout.annotations] == [each.title for each in versions.MEASURES]
    tokens, cost, _, times = figure.data
    assert (list(tokens.x), list(tokens.error_x.array), list(tokens.error_x.arrayminus)) == (
        [100, 100],
        [10, 10],
        [10, 10],
    )
    assert list(cost.y) == [0]
    assert (list(times.x), list(times.error_x.array)) == ([100, 300], [10, 0])
    assert times.customdata[1][1] == "no interval: too few calls"
    assert times.marker.color == (palette.muted, palette.accent)
    assert all(axis.range[0] < 0 < axis.range[1] for axis in (figure.layout.xaxis, figure.layout.xaxis4))
    hostile = versions.comparison(frame.assign(tool=["<b>find</b>", "<b>find</b>_v2"]), palette)
    assert "<b>find" not in str(hostile.layout.yaxis.ticktext)


def test_what_changed_is_told_with_its_interval_and_a_verdict() -> None:
    """An interval beside no change is a verdict; one around it is none; too few calls say so."""
    now = {
        "result_tokens_change": -50.0, "result_tokens_change_low": -70.0, "result_tokens_change_high": -30.0,
        "error_share_change": 0.02, "error_share_change_low": -0.01, "error_share_change_high": 0.05,
        "duration_ratio": 2.0, "duration_ratio_low": 1.5, "duration_ratio_high": 2.5,
    }  # fmt: skip
    frame = pd.DataFrame([row("find", "aaa", "1"), row("find", "bbb", "2", result_tokens_mean=50.0, **now)])
    table = versions.changes(frame).set_index("Measure")
    assert list(table.loc["Tokens of a result"]) == ["100", "50", "-50", "-70 to -30", "lower"]
    assert list(table.loc["Failed"])[2:] == ["+2.0 points", "-1.0 points to +5.0 points", "no clear difference"]
    assert list(table.loc["Median time"])[2:] == [f"2.00{TIMES}", f"1.50{TIMES} to 2.50{TIMES}", "higher"]
    assert list(table.loc["Cost of a call"])[2:] == ["unknown", "unknown", "too few calls to tell"]
