"""What others get wrong: each case with the right figure beside the wrong one."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from conversations import PRICES, Conversation, bill, definition, result, use
from toolspend_ingest.attribution.calls import account
from toolspend_ingest.attribution.costs import Price, prices_at
from toolspend_ingest.attribution.ledger import Batch, attribute
from toolspend_ingest.attribution.model import Compression, LedgerRow, Segment, Session
from toolspend_ingest.attribution.pieces import prior_size


def ledger(*conversations: Conversation) -> list[LedgerRow]:
    return attribute([each.session for each in conversations]).words()


def tokens(rows: Iterable[LedgerRow], **wanted: object) -> int:
    return sum(row.tokens for row in pick(rows, **wanted))


def cost(rows: Iterable[LedgerRow], **wanted: object) -> int:
    return sum(row.cost_nano or 0 for row in pick(rows, **wanted))


def pick(rows: Iterable[LedgerRow], **wanted: object) -> list[LedgerRow]:
    return [row for row in rows if all(getattr(row, name) == value for name, value in wanted.items())]


def searching(turns: int, *, is_cached: bool) -> Conversation:
    """One call of `search` with a result of 1,000 tokens, then turns that only re-send it."""
    talk = Conversation()
    prompt = 2000
    talk.ask(definition("search"), ["u", 100], answer=[use("search", "c1")], input=prompt, output=50)
    for turn in range(turns):
        before, new = prompt, [["a", 40], ["u", 40]]
        if turn == 0:
            new, prompt = [use("search", "c1"), result("search", "c1", 4000)], prompt + 1050
        else:
            prompt += 20
        paid = {"read": before, "input": prompt - before} if is_cached else {"input": prompt}
        talk.ask(*new, answer=[["a", 40]], output=10, **paid)
    return talk


def test_a_result_is_counted_once_and_its_carry_apart() -> None:
    """One result re-sent 19 times: 1,000 tokens first, 19,000 carried; neither 1,000 in all nor 20,000 at first."""
    rows = ledger(searching(20, is_cached=False))
    assert tokens(rows, kind="tool_result", is_first_send=True) == 1000
    assert tokens(rows, kind="tool_result", is_first_send=False) == 19_000


def test_cached_carry_is_billed_at_the_read_rate() -> None:
    """The same carry costs a tenth when cached: 5,700 micro-dollars, not the 57,000 of the full price."""
    rows = ledger(searching(20, is_cached=True))
    carried = pick(rows, kind="tool_result", is_first_send=False)
    assert {row.rate for row in carried} == {"cache_read"}
    assert sum(row.cost_nano or 0 for row in carried) == 19_000 * 300
    assert sum(row.cost_nano or 0 for row in carried) != 19_000 * 3000
    assert cost(rows, kind="tool_result", is_first_send=True) == 1000 * 3000


def test_a_lone_appended_block_is_exact() -> None:
    """A result that alone joins a prompt has the growth less the output before it: 1,000 tokens, marked exact."""
    rows = ledger(searching(1, is_cached=False))
    (row,) = pick(rows, kind="tool_result")
    assert (row.tokens, row.basis) == (1000, "exact")
    by_characters = 3050 * 4000 // (4000 + 40 + 400 + 100)
    assert by_characters > 2600  # what sharing the prompt by characters would have given


def test_the_hidden_tool_prompt_is_booked_once() -> None:
    """Ten tools carry one hidden prompt of 496 tokens as overhead; 4,960 if each tool's own count were added."""
    talk = Conversation()
    talk.ask(*(definition(f"tool{each}") for each in range(10)), ["u", 100], input=2000, output=1)
    rows = ledger(talk)
    assert tokens(rows, kind="overhead") == 496
    assert tokens(rows, kind="tool_definition") + tokens(rows, kind="user") == 2000 - 496


def test_no_tools_no_hidden_prompt() -> None:
    """Without tools there is no overhead."""
    talk = Conversation()
    talk.ask(["s", 1000], ["u", 100], input=300, output=1)
    assert tokens(ledger(talk), kind="overhead") == 0


def test_parallel_results_are_paired_by_id() -> None:
    """Results that come back in the other order belong to their calls, not to their neighbours."""
    talk = Conversation()
    calls = [use("small", "c1"), use("large", "c2")]
    first = talk.ask(definition("small"), definition("large"), ["u", 100], answer=calls, input=2000, output=80)
    talk.call("small", "c1", first.request_id)
    talk.call("large", "c2", first.request_id)
    talk.ask(*calls, result(None, "c2", 9000), result(None, "c1", 90), input=4600, output=5)
    batch = attribute([talk.session])
    by_tool = {row.row: row.result_tokens or 0 for row in account(batch)[0]}
    assert by_tool[1] > 20 * by_tool[0]  # by adjacency: small would have the 9,000 characters
    assert sum(by_tool.values()) == 2600 - 80


