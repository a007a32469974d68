"""What holds for every input: each request and rate sums to its bill, and a session stands for itself."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attributed import Attributed, attribute
from conversations import PRICES, START, Call, Compression, Evidence, Request, Selection, Session, bill
from toolspend_ingest.attribution.arrays import split
from toolspend_ingest.attribution.costs import costs_nano
from toolspend_ingest.attribution.model import RATES

TOOL_KINDS = ("tool_definition", "tool_use", "tool_result", "compression", "fee")
IDS = st.sampled_from([f"q{each}" for each in range(6)])
COUNTS = st.one_of(st.just(0), st.integers(1, 3000), st.integers(-500, 10**12))
SIZES = st.one_of(st.none(), st.integers(-5, 3000), st.integers(0, 2**60))
JUNK = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**40), 2**70), st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(codec="utf-8"), max_size=3),
    ),
    lambda children: st.one_of(
        st.lists(children, max_size=4), st.dictionaries(st.sampled_from(["a", "", "$"]), children, max_size=2)
    ),
    max_leaves=8,
)  # fmt: skip
SEGMENTS = st.tuples(
    st.sampled_from([*"dsuatcrko", "z"]),
    st.one_of(st.integers(0, 5000), st.integers(0, 2**70)),
    st.sampled_from([None, "a", "b"]),
    st.sampled_from([None, "c1", "c2", "v1"]),
    st.sampled_from([None, "e", "i", "p", "s", "is"]),
    st.one_of(st.none(), st.integers(0, 9000)),
    st.one_of(st.none(), st.integers(-5, 3000), st.integers(0, 2**70)),
    st.one_of(st.none(), st.integers(0, 3000)),
).map(list)
COPIES = st.tuples(st.integers(-2, 12), st.integers(0, 12) | st.integers(0, 2**62)).map(list)
LISTS = st.one_of(
    st.lists(st.one_of(SEGMENTS, COPIES, JUNK), max_size=8).map(json.dumps),
    JUNK.map(json.dumps),
    st.none(),
)
RESTATED = st.one_of(
    st.none(),
    st.lists(
        st.one_of(st.tuples(st.integers(-1, 9), SEGMENTS, SEGMENTS).map(list), JUNK), max_size=2
    ).map(json.dumps),
)  # fmt: skip
PRICE_LISTS = st.one_of(
    st.just(dict(PRICES)),
    st.none(),
    st.sampled_from(
        [
            {},
            {"input": 3 * 10**9, "output": 15 * 10**9},
            dict.fromkeys(RATES, 500_001),
            dict.fromkeys(RATES, 0),
            dict.fromkeys(RATES, 10**18 - 1),
            {**PRICES, "input": 1, "cache_read": 499_999},
        ]
    ),
)
UNSAID = st.one_of(
    st.just(frozenset[str]()),
    st.sampled_from(
        [
            frozenset({"output_tokens"}),
            frozenset({"input_tokens", "uncached_tokens"}),
            frozenset({"uncached_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens"}),
            frozenset({"cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens"}),
            frozenset({"input_tokens", "uncached_tokens", "cache_read_tokens", "cache_write_5m_tokens",
                       "cache_write_1h_tokens"}),
        ]
    ),
)  # fmt: skip
"""What emitters leave unsaid of a request's usage."""
PROMPT_SIZES = st.lists(st.integers(0, 10**14), min_size=1, max_size=6)


