"""Versions of one tool, compared from its calls."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from toolspend_ingest import Store

Rows = Callable[[str], list[dict[str, Any]]]


Made = list[tuple[str, int | None, float | None, float | None]]
"""Calls: status, result tokens, milliseconds, dollars."""


def calls(store: Store, tool: str, version: str | None, day: int, made: Made, declared: str | None = None) -> None:
    """Stores calls, a minute apart."""
    store.cursor().executemany(
        "insert into seen_calls (span_id, trace_id, session_id, tool, tool_version, declared_version, started_at, "
        "status, result_tokens, duration_ms, cost_usd) values (?, 't', 's', ?, ?, ?, "
        "timestamp '2026-11-01' + to_days(cast(? as integer)) + to_minutes(cast(? as integer)), ?, ?, ?, ?)",
        [
            (f"{day:02d}{n:014x}", tool, version, declared, day, n, status, tokens, ms, usd)
            for n, (status, tokens, ms, usd) in enumerate(made)
        ],
    )


def test_intervals_hold_what_they_should_and_failures_stay_out(store: Store, rows: Rows) -> None:
    """Sizes, costs and times are of calls that worked; each figure lies in its interval, as the formulas say."""
    worked = [("unset", 100 + n, 10.0 * (n + 1), 0.001 * (n + 1)) for n in range(20)]
    calls(store, "search", "aa", 0, [*worked, ("error", 1, 0.1, 0.0)])
    [row] = rows("from tool_versions")
    assert (row["family"], row["tool"], row["calls"], row["errors"]) == ("search", "search", 21, 1)
    assert row["result_tokens_mean"] == 109.5
    reach = 1.96 * math.sqrt(35.0 / 20)  # the variance of 100 to 119
    assert row["result_tokens_low"] == pytest.approx(109.5 - reach)
    assert row["result_tokens_high"] == pytest.approx(109.5 + reach)
    assert row["p50_ms"] == 105.0
    assert (row["p50_ms_low"], row["p50_ms_high"]) == (50.0, 160.0)
    assert row["error_share_low"] == pytest.approx(0.0085, abs=0.0005)  # Wilson, 1 of 21
    assert row["error_share_high"] == pytest.approx(0.2267, abs=0.0005)
    assert row["cost_usd_mean"] == pytest.approx(0.0105)
    assert row["cost_usd_low"] < row["cost_usd_mean"] < row["cost_usd_high"]
    assert row["previous_version"] is None and row["result_tokens_change"] is None


def test_a_time_that_is_not_known_is_not_taken_for_a_short_one(store: Store, rows: Rows) -> None:
    """Calls without a span have no time: the ratio of two versions is of the others."""
    calls(store, "search", "aa", 0, [("ok", 10, 100.0 + n, None) for n in range(10)])
    calls(store, "search", "bb", 1, [("ok", 10, 200.0 + 2 * n, None) for n in range(10)])
    unknown: Made = [("ok", 10, None, None)] * 5
    calls(store, "search", "bb", 2, unknown)
    _, row = rows("from tool_versions order by first_called_at")
    assert row["duration_ratio"] == pytest.approx(2.0)
    assert row["duration_ratio_low"] > 1.9


def test_versions_by_hash_and_by_name_are_one_family_in_order(store: Store, rows: Rows) -> None:
    """`search`, `search_v2` and `search_v3` are compared with the one before; `move_vm` is no version of anything."""
    made: Made = [("unset", 10, 1.0, None)] * 3
    calls(store, "search", "aa", 0, made)
    calls(store, "search", "bb", 1, made)
    calls(store, "search_v2", "cc", 2, made)
    calls(store, "search_v2_1", "dd", 3, made)
    calls(store, "move_vm", "ee", 4, made)
    found = rows("select family, tool, tool_version, previous_version from tool_versions order by first_called_at")
    assert [tuple(row.values()) for row in found] == [
        ("search", "search", "aa", None),
        ("search", "search", "bb", "aa"),
        ("search", "search_v2", "cc", "bb"),
        ("search", "search_v2_1", "dd", "cc"),
        ("move_vm", "move_vm", "ee", None),
    ]


@pytest.mark.parametrize(
    ("tool", "declared", "family", "version"),
    [
        ("search_v2_0_beta", "2.0-beta", "search", "2.0-beta"),
        ("search_vnext", "next", "search", "next"),
        ("search_v2_0_beta", None, "search", "2_0_beta"),
        ("search-v2.1rc1", None, "search", "2.1rc1"),
        ("search", "2", "search", "2"),
        ("search", None, "search", "unknown"),
        ("get_v2_users", None, "get_v2_users", "unknown"),
        ("play_v2_beta_film", "2", "play_v2_beta_film", "2"),
        ("_v2", "2", "_v2", "2"),
    ],
)
def test_a_family_is_the_name_without_its_version(
    store: Store, rows: Rows, tool: str, declared: str | None, family: str, version: str
) -> None:
    """As it was declared, else as the name says it; a name that only holds something like a version is whole."""
    calls(store, tool, None, 0, [("ok", 10, 1.0, None)], declared)
    [row] = rows("select family, tool_version, names from tool_versions")
    assert tuple(row.values()) == (family, version, [tool])


def test_names_of_one_definition_are_one_row_and_of_others_are_not(store: Store, rows: Rows) -> None:
    """The bare name and an alias have the hash of the version they call; without a hash each name is its own."""
    for place, name in enumerate(("search", "search_v2", "look")):
        calls(store, name, "cc", place, [("ok", 10 * (place + 1), 1.0, None)], "2")
    calls(store, "find", None, 4, [("ok", 10, 1.0, None)])
    calls(store, "find_v2", None, 5, [("ok", 10, 1.0, None)])
    found = rows("select family, tool, names, calls, result_tokens_mean from tool_versions order by first_called_at")
    assert [tuple(row.values()) for row in found] == [
        ("search", "search_v2", ["look", "search", "search_v2"], 3, 20.0),
        ("find", "find", ["find"], 1, 10.0),
        ("find", "find_v2", ["find_v2"], 1, 10.0),
    ]


def test_what_a_definition_says_is_so_for_calls_that_say_nothing(store: Store, rows: Rows) -> None:
    """A call that a request alone tells of declares no version; an alias is of the family that the definition names."""
    store.cursor().execute(
        "insert into seen_definitions (tool, tool_version, declared_version, first_seen_at, last_seen_at) values "
        "('search_vnext', 'dd', 'next', timestamp '2026-11-01', timestamp '2026-11-01'), "
        "('search_v1', 'cc', '1', timestamp '2026-11-01', timestamp '2026-11-01')"
    )
    calls(store, "look", "cc", 0, [("ok", 10, 1.0, None)])
    calls(store, "search_vnext", "dd", 1, [("ok", 10, 1.0, None)])
    found = rows("select family, tool, names, declared_version, calls from tool_versions order by first_called_at")
    assert [tuple(row.values()) for row in found] == [
        ("search", "look", ["look"], "1", 1),
        ("search", "search_vnext", ["search_vnext"], "next", 1),
    ]


def test_a_real_change_is_outside_of_its_interval_and_no_change_inside(store: Store, rows: Rows) -> None:
    """Twice the size and speed and more errors are seen; the same again is not taken for a change."""
    dice = random.Random(4)

    def some(count: int, tokens: int, ms: float, failing: float) -> Made:
        return [
            (
                "error" if dice.random() < failing else "ok",
                round(dice.gauss(tokens, tokens / 5)),
                dice.lognormvariate(math.log(ms), 0.5),
                dice.gauss(tokens, tokens / 5) * 1e-6,
            )
            for _ in range(count)
        ]

    calls(store, "search", "v1", 0, some(200, 1_000, 400, 0.05))
    calls(store, "search", "v2", 1, some(200, 500, 200, 0.30))
    calls(store, "search", "v3", 2, some(200, 500, 200, 0.30))
    _, changed, same = rows("from tool_versions order by first_called_at")
    assert changed["result_tokens_change_high"] < 0 and changed["cost_usd_change_high"] < 0
    assert changed["duration_ratio_low"] < 0.5 < changed["duration_ratio_high"] < 1
    assert changed["error_share_change_low"] > 0
    names = {"result_tokens_change": 0, "cost_usd_change": 0, "duration_ratio": 1, "error_share_change": 0}
    for name, none in names.items():
        assert same[f"{name}_low"] < none < same[f"{name}_high"], name
        assert same[f"{name}_low"] <= same[name] <= same[f"{name}_high"]


def test_unknown_is_not_zero(store: Store, rows: Rows) -> None:
    """Without prices, sizes or enough calls there is no mean, no interval, and no change."""
    calls(store, "search", "aa", 0, [("unset", None, 5.0, None)])
    calls(store, "search", "bb", 1, [("unset", None, 5.0, None)] * 4)
    first, second = rows("from tool_versions order by first_called_at")
    assert first["result_tokens_mean"] is first["cost_usd_mean"] is first["p50_ms_low"] is None
    assert first["priced_calls"] == 0
    assert second["cost_usd_change"] is second["result_tokens_change_low"] is second["p50_ms_low"] is None
    assert second["p50_ms"] == 5.0
