"""Evidence becomes prompts, also where some of it is lost or garbled."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from attributed import ledger, pick, prompts, tokens
from conversations import START, Conversation, Evidence, Session, bill, definition, result, use
from toolspend_ingest.attribution.overhead import hidden_prompt_tokens


def kinds(session: Session, request_id: str) -> str:
    return prompts(session)[request_id].kinds


def talk_of(turns: int) -> Conversation:
    talk = Conversation()
    talk.ask(definition("a"), ["s", 800], ["u", 50], input=900, output=20)
    for turn in range(turns):
        talk.ask(use("a", f"c{turn}"), result("a", f"c{turn}", 300), input=1000 + turn * 100, output=20)
    return talk


def without_restated(session: Session) -> Session:
    return replace(session, evidence=[replace(each, restated=None) for each in session.evidence])


def test_a_delta_repeats_its_base_and_adds() -> None:
    """Pieces that a request copies are the very pieces of the request before."""
    found = prompts(talk_of(2).session)
    one, two = found["q0001"], found["q0002"]
    assert two.kinds == "dsucrcr"
    assert two.pieces[: len(one.pieces)] == one.pieces
    assert two.is_whole


def test_a_keyframe_in_a_conversation_finds_its_pieces_again() -> None:
    """A resumed conversation that says everything anew re-sends the pieces it is known to have."""
    talk = talk_of(1)
    talk.ask(use("a", "c9"), result("a", "c9", 300), base=False, input=1200, output=20)
    found = prompts(talk.session)
    before, after = found["q0001"], found["q0002"]
    assert after.pieces[: len(before.pieces)] == before.pieces
    assert after.base == "q0001"


def test_a_keyframe_whose_first_piece_is_another_goes_on_from_what_has_its_messages() -> None:
    """Its system prompt was rewritten; it has the answer and all that was said before."""
    talk = talk_of(2)
    talk.prompt[1] = ["s", 900]
    talk.prompt.insert(0, definition("b"))
    talk.ask(use("a", "c9"), result("a", "c9", 300), base=False, input=1300, output=20)
    assert prompts(talk.session)["q0003"].base == "q0002"


def test_keyframes_that_say_nothing_go_on_from_nothing() -> None:
    """Evidence without a piece, of which nothing can be known, ends no attribution."""
    said = [
        Evidence("q0", START, None, "null", None, 1, None, "[]"),
        Evidence("q1", START, None, "[]", None, 2, None, "[]"),
    ]
    found = prompts(Session("s", evidence=said))
    assert {each.base for each in found.values()} == {None}
    assert {each.kinds for each in found.values()} <= {"", "?", "??"}


def test_a_lost_base_is_stood_in_for_and_filled_in() -> None:
    """Without the span in the middle, what it alone had said is blank until a later request says it again."""
    session = talk_of(4).session
    del session.evidence[2], session.requests[2]
    assert kinds(session, "q0003") == "dsucrcrcr"  # the four pieces before the new ones are always restated
    assert kinds(session, "q0004") == "dsucrcrcrcr"


def test_what_no_one_says_again_stays_unattributed() -> None:
    """A lost keyframe whose pieces are not restated: their tokens are unattributed, and the tools keep theirs."""
    session = without_restated(talk_of(3).session)
    del session.evidence[0], session.requests[0]
    assert kinds(session, "q0001") == "???cr"
    rows = ledger(session)
    assert {row.basis for row in pick(rows, kind="unattributed")} == {"unattributed"}
    first = [row for row in rows if row.request_id == "q0001" and row.rate == "input"]
    assert {row.kind for row in first} - {"overhead"} == {"unattributed", "tool_use", "tool_result"}
    assert tokens(first, kind="unattributed") > tokens(first, kind="tool_result")


def test_a_wrong_stand_in_is_corrected() -> None:
    """A prompt that began as another one did is put right by what is restated of it."""
    session = talk_of(2).session
    other = json.dumps([[0, 7], ["u", 30]])
    restated = json.dumps([[3, ["u", 444], ["a", 555]]])
    late = bill("q9", 600, input=1500, output=5)
    session.requests.append(late)
    session.evidence.append(Evidence("q9", late.started_at, "lost", other, restated, 8, None, None))
    found = prompts(session)
    assert found["q9"].kinds == "dsuuacru"
    assert found["q0002"].kinds == "dsucrcr"


@pytest.mark.parametrize("delta", [None, '{"not": "a list"}', "7", '"text"'])
def test_a_garbled_delta_costs_only_itself(delta: str | None) -> None:
    """Requests after one whose delta is no list still know what they added."""
    session = without_restated(talk_of(3).session)
    session.evidence[2] = replace(session.evidence[2], delta=delta)
    found = prompts(session)
    assert found["q0002"].kinds == "dsucr??"
    assert found["q0003"].kinds == "dsucr??cr"


def test_a_prompt_of_which_only_the_length_is_known_is_blank() -> None:
    """The one prompt of a session says how many segments it has, and none of them."""
    session = Session("s", [bill("q", input=100, output=5)])
    session.evidence = [Evidence("q", START, None, None, None, 2, 300, "[]")]
    assert kinds(session, "q") == "??"
    rows = ledger(session)
    assert sum(row.tokens for row in rows) == 105
    assert tokens(rows, kind="unattributed", rate="input") > 80


def test_bases_that_go_round_are_lost_bases() -> None:
    """Two requests that name each other as base are read all the same."""
    delta = json.dumps([[0, 2], ["u", 10]])
    session = Session("s", [bill("a", 0, input=10), bill("b", 1, input=10)])
    session.evidence = [
        Evidence("a", START, "b", delta, None, 3, None, None),
        Evidence("b", START, "a", delta, None, 3, None, None),
        Evidence("c", START, "c", delta, None, 3, None, None),
    ]
    found = prompts(session)
    assert found["b"].kinds == "??u"
    assert {each.kinds[-1] for each in found.values()} == {"u"}


def test_a_bomb_of_copies_stays_small() -> None:
    """Deltas that double their base at each step, and counts of 2**60, end at the greatest length of a prompt."""
    session = Session("s", [])
    for turn in range(30):
        base = f"q{turn - 1}" if turn else None
        delta = json.dumps([[0, 2**60], [0, 2**60], ["u", 5], ["u", 6]])
        session.requests.append(bill(f"q{turn}", turn, input=100))
        session.evidence.append(Evidence(f"q{turn}", START, base, delta, None, 2**60, None, None))
    assert max(len(prompt.pieces) for prompt in prompts(session).values()) <= 100_001


def test_a_result_without_a_tool_takes_it_from_its_call() -> None:
    """A result that names only its call belongs to that call's tool; without one it is unattributed."""
    talk = Conversation()
    talk.ask(["u", 50], use("a", "c1"), result(None, "c1", 300), result(None, "c7", 300), input=900, output=20)
    rows = ledger(talk.session)
    assert {(row.kind, row.tool) for row in rows if row.rate == "input"} - {("overhead", None)} == {
        ("user", None),
        ("tool_use", "a"),
        ("tool_result", "a"),
        ("unattributed", None),
    }


