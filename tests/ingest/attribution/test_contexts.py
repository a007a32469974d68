"""Evidence becomes prompts, also where some of it is lost or garbled."""

from __future__ import annotations

import json

from conversations import START, Conversation, bill, definition, result, use
from toolspend_ingest.attribution.contexts import read_contexts
from toolspend_ingest.attribution.evidence import UNREADABLE, read_delta, read_restated, read_segment
from toolspend_ingest.attribution.ledger import attribute
from toolspend_ingest.attribution.model import Evidence, Segment, Session
from toolspend_ingest.attribution.overhead import hidden_prompt_tokens
from toolspend_ingest.attribution.pieces import prior_size


def kinds(session: Session, request_id: str) -> str:
    contexts = read_contexts(session.requests, session.evidence, session.calls)
    prompt = contexts.prompts[request_id]
    segments = [contexts.pieces.segments[piece] for piece in prompt.ids[1:]]
    return "".join("?" if segment is None else segment.kind for segment in segments)


def talk_of(turns: int) -> Conversation:
    talk = Conversation()
    talk.ask(definition("a"), ["s", 800], ["u", 50], input=900, output=20)
    for turn in range(turns):
        talk.ask(use("a", f"c{turn}"), result("a", f"c{turn}", 300), input=1000 + turn * 100, output=20)
    return talk


def test_a_delta_repeats_its_base_and_adds() -> None:
    """Pieces that a request copies are the very pieces of the request before."""
    session = talk_of(2).session
    contexts = read_contexts(session.requests, session.evidence, [])
    one, two = contexts.prompts["q0001"], contexts.prompts["q0002"]
    assert kinds(session, "q0002") == "dsucrcr"
    assert (two.ids[: len(one.ids)] == one.ids).all()
    assert two.is_whole


def test_a_keyframe_in_a_conversation_finds_its_pieces_again() -> None:
    """A resumed conversation that says everything anew re-sends the pieces it is known to have."""
    talk = talk_of(1)
    talk.ask(use("a", "c9"), result("a", "c9", 300), base=False, input=1200, output=20)
    contexts = read_contexts(talk.session.requests, talk.session.evidence, [])
    before, after = contexts.prompts["q0001"], contexts.prompts["q0002"]
    assert (after.ids[: len(before.ids)] == before.ids).all()
    assert after.base is before


def test_a_lost_base_is_stood_in_for_and_filled_in() -> None:
    """Without the span in the middle, what it alone had said is blank until a later request says it again."""
    session = talk_of(4).session
    del session.evidence[2], session.requests[2]
    assert kinds(session, "q0003") == "dsucrcrcr"  # the four pieces before the new ones are always restated
    assert kinds(session, "q0004") == "dsucrcrcrcr"


def test_what_no_one_says_again_stays_unattributed() -> None:
    """A lost keyframe whose pieces are not restated: their tokens are unattributed, and the tools keep theirs."""
    session = talk_of(3).session
    del session.evidence[0], session.requests[0]
    session.evidence = [each._replace(restated=None) for each in session.evidence]
    assert kinds(session, "q0001") == "???cr"
    rows = attribute([session]).words()
    assert {row.basis for row in rows if row.kind == "unattributed"} == {"unattributed"}
    assert {row.kind for row in rows} == {"unattributed", "tool_use", "tool_result"}


def test_a_wrong_stand_in_is_corrected() -> None:
    """A prompt that began as another one did is put right by what is restated of it."""
    session = talk_of(2).session
    other = json.dumps([[0, 7], ["u", 30]])
    restated = json.dumps([[3, ["u", 444], ["a", 555]]])
    late = bill("q9", 600, input=1500, output=5)
    session.requests.append(late)
    session.evidence.append(Evidence("q9", late.started_at, "lost", other, restated, 8, None, None))
    assert kinds(session, "q9") == "dsuuacru"
    assert kinds(session, "q0002") == "dsucrcr"


def test_a_garbled_delta_costs_only_itself() -> None:
    """Requests after one whose delta cannot be read still know what they added."""
    session = talk_of(3).session
    session.evidence[2] = session.evidence[2]._replace(delta='[[0,5],["c",', restated=None)
    session.evidence = [each._replace(restated=None) for each in session.evidence]
    assert kinds(session, "q0002") == "dsucr??"
    assert kinds(session, "q0003") == "dsucr??cr"


def test_bases_that_go_round_are_lost_bases() -> None:
    """Two requests that name each other as base are read all the same."""
    delta = json.dumps([[0, 2], ["u", 10]])
    session = Session("s", [bill("a", 0, input=10), bill("b", 1, input=10)])
    session.evidence = [
        Evidence("a", START, "b", delta, None, 3, None, None),
        Evidence("b", START, "a", delta, None, 3, None, None),
        Evidence("c", START, "c", delta, None, 3, None, None),
    ]
    assert kinds(session, "b") == "??u"


def test_a_bomb_of_copies_stays_small() -> None:
    """Deltas that double their base at each step, and counts of 2**60, end at the greatest length of a prompt."""
    session = Session("s", [])
    for turn in range(30):
        base = f"q{turn - 1}" if turn else None
        delta = json.dumps([[0, 2**60], [0, 2**60], ["u", 5], ["u", 6]])
        session.requests.append(bill(f"q{turn}", turn, input=100))
        session.evidence.append(Evidence(f"q{turn}", START, base, delta, None, 2**60, None, None))
    contexts = read_contexts(session.requests, session.evidence, [])
    assert max(len(prompt.ids) for prompt in contexts.prompts.values()) <= 100_001


def test_a_result_without_a_tool_takes_it_from_its_call() -> None:
    """A result that names only its call belongs to that call's tool; without one it is unattributed."""
    talk = Conversation()
    talk.ask(["u", 50], use("a", "c1"), result(None, "c1", 300), result(None, "c7", 300), input=900, output=20)
    rows = attribute([talk.session]).words()
    assert {(row.kind, row.tool) for row in rows if row.rate == "input"} == {
        ("user", None),
        ("tool_use", "a"),
        ("tool_result", "a"),
        ("unattributed", None),
    }


def test_unreadable_items_keep_their_place() -> None:
    """What is no segment stands as one of nothing, so that indices do not shift."""
    assert read_delta('[["u",5],7,{"a":1},["u",-1],[3,4]]') == [
        Segment("u", 5), UNREADABLE, UNREADABLE, UNREADABLE, (3, 4),
    ]  # fmt: skip
    assert read_delta("{") is None
    assert read_restated('[[2,["u",5],["a",6]],"x",[]]') == [(2, Segment("u", 5)), (3, Segment("a", 6))]
    assert read_segment(["c", 5, "a", "c1", None, 9]) == Segment("c", 5, "a", "c1", "", 9)


def test_text_beyond_ascii_weighs_more() -> None:
    """A Chinese text of 1,000 characters (3,000 bytes) is about a token a character, an English one a quarter."""
    chinese, english = Segment("s", 1000, utf8_bytes=3000), Segment("s", 1000)
    assert (prior_size(chinese), prior_size(english)) == (1_000_000_000, 250_000_000)


def test_hidden_prompts_have_their_published_size() -> None:
    """The names of a model on other platforms mean the same; a provider that publishes nothing has none."""
    same = ["claude-sonnet-4-5-20250929", "eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5@20250929"]
    assert {hidden_prompt_tokens(model) for model in same} == {496}
    assert hidden_prompt_tokens("claude-3.5-sonnet") == 346
    assert hidden_prompt_tokens("gpt-5") == hidden_prompt_tokens(None) == 0
