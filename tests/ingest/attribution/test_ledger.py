"""Whose tokens a request was billed for: by place in the prompt, by what was added, by what usage says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from attributed import LedgerRow, attribute, cost, ledger, pick, prompts, tokens
from conversations import PRICES, Conversation, Session, bill, definition, result, use

FRAMING = 15
"""How far framing that is not known exactly may be off, over two messages and the closing of an output, in tokens."""


def searching(turns: int) -> Conversation:
    """One call of `search` with a result of 1,000 tokens, then turns that only re-send it.

    Each message has 4 tokens of framing, and each output 3 that close it and are in no prompt.
    """
    talk = Conversation()
    prompt = 638
    talk.ask(definition("search"), ["u", 100], answer=[use("search", "c1")], input=prompt, output=50)
    for turn in range(turns):
        new, prompt = [["a", 40], ["u", 40]], prompt + 10 + 10 + 2 * 4
        if turn == 0:
            new, prompt = [use("search", "c1"), result("search", "c1", 4000)], 638 + 47 + 1000 + 2 * 4
        talk.ask(*new, answer=[["a", 40]], input=prompt, output=10 + 3)
    return talk


def test_a_lone_appended_block_is_exact() -> None:
    """A result that alone joins a prompt has the growth less the output before it: 1,000 tokens, marked exact.

    Sharing the prompt by characters would give it over 1,450.
    """
    rows = ledger(searching(1).session)
    (row,) = pick(rows, kind="tool_result")
    assert row.basis == "exact"
    assert row.tokens == pytest.approx(1000, abs=FRAMING)
    by_characters = 1693 * 4000 // (4000 + 40 + 400 + 100)
    assert by_characters > 1450


def test_what_joins_a_prompt_has_its_growth() -> None:
    """A call, its result and their framing together are what the prompt grew by: 1,055 tokens."""
    rows = ledger(searching(1).session)
    before, after = pick(rows, request_id="q0000", rate="input"), pick(rows, request_id="q0001", rate="input")
    new = tokens(after, kind="tool_use") + tokens(after, kind="tool_result")
    assert new + tokens(after, kind="overhead") - tokens(before, kind="overhead") == pytest.approx(1055, abs=2)


def test_no_tools_no_hidden_prompt() -> None:
    """Without tools there is no overhead but for the framing of a request and its message."""
    talk = Conversation()
    talk.ask(["s", 1000], ["u", 100], input=300, output=1)
    assert tokens(ledger(talk.session), kind="overhead") < 20


@pytest.mark.parametrize(("offered", "is_hidden"), [(None, False), (0, False), (3, True)])
def test_tools_that_are_not_known_have_no_hidden_prompt(offered: int | None, is_hidden: bool) -> None:
    """Without evidence, a hidden prompt is there where tools were offered; where that is not known, it is not."""
    session = Session("s", [bill("q", input=2000, output=1, tools_offered=offered)])
    hidden = tokens(ledger(session), kind="overhead", rate="input")
    assert hidden == pytest.approx(496, rel=0.1) if is_hidden else hidden < 20


@pytest.mark.parametrize("prompt", [5_000, 130_213])
def test_a_hidden_prompt_keeps_its_published_size(prompt: int) -> None:
    """However much of a bill nothing explains, the hidden prompt is about 496 tokens: the rest is unattributed."""
    session = Session("s", [bill("q", input=prompt, output=1, tools_offered=3)])
    rows = ledger(session)
    assert tokens(rows, kind="overhead", rate="input") == pytest.approx(496, rel=0.1)
    assert tokens(rows, kind="unattributed", rate="input") == pytest.approx(prompt - 499, rel=0.1)


def test_a_changed_definition_rebills_what_follows_it() -> None:
    """After a change of the first tool nothing is read from the cache: each piece pays the write rate again."""
    talk = Conversation()
    talk.ask(definition("a"), definition("b"), ["s", 4000], ["u", 40], write_5m=2000, output=1)
    talk.ask(["a", 40], ["u", 40], read=2000, write_5m=30, output=1)
    talk.prompt[0] = definition("a", 420, "v2")
    talk.ask(["a", 40], ["u", 40], base=False, write_5m=2080, output=1)
    rows = ledger(talk.session)
    last = talk.session.requests[-1].request_id
    versions = {row.tool_version for row in pick(rows, request_id=last, kind="tool_definition", tool="a")}
    assert versions == {"v2"}
    assert pick(rows, request_id=last, tool_version="v2", is_first_send=True)
    (unchanged,) = pick(rows, request_id=last, tool="b")
    assert (unchanged.rate, unchanged.is_first_send) == ("cache_write_5m", False)


def test_rates_follow_position() -> None:
    """Reads come first in the prompt, then the hour's writes, the five minutes' writes, and the rest.

    Spreading every rate over all owners would bill the definition 179 tokens of the reads.
    """
    talk = Conversation()
    request = talk.ask(
        ["d", 1960, "search", "v1"], ["s", 2000], ["u", 784], ["u", 784],
        read=500, write_1h=500, write_5m=200, input=200, output=1, model="other",
    )  # fmt: skip
    rows = ledger(talk.session)
    by_rate = {rate: {row.kind: row.tokens for row in pick(rows, rate=rate)} for rate in PRICES}
    assert by_rate["cache_read"].keys() <= {"tool_definition", "overhead", "system"}
    assert by_rate["cache_read"]["tool_definition"] == pytest.approx(495, abs=10)
    assert by_rate["cache_write_1h"]["system"] == pytest.approx(495, abs=10)
    assert by_rate["cache_write_5m"]["user"] == pytest.approx(195, abs=10)
    assert by_rate["input"]["user"] == pytest.approx(200, abs=10)
    spread = round(500 * 500 / request.prompt_tokens)
    assert spread == 179


def test_a_piece_across_a_boundary_is_two_rows() -> None:
    """A definition of 500 tokens of which 200 were cached is in rows of both rates, which sum to its size."""
    talk = Conversation()
    talk.ask(["d", 1960, "search", "v1"], ["s", 2000], read=200, input=800, output=1, model="other")
    rows = pick(ledger(talk.session), kind="tool_definition")
    sizes = {row.rate: row.tokens for row in rows}
    assert sizes.keys() == {"cache_read", "input"}
    assert sizes["cache_read"] == pytest.approx(197, abs=4)
    assert sum(sizes.values()) == pytest.approx(500, abs=10)


def test_an_unpriced_model_has_no_cost() -> None:
    """Tokens are attributed all the same; the cost is unknown, neither 0 nor another model's."""
    talk = Conversation()
    talk.ask(definition("search"), ["u", 100], input=500, output=5, prices={}, model="secret")
    found = attribute(talk.session)
    assert {row.cost_nano for row in found.ledger} == {None}
    assert sum(row.tokens for row in found.ledger) == 505
    assert [(row.is_priced, row.cost_nano) for row in found.requests] == [(False, None)]


