"""What is read of new rows without the database is what the database's queries read of them, or nothing."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from attributed import emptied, put, rows_of
from conversations import Evidence, Session, bill
from grown import growth_of
from ingest.attribution.test_conservation import LISTS, SEGMENTS, requests
from toolspend_ingest.attribution import inputs, run
from toolspend_ingest.attribution.growth import Edges, Price, Texts, micros, read_items, read_prompts
from toolspend_ingest.attribution.inputs import Inputs, Items, Prompts
from toolspend_ingest.attribution.model import NotAlone

PLAIN_SEGMENTS = st.tuples(
    st.sampled_from("dsuatcr"), st.integers(0, 5000), st.sampled_from([None, "a", "b", ""]),
    st.sampled_from([None, "c1", "v1"]), st.sampled_from([None, "e", "i", "p", "s", "l", "is"]),
    st.none() | st.integers(0, 9000), st.none() | st.integers(0, 3000), st.none() | st.integers(0, 3000),
).flatmap(lambda whole: st.integers(2, 8).map(lambda length: list(whole[:length])))  # fmt: skip
COPIES = st.tuples(st.integers(0, 12), st.integers(0, 12)).map(list)
PLAIN = st.lists(PLAIN_SEGMENTS | COPIES, max_size=6).map(json.dumps)
DERIVED = {"session", "row_id", "stream", "base"}
"""Columns of prompts that are not of the request alone."""


def read(session: Session) -> Inputs:
    con = emptied()
    put(con, session)
    con.execute(run.query("create_prompts"), {"sessions": [session.session_id]})
    found = inputs.read(con, run.query, [session.session_id])
    con.execute("drop table attributed_prompts")
    return found


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(delta=PLAIN | LISTS | SEGMENTS.map(lambda one: json.dumps([one])), output=PLAIN | LISTS)
def test_items_are_read_alike(delta: str | None, output: str | None) -> None:
    """Deltas and outputs, however malformed: the same items with the same codes, or none."""
    session = Session("s", [bill("q0")])
    session.evidence.append(Evidence("q0", session.requests[0].started_at, "other", delta, None, 1, 1, output))
    whole = read(session)
    tools, ids = Texts(whole.tools), Texts(whole.ids)
    try:
        found = (
            read_items([(0, delta)], tools, ids, may_copy=True), read_items([(0, output)], tools, ids, may_copy=False),
        )  # fmt: skip
    except NotAlone as reason:
        event(str(reason))
        return
    event("read")
    for one, other in zip(found, (whole.delta, whole.output), strict=True):
        for name in Items.__slots__:
            assert np.array_equal(getattr(one, name), getattr(other, name)), name
    assert (tools.texts, ids.texts) == (whole.tools, whole.ids)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(request=requests("q0"), segments=st.none() | st.integers(-5, 200_000), chars=st.none() | st.integers(-5, 2**40))
def test_prompts_are_read_alike(request: object, segments: int | None, chars: int | None) -> None:
    """A request's figures, however odd: the same columns, or none."""
    session = Session("s", [request])  # type: ignore[list-item]
    started = session.requests[0].started_at
    session.evidence.append(Evidence("q0", started, None, "[]", None, segments, chars, "[]"))
    whole = read(session)
    growth = growth_of(row for row in rows_of(session) if row[0] != "spans")
    model = whole.price_models.to_pylist()[0]
    price = Price(whole.prompts.prices[0], micros(started), 0)
    try:
        found = read_prompts(
            growth, whole.prompts, {}, {whole.models[0]: 0}, {model: price}, {model or "": Edges([], [])}
        )
    except NotAlone as reason:
        event(str(reason))
        return
    event("read")
    if session.requests[0].compaction is not None:
        return  # hidden iterations are read of the spans of outputs that were summed up
    for name in Prompts.__slots__:
        if name not in DERIVED:
            assert np.array_equal(getattr(found, name), getattr(whole.prompts, name)), name