@st.composite
def requests(draw: st.DrawFn, request_id: str) -> Request:
    read, write_1h, write_5m, uncached = (draw(COUNTS) for _ in range(4))
    output = draw(st.none() | COUNTS)
    hidden = [draw(st.one_of(st.just(0), st.integers(0, 500), st.integers(0, 2**62))) for _ in range(5)]
    return bill(
        request_id,
        draw(st.integers(0, 300)),
        read=read,
        write_1h=write_1h,
        write_5m=write_5m,
        input=uncached,
        output=output,
        compaction=tuple(hidden) if draw(st.booleans()) else None,
        thinking=draw(st.none() | st.integers(0, 5000)),
        web_searches=draw(st.sampled_from([0, 0, 3, None])),
        model=draw(st.sampled_from(["claude-sonnet-4-5", "claude-opus-4-7", "gpt", None])),
        tools_offered=draw(st.sampled_from([None, 0, 4])),
        stop_reason=draw(st.sampled_from([None, "end_turn", "tool_use"])),
        compressed_tool=draw(st.sampled_from([None, None, None, "a"])),
        is_usage_known=draw(st.sampled_from([True, True, True, False])),
        unsaid=draw(UNSAID),
        prices=draw(PRICE_LISTS),
    )  # fmt: skip


@st.composite
def hostile_sessions(draw: st.DrawFn) -> Session:
    ids = draw(st.lists(IDS, unique=True, max_size=6))
    session = Session("s", [draw(requests(each)) for each in ids])
    for each in draw(st.lists(IDS, unique=True, max_size=6)):
        at = START + timedelta(seconds=draw(st.integers(0, 300)))
        base = draw(st.none() | IDS | st.just("lost"))
        said = (draw(LISTS), draw(RESTATED), draw(SIZES), draw(SIZES), draw(LISTS))
        session.evidence.append(Evidence(each, at, base, *said))
    for row in range(draw(st.integers(0, 4))):
        call_id, request = draw(st.sampled_from([None, "c1", "c2"])), draw(st.none() | IDS)
        at = START + timedelta(seconds=draw(st.integers(0, 300)))
        sizes = (draw(SIZES), draw(SIZES), draw(SIZES))
        session.calls.append(Call(f"run-{row}", call_id, "a", request, at, *sizes))
    if draw(st.booleans()):
        beneath = tuple(draw(st.lists(IDS, unique=True, max_size=2)))
        session.compressions.append(Compression("squeeze", "a", "c1", draw(SIZES), draw(SIZES), beneath))
        session.selections.append(Selection("choice", draw(SIZES), draw(SIZES)))
    return session


def cost_nano(tokens: int, nano_per_mtok: int) -> int:
    return int((Decimal(tokens) * nano_per_mtok / 10**6).quantize(Decimal(1), ROUND_HALF_EVEN))


def assert_conserved(session: Session, found: Attributed) -> None:
    tokens: Counter[tuple[str, str]] = Counter()
    costs: Counter[tuple[str, str]] = Counter()
    unpriced: Counter[str] = Counter()
    for row in found.ledger:
        tokens[row.request_id, row.rate] += row.tokens
        costs[row.request_id, row.rate] += row.cost_nano or 0
        unpriced[row.request_id] += row.cost_nano is None
        assert row.tokens
        assert (row.kind in TOOL_KINDS) == (row.tool is not None)
    of_requests = {row.request_id: row for row in found.requests}
    for each in session.requests:
        booked = {rate: tokens[each.request_id, rate] for rate in RATES}
        billed = of_requests[each.request_id]
        if not each.has_usage:
            assert not any(booked.values())
            assert billed.cost_nano is None
            continue
        assert booked == each.by_rate
        prices = each.prices or {}
        is_priced = all(
            rate in prices and abs(count) * prices[rate] < 10**23 for rate, count in booked.items() if count
        )
        assert billed.is_priced == (is_priced and not each.unsaid)
        if not is_priced:
            assert billed.cost_nano is None
            assert unpriced[each.request_id] == sum(ledger.request_id == each.request_id for ledger in found.ledger)
            continue
        assert unpriced[each.request_id] == 0
        for rate, count in booked.items():
            assert costs[each.request_id, rate] == (cost_nano(count, prices[rate]) if count else 0)
        assert billed.cost_nano == sum(costs[each.request_id, rate] for rate in RATES)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(hostile_sessions())
def test_every_request_and_rate_sums_to_its_bill(session: Session) -> None:
    """Tokens and nano-dollars are conserved for each request and rate, whatever usage and evidence say.

    Unknown usage has no rows, and the kinds of tools name a tool while all others name none.
    """
    assert_conserved(session, attribute(session))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-40, 40), st.booleans(), SIZES, SIZES), min_size=1, max_size=8))