def test_one_missing_rate_leaves_the_whole_request_unpriced() -> None:
    """A request with a rate of unknown price has no cost at all; an unused rate without price does no harm."""
    talk = Conversation()
    some = {"input": PRICES["input"], "output": PRICES["output"]}
    talk.ask(["u", 100], input=500, read=100, output=5, prices=some)
    talk.ask(["u", 100], input=700, output=5, prices=some)
    found = attribute(talk.session)
    assert [row.is_priced for row in found.requests] == [False, True]
    assert {row.cost_nano for row in pick(found.ledger, request_id="q0000")} == {None}
    assert found.requests[1].cost_nano == 700 * 3000 + 5 * 15_000


def test_unknown_usage_has_no_rows() -> None:
    """A stream that was cut off before any usage has unknown tokens: no rows, rather than rows of zero."""
    talk = Conversation()
    talk.ask(definition("search"), ["u", 100], is_usage_known=False)
    talk.ask(["a", 10], ["u", 100], input=700, output=5)
    rows = ledger(talk.session)
    assert {row.request_id for row in rows} == {"q0001"}
    assert pick(rows, kind="tool_definition", is_first_send=True)  # first billed here


UNCACHED = frozenset({"input_tokens", "uncached_tokens"})


def test_a_prompt_that_is_known_in_part_is_billed_from_its_beginning_on() -> None:
    """Of an emitter that does not say what its count includes, the 1,500 tokens that were read are the head's alone.

    Taken for the whole prompt they would be shared with all that was said after it, and results would have left.
    """

    def head(unsaid: frozenset[str]) -> list[LedgerRow]:
        talk, tokens = Conversation(), 1_700
        for turn in range(12):
            new = [use("search", f"c{turn}"), result("search", f"c{turn}", 4000)] if turn else [
                definition("search"), ["s", 3600], ["u", 300]]  # fmt: skip
            answer = [use("search", f"c{turn + 1}")]
            talk.ask(*new, answer=answer, read=1_500, input=tokens - 1_500, output=40, unsaid=unsaid)
            tokens += 1_060
        return pick(ledger(talk.session), rate="cache_read")

    known, partly = head(frozenset()), head(UNCACHED)
    assert sum(row.tokens for row in known) == sum(row.tokens for row in partly) == 12 * 1_500
    for kind in ("tool_definition", "system", "overhead"):
        assert tokens(partly, kind=kind) == pytest.approx(tokens(known, kind=kind), rel=0.2)
    assert tokens(partly, kind="tool_result") == 0
    assert {row.basis for row in partly if row.kind != "overhead"} == {"inferred"}


