"""Stored spans, read as far as anything follows from them: most say nothing of models and tools, and those below them
only inherit from them. Where none that says something is below, such a span is not read at all; else it is told by its
scope and one partial reading of its attributes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import duckdb
import msgspec

from . import json_text, schema, vocabularies
from .arrow import rows_of
from .rows import Span
from .trees import INHERITED, SESSION_ATTRIBUTES

_INHERITED: Final = {f"inherited_{place}": name for place, name in enumerate(sorted(INHERITED))}
_MARKS: Final = {f"mark_{place}": name for place, name in enumerate(sorted(vocabularies.MARKS))}
_Glimpse: Final = msgspec.defstruct(
    "_Glimpse",
    [(field, Any, msgspec.UNSET) for field in (*_INHERITED, *_MARKS)],
    rename=_INHERITED | _MARKS,
)
_NO_MARKS: Final = (msgspec.UNSET,) * len(_MARKS)
_glimpse = msgspec.json.Decoder(_Glimpse).decode


def of_traces(con: duckdb.DuckDBPyConnection, trace_ids: Sequence[str]) -> dict[str, list[Span]]:
    """The spans of traces from which anything follows, in the conventions' words, each id once.

    Of those that came again with another start, and so were stored again, the latest and fullest counts.
    """
    sessions = [f'$."{name}"' for name in SESSION_ATTRIBUTES]
    values = {**vocabularies.speaking(), "sessions": sessions, "traces": list(trace_ids)}
    kept: dict[tuple[str, str], Sequence[Any]] = {}
    rows: Iterator[Sequence[Any]] = rows_of(con.sql(schema.query("spans_of_traces"), params=values).to_arrow_table())
    for row in rows:
        if (other := kept.setdefault((row[0], row[1]), row)) is not row and _fullness(row) > _fullness(other):
            kept[row[0], row[1]] = row
    found: dict[str, list[Span]] = {trace_id: [] for trace_id in trace_ids}
    for (trace_id, _), row in kept.items():
        found[trace_id].append(span(row))
    return found


def _fullness(row: Sequence[Any]) -> tuple[Any, ...]:
    return row[9], len(row[12].encode()), row[12], row[8]


def span(row: Sequence[Any]) -> Span:
    """A span in the conventions' words, from the columns of `spans_of_traces`."""
    attributes = None if vocabularies.may_speak(row[6], row[3]) else _inherited(row[12])
    if attributes is not None:
        fields = [*row[:12], attributes]
        return Span(*fields)
    fields = [*row[:12], json_text.read(row[12]), [] if row[13] == "[]" else json_text.read(row[13])]
    return vocabularies.translate(Span(*fields))


def _inherited(text: str) -> dict[str, Any] | None:
    """What others inherit from a span that says nothing; None where it may say something."""
    try:
        seen = _glimpse(text)
    except (msgspec.MsgspecError, UnicodeError):
        return None
    said = msgspec.structs.astuple(seen)
    if said[len(_INHERITED) :] != _NO_MARKS:
        return None
    return {name: value for name, value in zip(_INHERITED.values(), said, strict=False) if value is not msgspec.UNSET}