def test_unreadable_items_keep_their_place() -> None:
    """What is no segment stands as one of nothing, so that indices do not shift."""
    session = Session("s", [bill("a", 0, input=100), bill("b", 60, input=120)])
    strange = '[["u",5],7,{"a":1},["u",-1],["z",3],["s",9]]'
    session.evidence = [
        Evidence("a", START, None, strange, None, 6, 14, None),
        Evidence("b", START, "a", '[[5,1],[0,1],["a",4]]', None, 3, 18, None),
    ]
    found = prompts(session)
    assert found["a"].kinds == "uoooos"
    assert found["b"].kinds == "sua"


def test_restated_runs_that_are_none_are_left_out() -> None:
    """Of runs of the wrong shape, those that can be read still fill in what was lost."""
    session = talk_of(0).session
    late = bill("q9", 600, input=900, output=5)
    restated = '[{"a":1},"x",[],["y",["u",1]],[-3,["u",2]],[0,["d",400,"a","v1"]],[1,["s",800]],9]'
    session.requests = [late]
    session.evidence = [Evidence("q9", late.started_at, "lost", '[[0,3],["u",30]]', restated, 4, None, None)]
    assert kinds(session, "q9") == "ds?u"


def test_runs_that_overlap_are_read_alike_in_any_order() -> None:
    """Two runs that say different things of one place: which of them holds does not depend on their order."""
    late = bill("q", input=900, output=5)
    runs = [[1, ["k", 509], ["c", 1410, "b", "c1"]], [2, ["a", 276], ["t", 139]], [0, ["s", 9], ["u", 8], ["s", 7]]]
    found = set()
    for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0)):
        restated = json.dumps([runs[place] for place in order])
        session = Session("s", [late], [Evidence("q", START, "lost", "[[0,4]]", restated, 4, None, None)])
        found.add(kinds(session, "q"))
    assert len(found) == 1


@pytest.mark.parametrize("chars", range(8))
def test_runs_that_overlap_are_read_alike_beside_other_sessions(chars: int) -> None:
    """Which of two segments for one place holds does not depend on what else is attributed with the session."""
    restated = json.dumps([[1, ["k", 9], ["c", chars, "b", "c1"]], [2, ["a", 276], ["t", 139]], [0, ["s", 9]]])
    session = Session("z", [bill("q", input=900, output=5)])
    session.evidence = [Evidence("q", START, "lost", "[[0,4]]", restated, 4, None, None)]
    other = Session("a", [bill("q", input=5, output=5)])
    assert ledger(session) == pick(ledger(other, session), session_id="z")


def test_text_beyond_ascii_weighs_more() -> None:
    """A Chinese text of 1,000 characters (3,000 bytes) is about a token a character, an English one a quarter."""
    talk = Conversation()
    talk.ask(["s", 1000, None, None, None, 3000], ["u", 1000], input=1257, output=1, model="other")
    rows = ledger(talk.session)
    assert tokens(rows, kind="system") == pytest.approx(1000, abs=20)
    assert tokens(rows, kind="user") == pytest.approx(250, abs=20)
    by_characters = 1257 / 2
    assert tokens(rows, kind="system") > 1.5 * by_characters


def test_hidden_prompts_have_their_published_size() -> None:
    """The names of a model on other platforms mean the same; a provider that publishes nothing has none."""
    same = ["claude-sonnet-4-5-20250929", "eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5@20250929"]
    assert {hidden_prompt_tokens(model) for model in same} == {496}
    assert hidden_prompt_tokens("claude-3.5-sonnet") == 346
    assert hidden_prompt_tokens("gpt-5") == hidden_prompt_tokens(None) == 0
