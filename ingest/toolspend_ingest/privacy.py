"""Content at the store's door: it is read into evidence, and goes no further unless somebody asked for it.

Here and not in the decoders, as every source passes here; before the store and not after, as what is on disk once is
in its snapshots and backups. Evidence and figures read from content become attributes of the span, so that everything
derived can be computed again from what is stored.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa

from toolspend import attributes as at
from toolspend._scrub import CONTENT

from . import json_text, vocabularies
from .otlp_values import LOG_KIND, to_json
from .rows import Span
from .spans import SpanBatch, SpanColumns, SpanRow, rows_of
from .vocabularies import content

VARIABLE: Final = "TOOLSPEND_KEEP_CONTENT"
_MARKS: Final = tuple(f'"{mark}"' for mark in sorted(vocabularies.MARKS))
_OWN_EVIDENCE: Final = (f'"{at.CONTEXT_EVIDENCE}"', f'"{at.CONTEXT_DELTA}"', f'"{at.OUTPUT_SEGMENTS}"')


PATTERN: Final = (
    '"(?:(?:' + "|".join(map(re.escape, sorted(CONTENT | content.NAMES))) + ')"|(?:'
    + "|".join(map(re.escape, content.PREFIXES)) + "))"
)  # fmt: skip
"""A regular expression that finds the name of what holds content in JSON."""


def is_content_kept() -> bool:
    """Whether the user asks for content to be kept."""
    return os.environ.get(VARIABLE, "").lower() in ("1", "true", "yes")


def without_content(batch: SpanBatch) -> SpanBatch:
    """The spans without content, but for those whose agents were told to capture it."""
    return SpanBatch.of(*(part for each in batch.parts for part in _parts_without_content(each)))


def emptied(row: SpanRow) -> SpanRow:
    """The span without any content, also what its agent was told to capture; it says the same of sizes and figures."""
    if row.kind == LOG_KIND:
        return _without_content(row)
    span = _read(row)
    has_evidence = any(name in row.attributes for name in _OWN_EVIDENCE)
    kept = content.without(span.attributes) if has_evidence else vocabularies.without_content(span)
    events = content.events_without(span.events)
    for event in events:
        if isinstance(event, dict) and isinstance(event.get("attributes"), dict):
            event["attributes"] = _scrubbed(event["attributes"])
    return row._replace(attributes=to_json(_scrubbed(kept)), events=to_json(events))


def _parts_without_content(part: SpanColumns | list[SpanRow]) -> Iterator[SpanColumns | list[SpanRow]]:
    if isinstance(part, list):
        yield list(map(_without_content, part))
        return
    suspects = rows_of(part.table.take(pa.array(part.suspects, pa.int64())))
    changed = {
        place: row
        for place, was in zip(part.suspects, suspects, strict=True)
        if (row := _without_content(was)) is not was
    }
    if changed:
        is_kept = np.ones(part.table.num_rows, bool)
        is_kept[list(changed)] = False
        yield list(changed.values())
        yield SpanColumns(part.table.filter(pa.array(is_kept)), ())
    else:
        yield part


def _scrubbed(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if name not in CONTENT}


def _read(row: SpanRow) -> Span:
    return Span(*row[:12], json_text.read(row.attributes), json_text.read(row.events))


def _without_content(row: SpanRow) -> SpanRow:
    if row.kind == LOG_KIND:
        return row._replace(attributes=to_json(vocabularies.without_content(_read(row))))
    # Parsing takes ten times as long as looking for the names, and most spans say nothing of models.
    if row.scope == at.SCOPE or not (vocabularies.is_spoken(row.scope) or _is_marked(row)):
        return row
    if any(name in row.attributes for name in _OWN_EVIDENCE):
        return row
    span = _read(row)
    has_messages = content.has_messages(span.events)
    if not has_messages and not content.has_any(span.attributes):
        return row
    return row._replace(
        attributes=to_json(vocabularies.without_content(span)),
        events=to_json(content.events_without(span.events)) if has_messages else row.events,
    )


def _is_marked(row: SpanRow) -> bool:
    return any(mark in row.attributes for mark in _MARKS) or '"gen_ai.' in row.events
