"""What others get wrong about what a prompt holds: the right figure beside the wrong one."""

from __future__ import annotations

import pytest

from attributed import LedgerRow, attribute, contexts_of, cost, ledger, pick, tokens
from conversations import PRICES, Conversation, Session, bill, definition, result, use
from toolspend_ingest.attribution.model import A, U
from toolspend_ingest.attribution.shares import share

FRAMING = 15
"""How far framing that is not known exactly may be off, over two messages and the closing of an output, in tokens."""


def searching(turns: int, *, is_cached: bool) -> Session:
    """One call of `search` with a result of 1,000 tokens, then turns that only re-send it.

    Each message has 4 tokens of framing, and each output 3 that close it and are in no prompt.
    """
    talk = Conversation()
    prompt = 638
    talk.ask(definition("search"), ["u", 100], answer=[use("search", "c1")], input=prompt, output=50)
    for turn in range(turns):
        before, new = prompt, [["a", 40], ["u", 40]]
        if turn == 0:
            new, prompt = [use("search", "c1"), result("search", "c1", 4000)], prompt + 47 + 1000 + 2 * 4
        else:
            prompt += 10 + 10 + 2 * 4
        read = before if is_cached else 0
        talk.ask(*new, answer=[["a", 40]], output=10 + 3, read=read, input=prompt - read)
    return talk.session


def prompt_tokens(rows: list[LedgerRow], **wanted: object) -> int:
    return sum(row.tokens for row in pick(rows, **wanted) if row.rate not in ("output", "fee"))


def test_case_07_compaction_is_a_hidden_iteration_and_ends_the_carry() -> None:
    """The iteration that compacts is booked apart, and what it dropped is carried no longer.

    Others see the usage at the top alone, and miss 83,709 tokens; or go on carrying the dropped results.
    """
    talk = Conversation()
    calls = [use("search", "c1"), result("search", "c1", 40_000)]
    talk.ask(definition("search"), ["u", 100], *calls, input=11_000, output=20)
    compacting = talk.ask(
        ["u", 100], answer=[["k", 500], ["a", 60]], input=83_555 + 900, output=154 + 22,
        compaction=(0, 0, 0, 83_555, 154),
    )  # fmt: skip
    talk.prompt = [definition("search"), ["k", 500], ["u", 100]]
    talk.ask(["a", 60], ["u", 90], base=False, input=920, output=5)
    rows = ledger(talk.session)

    assert tokens(rows, kind="compaction", basis="exact") == 83_555 + 154
    of_request = pick(rows, request_id=compacting.request_id)
    assert sum(row.tokens for row in of_request) == 83_555 + 900 + 154 + 22
    at_the_top = 900 + 22
    assert sum(row.tokens for row in of_request) - at_the_top == 83_709

    last = pick(rows, request_id="q0002")
    assert pick(last, kind="compaction", is_first_send=False)
    assert tokens(last, kind="tool_result") == 0
    still_carried = tokens(rows, request_id="q0000", kind="tool_result")
    assert still_carried > 9000


def test_case_08_server_tools_run_within_a_request() -> None:
    """What a search returned is the search's, within the request that ran it; the next prompt is shorter.

    Others take the growth of the prompt for what was appended: here -1,900 tokens.
    """
    talk = Conversation()
    answer = [use("web_search", "w1", 30, "s"), result("web_search", "w1", 8000, "s"), ["a", 200]]
    talk.ask(
        ["d", 60, "web_search", "v1", "s"], ["u", 100], answer=answer, input=3600, output=90, web_searches=3
    )  # fmt: skip
    talk.ask(["a", 200], ["u", 100], input=1700, output=30)
    rows = ledger(talk.session)

    (fee,) = pick(rows, kind="fee")
    assert (fee.tool, fee.tokens, fee.cost_nano, fee.basis) == ("web_search", 3, 30_000_000, "exact")
    assert tokens(rows, request_id="q0000", kind="tool_result", tool="web_search") > 1500
    assert tokens(rows, kind="tool_result", rate="output") == 0  # no output tokens, though it lies in the output
    closing = tokens(rows, request_id="q0000", kind="overhead", rate="output")
    assert tokens(rows, request_id="q0000", rate="output") == 90
    assert (
        tokens(rows, kind="tool_use", rate="output") + tokens(rows, request_id="q0000", kind="assistant", rate="output")
        == 90 - closing
    )
    assert closing < 10
    growth = 1700 - 3600
    assert growth < 0
    assert min(row.tokens for row in rows) > 0