def test_one_tool_twice_in_a_turn_is_two_calls() -> None:
    """Two calls of one tool have their own tokens, and the tool has the sum."""
    talk = Conversation()
    calls = [use("search", "c1"), use("search", "c2")]
    first = talk.ask(definition("search"), ["u", 100], answer=calls, input=1000, output=100)
    talk.call("search", "c1", first.request_id)
    talk.call("search", "c2", first.request_id)
    talk.ask(*calls, result("search", "c1", 1000), result("search", "c2", 3000), input=2100, output=5)
    batch = attribute([talk.session])
    one, two = account(batch)[0]
    assert (one.argument_tokens, two.argument_tokens) == (50, 50)
    assert (one.times_sent, two.times_sent) == (1, 1)
    assert (one.result_tokens or 0) + (two.result_tokens or 0) == 1000
    assert tokens(batch.words(), kind="tool_result", tool="search") == 1000


def test_a_changed_definition_rebills_what_follows_it() -> None:
    """After a change of the first tool nothing is read from the cache: each piece pays the write rate again."""
    talk = Conversation()
    talk.ask(definition("a"), definition("b"), ["s", 4000], ["u", 40], write_5m=2000, output=1)
    talk.ask(["a", 40], ["u", 40], read=2000, write_5m=30, output=1)
    talk.prompt[0] = definition("a", 420, "v2")
    talk.ask(["a", 40], ["u", 40], base=False, write_5m=2080, output=1)
    rows = ledger(talk)
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
    rows = ledger(talk)
    by_rate = {rate: {row.kind: row.tokens for row in pick(rows, rate=rate)} for rate in PRICES}
    assert by_rate["cache_read"] == {"tool_definition": 500}
    assert by_rate["cache_write_1h"] == {"system": 500}
    assert by_rate["cache_write_5m"] == {"user": 200}
    assert by_rate["input"] == {"user": 200}
    assert round(500 * 500 / request.prompt_tokens) == 179


def test_a_piece_across_a_boundary_is_two_rows() -> None:
    """A definition of 500 tokens of which 200 were cached is 200 at one rate and 300 at the other."""
    talk = Conversation()
    talk.ask(["d", 1960, "search", "v1"], ["s", 2000], read=200, input=800, output=1, model="other")
    rows = pick(ledger(talk), kind="tool_definition")
    assert {row.rate: row.tokens for row in rows} == {"cache_read": 200, "input": 300}


def test_an_image_is_not_its_base64() -> None:
    """131,635 base64 characters cost 519 tokens in a recording; a quarter of the characters would be 32,909."""
    size = prior_size(Segment("r", 131_635, "screenshot", "c1", "i")) / 1e6
    assert 400 < size < 700
    assert size != 131_635 / 4
    talk = Conversation()
    talk.ask(
        definition("screenshot"), ["u", 4000], result("screenshot", "c1", 131_635, "i"), input=2200, output=1
    )  # fmt: skip
    assert tokens(ledger(talk), kind="tool_result") < 900


def compressed() -> Session:
    talk = Conversation()
    first = talk.ask(definition("search"), ["u", 100], answer=[use("search", "c1")], input=2000, output=50)
    talk.call("search", "c1", first.request_id, raw_result_chars=20_000, result_chars=2000)
    talk.ask(use("search", "c1"), result("search", "c1", 2000), input=2550, output=10)
    talk.ask(["a", 40], ["u", 40], read=2550, input=20, output=10)
    helper = bill("helper", 45, input=5000, output=500, compressed_tool="search")
    talk.session.requests.insert(1, helper)
    talk.session.compressions.append(Compression(7, "search", "c1", 20_000, 2000, ("helper",)))
    return talk.session


def test_a_compression_is_the_tools_cost_and_its_saving_is_net() -> None:
    """The model call that compressed a result is booked on the tool; what it saved is net of it."""
    batch = attribute([compressed()])
    rows = pick(batch.words(), request_id="helper")
    assert {(row.kind, row.tool, row.tokens) for row in rows} == {
        ("compression", "search", 5000),
        ("compression", "search", 500),
    }
    spent = 5000 * 3000 + 500 * 15_000
    ((_, before, after, cost_nano, saved_nano),) = account(batch)[1]
    assert (before, after, cost_nano) == (5000, 500, spent)
    gross = 4500 * 3000 + 4500 * 300  # sent once at the input rate, once read from the cache
    assert saved_nano == gross - spent
    assert saved_nano != 4500 * 3000 * 2 - spent  # at full price each time


