"""`toolspend reattribute`: every figure computed anew from the spans."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import typer

from ._common import Db, Verbose, one_line_errors, store_at

if TYPE_CHECKING:
    from toolspend_ingest import Store


@one_line_errors
def reattribute(db: Db = None, verbose: Verbose = False) -> None:
    """Compute every figure anew from the stored spans and prices: the bill by tool, calls, cache breaks.

    Loading keeps them up to date by itself, so this changes nothing, unless something went wrong. It needs the store
    for itself: stop `toolspend up` first.
    """
    from toolspend_dashboard import formats, queries
    from toolspend_dashboard.queries import Filters
    from toolspend_ingest import Store
    from toolspend_ingest.errors import StoreMissing

    path = store_at(db)
    if not path.exists():
        raise StoreMissing(path)
    started = time.monotonic()
    with Store.open(path) as store:
        _rederive(store, show_progress=sys.stderr.isatty())
        with store.reading() as cursor:
            totals = queries.run(cursor, "totals", **Filters().parameters()).iloc[0]
            breaks = queries.run(cursor, "cache_breaks", **Filters().parameters())
    took = formats.duration((time.monotonic() - started) * 1_000)
    parts = (
        f"{formats.plural(int(totals['requests']), 'request')} in {formats.plural(int(totals['sessions']), 'session')}",
        formats.usd(totals["cost_usd"]),
        formats.plural(int(breaks["breaks"].sum()), "cache break"),
    )
    typer.echo(f"reattributed in {took}: {', '.join(parts)}")


def _rederive(store: Store, *, show_progress: bool) -> None:
    if not show_progress:
        store.rederive()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("reattributing"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("traces"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        store.rederive(progress=lambda done, total: bar.update(task, completed=done, total=total))
