"""`toolspend doctor`: what is there, where spans go, and what is missing."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from toolspend._home import home, spool_dir
from toolspend_dashboard.formats import visible

from ._common import EXIT_REFUSED, Db, Verbose, one_line_errors, store_at

if TYPE_CHECKING:
    from toolspend_ingest import Store

LIBRARIES = ("anthropic", "mcp", "httpx", "opentelemetry-sdk", "duckdb", "grpcio", "streamlit")
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


@one_line_errors
def doctor(db: Db = None, verbose: Verbose = False) -> None:
    """Say what can be instrumented, where spans go, what waits or was refused, and how much of the bill is known.

    It changes nothing. The exit code is 1 where TOOLSPEND_HOME cannot be used.
    """
    unusable = _why_unusable(home())
    for title, lines in (("here", _here()), ("spans", _spans(unusable)), ("store", _store(store_at(db)))):
        for number, line in enumerate(lines):
            typer.echo(f"{title if not number else '':<7}{visible(line)}")
    if unusable is not None:
        raise typer.Exit(EXIT_REFUSED)


def _why_unusable(folder: Path) -> str | None:
    """Why nothing can be stored in the folder, or made where it is to be; None where it can."""
    try:
        str(folder).encode()
        there = next(each for each in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(each))
        # Rights do not tell: a file system may be read-only or full, or take no files at all.
        Path(tempfile.mkdtemp(prefix=".toolspend-", dir=there)).rmdir()
    except UnicodeEncodeError:
        return "its path is not UTF-8"
    except OSError as error:
        return error.strerror or str(error)
    return None


def _here() -> Iterator[str]:
    from toolspend import __version__

    yield f"toolspend {__version__}, Python {platform.python_version()}, {platform.system()}"
    found = {name: _version(name) for name in LIBRARIES}
    yield ", ".join(f"{name} {version}" for name, version in found.items() if version is not None)
    for name in ("anthropic", "mcp"):
        if found[name] is None:
            yield f"{name} is not installed, so nothing of it can be traced: pip install 'toolspend[{name}]'"


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _spans(unusable: str | None) -> Iterator[str]:
    from toolspend_ingest.aside import Aside

    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        yield "OTEL_SDK_DISABLED is set: no spans are made at all"
    endpoint = next((os.environ[name] for name in ENDPOINTS if os.environ.get(name)), None)
    spool = spool_dir()
    if endpoint is not None:
        yield f"agents started from this shell send them to {endpoint}"
    else:
        yield f"agents started from this shell put them into {spool}"
    given = "TOOLSPEND_HOME" if os.environ.get("TOOLSPEND_HOME") else "the default; TOOLSPEND_HOME changes it"
    yield f"home is {home()} ({given})"
    if unusable is not None:
        yield f"nothing can be stored there ({unusable}): set TOOLSPEND_HOME to a folder that can be written"
    files = sorted(spool.glob("*.spool")) if spool.is_dir() else []
    size = sum(file.stat().st_size for file in files)
    yield f"the spool holds {len(files)} file{'' if len(files) == 1 else 's'}, {size:,} bytes"
    kept = Aside()
    if held := kept.size():
        yield f"{held:,} bytes of refused input are kept in {kept.path}: `toolspend ingest --retry` reads them again"


def _store(path: Path) -> Iterator[str]:
    from toolspend_dashboard import address, snapshot
    from toolspend_ingest import Store

    running = address.find(path)
    if running is not None:
        yield f"served at {running.url} by process {running.pid}"
    if not path.exists():
        yield f"{path} does not exist yet: run `toolspend ingest` or `toolspend up`"
        return
    with (
        snapshot.damage_told_of(path),
        Store.open(snapshot.to_read(path), read_only=True) as store,
        store.reading() as cursor,
    ):
        yield f"{path}, {path.stat().st_size:,} bytes, {_facts(cursor)}"
        yield _backlog(store)
        yield from _contents(cursor)


def _backlog(store: Store) -> str:
    from toolspend_ingest.sources.spool import backlog

    def read_to(name: str) -> int:
        position = store.position(name)
        return position[1] if position is not None else 0

    waiting = backlog(spool_dir(), read_to)
    if not waiting.bytes:
        return "all of the spool is loaded"
    lies = [f"{waiting.frames:,} frames"] if waiting.frames or not waiting.unread else []
    if waiting.unread:
        first, *others = waiting.unread
        more = f" and {len(others):,} more" if others else ""
        lies.append(f"files that cannot be read: {first}{more}")
    return f"not loaded yet: {waiting.bytes:,} bytes of the spool in {' and '.join(lies)}"


def _facts(cursor: Any) -> str:
    from toolspend_ingest import schema

    (version,) = cursor.execute(schema.query("last_migration")).fetchone()
    return f"schema version {version}, DuckDB v{_version('duckdb')}"


def _contents(cursor: Any) -> Iterator[str]:
    from toolspend_dashboard import formats, health, queries
    from toolspend_dashboard.queries import Filters

    from ._report import coverage, records

    everything = Filters().parameters()
    extent = queries.run(cursor, "extent").iloc[0]
    storage = queries.run(cursor, "storage").iloc[0]
    if (per_span := health.bytes_per_span(storage)) is not None:
        free = int(storage["free_bytes"])
        yield f"{per_span:,.0f} bytes a span with all that follows from it, {free:,} bytes of the file free"
    loaded_at = formats.moment(extent["loaded_at"])
    when = "none loaded yet" if loaded_at == formats.UNKNOWN else f"last loaded {loaded_at} UTC"
    yield f"{formats.plural(int(extent['spans']), 'span')}, {when}"
    known = coverage(queries.run(cursor, "totals", **everything).iloc[0], queries.run(cursor, "bases", **everything))
    yield (
        f"{formats.plural(known['requests'], 'request')}: usage known for {known['usage_known']:,}, "
        f"priced {known['priced']:,}"
    )
    if known["unpriced_models"]:
        yield f"no price for {', '.join(known['unpriced_models'])}: add them to {home() / 'prices.toml'}"
    if known["tokens_by_basis"]:
        yield "tokens by basis: " + ", ".join(f"{basis} {part:,}" for basis, part in known["tokens_by_basis"].items())
    if (said := health.in_logs(queries.run(cursor, "messages_in_logs").iloc[0])) is not None:
        yield said
    if (said := health.told_again(queries.run(cursor, "copies", **everything))) is not None:
        yield said
    losses = records(queries.run(cursor, "losses"))
    for row in losses:
        reason = row["reason"] or "no reason given"
        yield f"{row['source']}: {row['refused']:,} refused, {row['dropped']:,} dropped ({reason})"
    if losses and (more := losses[0]["all_reasons"] - len(losses)):
        refused, dropped = losses[0]["all_refused"], losses[0]["all_dropped"]
        yield f"and {more:,} more; in all {refused:,} refused, {dropped:,} dropped: `ingest_log` has each"
