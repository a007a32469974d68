"""Spans of simulated sessions in any order, any batches, twice over, and with some of them lost."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evidence_said import apart
from relations import derived, tables
from simulator import Simulated
from toolspend import attributes as at
from toolspend_ingest import Store
from toolspend_ingest.decode import decode
from toolspend_ingest.spans import SpanBatch, SpanRow

Simulate = Callable[[str, int], Simulated]
SHAPES = ("cached", "edited", "forked", "multi_model", "resumed", "web_search")
SEED = 5
CONSERVED = (Path(__file__).parents[2] / "conservation.sql").read_text(encoding="utf-8")
LOST_SHARE = 0.05
MOVED_POINTS = 2.0
"""How far a tool's share of the bill may move on average, in percent of the bill."""


@pytest.fixture(scope="module")
def emptied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Store]]:
    """Gives a store without spans: the same one each time, as opening one loads all prices."""
    folder = tmp_path_factory.mktemp("store")
    with Store.open(folder / "toolspend.duckdb", prices_file=folder / "none.toml") as store:

        def empty() -> Store:
            cursor = store.cursor()
            for table in tables(cursor):
                cursor.execute(f"delete from {table}")
            return store

        yield empty


def spans_of(session: Simulated) -> list[SpanRow]:
    return [span for payload in session.payloads for span in decode(payload, "protobuf").spans]


def load(store: Store, batches: Sequence[Sequence[SpanRow]]) -> None:
    for number, batch in enumerate(batches):
        store.append(SpanBatch(batch), f"{number}", "test", None)


@pytest.mark.parametrize("shape", SHAPES)
@settings(
    max_examples=4,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(dice=st.integers(0, 2**32).map(random.Random))
def test_no_order_no_batches_and_no_copies_change_a_row(
    shape: str, dice: random.Random, simulated: Simulate, emptied: Callable[[], Store]
) -> None:
    """Shuffled, in one to six batches, a third of them twice: the rows are those of one batch in order.

    The ledger, and tokens and costs of calls and requests; and computing all of it again gives the same again.
    """
    spans = spans_of(simulated(shape, SEED))
    store = emptied()
    load(store, [spans])
    expected = derived(store)
    assert len(expected["context_ledger"]) > 100

    twice = [*spans, *dice.sample(spans, len(spans) // 3)]
    dice.shuffle(twice)
    cuts = sorted(dice.sample(range(1, len(twice)), dice.randint(0, 5)))
    store = emptied()
    load(store, [twice[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(twice)], strict=True)])
    assert derived(store) == expected
    store.rederive()
    assert derived(store) == expected


def test_a_session_beside_others_is_as_it_is_alone(simulated: Simulate, emptied: Callable[[], Store]) -> None:
    """Several sessions computed together have the ledger that each has by itself."""
    sessions = [spans_of(simulated(shape, SEED)) for shape in SHAPES[:3]]
    alone = set()
    for spans in sessions:
        store = emptied()
        load(store, [spans])
        alone.update(derived(store)["context_ledger"])
    store = emptied()
    load(store, [[span for spans in sessions for span in spans]])
    assert set(derived(store)["context_ledger"]) == alone


def shares(store: Store) -> dict[str, float]:
    """Each tool's part of the bill, in percent."""
    found = store.cursor().execute(
        "select tool, 100.0 * sum(cost_usd) / (select sum(cost_usd) from context_ledger) from context_ledger "
        "where tool is not null group by tool"
    )
    return {tool: float(share) for tool, share in found.fetchall()}


def poor_tokens(store: Store) -> float:
    """Which part of the prompts' tokens is not known by evidence of its own."""
    ((share,),) = (
        store.cursor()
        .execute(
            "select sum(tokens) filter (where basis in ('inferred', 'unattributed')) / sum(tokens) from context_ledger"
            " where rate not in ('output', 'fee')"
        )
        .fetchall()
    )
    return float(share or 0)


def bases(spans: Sequence[SpanRow]) -> set[str]:
    """The spans that others build on."""
    return {
        str(said) for span in spans if (said := apart(json.loads(span.attributes)).get(at.CONTEXT_BASE)) is not None
    }


@pytest.mark.parametrize("shape", [*SHAPES, "uncached", "long", "wide_batches", "forty_tools"])
def test_lost_spans_cost_little_and_are_said(shape: str, simulated: Simulate, emptied: Callable[[], Store]) -> None:
    """Without any 5 % of the spans the rest adds up, says what is not known, and moves no tool far.

    The mean over tools and draws of how far their shares of the bill move is at most 2 points.
    """
    spans = spans_of(simulated(shape, SEED))
    store = emptied()
    load(store, [spans])
    assert store.cursor().execute(CONSERVED).fetchall() == []
    before, poor_before = shares(store), poor_tokens(store)
    moves = []
    losses = 0
    for draw in range(5):
        lost = set(random.Random(f"{shape} {draw}").sample(range(len(spans)), max(1, round(LOST_SHARE * len(spans)))))
        kept = [span for place, span in enumerate(spans) if place not in lost]
        store = emptied()
        load(store, [kept])
        assert store.cursor().execute(CONSERVED).fetchall() == []
        after = shares(store)
        tools = before.keys() | after.keys()
        moves.append(sum(abs(before.get(tool, 0) - after.get(tool, 0)) for tool in tools) / len(tools))
        if {spans[place].span_id for place in lost} & bases(kept):
            losses += 1
            assert poor_tokens(store) > poor_before
    assert losses
    assert sum(moves) / len(moves) <= MOVED_POINTS


def test_a_lost_base_is_said_in_the_basis_of_what_built_on_it(
    simulated: Simulate, emptied: Callable[[], Store]
) -> None:
    """Requests all of whose tokens were reconciled have inferred ones once what they go on from is lost."""
    spans = spans_of(simulated("cached", SEED))

    def poor() -> set[str]:
        query = "select distinct request_id from context_ledger where basis in ('inferred', 'unattributed')"
        return {row[0] for row in store.cursor().execute(query).fetchall()}

    store = emptied()
    load(store, [spans])
    before = poor()
    needed = [span.span_id for span in spans if span.span_id in bases(spans)]
    lost = needed[len(needed) // 2]
    store = emptied()
    load(store, [[span for span in spans if span.span_id != lost]])
    assert poor() > before
