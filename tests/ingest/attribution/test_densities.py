"""What bills say of the sizes of pieces, where one bill has several of them."""

from __future__ import annotations

import pytest

from attributed import ledger, pick, tokens
from conversations import Conversation, Piece, definition, result, use

HEAD = 496 + 3 + 4
"""The hidden prompt, what any request has beyond its messages, and the first message."""
TURN = 2 * 4
"""An answer and what follows it are two messages."""


def weighed(letter: str, chars: int, weight: int, digits: int = 0, tool: str | None = None, id_: str | None = None,
            flags: str | None = None) -> Piece:  # fmt: skip
    """A segment with the weight that its text was sent with."""
    return [letter, chars, tool, id_, flags, None, weight, digits]


def test_texts_of_one_texture_tell_of_each_other_across_tools() -> None:
    """Lists of names cost four fifths of their weight, prose all of it: a new tool's list is one more list.

    By tools and forms alone a turn with a new list and a new text has 560 tokens of each.
    """
    talk = Conversation()
    talk.ask(definition("any"), ["u", 100], input=HEAD + 145)
    total = HEAD + 145
    for turn in range(4):
        for tool, chars, cost in (("ls", 1600, 512), ("read", 3200, 640)):
            call = use(tool, f"{tool}{turn}", 0)
            total += 28 + TURN + cost + 13
            talk.ask(call, weighed("r", chars, 640, tool=tool, id_=f"{tool}{turn}"), input=total)
    calls = [use("list_files", "l", 0), use("open_page", "o", 0)]
    results = [weighed("r", 1500, 600, tool="list_files", id_="l"), weighed("r", 3000, 600, tool="open_page", id_="o")]
    talk.ask(*calls, *results, input=total + 2 * 28 + TURN + 480 + 600 + 2 * 13)
    rows = pick(ledger(talk.session), request_id="q0009", kind="tool_result")
    assert tokens(rows, tool="list_files") == pytest.approx(480 + 13, abs=25)
    assert tokens(rows, tool="open_page") == pytest.approx(600 + 13, abs=25)


def test_a_picture_has_the_tokens_of_its_pixels_and_the_frame_of_its_result() -> None:
    """A picture costs what its size says, whatever texts cost with this tokenizer: here a third more than their weight.

    Of what the turn has beyond that, all is the text's beside it, which is of a kind that no other turn had.
    """
    talk = Conversation()
    talk.ask(definition("shot"), definition("read"), ["u", 100], input=HEAD + 300)
    total = HEAD + 300
    for turn in range(3):
        total += 28 + TURN + 800 + 13
        talk.ask(use("read", f"c{turn}", 0), weighed("r", 2400, 600, tool="read", id_=f"c{turn}"), input=total)
    calls = [use("shot", "s", 0), use("list", "l", 0)]
    parts = [weighed("r", 80_000, 500, tool="shot", id_="s", flags="i"), weighed("r", 1000, 550, tool="list", id_="l")]
    talk.ask(*calls, *parts, input=total + 2 * 28 + TURN + 500 + 900 + 2 * 13)
    rows = pick(ledger(talk.session), request_id="q0004", kind="tool_result", is_first_send=True)
    assert tokens(rows, tool="shot") == pytest.approx(500 + 13, abs=30)
    assert tokens(rows, tool="list") == pytest.approx(900 + 13, abs=30)


def test_a_definition_that_goes_tells_what_it_had_and_what_the_others_have() -> None:
    """Two of 320 by their texts have 640 tokens together; the prompt without one of them is 340 shorter.

    Of the first bill alone each has half.
    """
    talk = Conversation()
    defs = [["d", 1600, tool, "v1", None, None, 300] for tool in ("stays", "goes")]
    said: list[Piece] = [["a", 100], ["u", 100]]
    total, turn = HEAD + 300 + 340 + 25, TURN + 25 + 25
    talk.ask(*defs, ["u", 100], answer=said[:1], input=total, output=28)
    for more in range(1, 5):
        talk.ask(*said, answer=said[:1], input=total + more * turn, output=28)
    talk.prompt.remove(defs[1])
    talk.ask(*said, base=False, input=total + 5 * turn - 340)
    rows = pick(ledger(talk.session), kind="tool_definition")
    for request in ("q0000", "q0005"):
        assert tokens(rows, request_id=request, tool="stays") == pytest.approx(300, abs=7)
    assert tokens(rows, request_id="q0000", tool="goes") == pytest.approx(340, abs=7)


def test_what_was_said_before_a_search_has_its_own_tokens() -> None:
    """The bill before tells what a prompt that was billed twice had, but for the few tokens that were said since.

    By the next bill alone, of which a long result is not known well, the 25 tokens would have its error of some 100.
    """
    talk = Conversation()
    talk.ask(definition("fetch"), ["d", 60, "web_search", "v1", "s"], ["u", 400], answer=[["a", 400]], input=2000,
             output=103)  # fmt: skip
    asked, found = use("web_search", "w", 40, "s"), result("web_search", "w", 6000, "s")
    once = 2000 + 100 + TURN + 25
    call = use("fetch", "f", 40)
    talk.ask(["a", 400], ["u", 100], answer=[asked, found, call], input=2 * once + 38 + 1540, output=38 + 38 + 3)
    # The result is of a kind that nothing tells of: 1,100 tokens, where 1,013 are expected.
    talk.ask(asked, found, call, result("fetch", "f", 4000), input=once + 38 + 1540 + 38 + 1100 + TURN)
    rows = pick(ledger(talk.session), request_id="q0002")
    assert tokens(rows, kind="user") == pytest.approx(100 + 25, abs=12)


def test_what_a_search_of_the_providers_gave_says_nothing_of_other_texts() -> None:
    """Its pages are enciphered and cost a quarter of their weight; hashes of the same texture cost all of theirs.

    Taken for texts like others, they would have hashes cost less and what is beside them more.
    """
    talk = Conversation()
    talk.ask(definition("hash"), ["d", 60, "web_search", "v1", "s"], ["u", 100], answer=[["a", 400]], input=HEAD + 945,
             output=103)  # fmt: skip
    total = HEAD + 945
    for turn in range(3):
        id_ = f"w{turn}"
        found = weighed("r", 14_000, 10_000, tool="web_search", id_=id_, flags="s")
        asked: list[Piece] = [use("web_search", id_, 40, "s"), found, ["a", 400]]
        total += 38 + 2513 + 100 + TURN + 25
        talk.ask(*asked, ["u", 100], answer=[["a", 400]], input=total, output=103)
    calls = [use("hash", "h", 0), use("read", "r", 0)]
    results = [weighed("r", 1400, 1000, tool="hash", id_="h"), weighed("r", 5000, 1000, tool="read", id_="r")]
    total += 100 + 2 * 28 + TURN + 2 * 1013
    talk.ask(["a", 400], *calls, *results, input=total)
    rows = pick(ledger(talk.session), request_id="q0004", kind="tool_result")
    assert tokens(rows, tool="hash") == pytest.approx(1013, abs=40)
    assert tokens(rows, tool="read") == pytest.approx(1013, abs=40)