def test_a_raw_result_has_the_density_of_what_was_sent() -> None:
    """20,000 raw characters at 500 tokens for 2,000 characters are 5,000 tokens."""
    ((_, arguments, sent, raw, times, cost_nano),) = account(attribute([compressed()]))[0]
    assert (arguments, sent, raw, times) == (50, 500, 5000, 2)
    assert cost_nano == 50 * 15_000 + (50 + 500) * 3000 + (50 + 500) * 300


def test_a_server_tools_fee_and_results_are_its_own() -> None:
    """Three searches cost a fee of their own, and what they returned is the tool's, not the user's."""
    talk = Conversation()
    answer = [use("web_search", "w1", 30, "s"), result("web_search", "w1", 8000, "s"), ["a", 200]]
    talk.ask(
        ["d", 60, "web_search", "v1", "s"], ["u", 100], answer=answer, input=3000, output=120, web_searches=3
    )  # fmt: skip
    rows = ledger(talk)
    (fee,) = pick(rows, kind="fee")
    assert (fee.tool, fee.tokens, fee.cost_nano, fee.basis) == ("web_search", 3, 30_000_000, "exact")
    assert tokens(rows, kind="tool_result", tool="web_search") > 2000
    assert tokens(rows, kind="tool_result", rate="output") == 0  # no output tokens, though it lies in the output
    assert tokens(rows, kind="tool_use", rate="output") + tokens(rows, kind="assistant") == 120


def test_an_unknown_model_has_no_cost() -> None:
    """Tokens are attributed all the same; the cost is unknown, neither 0 nor another model's."""
    talk = Conversation()
    talk.ask(definition("search"), ["u", 100], input=500, output=5, prices={}, model="secret")
    batch = attribute([talk.session])
    assert {row.cost_nano for row in batch.words()} == {None}
    assert sum(row.tokens for row in batch.words()) == 505
    assert not batch.is_priced[0]


def test_one_missing_rate_leaves_the_whole_request_unpriced() -> None:
    """A request with a rate of unknown price has no cost at all; an unused rate without price does no harm."""
    talk = Conversation()
    some = {"input": PRICES["input"], "output": PRICES["output"]}
    talk.ask(["u", 100], input=500, read=100, output=5, prices=some)
    talk.ask(["u", 100], input=700, output=5, prices=some)
    batch = attribute([talk.session])
    assert batch.is_priced.tolist() == [False, True]
    assert {row.cost_nano for row in pick(batch.words(), request_id="q0000")} == {None}


def test_the_long_context_tier_begins_above_its_start() -> None:
    """Exactly 200,000 tokens have the ordinary price; one more, and the whole request has the tier's."""
    rows = [Price("input", Decimal(3), 0, None, None), Price("input", Decimal(6), 200_000, None, None)]
    at = bill("q").started_at
    assert prices_at(rows, at, 200_000) == {"input": 3_000_000_000}
    assert prices_at(rows, at, 200_001) == {"input": 6_000_000_000}


def test_unknown_usage_has_no_rows() -> None:
    """A stream that was cut off has unknown tokens: no rows, rather than rows of zero."""
    talk = Conversation()
    talk.ask(definition("search"), ["u", 100], is_usage_known=False)
    talk.ask(["a", 10], ["u", 100], input=700, output=5)
    rows = ledger(talk)
    assert {row.request_id for row in rows} == {"q0001"}
    assert pick(rows, kind="tool_definition", is_first_send=True)  # first billed here


def test_a_retried_prompt_keeps_the_exact_growth() -> None:
    """A request that failed in between does not blur what the next one grew by."""
    talk = Conversation()
    talk.ask(definition("search"), ["u", 100], answer=[use("search", "c1")], input=2000, output=50)
    talk.ask(use("search", "c1"), result("search", "c1", 4000), is_usage_known=False)
    talk.ask(input=3050, output=50)
    (row,) = pick(ledger(talk), kind="tool_result")
    assert (row.tokens, row.basis, row.is_first_send) == (1000, "exact", True)


