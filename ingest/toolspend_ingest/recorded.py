"""Messages that instrumentations send as log records, on their way into the store.

The records about one span that come together are one row of `spans`, of the kind `log`, below the span that they are
about: so they are stored, acknowledged, found to be there already and pruned as spans are, and neither the order nor
the requests that they come in matter. What they say is put to that span when rows are derived (`told_by_logs`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from toolspend import attributes as at

from .otlp_values import LOG_KIND, clean, moment, to_json
from .spans import SpanRow

_SEVERAL: Final = "gen_ai messages"


class Resource:
    """What records of one process share; made once for all of them."""

    def __init__(self, attributes: Mapping[str, Any]) -> None:
        self.text = to_json(attributes)
        name = attributes.get(at.SERVICE_NAME)
        self.service = clean(str(name)) if name is not None else None


class Owner(NamedTuple):
    """The span that records are about, and who made them."""

    trace_id: str
    span_id: str
    scope: str | None
    scope_version: str | None
    resource: Resource


class Recorded:
    """The records of one request that carry messages, by the span that they are about."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, ...], tuple[Owner, dict[str, dict[str, Any]]]] = {}

    def add(self, owner: Owner, name: str, time_ns: int, attributes: Mapping[str, Any], body: Any) -> None:
        """Take a record. Raises BadSpan where its time is out of range."""
        moment(time_ns, "time of the record")
        said = to_json([attributes, body])
        key = (owner.trace_id, owner.span_id, owner.scope or "", owner.scope_version or "", owner.resource.text)
        own = _digest(owner.trace_id, owner.span_id, name, str(time_ns), said)
        record = {"id": own, "name": clean(name), "time_ns": time_ns, "attributes": attributes, "body": body}
        self._rows.setdefault(key, (owner, {}))[1].setdefault(own, record)

    def rows(self) -> Iterator[SpanRow]:
        """A row for each span that records were taken of."""
        for owner, records in self._rows.values():
            names = {record["name"] for record in records.values()}
            times = [record["time_ns"] for record in records.values()]
            yield SpanRow(
                trace_id=owner.trace_id,
                span_id=_digest(owner.span_id, *records),
                parent_span_id=owner.span_id,
                name=names.pop() if len(names) == 1 else _SEVERAL,
                kind=LOG_KIND,
                service=owner.resource.service,
                scope=owner.scope,
                scope_version=owner.scope_version,
                started_at=moment(min(times), "time of the record"),
                ended_at=moment(max(times), "time of the record"),
                duration_ms=(max(times) - min(times)) / 1e6,
                status="unset",
                status_message=None,
                attributes=to_json({at.LOG_RECORDS: list(records.values())}),
                resource_attributes=owner.resource.text,
                events="[]",
            )


def _digest(*parts: str) -> str:
    text = "\0".join(parts)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
