"""Rows of dataclasses in tables: a few by value, many as columns."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from attributed import emptied
from toolspend_ingest.rows import LlmRequest
from toolspend_ingest.writing import FEW, insert_rows

AT = datetime(2026, 1, 1)


@pytest.mark.parametrize("count", [1, FEW, FEW + 1])
def test_few_rows_and_many_are_inserted_alike(count: int) -> None:
    """What is null stays null, lists and text stay as they are, and further columns join those of the dataclass."""
    rows = [
        LlmRequest(f"r'{place}", "t;--", AT, 1.5, "ok", tags=["a", "b"] if place else None, input_tokens=place or None)
        for place in range(count)
    ]
    con = emptied()
    costs = [Decimal(place).scaleb(-9) if place else None for place in range(count)]
    insert_rows(con, LlmRequest, rows, {"cost_usd": costs, "is_priced": [True] * count})
    insert_rows(con, LlmRequest, [])
    found = con.execute(
        "select request_id, trace_id, started_at, tags, input_tokens, output_tokens, cost_usd, is_priced"
        " from llm_requests order by rowid"
    ).fetchall()
    assert found == [
        (f"r'{place}", "t;--", AT, ["a", "b"] if place else None, place or None, None, costs[place], True)
        for place in range(count)
    ]
