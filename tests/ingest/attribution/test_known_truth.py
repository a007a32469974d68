"""Conversations whose true tokens are known, and what the ledger makes of them; also of those with losses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import replace

import pytest

from attributed import attribute, ledger
from conversations import Conversation, Session, definition, result, use

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
    session = talk.session
    kept = [each for place, each in enumerate(session.requests) if place not in lost]
    evidence = [each for place, each in enumerate(session.evidence) if place not in lost]
    return replace(session, requests=kept, evidence=evidence), dict(truth)


def tokens_by_tool(session: Session) -> dict[str, float]:
    found: Counter[str] = Counter()
    for row in ledger(session):
        if row.kind == "tool_result" and row.tool is not None:
            found[row.tool] += row.tokens
    return dict(found)


def assert_conserved(session: Session) -> None:
    booked: Counter[tuple[str, str]] = Counter()
    for row in attribute(session).ledger:
        booked[row.request_id, row.rate] += row.tokens
    assert booked == +Counter(
        {(each.request_id, rate): count for each in session.requests for rate, count in each.by_rate.items()}
    )


def test_known_truth_is_met() -> None:
    """Results of three tools of different density: within 2 % each, where sharing by characters is off by 40 %."""
    session, truth = long_conversation(DIFFERENT)
    found = tokens_by_tool(session)
    for tool, tokens in truth.items():
        assert found[tool] == pytest.approx(tokens, rel=0.02)
    chars: Counter[str] = Counter()
    for turn in range(40):
        chars[["dense", "plain", "thin"][turn % 3]] += (500 + 350 * (turn % 7)) * (40 - turn)
    by_chars = sum(truth.values()) * chars["thin"] / sum(chars.values())
    assert by_chars > 1.4 * truth["thin"]


def test_a_lost_span_costs_little() -> None:
    """Two spans of 41 lost: what remains adds up, and no tool's share of the results moves by over 2 points."""
    whole, _ = long_conversation(SIMILAR)
    broken, _ = long_conversation(SIMILAR, lost={13, 27})
    assert_conserved(broken)
    before, after = tokens_by_tool(whole), tokens_by_tool(broken)
    for tool in before:
        assert abs(before[tool] / sum(before.values()) - after[tool] / sum(after.values())) < 0.02


def test_blanks_of_a_lost_keyframe_are_filled_in_by_later_requests() -> None:
    """The first span lost: what later requests say again names its pieces, also in the requests before them."""
    session, _ = long_conversation(SIMILAR, lost={0})
    first = [row for row in ledger(session) if row.request_id == "q0001"]
    assert sum(row.tokens for row in first if row.kind == "unattributed") < 0.6 * sum(row.tokens for row in first)
    assert_conserved(session)


def test_one_result_that_came_alone_tells_its_share_of_a_turn() -> None:
    """A tool whose text is 30 % denser than usual has its share of a turn within 1.5 % once one result came alone."""
    talk, prompt = Conversation(), 496 + 2 * 110 + 1000
    talk.ask(definition("dense"), definition("plain"), ["s", 3900], ["u", 100], answer=[use("dense", "c0")],
             input=prompt, output=40)  # fmt: skip
    dense, plain = round(4000 * 0.25 * 1.3) + 12, round(4000 * 0.25) + 12
    for turn, (tool, size) in enumerate((("dense", dense), ("plain", plain))):
        prompt += 40 + size
        following = [use("plain", "c1")] if turn == 0 else [use("dense", "c2"), use("plain", "c3")]
        talk.ask(use(tool, f"c{turn}"), result(tool, f"c{turn}", 4000), answer=following,
                 input=prompt, output=40 * len(following))  # fmt: skip
    prompt += 80 + dense + plain
    talk.ask(use("dense", "c2"), use("plain", "c3"), result("dense", "c2", 4000), result("plain", "c3", 4000),
             input=prompt, output=40)  # fmt: skip
    last = talk.session.requests[-1].request_id
    rows = [row for row in ledger(talk.session) if row.request_id == last and row.kind == "tool_result"]
    assert sorted(row.tokens for row in rows if row.tool == "dense") == pytest.approx([dense, dense], rel=0.015)
    assert sum(row.tokens for row in rows) == pytest.approx(2 * (dense + plain), abs=15)