def test_case_08_what_a_search_for_tools_found_is_within_the_models_message_and_no_output() -> None:
    """The list of the output has a definition, which is billed as part of the second pass.

    Shared among all that the list has, most of the 90 output tokens would be the definition's.
    """
    talk = Conversation()
    found, called = ["d", 2000, "query_orders", "v1"], use("query_orders", "c2", 100)
    asked = [use("tool_search", "c1", 40, "s"), result("tool_search", "c1", 40, "s"), found, called]
    talk.ask(definition("tool_search"), ["u", 100], answer=asked, input=2200, output=90)
    talk.ask(*asked, result("query_orders", "c2", 400), answer=[["a", 40]], input=1700, output=13)
    rows = ledger(talk.session)
    output = pick(rows, request_id="q0000", rate="output")
    assert tokens(output, kind="tool_definition") == 0
    assert tokens(output, kind="tool_use") == 90 - tokens(output, kind="overhead") > 80
    again = pick(rows, request_id="q0000", rate="input", tool="tool_search", kind="tool_use")
    assert [row.is_first_send for row in again] == [False]  # the second pass reads what the first one asked

    contexts = contexts_of(talk.session)
    begin, length = int(contexts.start[1]), int(contexts.length[1])
    assert contexts.is_message_start[begin : begin + length].tolist() == [False, True, True, *3 * [False], True]


def test_case_07_a_summary_has_its_own_part_of_the_output() -> None:
    """It has what its iteration was billed for, and takes nothing of the answer beside it."""
    talk = Conversation()
    talk.ask(["u", 3000], answer=[["k", 1600], ["a", 2400]], input=1700, output=1000,
             compaction=(0, 0, 0, 800, 400))  # fmt: skip
    output = pick(ledger(talk.session), rate="output")
    assert tokens(output, kind="compaction") == 400
    assert tokens(output, kind="assistant") == 600 - tokens(output, kind="overhead") > 590


def test_case_08_a_prompt_that_was_billed_twice_is_measured_by_the_next_one() -> None:
    """A search makes two passes over a prompt of 2,000 tokens, and the next bill has the prompt once: that tells it.

    The definition of the search, which no size tells, is what the prompt has beyond the rest.
    """
    talk = Conversation()
    asked, found, said = use("web_search", "w1", 40, "s"), result("web_search", "w1", 6000, "s"), ["a", 400]
    prompt, searched, text = 2000, 1540, 100
    talk.ask(
        ["d", 60, "web_search", "v1", "s"], ["s", 1600], ["u", 100], answer=[asked, found, said],
        input=2 * prompt + searched, output=40 + text + 3, web_searches=1,
    )  # fmt: skip
    talk.ask(asked, found, said, ["u", 100], input=prompt + searched + text + 4 + 29, answer=[["a", 40]], output=13)
    talk.ask(["a", 40], ["u", 40], input=prompt + searched + text + 33 + 28, output=10)
    rows = ledger(talk.session)
    last = {kind: tokens(rows, request_id="q0002", kind=kind) for kind in ("tool_definition", "system", "tool_result")}
    overhead = 496 + 3 + 4
    assert last["tool_definition"] == pytest.approx(prompt - overhead - 400 - 25, abs=80)
    assert last["system"] == pytest.approx(400, abs=60)
    assert last["tool_result"] == pytest.approx(1500, abs=80)


@pytest.mark.parametrize("is_cut", [False, True])
def test_case_08_an_answer_of_unknown_length_says_nothing_of_the_prompt_before(is_cut: bool) -> None:
    """A stream was cut after a search: its 4,000 tokens of text are in the next bill, and in no output to take off.

    With none taken off, the prompt would have so much less, and the search would have given the rest.
    """
    talk, prompt, searched, text = Conversation(), 6000, 1540, 4000
    asked, found, said = use("web_search", "w1", 40, "s"), result("web_search", "w1", 6000, "s"), ["a", 4 * text]
    talk.ask(
        ["d", 60, "web_search", "v1", "s"], ["s", 17_600], ["u", 100], answer=[asked, found, said],
        input=2 * prompt + searched, output=None if is_cut else 40 + text + 3, web_searches=1,
        unsaid=frozenset({"output_tokens"} if is_cut else ()),
    )  # fmt: skip
    talk.ask(asked, found, said, ["u", 100], input=prompt + searched + text + 4 + 29, answer=[["a", 40]], output=13)
    rows = ledger(talk.session)
    assert tokens(rows, request_id="q0000", kind="system") == pytest.approx(2 * 4400, rel=0.1)
    assert tokens(rows, request_id="q0000", kind="tool_result") == pytest.approx(1500, rel=0.5)


