"""`toolspend ingest`: the spool, or files and folders, into the store."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ._common import EXIT_REFUSED, Db, Retain, RetainContent, Verbose, keep, one_line_errors, store_at
from ._loading import load, print_claude_code, print_pruned, print_summary, prune, with_bar


@one_line_errors
def ingest(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PATH]...",
            help="Files and folders of OTLP spans (protobuf, JSON, JSON lines, spool files) and of Claude Code's "
            "sessions, each also gzipped or zstd-compressed. Default: the spool.",
            show_default=False,
        ),
    ] = None,
    claude_code: Annotated[
        bool,
        typer.Option(
            "--claude-code",
            help="The sessions that Claude Code keeps on this machine: in the folders of CLAUDE_CONFIG_DIR, else in "
            "~/.config/claude and ~/.claude.",
        ),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only what went wrong.")] = False,
    is_retry: Annotated[
        bool, typer.Option("--retry", help="Read again what was refused before and kept aside, instead of a path.")
    ] = False,
    retain: Retain = None,
    retain_content: RetainContent = None,
    db: Db = None,
    verbose: Verbose = False,
) -> None:
    """Load spans into the store; loading the same ones again changes nothing.

    Without a path it loads the spool, which `toolspend up` does by itself while it runs. Damaged files lose only what
    is damaged: it is named in `ingest_log`, and the exit code is 1. What is damaged in the spool is kept in the folder
    `refused` of TOOLSPEND_HOME, and --retry reads it again.
    """
    from toolspend_ingest import Store
    from toolspend_ingest.aside import Aside
    from toolspend_ingest.claude_code.folders import found_sessions
    from toolspend_ingest.ingest import retry

    kept = keep(retain, retain_content)
    given = [*(paths or ()), *(found_sessions() if claude_code else ())]
    with Store.open(store_at(db)) as store:
        is_shown = sys.stderr.isatty() and not quiet
        if is_retry:
            summary = with_bar(lambda progress: retry(store, Aside(), progress=progress), show_progress=is_shown)
        else:
            summary = load(store, given or None, show_progress=is_shown)
        empty = "nothing was refused and kept aside" if is_retry else "nothing to load: the spool is empty"
        pruned = prune(store, kept)
        print_summary(summary, quiet=quiet, nothing=None if given and not is_retry else empty)
        if claude_code and not quiet:
            print_claude_code(store)
    if not quiet:
        print_pruned(pruned)
    if summary.has_refused:
        raise typer.Exit(EXIT_REFUSED)
