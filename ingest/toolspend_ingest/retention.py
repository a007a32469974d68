"""What is stored for as long as it was told to be: content goes first, then whole sessions with all that follows.

A session is kept or pruned as a whole, its bill included: derived rows are a function of the spans, and half a session
would be billed anew, wrongly, by the next span of it. A session is as old as its latest span; a trace that belongs to
no session is one of its own. Space that is freed is used again; the file does not shrink.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

import duckdb

from . import schema
from .arrow import registered
from .aside import Aside
from .errors import ToolspendError
from .privacy import PATTERN, emptied
from .rows import LONGEST
from .spans import SpanBatch, SpanRow

SPANS_AT_ONCE = 10_000
"""Spans to a transaction, so that those who send spans meanwhile do not wait long."""
OLDEST: Final = timedelta(days=365_000)
"""About a thousand years: a time before the year 1 cannot be told."""
_UNITS: Final = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_AGE: Final = re.compile(r"\s*(\d+)\s*([hdw])\s*")
Run = Callable[[Callable[[duckdb.DuckDBPyConnection], Any]], Any]
"""Runs a piece of work on a connection."""


class AgeInvalid(ToolspendError):
    """A text that is no age."""

    def __init__(self, text: str) -> None:
        super().__init__(
            f"{text!r} is no time to keep things for: give hours, days or weeks, as 12h, 30d or 8w, "
            f"{OLDEST.days:,} days at most"
        )


@dataclass(frozen=True, slots=True)
class Keep:
    """How long sessions stay, and how long what was said in them; None means for ever, and as long as the session."""

    sessions: timedelta | None = None
    content: timedelta | None = None


@dataclass
class Pruned:
    """What went: spans, and spans that stayed without their content."""

    spans: int = 0
    contents: int = 0


def age(text: str) -> timedelta:
    """A time such as `12h`, `30d` or `8w`. Raises AgeInvalid."""
    match = _AGE.fullmatch(text.lower())
    if match is None:
        raise AgeInvalid(text)
    with contextlib.suppress(OverflowError, ValueError):
        found = int(match[1]) * _UNITS[match[2]]
        if timedelta() < found <= OLDEST:
            return found
    raise AgeInvalid(text)


def prune(read: Run, transact: Run, keep: Keep, now: datetime, *, since: datetime | None = None) -> Pruned:
    """Remove what is older than told; `now` is UTC. `read` finds it, `transact` removes it, a little at a time.

    Of content, spans that started before `since` are taken to be done already.
    """
    pruned = Pruned()
    if keep.content is not None:
        for emptied in _emptied(read, since or datetime.min, now - keep.content):
            transact(partial(_replace, rows=emptied))
            pruned.contents += len(emptied)
    if keep.sessions is not None:
        before = now - keep.sessions
        for trace_ids, spans in _groups(read(partial(_old_traces, before=before))):
            transact(partial(_delete, trace_ids=trace_ids))
            pruned.spans += spans
        transact(partial(_delete_facts, before=before))
        _delete_aside(before)
    return pruned


def _groups(traces: list[Any]) -> Iterator[tuple[list[str], int]]:
    """The traces to remove in one transaction, whole sessions together, and how many spans they have."""
    trace_ids: list[str] = []
    spans, last = 0, None
    for trace_id, count, _ended_at, session_id in traces:
        if spans >= SPANS_AT_ONCE and session_id != last:
            yield trace_ids, spans
            trace_ids, spans = [], 0
        trace_ids.append(trace_id)
        spans, last = spans + count, session_id
    if trace_ids:
        yield trace_ids, spans


def _delete(con: duckdb.DuckDBPyConnection, trace_ids: list[str]) -> None:
    for (table,) in con.execute(schema.query("tables_of_traces")).fetchall():
        con.execute(f'delete from "{table}" where trace_id in (select unnest(cast(? as varchar[])))', [trace_ids])  # noqa: S608


def _delete_facts(con: duckdb.DuckDBPyConnection, before: datetime) -> None:
    for query in ("delete_old_definitions", "delete_old_loads", "delete_old_positions"):
        con.execute(schema.query(query), [before])
    con.execute(schema.query("delete_old_carries"))


def _delete_aside(before: datetime) -> None:
    for path in Aside().files():
        if datetime.fromtimestamp(path.stat().st_mtime, UTC).replace(tzinfo=None) < before:
            path.unlink(missing_ok=True)


def _emptied(read: Run, since: datetime, until: datetime) -> Iterator[list[SpanRow]]:
    """The spans of a time that hold content, without it, some at a time."""
    after = ""
    while found := read(partial(_with_content, since=since, after=after, until=until)):
        since, after = found[-1].started_at, found[-1].span_id
        changed = [empty for row in found if (empty := emptied(row)) != row]
        if changed:
            yield changed


def _with_content(con: duckdb.DuckDBPyConnection, since: datetime, after: str, until: datetime) -> list[SpanRow]:
    values = {"since": since, "after": after, "until": until, "pattern": PATTERN, "most": SPANS_AT_ONCE}
    return [SpanRow(*row) for row in con.execute(schema.query("spans_with_content"), values).fetchall()]


def _replace(con: duckdb.DuckDBPyConnection, rows: list[SpanRow]) -> None:
    with registered(con, incoming=SpanBatch(rows).to_arrow()):
        con.execute(schema.query("update_contents"), {"since": rows[0].started_at, "until": rows[-1].started_at})


def _old_traces(con: duckdb.DuckDBPyConnection, before: datetime) -> list[Any]:
    values = {"before": before, "longest": LONGEST}
    if con.execute(schema.query("an_old_span"), values).fetchone() is None:
        return []
    return con.execute(schema.query("traces_to_prune"), values).fetchall()