def test_case_08_a_second_pass_reads_what_the_first_one_wrote() -> None:
    """Of a prompt that was billed twice, each piece is written once and read once more: not one of them read twice.

    The system prompt was in the cache before, so it is read twice; the question after the breakpoint is paid twice.
    Others lay the doubled prompt out as one: then the page is read twice, and the text written again.
    """
    talk = Conversation()
    asked, found = use("web_search", "w1", 40, "s"), result("web_search", "w1", 6000, "s")
    head, page, text, question = 496 + 7 + 25 + 1000 + 400, 1013, 2000, 100
    talk.ask(
        definition("web_search", 4000), ["s", 1600], result("fetch", "f1", 4000), ["u", 4 * text], ["u", 4 * question],
        answer=[["a", 40], asked, found], read=2 * head + page + text, write_5m=page + text,
        input=2 * question + 1540, output=60, web_searches=1,
    )  # fmt: skip
    rows = ledger(talk.session)
    for rate in ("cache_write_5m", "cache_read"):
        assert tokens(rows, rate=rate, tool="fetch") == pytest.approx(page, abs=200)
        assert tokens(rows, rate=rate, kind="user") == pytest.approx(text, abs=200)
    assert tokens(rows, rate="cache_write_5m", kind="system") < 200
    assert tokens(rows, rate="cache_read", kind="system") == pytest.approx(800, abs=60)
    assert tokens(rows, rate="input", tool="web_search") == pytest.approx(1540, abs=150)


def test_case_08_what_was_cleared_leaves_a_note_for_each_result() -> None:
    """The notes that stand for a long and for a short result that were cleared are of one size."""
    talk = Conversation()
    calls = [use("long", "c1"), use("brief", "c2")]
    talk.ask(definition("long"), definition("brief"), ["u", 100], answer=calls, input=838, output=83)
    talk.ask(*calls, result("long", "c1", 20_000), result("brief", "c2", 400), input=838 + 80 + 8 + 5126,
             answer=[["a", 40]], output=13)  # fmt: skip
    edit = {"type": "clear_tool_uses_20250919", "cleared_tool_uses": 2, "cleared_input_tokens": 5086}
    talk.ask(["a", 40], ["u", 40], edits=[edit], input=838 + 88 + 40 + 28, output=10)
    rows = ledger(talk.session)
    left = {tool: tokens(rows, request_id="q0002", kind="tool_result", tool=tool) for tool in ("long", "brief")}
    assert left["long"] == pytest.approx(20, abs=10)
    assert left["brief"] == pytest.approx(20, abs=10)


def test_case_08_a_server_side_edit_takes_results_out_of_the_bill() -> None:
    """The client still sends the old result, the provider does not bill it: it is carried no longer.

    Sharing the bill by characters would go on booking over 1,000 tokens on it.
    """
    talk = Conversation()
    talk.ask(definition("search"), ["u", 100], answer=[use("search", "c1")], input=700, output=30)
    talk.ask(use("search", "c1"), result("search", "c1", 20_000), answer=[use("search", "c2")], input=5730, output=30)
    talk.ask(use("search", "c2"), result("search", "c2", 2000), input=1270, output=10)
    rows = ledger(talk.session)
    cleared = pick(rows, request_id="q0001", kind="tool_result", is_first_send=True)
    assert sum(row.tokens for row in cleared) == pytest.approx(5000, abs=FRAMING)
    assert tokens(rows, request_id="q0002", kind="tool_result", is_first_send=False) == 0
    assert tokens(rows, request_id="q0002", kind="tool_result", is_first_send=True) == pytest.approx(500, abs=40)
    by_characters = 1270 * 20_000 / (400 + 100 + 80 + 22_000)
    assert by_characters > 1000


def test_case_09_parallel_results_are_paired_by_id() -> None:
    """Results that come back in the other order belong to their calls; by adjacency, to each other's."""
    talk = Conversation()
    calls = [use("small", "c1"), use("large", "c2")]
    first = talk.ask(definition("small"), definition("large"), ["u", 100], answer=calls, input=2000, output=80)
    talk.call("small", "c1", first.request_id, second=30)
    talk.call("large", "c2", first.request_id, second=31)
    talk.ask(*calls, result(None, "c2", 9000), result(None, "c1", 90), input=4600, output=5)
    found = attribute(talk.session)
    small, large = (call.result_tokens or 0 for call in found.calls)
    assert [call.tool for call in found.calls] == ["small", "large"]
    assert small + large == pytest.approx(2600 - 80, abs=FRAMING)
    assert large > 20 * small
    by_adjacency = {"small": large, "large": small}
    assert by_adjacency["small"] > 20 * small
    assert {row.tool: row.tokens for row in pick(found.ledger, kind="tool_result")} == {"small": small, "large": large}


