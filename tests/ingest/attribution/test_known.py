"""Requests that are attributed alone, and those for which a session is attributed whole: the same rows from both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest

from attributed import TableRow, attributed, emptied, put_rows, rows_of
from conversations import PRICES, Compression, Conversation, Selection, bill, definition, result, use
from grown import growth_of, loads, put_rest
from toolspend_ingest.attribution import densities, run
from toolspend_ingest.attribution.memory import Memory

KNOWN = 18
"""Requests before those that are looked at: the next at which densities are learned again is the 22nd."""
CACHE_READ_USD = Decimal(PRICES["cache_read"]) / 10**15
TABLES = ("context_ledger", "llm_requests", "tool_calls", "cache_breaks", "tool_selections", "compressions")


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions of more than 8 requests can be added to."""
    monkeypatch.setattr(densities, "ALL_EQUATIONS", 8)


class Talk(Conversation):
    """A cached conversation that calls a tool each turn."""

    tokens = 0

    def turn(self, **fields: Any) -> str:
        """One more request; gives its id."""
        number = len(self.session.requests)
        new = [use("search", f"c{number - 1}"), result("search", f"c{number - 1}", 2000)] if number else [
            definition("search"), definition("fetch", 900), ["s", 3000], ["u", 300]]  # fmt: skip
        new += fields.pop("new", [])
        read, self.tokens = fields.pop("read", self.tokens), self.tokens + (560 if number else 1500)
        answer = fields.pop("answer", [["a", 100], use("search", f"c{number}")])
        asked = self.ask(*new, answer=answer, read=read, write_5m=self.tokens - read, output=70, **fields)
        self.call("search", f"c{number}", asked.request_id, raw_result_chars=3000)
        return asked.request_id


def steps(talk: Conversation, first: int = KNOWN, more: Sequence[TableRow] = ()) -> list[int]:
    """Whether each request after the first ones was attributed alone; all rows are those of the whole session."""
    con, memory = emptied(), Memory()
    parts = loads([*rows_of(talk.session), *more], first)
    put_rows(con, parts[0])
    run.attribute_sessions(con, ["s"], memory)
    found = []
    for part in parts[1:]:
        put_rest(con, part)
        before = memory.steps
        run.attribute_sessions(con, ["s"], memory, {"s": growth_of(part)})
        found.append(memory.steps - before)

    def everything() -> list[Any]:
        return [con.execute(f"select * from {table} order by all").fetchall() for table in TABLES]

    rows = everything()
    run.attribute_sessions(con, ["s"])
    assert rows == everything()
    return found


def begun(turns: int = KNOWN) -> Talk:
    talk = Talk()
    for _ in range(turns):
        talk.turn()
    return talk


def test_requests_that_go_on_are_attributed_alone() -> None:
    """All but the one with which densities are due to be learned again."""
    assert steps(begun(KNOWN + 7)) == [1, 1, 1, 0, 1, 1, 1]


def test_a_call_that_is_only_sent_again_costs_more_while_its_row_stays() -> None:
    """What each token was billed is kept once for the session, and `tool_calls` has it in the cost of every call."""
    con, memory = emptied(), Memory()
    parts = loads(rows_of(begun(KNOWN + 3).session), KNOWN)
    put_rows(con, parts[0])
    run.attribute_sessions(con, ["s"], memory)
    seen = []
    for part in parts[1:]:
        put_rest(con, part)
        run.attribute_sessions(con, ["s"], memory, {"s": growth_of(part)})
        seen.append(
            [
                con.execute(sql).fetchone()
                for sql in (
                    "select * from seen_calls where tool_call_id = 'c3'",
                    "select times_sent, cost_usd, result_tokens from tool_calls where tool_call_id = 'c3'",
                    "select requests, usd_per_token from session_carries",
                )
            ]
        )
    assert memory.steps == 3
    (first, one, _), (second, two, _), (third, three, carry) = seen
    assert first == second == third
    assert [two[0] - one[0], three[0] - two[0]] == [1, 1]
    assert two[1] - one[1] == three[1] - two[1] > one[2] * CACHE_READ_USD
    assert carry == (3, 3 * CACHE_READ_USD)


def test_no_request_is_attributed_alone_before_densities_settle() -> None:
    """With every request of a short session all sizes change."""
    assert steps(begun(8), first=4) == [0, 0, 0, 0]


