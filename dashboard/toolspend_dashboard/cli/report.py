"""`toolspend report`: the bill by tool in the terminal."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from toolspend_dashboard.formats import visible

from ._common import Db, Verbose, one_line_errors, store_to_read

NONE = "-"
"""What a table shows where a tool has no such figure."""

LONGEST_NAME = 128
"""The API takes no longer name of a tool."""
LONGEST_SENTENCE = 500

_AGO = re.compile(r"(\d+)\s*(min|h|d|w)$")
_UNITS = {
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


def since(text: str) -> datetime:
    """A moment in UTC: so long ago (`90min`, `24h`, `7d`, `2w`), or a date and time (UTC unless it says its zone)."""
    now = datetime.now(UTC).replace(tzinfo=None)
    if (ago := _AGO.match(text.strip())) is not None:
        try:
            return now - int(ago[1]) * _UNITS[ago[2]]
        except OverflowError:
            return datetime.min
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a time: give 24h, 7d, or a date such as 2026-01-31") from None
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo is not None else moment


@one_line_errors
def report(
    since_: Annotated[
        datetime | None,
        typer.Option(
            "--since",
            parser=since,
            metavar="WHEN",
            help="Only what happened since: 24h, 7d, 2w, or a date and time (UTC).",
        ),
    ] = None,
    session: Annotated[str | None, typer.Option("--session", metavar="ID", help="Only this session.")] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="How many tools to list.")] = 15,
    as_json: Annotated[bool, typer.Option("--json", help="Write everything as JSON, with all tools.")] = False,
    db: Db = None,
    verbose: Verbose = False,
) -> None:
    """Print the bill by tool: totals, what is known of them, the dearest tools by part, and what to do about it.

    What the spool holds is loaded first. Works while `toolspend up` runs.
    """
    from toolspend_dashboard import snapshot
    from toolspend_dashboard.queries import Filters
    from toolspend_ingest import Store

    from ._report import gather

    with (
        snapshot.for_command(store_to_read(db)) as path,
        Store.open(path, read_only=True) as store,
        store.reading() as cursor,
    ):
        content = gather(cursor, Filters(since=since_, session=session))
    if as_json:
        typer.echo(json.dumps(content, indent=2))
        return
    if not content["totals"]["requests"] and not content["totals"]["calls"]:
        typer.echo("Nothing is stored for this selection. `toolspend doctor` says where spans go.")
        return
    _print(content, top)


def _print(content: dict[str, Any], top: int) -> None:
    from rich.console import Console
    from rich.text import Text

    from toolspend_dashboard import formats

    # Piped, a table is as wide as it needs; on a terminal it is as wide as that.
    console = Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else 200)
    if content["headline"]:
        console.print(Text(content["headline"], style="bold"))
        console.print()
    for line in (*_totals(content["totals"]), *_coverage(content["coverage"])):
        console.print(Text(visible(line)))
    if content["told_again"]:
        console.print(Text(f"Copies   {content['told_again']}"))
    console.print()
    console.print(_table(content["tools"][:top], len(content["tools"])))
    if content["others"]:
        console.print(Text(f"Not of tools: {visible(_others(content['others']))}"))
    if content["findings"]:
        console.print()
        console.print(Text("What to do", style="bold"))
        for found in content["findings"]:
            sentence = visible(formats.shortened(found["finding"], LONGEST_SENTENCE))
            saves = f"Saves {formats.usd(found['saves_usd'])}. " if found["saves_usd"] is not None else ""
            console.print(Text(f"- {saves}{sentence} {found['action']}"))


def _totals(totals: dict[str, Any]) -> Iterable[str]:
    from toolspend_dashboard import formats

    when = f"{totals['first_at']} to {totals['last_at']} UTC"
    failed = (
        f"{formats.plural(totals['calls'], 'call')} of {formats.plural(totals['called_tools'], 'tool')}, "
        f"{formats.count(totals['failed_calls'])} failed"
    )
    if not totals["requests"]:
        yield f"Spend    unknown: there are tool calls and no model request, {when}"
        yield f"Calls    {failed}, in {formats.plural(totals['sessions'], 'session')}"
        return
    yield (
        f"Spend    {formats.usd(totals['cost_usd'])} in {formats.plural(totals['requests'], 'request')} of "
        f"{formats.plural(totals['sessions'], 'session')}, {when}"
    )
    cached = _share(totals["cache_read_tokens"], totals["input_tokens"])
    yield (
        f"Tokens   {formats.count(totals['input_tokens'])} of context ({formats.percent(cached)} read from cache), "
        f"{formats.count(totals['output_tokens'])} of output"
    )
    yield f"Calls    {failed}"


def _coverage(coverage: dict[str, Any]) -> Iterable[str]:
    from toolspend_dashboard import formats

    requests = coverage["requests"]
    if not requests:
        return
    models = ", ".join(formats.shortened(model, LONGEST_NAME) for model in coverage["unpriced_models"])
    unpriced = f" (no price for {models})" if models else ""
    yield (
        f"Covered  usage known for {formats.percent(_share(coverage['usage_known'], requests))} of requests, "
        f"priced {formats.percent(_share(coverage['priced'], requests))}{unpriced}"
    )
    tokens = coverage["tokens_by_basis"]
    whole = sum(tokens.values())
    if whole:
        shares = ", ".join(f"{basis} {formats.percent(part / whole)}" for basis, part in tokens.items())
        yield f"Basis    {shares} of tokens"


def _table(tools: list[dict[str, Any]], known: int) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from toolspend_dashboard import formats

    from ._report import PARTS

    shown = [part for part in PARTS if any(entry["parts_usd"].get(part) for entry in tools)]
    caption = f"{known - len(tools)} more with --top {known}" if known > len(tools) else None
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", caption=caption, caption_justify="left")
    grid.add_column("tool", overflow="fold")
    for heading in ("calls", "failed", "p50", "context", "of it", *shown, "cost", "of it"):
        grid.add_column(heading, justify="right", no_wrap=True)
    for entry in tools:
        grid.add_row(
            Text(visible(formats.shortened(formats.seen(entry["tool"]), LONGEST_NAME))),
            f"{entry['calls']:,}",
            f"{entry['errors']:,}",
            formats.duration(entry["p50_ms"]) if entry["p50_ms"] is not None else NONE,
            formats.count(entry["context_tokens"]),
            formats.percent(entry["context_share"]),
            *(
                formats.usd(entry["parts_usd"][part]) if entry["parts_usd"].get(part) is not None else NONE
                for part in shown
            ),
            formats.usd(entry["cost_usd"]),
            formats.percent(entry["cost_share"]),
        )
    return grid


def _others(others: list[dict[str, Any]]) -> str:
    from toolspend_dashboard import formats

    return ", ".join(f"{entry['part']} {formats.usd(entry['cost_usd'])}" for entry in others)


def _share(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None
