"""Spans that are stored first and derived in another transaction: sessions that go on are added to there as well."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sessions_that_go_on import assert_whole, empty_stores, spans_of
from simulator import Simulated
from toolspend_ingest import Store
from toolspend_ingest.attribution import run as attribution
from toolspend_ingest.news import News
from toolspend_ingest.spans import SpanBatch, SpanRow
from toolspend_ingest.store import Due, Load

Simulate = Callable[[str, int], Simulated]
stores = pytest.fixture(scope="module")(empty_stores)


def put(store: Store, spans: Sequence[SpanRow]) -> None:
    store.append_load(SpanBatch(spans), Load("test", "test", None), is_derived_later=True)


@settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(1, 2), dice=st.integers(0, 2**32).map(random.Random))
def test_what_is_due_is_what_all_of_it_gives(
    seed: int, dice: random.Random, simulated: Simulate, stores: Callable[[], Store]
) -> None:
    """Two sessions mixed, some spans late or twice, derived now and then, a trace or all: the tables are the same."""
    one, two = spans_of(simulated("cached", seed)), spans_of(simulated("edited", seed))
    spans = [span for pair in zip(one, two, strict=False) for span in pair]
    for _ in range(dice.choice((0, 1, 2))):
        place = dice.randrange(len(spans))
        span = spans[place] if dice.random() < 0.5 else spans.pop(place)
        spans.insert(min(place + dice.randint(1, 40), len(spans)), span)
    store = stores()
    begin = 0
    while begin < len(spans):
        end = begin + (dice.choice((1, 2, 4, 8)) if begin else len(spans) // 3)
        put(store, spans[begin:end])
        begin = end
        if dice.random() < 0.5:
            store.derive_pending(dice.choice((None, 1)))
    store.derive_pending()
    assert_whole(store)


def test_a_session_that_goes_on_is_added_to_later_too(simulated: Simulate, stores: Callable[[], Store]) -> None:
    """Nothing of it is read again: as many steps as times that something was due."""
    spans = spans_of(simulated("cached", 1))
    store = stores()
    half = len(spans) // 2
    put(store, spans[:half])
    assert store.derive_pending().left == 0
    before = store.went_on[0]
    for place in range(half, len(spans), 3):
        put(store, spans[place : place + 3])
        assert store.derive_pending() == Due(len({span.trace_id for span in spans[place : place + 3]}), 0)
    assert store.went_on[0] - before == len(range(half, len(spans), 3))
    assert store.derive_pending() == Due(0, 0)
    assert_whole(store)


def test_what_was_taken_by_a_derivation_that_failed_is_still_due(
    simulated: Simulate, stores: Callable[[], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is rolled back whole, and the next one makes it from the store."""
    spans = spans_of(simulated("cached", 1))
    store = stores()
    put(store, spans[:-4])
    store.derive_pending()
    put(store, spans[-4:])

    def fail(*_arguments: Any) -> None:
        raise RuntimeError("the power is gone")

    with monkeypatch.context() as patched:
        patched.setattr(attribution, "attribute_sessions", fail)
        with pytest.raises(RuntimeError, match="power"):
            store.derive_pending()
    assert store.derive_pending() == Due(len({span.trace_id for span in spans[-4:]}), 0)
    assert_whole(store)


def test_spans_arrive_while_others_are_derived(simulated: Simulate, stores: Callable[[], Store]) -> None:
    """One thread stores and another derives, as in the server; nothing is left out or made twice."""
    one, two = spans_of(simulated("cached", 1)), spans_of(simulated("edited", 1))
    store = stores()
    put(store, [*one[:60], *two[:60]])
    store.derive_pending()
    is_done = threading.Event()
    failures: list[BaseException] = []

    def derive() -> None:
        try:
            while not is_done.is_set():
                store.derive_pending()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=derive)
    thread.start()
    for pair in zip(one[60:], two[60:], strict=False):
        put(store, pair)
    is_done.set()
    thread.join()
    assert failures == []
    store.derive_pending()
    assert_whole(store)


def test_news_beyond_what_is_kept_is_read_again(monkeypatch: pytest.MonkeyPatch, simulated: Simulate) -> None:
    """So many spans are no longer held; their traces are known to have changed."""
    monkeypatch.setattr("toolspend_ingest.news._MOST_KEPT", 2)
    spans = spans_of(simulated("cached", 1))[:3]
    news = News()
    news.add(News(SpanBatch(spans[:2])))
    assert (news.spans.rows, news.changed) == (spans[:2], set())
    news.add(News(SpanBatch(spans[2:])))
    assert (news.spans.rows, news.changed) == ([], {span.trace_id for span in spans})
    for trace_id in ("another", spans[0].trace_id):
        taken = news.take([trace_id])
        assert (taken.spans.rows, taken.changed) == ([], {trace_id})


def test_news_are_taken_by_trace(simulated: Simulate) -> None:
    """What is about some traces goes with them, all else stays."""
    spans = spans_of(simulated("cached", 1))
    own = [span for span in spans if span.trace_id == spans[0].trace_id]
    others = [span._replace(trace_id="f" * 32) for span in own]
    news = News(SpanBatch([*own, *others]), {"f" * 32})
    taken = news.take([spans[0].trace_id])
    assert (taken.spans.rows, taken.changed) == (own, set())
    assert (news.spans.rows, news.changed) == (others, {"f" * 32})