def test_case_09_one_tool_twice_in_a_turn_is_two_calls() -> None:
    """Two calls of one tool have their own tokens, and the tool has the sum; by name they would be one."""
    talk = Conversation()
    calls = [use("search", "c1"), use("search", "c2")]
    first = talk.ask(definition("search"), ["u", 100], answer=calls, input=1000, output=100)
    talk.call("search", "c1", first.request_id, second=30)
    talk.call("search", "c2", first.request_id, second=31)
    talk.ask(*calls, result("search", "c1", 1000), result("search", "c2", 3000), input=2100, output=5)
    found = attribute(talk.session)
    one, two = found.calls
    closing = tokens(found.ledger, request_id="q0000", kind="overhead", rate="output")
    assert (one.argument_tokens or 0) + (two.argument_tokens or 0) == 100 - closing
    assert abs((one.argument_tokens or 0) - (two.argument_tokens or 0)) <= 1
    assert (one.times_sent, two.times_sent) == (1, 1)
    assert two.result_tokens == pytest.approx(3 * (one.result_tokens or 0), rel=0.12)  # each has a frame of its own
    both = tokens(found.ledger, kind="tool_result", tool="search")
    assert both == (one.result_tokens or 0) + (two.result_tokens or 0)
    assert both == pytest.approx(1000, abs=FRAMING)
    by_name = both  # one call of twice the size
    assert by_name not in (one.result_tokens, two.result_tokens)


@pytest.mark.parametrize("is_cached", [False, True])
def test_case_10_a_result_is_first_sent_once_and_carried_at_its_rate(is_cached: bool) -> None:
    """One result sent first and re-sent 19 times: its size once at the input rate, 19 times at the carry's.

    Counted once it is a twentieth of its tokens; twenty times at full price it is up to seven times its cost.
    """
    rows = pick(ledger(searching(20, is_cached=is_cached)), kind="tool_result")
    first = tokens(rows, is_first_send=True)
    carried = pick(rows, is_first_send=False)
    assert first == pytest.approx(1000, abs=FRAMING)
    assert tokens(carried) == pytest.approx(19 * first, rel=0.005)
    assert cost(rows, is_first_send=True) == first * 3000
    assert {row.rate for row in carried} == {"cache_read" if is_cached else "input"}
    price = 300 if is_cached else 3000
    assert cost(carried) == tokens(carried) * price

    counted_once = first
    assert tokens(rows) == pytest.approx(20 * counted_once, rel=0.005)
    at_full_price = 20 * first * 3000
    assert at_full_price / cost(rows) == pytest.approx(20 / (1 + 19 * price / 3000), rel=0.005)
    assert (at_full_price > 6 * cost(rows)) == is_cached


def test_case_11_the_hidden_tool_prompt_is_booked_once() -> None:
    """Ten tools carry one hidden prompt of 496 tokens as overhead; 4,960 if each tool's own count were added."""
    talk = Conversation()
    talk.ask(*(definition(f"tool{each}") for each in range(10)), ["u", 100], input=1640, output=1)
    rows = ledger(talk.session)
    overhead = tokens(rows, kind="overhead", rate="input")
    assert overhead == pytest.approx(496, abs=FRAMING)
    definitions = tokens(rows, kind="tool_definition")
    assert definitions + tokens(rows, kind="user") == 1640 - overhead
    each_tools_own_count = definitions + 10 * 496
    assert each_tools_own_count > 3 * 1640


def test_case_12_deferred_definitions_are_billed_from_when_they_appear() -> None:
    """A definition that a tool search brought lies in the messages, and is the found tool's from then on.

    Others count it with every request, as if it had been offered from the beginning, or as the search's result.
    """
    talk = Conversation()
    asked = use("tool_search", "c1")
    talk.ask(definition("tool_search"), ["u", 100], answer=[asked], input=650, output=40)
    talk.ask(asked, ["d", 2000, "query_orders", "v1"], answer=[["a", 40]], input=1200, output=10)
    talk.ask(["a", 40], ["u", 40], input=1225, output=10)
    rows = pick(ledger(talk.session), kind="tool_definition", tool="query_orders")
    assert [row.request_id for row in rows] == ["q0001", "q0002"]
    assert [row.is_first_send for row in rows] == [True, False]
    assert [row.tokens for row in rows] == pytest.approx([510, 510], abs=FRAMING)
    with_every_request = 3 * rows[0].tokens
    assert tokens(rows) < 0.7 * with_every_request
    assert tokens(ledger(talk.session), kind="tool_result") == 0


