"""The dashboard as a browser shows it: the real server, headless Chromium, from the overview to an answer in SQL."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

import served
import synthetic_store
from otlp_requests import Made
from served import Server
from toolspend_ingest import Store

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# Chromium's own calls home are off, so that every request seen is the page's.
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
WAIT_MS = 30_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that shows a store with known sessions."""
    home = tmp_path_factory.mktemp("browser") / "home"
    with Store.open(home / "toolspend.duckdb") as store, store.cursor() as cursor:
        synthetic_store.fill(cursor, hostile=True)
    with served.up(home) as running:
        yield running


@pytest.fixture
def url(server: Server) -> str:
    """Where the pages are."""
    return server.url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium: the one of the system, else the one that Playwright installed."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        path = found or playwright.chromium.executable_path
        if not Path(path).exists():
            pytest.skip("no Chromium: install one, or run `playwright install chromium`")
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


def settled(page: Page) -> None:
    """Wait until the page's script has run to its end."""
    page.wait_for_function(
        "() => !document.querySelector('[data-testid=stStatusWidget]') && !document.querySelector('[data-stale=true]')",
        timeout=WAIT_MS,
    )


def heading(page: Page, text: str) -> None:
    """Wait for a card's heading."""
    page.get_by_role("heading", name=text, exact=True).wait_for(timeout=WAIT_MS)


def click_first_row(page: Page, place: int) -> None:
    """Pick the first row of the page's table at a place; tables draw on a canvas and do not say when they have."""
    settled(page)
    rows = page.locator("[data-testid=stDataFrame] .dvn-scroller")
    rows.first.wait_for()
    rows.nth(place).scroll_into_view_if_needed()
    page.wait_for_timeout(600)
    rows.nth(place).click(position={"x": 18, "y": 52})


def test_the_walk_from_the_overview_to_sql(url: str, browser: Browser) -> None:
    """Overview, a tool, the session where it cost most, a question: all there, and nothing fetched from outside."""
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    page.set_default_timeout(WAIT_MS)
    asked: list[str] = []
    alerts: list[str] = []
    failures: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda socket: asked.append(socket.url))
    page.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
    page.on("pageerror", lambda error: failures.append(str(error)))

    page.goto(url)
    heading(page, "What to do")
    assert page.get_by_text("tools drive").first.inner_text().endswith("of the spend.")
    page.locator("[data-testid=stPlotlyChart] .main-svg").first.wait_for()
    settled(page)
    page.get_by_role("link", name="Open").filter(visible=True).nth(0).wait_for()

    page.get_by_role("link", name="Tools", exact=True).click()
    heading(page, "Tools")
    click_first_row(page, 0)
    heading(page, "Versions compared")
    heading(page, "Sessions where it costs most")
    assert "tool=" in page.url
    assert page.locator(".tick text", has_text="Carry").count() or page.get_by_text("Carry").count()

    click_first_row(page, -1)
    heading(page, "Most expensive calls")
    assert urlsplit(page.url).path == "/session"
    assert "session=" in page.url
    settled(page)
    assert page.locator("[data-testid=stPlotlyChart]").count() == 4

    page.get_by_role("link", name="SQL", exact=True).click()
    heading(page, "Schema")
    page.get_by_role("button", name="Run").click()
    page.get_by_text("20 rows", exact=True).wait_for()
    page.get_by_role("button", name="Parquet").wait_for()

    own = urlsplit(url).netloc
    outside = [address for address in asked if urlsplit(address).scheme not in ("data", "blob", "about")]
    assert {urlsplit(address).netloc for address in outside} == {own}
    assert not alerts
    assert not failures
    page.close()


def test_a_link_into_the_app_is_framed_on_a_fresh_server(url: str, browser: Browser) -> None:
    """Whoever opens a link to a session first sees that session, under the navigation and with the filter set."""
    page = browser.new_page(viewport={"width": 1440, "height": 1000}, color_scheme="dark")
    page.set_default_timeout(WAIT_MS)
    page.goto(f"{url}/session?session=research-4719")
    heading(page, "In time")
    assert page.get_by_role("link", name="Overview", exact=True).count() == 1
    assert page.locator("h3").first.inner_text() == "research-4719"
    page.close()


def test_new_data_is_offered_and_the_page_stays(server: Server, browser: Browser) -> None:
    """Spans that arrive while a page is open do not move it under its reader: a button shows them."""
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    page.set_default_timeout(WAIT_MS)
    page.goto(f"{server.url}/tools")
    heading(page, "Tools")
    settled(page)
    offer = page.get_by_role("button", name="New data: show it")
    assert not offer.count()
    assert server.send([Made(991, 1, "execute_tool late", {"gen_ai.tool.name": "late"})]).status == 200
    offer.click()
    offer.wait_for(state="detached")
    page.close()
