"""Loading with a progress bar, and what became of it in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from toolspend_dashboard.formats import visible
from toolspend_ingest import Store, Summary, ingest, retention
from toolspend_ingest.ingest import Progress, SourceSummary
from toolspend_ingest.retention import Keep, Pruned


def load(store: Store, paths: Sequence[Path] | None, *, show_progress: bool) -> Summary:
    """Load files and folders, or the spool; a bar on stderr says how far it is."""
    return with_bar(lambda progress: ingest(store, paths, progress=progress), show_progress=show_progress)


def with_bar(work: Callable[[Progress | None], Summary], *, show_progress: bool) -> Summary:
    """Do the work; a bar on stderr says how many bytes of how many are read, and how many spans are stored."""
    if not show_progress:
        return work(None)
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[spans]:,} spans"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("loading", total=None, spans=0)

        def report(source: str, done: int, total: int, spans: int) -> None:
            bar.update(task, description=visible(Path(source).name), completed=done, total=total or None, spans=spans)

        return work(report)


def prune(store: Store, keep: Keep) -> Pruned:
    """Remove what is older than told."""

    def read(work: Callable[[Any], Any]) -> Any:
        with store.reading() as cursor:
            return work(cursor)

    return retention.prune(read, store.write, keep, datetime.now(UTC).replace(tzinfo=None))


def print_pruned(pruned: Pruned) -> None:
    """What went, where anything did."""
    if pruned.spans or pruned.contents:
        typer.echo(f"{pruned.spans:,} spans removed, {pruned.contents:,} emptied of their content: older than told")


def print_summary(summary: Summary, *, quiet: bool, nothing: str | None = None) -> None:
    """What was loaded, and from where what was not and why; one line a source that has something to say."""
    for reason in summary.unread.values():
        typer.echo(visible(reason), err=True)
    for source in summary.sources:
        if source.reason or source.refused or source.dropped:
            typer.echo(f"{visible(source.source)}: {_losses(source)}", err=True)
    if not quiet:
        typer.echo(nothing if nothing is not None and not summary.sources else _totals(summary))


def print_claude_code(store: Store) -> None:
    """What the store has of Claude Code, in one line, and where to look next."""
    from toolspend_dashboard import queries
    from toolspend_dashboard.formats import usd
    from toolspend_ingest.claude_code import SERVICE

    with store.reading() as cursor:
        total = queries.run(cursor, "totals", **queries.Filters(service=SERVICE).parameters()).iloc[0]
    typer.echo(
        f"Claude Code: {int(total['sessions']):,} sessions, {int(total['requests']):,} requests, "
        f"{int(total['calls']):,} tool calls, {usd(total['cost_usd'])} at list prices; "
        "the bill by tool: `toolspend report` or `toolspend up`"
    )


def _losses(source: SourceSummary) -> str:
    counts = [
        f"{count:,} {what}"
        for count, what in ((source.refused, "refused"), (source.dropped, "dropped by the sender"))
        if count
    ]
    return visible(f"{' and '.join(counts) or 'note'} ({source.reason or 'no reason given'})")


def _totals(summary: Summary) -> str:
    files = f"{summary.passed_over:,} file{'' if summary.passed_over == 1 else 's'}"
    if not summary.sources:
        return f"nothing to load: {files} skipped, none of a known kind" if summary.passed_over else "nothing to load"
    parts = [f"{summary.spans:,} loaded", f"{summary.duplicates:,} already there", f"{summary.refused:,} refused"]
    if summary.known:
        parts.append(f"{'it was' if len(summary.sources) == 1 else f'{summary.known:,} were'} read before")
    if summary.skipped:
        parts.append(f"{summary.skipped:,} payloads of logs or metrics skipped")
    if summary.dropped:
        parts.append(f"{summary.dropped:,} dropped by senders")
    if summary.passed_over:
        parts.append(f"{files} of other kinds skipped")
    return f"{len(summary.sources):,} source{'' if len(summary.sources) == 1 else 's'}: {', '.join(parts)}"