def test_case_13_what_thinking_leaves_teaches_nothing_of_what_the_user_said() -> None:
    """Each time the user speaks, 300 tokens of thinking leave; the user's words keep the density of all texts.

    Taken for growths of what was said, these would make words of 100 tokens 30 or fewer.
    """
    talk = Conversation()
    prompt, thought = 129, ["t", 1200]
    talk.ask(["u", 500], answer=[thought, ["a", 400]], input=prompt, output=403, thinking=300)
    for _ in range(8):
        prompt += 100 + 4 + 125 + 4
        talk.ask(thought, ["a", 400], ["u", 500], answer=[thought, ["a", 400]], input=prompt, output=403, thinking=300)
    densities = share(contexts_of(talk.session)).densities
    assert densities.factor[0, U] == pytest.approx(densities.factor[0, A], abs=0.05)
    assert densities.message[0] == pytest.approx(4_000_000, abs=1_500_000)


def test_case_13_thinking_is_output_and_then_leaves_the_context() -> None:
    """Thinking has its billed tokens as output and none in the prompts that do not hold it any more.

    Growth less output would make the user's words -168 tokens.
    """
    talk = Conversation()
    thought = [["t", 60], ["a", 220]]
    talk.ask(["u", 300], answer=thought, input=92, output=255, thinking=200)
    talk.ask(*thought, ["u", 100], input=92 + 87, output=30, thinking=0)
    rows = ledger(talk.session)
    output = pick(rows, request_id="q0000", rate="output")
    assert {(row.kind, row.tokens, row.basis) for row in output if row.kind == "thinking"} == {
        ("thinking", 200, "exact")
    }
    assert tokens(output, kind="assistant") == pytest.approx(55, abs=6)
    later = pick(rows, request_id="q0001", rate="input")
    assert tokens(later, kind="thinking") < 20
    growth_less_output = 87 - 255
    assert growth_less_output == -168
    assert 10 < tokens(later, kind="user", is_first_send=True) < 50


def test_case_14_an_image_is_not_its_base64() -> None:
    """131,635 base64 characters cost 519 tokens in a recording; a quarter of the characters would be 32,909."""
    talk = Conversation()
    talk.ask(
        definition("screenshot"), ["u", 4000], result("screenshot", "c1", 131_635, "i"), input=2200, output=1
    )  # fmt: skip
    size = tokens(ledger(talk.session), kind="tool_result")
    assert 300 < size < 900
    by_characters = 131_635 / 4
    assert by_characters > 30 * size


def test_case_14_a_picture_beside_a_text_leaves_it_its_tokens() -> None:
    """Of a growth of 1,519 tokens by a picture and a text of 4,000 characters, the text has about 1,000.

    By characters it would have 45.
    """
    talk = Conversation()
    calls = [use("shot", "c1"), use("read", "c2")]
    # 496 tokens hidden, 7 around it, and definitions of 100 with a frame of 20.
    first = 496 + 7 + 2 * 120 + 25
    talk.ask(definition("shot"), definition("read"), ["u", 100], answer=calls, input=first, output=80)
    talk.ask(*calls, result("shot", "c1", 131_635, "i"), result("read", "c2", 4000), input=first + 80 + 1519, output=5)
    rows = pick(ledger(talk.session), kind="tool_result")
    assert tokens(rows, tool="read") == pytest.approx(1000, rel=0.1)
    assert tokens(rows, tool="shot") == pytest.approx(519, rel=0.2)
    by_characters = 1519 * 4000 / (4000 + 131_635)
    assert by_characters < 50