ALONE: dict[str, Callable[[Talk], object]] = {
    "cache lost": lambda talk: talk.turn(read=0),
    "no usage": lambda talk: talk.turn(is_usage_known=False),
    "output unsaid": lambda talk: talk.turn(unsaid=frozenset({"output_tokens"})),
    "cache unsaid": lambda talk: talk.turn(
        unsaid=frozenset({"uncached_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens"})
    ),
    "rest unsaid": lambda talk: talk.turn(unsaid=frozenset({"input_tokens", "uncached_tokens"}), web_searches=1),
    "fee": lambda talk: talk.turn(web_searches=2),
    "keyframe": lambda talk: talk.turn(base=False),
    "a keyframe that goes on with nothing": lambda talk: talk.ask(
        ["s", 77], ["u", 99], answer=[["a", 10]], base=False, input=60, output=4
    ),
    "thinking": lambda talk: (talk.turn(answer=[["t", 900], ["a", 50]], thinking=40), talk.turn(new=[["t", 900]])),
    "new tool": lambda talk: talk.turn(new=[use("other", "x1"), result("other", "x1", 80)]),
    "image": lambda talk: talk.turn(new=[["u", 90_000, None, None, "i"]]),
    "result without a tool": lambda talk: talk.turn(new=[result(None, "unheard", 80)]),
    "nothing but a call": lambda talk: talk.call("fetch", "late", "q0017"),
    "a prompt far too small": lambda talk: talk.turn(write_1h=0, input=0) and talk.ask(["u", 9], answer=[], input=5),
}
WHOLE: dict[str, Callable[[Talk], object]] = {
    "another model": lambda talk: talk.turn(model="claude-opus-4-7"),
    "another price": lambda talk: talk.turn(prices={"input": 7}),
    "compression": lambda talk: talk.turn(compressed_tool="search"),
    "summed up": lambda talk: talk.turn(answer=[["k", 300], ["a", 20]]),
    "a count out of bounds": lambda talk: talk.turn(web_searches=-2),
    "at the same time": lambda talk: talk.session.requests.append(bill("same", KNOWN * 60 - 60, input=9)),
    "no evidence": lambda talk: talk.session.requests.append(bill("bare", KNOWN * 60, input=9)),
}


@pytest.mark.parametrize("case", ALONE)
def test_these_are_attributed_alone(case: str) -> None:
    """An ordinary session has them, and they change nothing before them."""
    talk = begun()
    ALONE[case](talk)
    assert set(steps(talk)) <= {1}
    assert case == "nothing but a call" or steps(talk)


@pytest.mark.parametrize("case", WHOLE)
def test_for_these_a_session_is_attributed_whole(case: str) -> None:
    """They need what is not kept, or change what was found before."""
    talk = begun()
    WHOLE[case](talk)
    assert not any(steps(talk))


def test_what_compressions_saved_and_selections_offered_grows_with_the_session() -> None:
    """A result that is sent again saves more; densities of results and definitions move with what is sent."""
    talk = begun()
    talk.session.compressions.append(Compression("squeeze", "search", "c16", 20_000, 2_000))
    talk.session.selections.append(Selection("choice", 900, 5_000))
    for _ in range(3):
        talk.turn(new=[result("search", f"c{len(talk.session.requests)}x", 700)])
    late = {"trace_id": "trace-s", "session_id": "s", "span_id": "later", "offered_chars": 4, "avoided_chars": None}
    at = talk.session.requests[-1].started_at
    assert steps(talk, more=[("tool_selections", {**late, "started_at": at})]) == [1, 1, 1]


def test_calls_without_a_price_are_counted_as_the_session_goes_on() -> None:
    """What they cost is unknown, as one request has no price; how often they were sent is known, and grows."""
    talk = Talk()
    for turn in range(KNOWN + 3):
        talk.turn(**({"prices": {}} if turn == 5 else {}))
    assert steps(talk) == [1, 1, 1]


def test_a_fork_from_a_late_request_is_attributed_alone_and_from_an_early_one_not() -> None:
    """What a request may build on is kept for a while."""
    for back, expected in ((2, 1), (16, 0)):
        talk = begun()
        base = talk.session.evidence[-back]
        talk.prompt = talk.prompt[: base.segments]
        talk.ask(["a", 40], ["u", 70], answer=[["a", 9]], input=2000, output=5)
        said = talk.session.evidence[-1]
        talk.session.evidence[-1] = type(said)(**{**vars(said), "base": base.request_id})
        assert steps(talk) == [expected]


def test_a_request_that_bears_on_an_earlier_break_is_not_attributed_alone() -> None:
    """Whether a difference is an edit or a branch depends on who else went on from the same request."""
    talk = begun()
    kept = list(talk.prompt)
    talk.prompt[-1] = result("search", "edited", 2000)
    talk.turn(read=0, base=False)
    talk.prompt = kept
    base = talk.session.evidence[KNOWN - 1].request_id
    talk.turn()
    said = talk.session.evidence[-1]
    talk.session.evidence[-1] = type(said)(**{**vars(said), "base": base})
    assert steps(talk)[1] == 0


def test_little_room_forgets_the_sessions_that_were_longest_untouched() -> None:
    """What is kept is bounded, and a session that was forgotten is attributed whole."""
    con, talk = emptied(), begun(KNOWN + 1)
    parts = loads(rows_of(talk.session), KNOWN)
    put_rows(con, parts[0])
    memory = Memory(1)
    run.attribute_sessions(con, ["s"], memory)
    assert len(memory) == 0
    put_rest(con, parts[1])
    run.attribute_sessions(con, ["s"], memory, {"s": growth_of(parts[1])})
    assert memory.steps == 0
    assert attributed(con).ledger
