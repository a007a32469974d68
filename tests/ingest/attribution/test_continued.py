"""Sessions that go on: what is added to what is known is what computing all of it gives."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent_trace import chat
from otlp_requests import Made, protobuf
from sessions_that_go_on import assert_whole, empty_stores, spans_of
from simulator import Simulated
from toolspend import attributes as at
from toolspend_ingest import Store
from toolspend_ingest.attribution import densities
from toolspend_ingest.attribution import run as attribution
from toolspend_ingest.decode import decode
from toolspend_ingest.spans import SpanBatch, SpanRow

Simulate = Callable[[str, int], Simulated]
SHAPES = (
    "cached", "changing_tools", "compressed", "context_edits", "deferred_tools", "edited", "expiring", "flaky",
    "forked", "images", "multi_model", "resumed", "server_compaction", "subagents", "thinking", "web_search",
)  # fmt: skip
OTHER = "opentelemetry.instrumentation.genai.anthropic"
stores = pytest.fixture(scope="module")(empty_stores)


def load(store: Store, spans: Sequence[SpanRow]) -> None:
    store.append(SpanBatch(spans), "test", "test", None)


def made(*spans: Made) -> list[SpanRow]:
    return decode(protobuf(spans), "protobuf").spans.rows


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(shape=st.sampled_from(SHAPES), seed=st.integers(1, 2), dice=st.integers(0, 2**32).map(random.Random))
def test_what_is_added_is_what_all_of_it_gives(
    shape: str, seed: int, dice: random.Random, simulated: Simulate, stores: Callable[[], Store]
) -> None:
    """Spans as they come, some late, some twice, some never: each table is as if all were computed again."""
    spans = spans_of(simulated(shape, seed))
    for _ in range(dice.choice((0, 0, 1, 2))):
        place = dice.randrange(len(spans))
        match dice.choice(("late", "twice", "never")):
            case "late":
                spans.insert(min(place + dice.randint(1, 40), len(spans)), spans.pop(place))
            case "twice":
                spans.insert(min(place + dice.randint(1, 40), len(spans)), spans[place])
            case _:
                spans.pop(place)
    store = stores()
    begin = 0
    while begin < len(spans):
        end = begin + (dice.choice((1, 1, 2, 4, 8, 16)) if begin else len(spans) // 3)
        load(store, spans[begin:end])
        begin = end
        if dice.random() < 0.03:
            assert_whole(store)
    assert_whole(store)


@pytest.mark.parametrize("shape", ["cached", "forked", "thinking", "expiring"])
def test_a_session_that_only_goes_on_is_added_to(shape: str, simulated: Simulate, stores: Callable[[], Store]) -> None:
    """Every load is derived alone, and attributed alone but where densities are due to be learned again."""
    spans = spans_of(simulated(shape, 1))
    store = stores()
    first = len(spans) // 2
    load(store, spans[:first])
    derived_before, attributed_before = store.went_on
    due = 0
    for span in spans[first:]:
        counted = requests(store)
        load(store, [span])
        due += densities.last_equation(counted) != densities.last_equation(requests(store))
    derived_now, attributed_now = store.went_on
    assert derived_now - derived_before == len(spans) - first
    assert attributed_now - attributed_before >= len(spans) - first - due - silent(spans[first:])
    assert due < 8
    assert_whole(store)


def requests(store: Store) -> int:
    ((count,),) = store.cursor().execute("select count(*) from llm_requests").fetchall()
    return int(count)


def silent(spans: Sequence[SpanRow]) -> int:
    """Spans of which no row is made but a batch: nothing of theirs is attributed."""
    return sum(span.name == "execute_tools" for span in spans)


def test_a_failed_load_is_forgotten(
    simulated: Simulate, stores: Callable[[], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was worked out within a transaction that was rolled back is not built on."""
    spans = spans_of(simulated("cached", 1))
    store = stores()
    half = len(spans) // 2
    load(store, spans[:half])
    whole = attribution.attribute_sessions

    def fail(*arguments: Any) -> None:
        whole(*arguments)
        raise RuntimeError("the power is gone")

    with monkeypatch.context() as patched:
        patched.setattr(attribution, "attribute_sessions", fail)
        with pytest.raises(RuntimeError, match="power"):
            load(store, spans[half : half + 6])
    load(store, spans[half : half + 1])
    before = store.went_on
    for span in spans[half + 1 :]:
        load(store, [span])
    assert store.went_on > before
    assert_whole(store)