def test_case_15_a_tokenizer_is_never_mixed_across_models() -> None:
    """The other model counts all of the prompt anew, so that its greater count is not the appended result's.

    Growth across the two models would make it 3,400 tokens.
    """
    talk = Conversation()
    talk.ask(definition("search"), ["s", 36_000], ["u", 100], answer=[use("search", "c1")], input=9_650, output=30)
    talk.ask(
        use("search", "c1"), result("search", "c1", 400), answer=[["a", 40]],
        input=13_050, output=10, model="claude-opus-4-7",
    )  # fmt: skip
    rows = ledger(talk.session)
    growth = 13_050 - 9_650
    assert growth == 3_400
    assert 70 < tokens(rows, request_id="q0001", kind="tool_result") < 250
    system = {row.request_id: row.tokens for row in pick(rows, kind="system")}
    assert system["q0001"] > 1.2 * system["q0000"]


@pytest.mark.parametrize(("growth", "carried"), [(2108, 0), (2608, 500)])
def test_case_13_thinking_leaves_a_prompt_that_grows_all_the_same(growth: int, carried: int) -> None:
    """2,000 tokens were said, and 500 of thinking left or stayed: the bill tells which."""
    talk, total, said = Conversation(), 1110, [["a", 400]]
    talk.ask(["s", 4000], ["u", 400], answer=said, input=total, output=103)
    for _ in range(6):
        total += 2108
        talk.ask(*said, ["u", 8000], answer=said, input=total, output=103)
    total, answer = total + 2108, [["t", 2000], *said]
    talk.ask(*said, ["u", 8000], answer=answer, input=total, output=603, thinking=500)
    talk.ask(*answer, ["u", 8000], answer=said, input=total + growth, output=103)
    rows = ledger(talk.session)
    last = talk.session.requests[-1].request_id
    assert tokens(rows, request_id=last, kind="thinking", rate="input") == carried
    assert tokens(rows, request_id=last, kind="user") == pytest.approx(100 + 8 * 2000, rel=0.01)


def test_case_15_each_script_has_a_density_of_its_own() -> None:
    """A tokenizer that is good at one alphabet and bad at ideographs: what one cost says nothing of the other."""
    ideographs, letters = [None, None, None, 3000, 600], [None, None, None, 1900, 600]
    talk, total = Conversation(), 1010
    talk.ask(["s", 4000], ["u", 4], answer=[["a", 40]], input=total, output=13)
    for turn in range(10):
        piece, cost = (["u", 1000, *letters], 300) if turn % 2 else (["u", 1000, *ideographs], 1200)
        total += 14 + 4 + cost
        talk.ask(["a", 40], piece, answer=[["a", 40]], input=total, output=13)
    talk.ask(["a", 40], ["u", 1000, *ideographs], ["s", 1000, *letters], input=total + 18 + 1500, output=13)
    rows, last = ledger(talk.session), talk.session.requests[-1].request_id
    first = talk.session.requests[0].request_id
    found = tokens(rows, request_id=last, kind="system") - tokens(rows, request_id=first, kind="system")
    assert found == pytest.approx(300, rel=0.15)


def test_case_15_each_model_has_densities_of_its_own() -> None:
    """Two models in turns, one of which takes 40 % more tokens for the same text: each result has its model's."""
    talk = Conversation()
    sizes = {"claude-sonnet-4-5": 0.25, "claude-opus-4-7": 0.35}
    hidden = {"claude-sonnet-4-5": 496, "claude-opus-4-7": 675}
    chars = 500.0
    talk.ask(definition("search"), ["u", 100], answer=[use("search", "c0")], input=496 + 125, output=10)
    for turn in range(16):
        model = list(sizes)[turn // 2 % 2]
        chars += 2040
        billed = hidden[model] + round(chars * sizes[model])
        talk.ask(use("search", f"c{turn}"), result("search", f"c{turn}", 2000), answer=[use("search", f"c{turn + 1}")],
                 input=billed, output=round(40 * sizes[model]), model=model)  # fmt: skip
    models = {request.request_id: request.model or "" for request in talk.session.requests}
    first = pick(ledger(talk.session), kind="tool_result", is_first_send=True)[4:]
    for row in first:
        assert row.tokens == pytest.approx(2000 * sizes[models[row.request_id]], rel=0.1)
    mixed = 2000 * sum(sizes.values()) / 2
    assert all(abs(row.tokens - mixed) > 40 for row in first)


def test_a_bill_at_other_prices_is_not_mixed() -> None:
    """Each request is billed at its own prices: one list at twice the other gives twice the cost for the same rows."""
    double = {rate: 2 * price for rate, price in PRICES.items()}
    one, two = (
        attribute(Session("s", [bill("q", input=1000, output=10, prices=prices)])).requests[0].cost_nano
        for prices in (PRICES, double)
    )
    assert one is not None
    assert two == 2 * one