def test_thinking_is_exact_where_usage_states_it() -> None:
    """Thinking of which only a summary was returned has its billed tokens, not those of its characters."""
    talk = Conversation()
    talk.ask(["u", 100], answer=[["t", 40], ["a", 400]], input=100, output=900, thinking=700)
    rows = ledger(talk)
    assert {(row.kind, row.tokens, row.basis) for row in pick(rows, rate="output")} == {
        ("thinking", 700, "exact"),
        ("assistant", 200, "exact"),
    }


def test_a_compactions_hidden_iteration_is_booked_apart() -> None:
    """83,555 tokens read to compact are compaction, not re-sent tool results; 224 are the shortened prompt."""
    talk = Conversation()
    talk.ask(
        ["k", 500], ["u", 100], answer=[["k", 500], ["a", 60]],
        input=83_555 + 224, output=154 + 22, compaction=(0, 0, 0, 83_555, 154),
    )  # fmt: skip
    rows = ledger(talk)
    assert tokens(rows, kind="compaction", basis="exact") == 83_555 + 154
    assert sum(row.tokens for row in rows) == 83_555 + 224 + 154 + 22


def test_a_bill_that_contradicts_itself_is_shown() -> None:
    """More read from the cache than the prompt held: the negative rest is unattributed, not clamped to zero."""
    talk = Conversation()
    talk.ask(definition("search"), ["u", 100], read=1253, input=-50, output=5)
    rows = ledger(talk)
    assert [(row.kind, row.tokens, row.cost_nano) for row in pick(rows, rate="input")] == [
        ("unattributed", -50, -150_000)
    ]
    assert sum(row.tokens for row in rows if row.rate != "output") == 1203


def test_a_call_by_the_model_is_first_sent_as_output() -> None:
    """In a prompt a tool_use block is always carried: its first sending was the response."""
    rows = ledger(searching(2, is_cached=False))
    assert {row.is_first_send for row in pick(rows, kind="tool_use", rate="input")} == {False}
    assert {row.is_first_send for row in pick(rows, kind="tool_use", rate="output")} == {True}


def test_a_fork_re_sends_what_it_copied() -> None:
    """Two branches that share a result: first sent in the one, carried in the other."""
    talk = searching(1, is_cached=False)
    second = Conversation()
    second.prompt, second.session = list(talk.prompt), talk.session
    talk.ask(["u", 50], input=3080, output=5)
    second.prefix = "fork"
    second.ask(["u", 70], base=False, input=3090, output=5)
    rows = ledger(talk)
    assert tokens(rows, kind="tool_result", is_first_send=True) == 1000
    assert tokens(rows, kind="tool_result", is_first_send=False) == 2000


def test_of_two_attempts_the_last_has_the_tokens() -> None:
    """A call that was tried twice under one id is billed once."""
    talk = Conversation()
    first = talk.ask(definition("search"), ["u", 100], answer=[use("search", "c1")], input=1000, output=50)
    talk.call("search", "c1", first.request_id)
    talk.call("search", "c1", first.request_id)
    talk.ask(use("search", "c1"), result("search", "c1", 400), input=1150, output=5)
    one, two = account(attribute([talk.session]))[0]
    assert (one.cost_nano, one.result_tokens) == (None, None)
    assert two.result_tokens == 100


def test_growth_without_evidence_is_the_calls_between() -> None:
    """With usage alone, what a prompt grew by is inferred to be the calls in between; the rest stays unattributed."""
    session = Session("s", [bill("q0", 0, input=1000, output=40), bill("q1", 60, input=1640, output=10)])
    talk = Conversation()
    talk.session = session
    talk.call("search", "c1", "q0", second=30, argument_chars=40, result_chars=2000)
    batch: Batch = attribute([session])
    rows = batch.words()
    assert {(row.kind, row.basis) for row in pick(rows, request_id="q1", rate="input")} == {
        ("unattributed", "unattributed"),
        ("tool_use", "inferred"),
        ("tool_result", "inferred"),
    }
    assert tokens(rows, request_id="q1", kind="tool_result", tool="search") == 600
    assert tokens(rows, request_id="q1", kind="unattributed") == 1000 + 10


def test_fractions_of_a_nano_dollar_are_carried_through_a_rate() -> None:
    """At 0.5 nano-dollars a token, what is booked apart and the pieces after it round as one: to 50, never 51."""
    talk = Conversation()
    talk.ask(["u", 40], ["s", 40], input=101, compaction=(0, 0, 0, 33, 0), prices={"input": 500_000})
    rows = ledger(talk)
    assert [row.tokens for row in pick(rows, kind="compaction")] == [33]
    assert sum(row.cost_nano or 0 for row in rows) == 50  # 50.5, half to even
