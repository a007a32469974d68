"""`toolspend audit`: the tool audit of the tools seen, or of tools given."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolspend_dashboard.formats import visible

from ._common import EXIT_REFUSED, Db, Verbose, fail, one_line_errors, store_to_read
from .output import file_of, write_text
from .report import LONGEST_NAME, LONGEST_SENTENCE, since

if TYPE_CHECKING:
    from toolspend_dashboard.tool_audit import Audit


class FailOn(StrEnum):
    """From which severity on the exit code is 1."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"
    NEVER = "never"


@one_line_errors
def audit(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[SOURCE]",
            help="A registry as module:name, or a JSON file of definitions or of an answer to tools/list. "
            "Without one: the tools that the store has seen, and how they were used.",
            show_default=False,
        ),
    ] = None,
    mcp: Annotated[
        str | None,
        typer.Option("--mcp", metavar='"COMMAND ARGS"', help="Start this MCP server and audit its tools."),
    ] = None,
    sarif: Annotated[
        Path | None,
        typer.Option(
            "--sarif", metavar="FILE", help="Also write the findings as SARIF 2.1.0; with -, to stdout alone."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write scores and findings as JSON.")] = False,
    fail_on: Annotated[
        FailOn, typer.Option("--fail-on", metavar="SEVERITY", help="Exit with 1 from this severity on.")
    ] = FailOn.ERROR,
    since_: Annotated[
        datetime | None,
        typer.Option("--since", parser=since, metavar="WHEN", help="Only the use since: 24h, 7d, or a date (UTC)."),
    ] = None,
    db: Db = None,
    verbose: Verbose = False,
) -> None:
    """Audit tools: one thing only, clear descriptions, consistent output, told failures, marked side effects, use.

    Every finding quotes the words or parameters concerned and says how to rewrite them. The exit code is 1 where a
    finding is as grave as --fail-on (error, warning, note or never), for CI.

    Example: toolspend audit --mcp "uvx mcp-server-git" --sarif audit.sarif --fail-on warning
    """
    from toolspend_dashboard import tool_audit

    places: dict[str, tuple[str, int]] = {}
    if source is not None and mcp is not None:
        fail("give SOURCE or --mcp, not both")
    to_stdout = sarif is not None and file_of(sarif) is None
    if as_json and to_stdout:
        fail("--json and --sarif - would both write to stdout: give --sarif FILE")
    if source is None and mcp is None:
        result = _of_store(db, since_)
    else:
        tools, places = _tools(source, mcp)
        try:
            result = tool_audit.of_tools(tools)
        except (TypeError, ValueError) as error:
            fail(str(error))
    if sarif is not None:
        from toolspend.toolkit.audit.sarif import sarif as as_sarif

        write_text(json.dumps(as_sarif(result.findings, places), indent=2) + "\n", file_of(sarif))
    if as_json:
        typer.echo(json.dumps(tool_audit.as_json(result), indent=2))
    elif not to_stdout:
        _print(result)
    if fail_on is not FailOn.NEVER and _reaches(result, fail_on.value):
        raise typer.Exit(EXIT_REFUSED)


def _of_store(db: Path | None, since_: datetime | None) -> Audit:
    from toolspend_dashboard import queries, snapshot, tool_audit
    from toolspend_ingest import Store

    filters = queries.Filters(since=since_).parameters()
    with (
        snapshot.for_command(store_to_read(db)) as path,
        Store.open(path, read_only=True) as store,
        store.reading() as cursor,
    ):
        return tool_audit.of_store(lambda name: queries.run(cursor, name, **filters))


def _tools(source: str | None, mcp: str | None) -> tuple[list[Any], dict[str, tuple[str, int]]]:
    from . import _tool_sources

    if mcp is not None:
        return _tool_sources.of_server(mcp)
    assert source is not None  # noqa: S101 - for the type checkers: one of the two is given
    is_registry = ":" in source and not Path(source).exists()
    return _tool_sources.of_registry(source) if is_registry else _tool_sources.of_file(Path(source))


def _reaches(result: Audit, least: Any) -> bool:
    from toolspend.toolkit.audit import is_at_least

    return any(is_at_least(finding.severity, least) for finding in result.findings)


def _print(result: Audit) -> None:
    from rich.console import Console
    from rich.text import Text

    from toolspend.toolkit.audit import QUESTIONS, SEVERITIES
    from toolspend_dashboard import formats

    console = Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else 200)
    if not result.scores:
        console.print("No tools are stored yet. `toolspend doctor` says where spans go.")
        return
    for question, asked in QUESTIONS.items():
        own = [finding for finding in result.findings if finding.question == question]
        if not own:
            continue
        console.print(Text(asked, style="bold"))
        for finding in own:
            line = Text(f"  {finding.severity:<8}", style="bold" if finding.severity == "error" else "")
            evidence = formats.shortened(finding.evidence, LONGEST_SENTENCE)
            line.append(visible(f"{_name(finding.tool)}: {evidence}"))
            console.print(line)
            hint = formats.shortened(finding.hint, LONGEST_SENTENCE)
            console.print(Text(visible(f"          {hint} [{finding.check}]"), style="dim"))
        console.print()
    counts = {each: sum(finding.severity == each for finding in result.findings) for each in SEVERITIES}
    told = ", ".join(formats.plural(count, each) for each, count in counts.items())
    console.print(Text(f"{formats.plural(len(result.scores), 'tool')}: {told}", style="bold"))
    worst = sorted(result.scores.items(), key=lambda each: (each[1], each[0]))[:5]
    console.print(Text(visible("Lowest scores: " + ", ".join(f"{_name(tool)} {score}" for tool, score in worst))))
    if result.undefined:
        names = ", ".join(map(_name, result.undefined[:5])) + (" and more" if len(result.undefined) > 5 else "")
        console.print(Text(visible(f"Definition not recorded, so only use was looked at: {names}")))


def _name(tool: str) -> str:
    from toolspend_dashboard import formats

    return formats.shortened(tool, LONGEST_NAME)
