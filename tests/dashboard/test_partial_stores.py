"""Stores of which something is not known: every page and the report say what is, and no figure that is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from toolspend_dashboard.cli import _report
from toolspend_dashboard.queries import Filters
from toolspend_ingest import Store

Page = Callable[..., AppTest]
PAGES = ["overview", "tools", "audit", "session", "sql", "health"]


def figures(app: AppTest) -> dict[str, str]:
    """The page's figures by their labels, as they are read."""
    return {str(metric.label): str(metric.value).replace("\\", "") for metric in app.metric}


@pytest.mark.parametrize("name", PAGES)
def test_every_page_shows_a_store_without_prices(page: Page, unpriced_store: Store, name: str) -> None:
    """Tokens are known, and what they cost is unknown rather than zero."""
    app = page(unpriced_store, name)
    assert not app.exception
    if name == "overview":
        shown = figures(app)
        assert shown["Spend"] == "unknown"
        assert shown["Context tokens"] not in ("unknown", "0")
    assert not any("$0" in value for value in figures(app).values())


def test_the_report_of_a_store_without_prices_has_no_cost(unpriced_store: Store) -> None:
    """Nothing is priced, so nothing is said in dollars."""
    with unpriced_store.cursor() as cursor:
        content = _report.gather(cursor, Filters())
    assert content["totals"]["cost_usd"] is None
    assert {entry["cost_usd"] for entry in content["tools"]} == {None}
    assert not any("carry" in found["finding"] for found in content["findings"])
    assert all(found["cost_usd"] is None for found in content["findings"])
