"""Seconds from starting `toolspend demo` to its first page in headless Chromium: `first_page.py`, prints a number.

The sample traces are loaded and the browser is running before the clock starts; the page is there when its first
heading and figures are.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests")]


def main() -> float:
    """Seconds."""
    from playwright.sync_api import sync_playwright

    import served

    home = Path(tempfile.mkdtemp()) / "home"
    loaded = served.run(home, "ingest", *sorted((ROOT / "sample_traces").glob("*.jsonl")))
    assert loaded.returncode == 0, loaded.stderr
    path = shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--headless", "--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        before = time.monotonic()
        with served.up(home) as server:
            page.goto(server.url)
            page.get_by_test_id("stMetric").first.wait_for(timeout=60_000)
            seconds = time.monotonic() - before
            browser.close()
    return seconds


if __name__ == "__main__":
    print(main())