def test_a_retried_prompt_keeps_the_exact_growth() -> None:
    """A request that failed in between does not blur what the next one grew by."""
    talk = Conversation()
    talk.ask(definition("search"), ["u", 100], answer=[use("search", "c1")], input=2000, output=50)
    talk.ask(use("search", "c1"), result("search", "c1", 4000), is_usage_known=False)
    talk.ask(input=3050, output=50)
    (row,) = pick(ledger(talk.session), kind="tool_result")
    assert row.tokens == pytest.approx(1000, abs=FRAMING)
    assert row.is_first_send
    assert row.basis == "exact"


def test_thinking_is_exact_where_usage_states_it() -> None:
    """Thinking of which only a summary was returned has its billed tokens, not those of its characters."""
    talk = Conversation()
    talk.ask(["u", 100], answer=[["t", 40], ["a", 800]], input=32, output=903, thinking=700)
    rows = pick(ledger(talk.session), rate="output")
    (thinking,), (text,) = pick(rows, kind="thinking"), pick(rows, kind="assistant")
    assert (thinking.tokens, thinking.basis) == (700, "exact")
    assert text.tokens == pytest.approx(200, abs=5)
    assert text.basis == "exact"
    by_characters = 903 * 40 // 840
    assert by_characters < 50


def test_a_bill_that_contradicts_itself_is_shown() -> None:
    """More read from the cache than the prompt held: the negative rest is unattributed, not clamped to zero."""
    talk = Conversation()
    talk.ask(definition("search"), ["u", 100], read=1253, input=-50, output=5)
    rows = ledger(talk.session)
    assert [(row.kind, row.tokens, row.cost_nano) for row in pick(rows, rate="input")] == [
        ("unattributed", -50, -150_000)
    ]
    assert sum(row.tokens for row in rows if row.rate != "output") == 1203


def test_a_call_by_the_model_is_first_sent_as_output() -> None:
    """In a prompt a tool_use block is always carried: its first sending was the response."""
    rows = ledger(searching(2).session)
    assert {row.is_first_send for row in pick(rows, kind="tool_use", rate="input")} == {False}
    assert {row.is_first_send for row in pick(rows, kind="tool_use", rate="output")} == {True}


def test_the_hidden_prompt_is_first_sent_once() -> None:
    """What the first prompt had of it is carried by the later ones, as all else that stays."""
    rows = pick(ledger(searching(3).session), kind="overhead", rate="input")
    assert tokens(rows, request_id="q0000", is_first_send=True) > 490
    for request_id in ("q0001", "q0002", "q0003"):
        assert tokens(rows, request_id=request_id, is_first_send=False) > 490
        assert tokens(rows, request_id=request_id, is_first_send=True) < FRAMING


def test_a_fork_re_sends_what_it_copied() -> None:
    """Two branches that share a result: first sent in the one, carried in the other."""
    talk = searching(1)
    second = Conversation()
    second.prompt, second.session = list(talk.prompt), talk.session
    talk.ask(["a", 40], ["u", 50], input=1693 + 10 + 13 + 8, output=5)
    second.prefix = "fork"
    second.ask(["a", 40], ["u", 70], base=False, input=1693 + 10 + 18 + 8, output=5)
    rows = ledger(talk.session)
    first = tokens(rows, kind="tool_result", is_first_send=True)
    assert first == pytest.approx(1000, abs=FRAMING)
    assert tokens(rows, kind="tool_result", is_first_send=False) == pytest.approx(2 * first, rel=0.01)


def test_of_two_attempts_the_last_has_the_tokens() -> None:
    """A call that was tried twice under one id is billed once."""
    talk = Conversation()
    first = talk.ask(definition("search"), ["u", 100], answer=[use("search", "c1")], input=1000, output=50)
    talk.call("search", "c1", first.request_id, second=30)
    talk.call("search", "c1", first.request_id, second=31)
    talk.ask(use("search", "c1"), result("search", "c1", 400), input=1150, output=5)
    found = attribute(talk.session)
    one, two = found.calls
    assert (one.cost_nano, one.result_tokens) == (None, None)
    assert two.result_tokens == tokens(found.ledger, kind="tool_result") > 100 - FRAMING
    assert two.cost_nano == cost(found.ledger, kind="tool_use") + cost(found.ledger, kind="tool_result")


