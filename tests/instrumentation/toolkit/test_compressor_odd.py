"""Whatever a tool returns is shortened or left whole, and nothing raises."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from toolspend.toolkit import ResultStore
from toolspend.toolkit._content import content_of
from toolspend.toolkit.compressor import Compression, compress

ROWS = [{"id": f"ord-{n}", "city": "Porto", "amount": n + 0.5} for n in range(300)]
FAILED = {**ROWS[77], "id": "ord-4711", "city": "failed E77"}


def made(result: Any, max_tokens: int = 300) -> Compression:
    return asyncio.run(compress(result, "tool", max_tokens, task="What of ORD-4711?", store=ResultStore()))


def nested(depth: int) -> Any:
    inner: Any = {"state": "failed E77"}
    for level in range(depth):
        inner = {"level": level, "inner": inner}
    return inner


def circle() -> Any:
    rows: list[Any] = [*ROWS, FAILED]
    rows.append(rows)
    return rows


@pytest.mark.parametrize(
    "result",
    [
        json.dumps([*ROWS, FAILED]).encode("utf-16"),
        memoryview(json.dumps([*ROWS, FAILED]).encode()),
        {(n, "a"): row for n, row in enumerate([*ROWS, FAILED])},
        circle(),
        [*ROWS, {**FAILED, "amount": 10**400}],
        [{"numbers": [10**400] * 300, "state": "ord-4711 failed E77"}],
        "id,city,amount\n1,x,"
        + "y" * 200_000
        + "\n"
        + "\n".join(f"{n},x,{n}" for n in range(300))
        + "\nord-4711,E77,1",
        'id,city,amount\n7,"ord-4711 failed E77,3\n' + "\n".join(f"{n},x,{n}" for n in range(3_000)),
    ],
    ids=["utf-16", "memoryview", "keys of tuples", "a circle", "no measure", "numbers", "a huge cell", "an open quote"],
)
def test_odd_results_are_shortened_like_others(result: Any) -> None:
    """With what failed and what the task named."""
    found = made(result)
    assert found.strategy != "none" and found.tokens_after < found.tokens_before / 3
    assert "E77" in found.text and "ord-4711" in found.text.lower()


def test_what_is_too_deep_for_json_is_cut_where_it_is_marked() -> None:
    """A hundred levels stay."""
    said = content_of(nested(5_000))
    assert isinstance(said, str) and '"level":4950' in said and "\u2026" in said and '"level":4000' not in said
    assert content_of(nested(90)) == json.dumps(nested(90), separators=(",", ":"))


def test_a_negative_budget_is_none_at_all() -> None:
    """What is empty stays empty; of all else only what must stay is left."""
    assert made("", -5).text == ""
    assert made(json.dumps(ROWS), -5).text == made(json.dumps(ROWS), 0).text


def test_an_error_that_is_said_again_in_the_same_words_stays_once() -> None:
    """Different ones stay all."""
    text = "\n".join(f"The weather is fine on day {n}.\nThe pump failed." for n in range(300)) + "\nThe valve failed."
    found = made(text, 200)
    assert found.strategy == "text" and found.tokens_after <= 200
    assert found.text.count("The pump failed.") == 1 and "The valve failed." in found.text
