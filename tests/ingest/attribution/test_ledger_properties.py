"""What holds for every input: conservation, and one result whatever the order."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection
from datetime import timedelta
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from conversations import PRICES, START, Conversation, bill, definition, result, use
from toolspend_ingest.attribution.calls import account
from toolspend_ingest.attribution.costs import cost_nano, costs_nano, request_cost_nano, units
from toolspend_ingest.attribution.ledger import attribute
from toolspend_ingest.attribution.model import RATES, Call, Evidence, RequestBill, Session
from toolspend_ingest.attribution.shares import whole_tokens

IDS = st.sampled_from([f"q{each}" for each in range(6)])
COUNTS = st.one_of(st.just(0), st.integers(1, 3000), st.integers(-500, 10**12))
SIZES = st.one_of(st.none(), st.integers(-5, 3000), st.integers(0, 2**60))
JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**40), 2**70), st.floats(), st.text(max_size=3)),
    lambda children: st.one_of(
        st.lists(children, max_size=4), st.dictionaries(st.text(max_size=2), children, max_size=2)
    ),
    max_leaves=8,
)
SEGMENTS = st.tuples(
    st.sampled_from([*"dsuatcrko", "z"]),
    st.one_of(st.integers(0, 5000), st.integers(0, 2**70)),
    st.sampled_from([None, "a", "b"]),
    st.sampled_from([None, "c1", "c2", "v1"]),
    st.sampled_from([None, "e", "i", "p", "s", "is"]),
    st.one_of(st.none(), st.integers(0, 9000)),
).map(list)
COPIES = st.tuples(st.integers(-2, 12), st.integers(0, 12) | st.integers(0, 2**62)).map(list)
DELTAS = st.one_of(
    st.lists(st.one_of(SEGMENTS, COPIES, JUNK), max_size=8).map(lambda items: json.dumps(items)),
    st.text(max_size=8),
    st.none(),
)
RESTATED = st.one_of(
    st.none(),
    st.lists(st.tuples(st.integers(0, 9), SEGMENTS, SEGMENTS).map(list), max_size=2).map(
        lambda items: json.dumps(items)
    ),
)
PROMPT_SIZES = st.lists(st.integers(0, 10**14), min_size=1, max_size=6)
PRICE_LISTS = st.one_of(
    st.just(PRICES),
    st.dictionaries(st.sampled_from(RATES), st.integers(0, 10**12) | st.integers(0, 10**18), max_size=6),
)


@st.composite
def requests(draw: st.DrawFn, request_id: str) -> RequestBill:
    read, write_1h, write_5m, uncached = (draw(COUNTS) for _ in range(4))
    output = draw(st.none() | COUNTS)
    hidden = [
        draw(st.integers(0, min(max(count or 0, 0), 500))) if draw(st.booleans()) else 0
        for count in (read, write_1h, write_5m, uncached, output)
    ]
    return bill(
        request_id,
        draw(st.integers(0, 300)),
        read=read,
        write_1h=write_1h,
        write_5m=write_5m,
        input=uncached,
        output=output,
        compaction=tuple(hidden),
        thinking=draw(st.none() | st.integers(0, 5000)),
        web_searches=draw(st.sampled_from([0, 0, 3])),
        model=draw(st.sampled_from(["claude-sonnet-4-5", "claude-opus-4-7", "gpt", None])),
        tools_offered=draw(st.sampled_from([None, 0, 4])),
        stop_reason=draw(st.sampled_from([None, "end_turn", "tool_use"])),
        compressed_tool=draw(st.sampled_from([None, None, None, "a"])),
        is_usage_known=draw(st.sampled_from([True, True, True, False])),
        prices=draw(PRICE_LISTS),
    )


@st.composite
def hostile_sessions(draw: st.DrawFn) -> Session:
    ids = draw(st.lists(IDS, unique=True, max_size=6))
    session = Session("s", [draw(requests(each)) for each in ids])
    for each in draw(st.lists(IDS, unique=True, max_size=6)):
        started_at = START + timedelta(seconds=draw(st.integers(0, 300)))
        base = draw(st.none() | IDS | st.just("lost"))
        output = draw(DELTAS)
        session.evidence.append(
            Evidence(each, started_at, base, draw(DELTAS), draw(RESTATED), draw(SIZES), draw(SIZES), output)
        )
    for row in range(draw(st.integers(0, 4))):
        call_id, request = draw(st.sampled_from([None, "c1", "c2"])), draw(st.none() | IDS)
        started_at = START + timedelta(seconds=draw(st.integers(0, 300)))
        session.calls.append(
            Call(row, call_id, "a", None, request, started_at, str(row), draw(SIZES), draw(SIZES), draw(SIZES))
        )
    session.requests.sort(key=lambda each: (each.started_at, each.request_id))
    session.evidence.sort(key=lambda each: (each.started_at, each.request_id))
    session.calls.sort(key=lambda each: (each.started_at, each.order))
    return session


def assert_conserved(sessions: list[Session]) -> None:
    batch = attribute(sessions)
    tokens: Counter[tuple[str, str]] = Counter()
    costs: Counter[tuple[str, str]] = Counter()
    for row in batch.words():
        tokens[row.request_id, row.rate] += row.tokens
        costs[row.request_id, row.rate] += row.cost_nano or 0
        assert row.tokens
        assert row.kind in ("tool_definition", "tool_use", "tool_result", "compression", "fee") or row.tool is None
    for place, each in enumerate(batch.bills):
        booked = {rate: tokens[each.request_id, rate] for rate in RATES}
        if not each.is_usage_known:
            assert not any(booked.values())
            continue
        assert booked == dict(zip(RATES, units(each), strict=True))
        total = request_cost_nano(each)
        assert (total is not None) == batch.is_priced[place]
        if total is None:
            continue
        assert sum(costs[each.request_id, rate] for rate in RATES) == total
        for rate, count in booked.items():
            assert costs[each.request_id, rate] == (cost_nano(count, each.prices[rate]) if count else 0)
    account(batch)


@settings(max_examples=150, deadline=None)
@given(hostile_sessions())
def test_every_request_and_rate_sums_to_its_bill(session: Session) -> None:
    """Tokens and nano-dollars are conserved for each request and rate, whatever usage and evidence say."""
    assert_conserved([session])


@settings(max_examples=25, deadline=None)
@given(st.lists(hostile_sessions(), min_size=2, max_size=3))
def test_a_session_does_not_depend_on_its_batch(sessions: list[Session]) -> None:
    """Several sessions together have the rows that each has alone, in the same order."""
    together = attribute(sessions).words()
    assert together == [row for session in sessions for row in attribute([session]).words()]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(PROMPT_SIZES, st.integers(0, 10**12)), min_size=1))
def test_rounded_places_sum_to_the_total(prompts: list[tuple[list[int], int]]) -> None:
    """Pieces follow one another without a gap from 0 to the total, and none is negative."""
    sized = [(sizes if any(sizes) else [1], total) for sizes, total in prompts]
    starts = np.cumsum([0, *(len(sizes) for sizes, _ in sized)])
    flat = np.concatenate([np.array(sizes, dtype=np.int64) for sizes, _ in sized])
    first, last = whole_tokens(flat, starts, np.array([total for _, total in sized], dtype=np.int64))
    for place, (_, total) in enumerate(sized):
        begin, end = starts[place], starts[place + 1]
        assert first[begin] == 0
        assert last[end - 1] == total
        assert (first[begin + 1 : end] == last[begin : end - 1]).all()
        assert (last[begin:end] >= first[begin:end]).all()


@given(st.integers(-(10**6), 10**9), st.integers(0, 10**8))
def test_many_costs_are_as_one(tokens: int, price: int) -> None:
    """The costs of an array are rounded as one cost is: half to even."""
    assert costs_nano(np.array([tokens]), np.array([price])).tolist() == [cost_nano(tokens, price)]


def test_halves_round_to_even() -> None:
    """1.5 nano-dollars are 2, and so are 2.5."""
    assert [cost_nano(each, 500_000) for each in (1, 3, 5)] == [0, 2, 2]
    assert costs_nano(np.array([1, 3, 5]), np.array([500_000] * 3)).tolist() == [0, 2, 2]
    assert costs_nano(np.array([1, 3, 5]), np.array([1_500_000] * 3)).tolist() == [2, 4, 8]


DIFFERENT = {"dense": 0.5, "plain": 0.25, "thin": 0.15}
SIMILAR = {"dense": 0.28, "plain": 0.25, "thin": 0.22}


def long_conversation(density: dict[str, float], lost: Collection[int] = ()) -> tuple[Session, dict[str, int]]:
    """Forty turns of three tools whose true tokens are known, at these tokens per character."""
    talk = Conversation()
    prompt = 496 + 3 * 110 + 1000
    truth: dict[str, int] = Counter()
    talk.ask(*(definition(tool) for tool in density), ["s", 3900], ["u", 100], answer=[use("dense", "c0")],
             input=prompt, output=40)  # fmt: skip
    carried: Counter[str] = Counter()
    for turn in range(40):
        tool = list(density)[turn % 3]
        chars = 500 + 350 * (turn % 7)
        size = round(chars * density[tool]) + 12
        carried[tool] += size
        prompt += 40 + size
        truth.update(carried)
        following = list(density)[(turn + 1) % 3]
        talk.ask(use(tool, f"c{turn}"), result(tool, f"c{turn}", chars), answer=[use(following, f"c{turn + 1}")],
                 input=prompt, output=40)  # fmt: skip
    kept = [each for place, each in enumerate(talk.session.requests) if place not in lost]
    evidence = [each for place, each in enumerate(talk.session.evidence) if place not in lost]
    return Session("s", kept, evidence), dict(truth)


def shares_by_tool(session: Session) -> dict[str, float]:
    found: Counter[str] = Counter()
    for row in attribute([session]).words():
        if row.kind == "tool_result" and row.tool is not None:
            found[row.tool] += row.tokens
    return dict(found)


def test_known_truth_is_met() -> None:
    """Results of three tools of different density: within 1 % each, where sharing by characters is off by 40 %."""
    session, truth = long_conversation(DIFFERENT)
    found = shares_by_tool(session)
    for tool, tokens in truth.items():
        assert abs(found[tool] - tokens) <= 0.01 * tokens
    chars: Counter[str] = Counter()
    for turn in range(40):
        chars[["dense", "plain", "thin"][turn % 3]] += (500 + 350 * (turn % 7)) * (40 - turn)
    by_chars = sum(truth.values()) * chars["thin"] / sum(chars.values())
    assert by_chars > 1.4 * truth["thin"]


def test_a_lost_span_costs_little() -> None:
    """Two spans of 41 lost: what remains adds up, and no tool's share of the results moves by over 2 points."""
    whole, _ = long_conversation(SIMILAR)
    broken, _ = long_conversation(SIMILAR, lost={13, 27})
    assert_conserved([broken])
    before, after = shares_by_tool(whole), shares_by_tool(broken)
    for tool in before:
        assert abs(before[tool] / sum(before.values()) - after[tool] / sum(after.values())) < 0.02


def test_blanks_of_a_lost_keyframe_are_filled_in_by_later_requests() -> None:
    """The first span lost: what later requests say again names its pieces, also in the requests before them."""
    session, _ = long_conversation(SIMILAR, lost={0})
    rows: list[Any] = attribute([session]).words()
    first = [row for row in rows if row.request_id == "q0001"]
    assert sum(row.tokens for row in first if row.kind == "unattributed") < 0.6 * sum(row.tokens for row in first)
    assert_conserved([session])