def test_growth_without_evidence_is_the_calls_between() -> None:
    """With usage alone, what a prompt grew by is inferred to be the calls in between; the rest stays unattributed."""
    talk = Conversation()
    talk.session = Session("s", [bill("q0", 0, input=1000, output=40), bill("q1", 60, input=1640, output=10)])
    talk.call("search", "c1", "q0", second=30, argument_chars=40, result_chars=2000)
    rows = ledger(talk.session)
    later = pick(rows, request_id="q1", rate="input")
    assert {(row.kind, row.basis) for row in later if row.kind != "overhead"} == {
        ("unattributed", "unattributed"),
        ("tool_use", "inferred"),
        ("tool_result", "inferred"),
    }
    grown = 640 - 40
    assert grown - FRAMING - 10 <= tokens(later, kind="tool_result", tool="search") <= grown + FRAMING
    assert tokens(later, kind="unattributed") == pytest.approx(1000, abs=FRAMING)


def test_growth_belongs_to_a_call_of_whatever_size_where_none_is_told() -> None:
    """Spans that say no more than a tool: ten thousand tokens of growth are its result and what it was asked."""
    talk = Conversation()
    bills = [
        bill("q0", 0, input=1_000, output=60),
        bill("q1", 60, input=11_060, output=60),
        bill("q2", 120, input=11_140, output=10),
    ]
    talk.session = Session("s", bills)
    talk.call("big", "c1", "q0", second=30)
    talk.call("tiny", "c2", "q1", second=90)
    rows = ledger(talk.session)
    assert tokens(pick(rows, request_id="q1", rate="input"), tool="big") == pytest.approx(10_060, abs=FRAMING)
    assert tokens(pick(rows, request_id="q1", rate="input"), tool="big", kind="tool_use") <= 60
    assert tokens(pick(rows, request_id="q2", rate="input"), tool="big") == pytest.approx(10_060, abs=FRAMING)
    assert tokens(pick(rows, request_id="q2", rate="input"), tool="tiny") == pytest.approx(80, abs=FRAMING)
    assert {row.basis for row in rows if row.tool} == {"inferred"}


def test_a_call_after_which_the_prompt_did_not_grow_costs_nothing() -> None:
    """Not less than nothing either: what it would have to be short of is no other piece's."""
    talk = Conversation()
    first, second = (bill(name, at, read=20_000, input=90, output=60) for name, at in (("q0", 0), ("q1", 60)))
    talk.session = Session("s", [first, second])
    talk.call("small", "c1", "q0", second=30)
    rows = pick(ledger(talk.session), request_id="q1")
    assert tokens(pick(rows, rate="cache_read")) == 20_000
    assert pick(rows, tool="small") == []


def test_runs_of_unknown_size_weigh_alike() -> None:
    """Of two calls between requests, one of unknown size does not take all of the growth."""
    talk = Conversation()
    talk.session = Session("s", [bill("q0", 0, input=1000, output=40), bill("q1", 60, input=1640, output=10)])
    talk.call("known", "c1", "q0", second=30, argument_chars=40, result_chars=2000)
    talk.call("unknown", "c2", "q0", second=31)
    rows = pick(ledger(talk.session), request_id="q1", rate="input")
    assert tokens(rows, tool="known") > tokens(rows, tool="unknown")


def test_fractions_of_a_nano_dollar_are_carried_through_a_rate() -> None:
    """At 0.5 nano-dollars a token, what is booked apart and the pieces after it round as one: to 50, never 51."""
    talk = Conversation()
    talk.ask(["u", 40], ["s", 40], answer=[["k", 9]], input=101, compaction=(0, 0, 0, 33, 0),
             prices={"input": 500_000})  # fmt: skip
    rows = ledger(talk.session)
    assert [row.tokens for row in pick(rows, kind="compaction", basis="exact")] == [33]
    assert sum(row.cost_nano or 0 for row in rows) == 50  # 50.5, half to even


def test_a_stream_that_was_cut_is_billed_for_what_is_known() -> None:
    """The prompt of a cut stream is booked; of its output, which is unknown, there is no row."""
    talk = Conversation()
    talk.ask(definition("search"), ["u", 100], input=2000, output=50)
    cut = talk.ask(["a", 40], ["u", 40], input=2030, output=None)
    rows = pick(ledger(talk.session), request_id=cut.request_id)
    assert sum(row.tokens for row in rows) == 2030
    assert {row.rate for row in rows} == {"input"}


def test_evidence_without_sizes_is_used() -> None:
    """Where neither the number of segments nor their characters are said, the segments still have owners."""
    talk = searching(1)
    talk.session.evidence = [replace(each, segments=None, chars=None) for each in talk.session.evidence]
    assert prompts(talk.session)["q0001"].kinds == "ducr"
    assert tokens(ledger(talk.session), kind="tool_result") == pytest.approx(1000, abs=FRAMING)