def test_sessions_beside_each_other_are_added_to(simulated: Simulate, stores: Callable[[], Store]) -> None:
    """Spans of several sessions in one load: those that go on are added to, whatever the others need."""
    one, two = spans_of(simulated("cached", 1)), spans_of(simulated("edited", 1))
    store = stores()
    load(store, one[: len(one) // 2])
    before = store.went_on
    for place in range(20):
        rest = two[place * 6 : place * 6 + 6]
        load(store, [*one[len(one) // 2 + place : len(one) // 2 + place + 1], *rest])
    assert store.went_on[0] - before[0] >= 20
    assert_whole(store)


def test_a_response_that_was_billed_before_is_not_added(simulated: Simulate, stores: Callable[[], Store]) -> None:
    """A copy of an earlier response, in a trace of its own, is found wherever the first one is."""
    spans = spans_of(simulated("cached", 1))
    store = stores()
    load(store, spans)
    (copied,) = [span for span in spans if "chat" in span.name or "messages" in span.name][-3:-2]
    last = spans[-1]
    load(
        store, [copied._replace(trace_id="f" * 32, span_id="e" * 16, started_at=last.ended_at, ended_at=last.ended_at)]
    )
    assert_whole(store)
    ids = store.cursor().execute("select response_id from llm_requests where response_id is not null").fetchall()
    assert len(ids) == len(set(ids))


def test_a_request_that_another_emitter_told_of_is_not_added(simulated: Simulate, stores: Callable[[], Store]) -> None:
    """A call without a response id, of a session that goes on, is found in the trace of another emitter's session."""
    one = spans_of(simulated("cached", 1))
    earlier = timedelta(days=1)
    two = [
        span._replace(scope=OTHER, started_at=span.started_at - earlier, ended_at=span.ended_at - earlier)
        for span in spans_of(simulated("cached", 2))
    ]
    store = stores()
    load(store, two)
    load(store, one[:-1])
    load(store, one[-1:])
    chat = [span for span in one if at.RESPONSE_ID in span.attributes][-1]
    said = {name: value for name, value in json.loads(chat.attributes).items() if name.startswith("gen_ai.")}
    del said[at.RESPONSE_ID]
    said[at.SESSION_ID] = json.loads(two[0].attributes)[at.SESSION_ID]
    twin = chat._replace(trace_id="f" * 32, span_id="e" * 16, parent_span_id=None, scope=OTHER)
    load(store, [twin._replace(attributes=json.dumps(said))])
    assert_whole(store)
    assert store.cursor().execute("select count(*) from request_copies").fetchone() == (1,)


def test_a_request_below_a_span_that_was_not_read_has_what_that_says(stores: Callable[[], Store]) -> None:
    """A span that said nothing of models, and had none below it, may get one: the session is then derived whole."""
    store = stores()
    unread = Made(1, 90, "GET", {at.USER_ID: "u-9"}, at_s=3, scope="opentelemetry.instrumentation.httpx")
    load(store, made(unread, *(chat(1, place, place, place) for place in range(1, 13))))
    before, _ = store.went_on
    load(store, made(chat(1, 13, 13, 13)))
    assert store.went_on[0] == before + 1
    load(store, made(chat(1, 14, 14, 14, parent=90)))
    assert store.went_on[0] == before + 1
    users = store.cursor().execute("select distinct request_id, user_id from llm_requests where user_id is not null")
    assert users.fetchall() == [(f"{14:016x}", "u-9")]
    assert_whole(store)


@pytest.mark.parametrize("is_read", [True, False])
def test_a_trace_that_had_spans_before_its_session_is_named_is_derived_whole(
    is_read: bool, stores: Callable[[], Store]
) -> None:
    """What was stored of it is found, whether it came before traces were first asked for, or since."""
    store = stores()
    nameless = chat(2, 50, 20, 50)
    nameless = replace(nameless, attributes={k: v for k, v in nameless.attributes.items() if k != at.CONVERSATION_ID})
    session = [chat(1, place, place, place) for place in range(1, 13)]
    load(store, made(*session))
    if is_read:
        load(store, made(chat(3, 14, 14, 14)))
    load(store, made(nameless))
    load(store, made(chat(1, 15, 15, 15)))
    load(store, made(chat(2, 51, 21, 51)))
    found = store.cursor().execute("select distinct session_id from llm_requests where trace_id = ?", [f"{2:032x}"])
    assert found.fetchall() == [("conv-1",)]
    assert_whole(store)


def test_a_trace_that_is_new_is_not_looked_for(stores: Callable[[], Store]) -> None:
    """Each request of a session may have a trace of its own: it is added as one of a known trace is."""
    store = stores()
    load(store, made(*(chat(place, place, place, place) for place in range(1, 13))))
    before, _ = store.went_on
    for place in range(13, 16):
        load(store, made(chat(place, place, place, place)))
    assert store.went_on[0] == before + 3
    assert_whole(store)