def test_prompts_of_usage_alone_that_hardly_grow_sum_to_their_bills(
    turns: list[tuple[int, bool, int | None, int | None]],
) -> None:
    """Calls lie between requests whose prompts grew by less than the frame of a message, or not at all."""
    session, read = Session("s", [bill("q0", 0, read=20_000, write_5m=80, input=10, output=60)]), 20_000
    for number, (growth, has_run, asked, given_) in enumerate(turns, 1):
        read += growth
        session.requests.append(bill(f"q{number}", 60 * number, read=read, write_5m=80, input=10, output=9))
        if has_run:
            at = START + timedelta(seconds=60 * number - 30)
            session.calls.append(Call(f"run-{number}", f"c{number}", "a", f"q{number - 1}", at, asked, given_))
    assert_conserved(session, attribute(session))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(hostile_sessions(), min_size=2, max_size=3))
def test_a_session_does_not_depend_on_its_batch(sessions: list[Session]) -> None:
    """Several sessions together have the rows that each has alone, in the same order."""
    named = [replace(session, session_id=f"s{place}") for place, session in enumerate(sessions)]
    together = attribute(*named)
    alone = [attribute(session) for session in named]
    assert together.ledger == [row for each in alone for row in each.ledger]
    assert together.calls == [row for each in alone for row in each.calls]
    assert together.compressions == [row for each in alone for row in each.compressions]
    assert together.selections == [row for each in alone for row in each.selections]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(PROMPT_SIZES, st.integers(0, 10**12)), min_size=1))
def test_rounded_parts_sum_to_the_total(prompts: list[tuple[list[int], int]]) -> None:
    """Whole numbers in proportion to sizes: none negative, none off by one or more, and no sum that drifts."""
    sized = [(sizes if any(sizes) else [1], total) for sizes, total in prompts]
    flat = np.concatenate([np.array(sizes, dtype=np.int64) for sizes, _ in sized])
    starts = np.concatenate([np.arange(len(sizes)) == 0 for sizes, _ in sized])
    parts = split(flat, starts, np.array([total for _, total in sized], dtype=np.int64)).tolist()
    for sizes, total in sized:
        own, parts = parts[: len(sizes)], parts[len(sizes) :]
        assert sum(own) == total
        assert min(own) >= 0
        for size, part in zip(sizes, own, strict=True):
            assert abs(part - size * total / sum(sizes)) <= 1 + total * 1e-12


@given(st.integers(-(10**6), 10**9), st.integers(0, 10**8))
def test_many_costs_are_as_one(tokens: int, price: int) -> None:
    """The costs of an array are rounded as one cost is: half to even."""
    assert costs_nano(np.array([tokens]), np.array([price])).tolist() == [cost_nano(tokens, price)]


def test_halves_round_to_even() -> None:
    """1.5 nano-dollars are 2, and so are 2.5."""
    assert [cost_nano(each, 500_000) for each in (1, 3, 5)] == [0, 2, 2]
    assert costs_nano(np.array([1, 3, 5]), np.array([500_000] * 3)).tolist() == [0, 2, 2]
    assert costs_nano(np.array([1, 3, 5]), np.array([1_500_000] * 3)).tolist() == [2, 4, 8]


def test_a_garbled_output_does_not_make_sizes_overflow() -> None:
    """Two thousand million tokens for three definitions, and a prompt of as many characters: the bill still adds up."""
    small = bill("small", 0, input=7)
    session = Session("s", [bill("huge", 0, output=1_938_870_997), small])
    output = '[["d", 0], ["d", 0], ["d", 2115]]'
    session.evidence = [
        Evidence("small", small.started_at, None, "null", None, 3000, 219_695_546_470, "[]"),
        Evidence("huge", small.started_at, None, "[]", None, None, None, output),
    ]
    assert sum(row.tokens for row in attribute(session).ledger if row.request_id == "small") == 7
