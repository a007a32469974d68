"""What an emitter leaves unsaid of a prompt is nobody's, and what it says once is carried by every later request."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otlp_requests import Made, protobuf
from sessions_that_go_on import assert_whole, derived, empty_stores
from toolspend import attributes as at
from toolspend_ingest import Store
from toolspend_ingest.decode import decode
from toolspend_ingest.spans import SpanBatch, SpanRow

Rows = Callable[[str], list[dict[str, Any]]]
HEAD: Final = 3_000
"""Tokens of the system prompt and the definitions, which the SDK's spans do not have."""
QUESTION: Final = "Find out what the matter is with the orders of last week, and say so."
QUESTION_TOKENS: Final = 18
CALL_TOKENS: Final = 60
FRAME: Final = 13
WORDS: Final = ("order", "late", "refund", "item", "price", "depot")
CONSERVED: Final = (Path(__file__).parents[2] / "conservation.sql").read_text(encoding="utf-8")
stores = pytest.fixture(scope="module")(empty_stores)


class Scene:
    """A conversation that calls A and B by turns, as the SDK's own spans tell of it, and what it truly cost.

    `sent` says which of the messages a turn's span has: all, those that are new, or the last four; `is_said` whether
    answers are told, which they are not of streams.
    """

    def __init__(self, turns: int, sent: str = "whole", *, is_said: bool = True) -> None:
        dice = random.Random(1)
        self.spans: list[Made] = []
        self.truth = {"A": 0, "B": 0}
        self.first_result: dict[str, int] = {}
        live, prompt, new = dict(self.truth), HEAD + QUESTION_TOKENS, 0
        history: list[dict[str, Any]] = [{"role": "user", "parts": [{"type": "text", "content": QUESTION}]}]
        for turn in range(turns):
            self.truth = {tool: self.truth[tool] + live[tool] for tool in live}
            tool, call_id = "AB"[turn % 2], f"toolu_{turn}"
            call = {"type": "tool_call", "id": call_id, "name": tool, "arguments": {"q": "x" * 40}}
            answer = {"role": "assistant", "parts": [call]}
            is_cut = sent == "cut" and turn >= 4
            said = history[new:] if sent == "new" else history[-4:] if is_cut else history
            self.spans.append(self._request(turn, prompt, said, answer if is_said else None, is_cut=is_cut))
            words = " ".join(dice.choice(WORDS) for _ in range(dice.choice((400, 800, 1600))))
            tokens = len(words) // 5
            result = {"type": "tool_call_response", "id": call_id, "response": [{"type": "text", "text": words}]}
            new = len(history) + 1
            history = [*history, answer, {"role": "user", "parts": [result]}]
            prompt += CALL_TOKENS + tokens + FRAME
            live[tool] += CALL_TOKENS + tokens + FRAME
            self.first_result[call_id] = tokens + FRAME

    def _request(
        self, turn: int, prompt: int, said: list[dict[str, Any]], answer: dict[str, Any] | None, *, is_cut: bool
    ) -> Made:
        attributes = {
            at.PROVIDER: "anthropic",
            at.OPERATION: at.OPERATION_CHAT,
            at.REQUEST_MODEL: "claude-haiku-4-5",
            at.CONVERSATION_ID: "conversation",
            at.RESPONSE_ID: f"msg_{turn}",
            at.INPUT_TOKENS: prompt,
            at.CACHE_READ_TOKENS: 0,
            at.CACHE_WRITE_TOKENS: 0,
            at.OUTPUT_TOKENS: CALL_TOKENS,
            at.ANTHROPIC_STOP_REASON: "tool_use",
            at.INPUT_MESSAGES: json.dumps(said),
        }
        if answer is not None:
            attributes[at.OUTPUT_MESSAGES] = json.dumps([answer])
        if is_cut:
            attributes[at.ANTHROPIC_TRUNCATED] = True
        name = "anthropic.messages.create"
        return Made(1, turn + 1, name, attributes, at_s=turn * 5.0, scope=at.ANTHROPIC_SCOPE, kind="client")

    def rows(self) -> list[SpanRow]:
        return decode(protobuf(self.spans), "protobuf").spans.rows


def load(store: Store, spans: Sequence[SpanRow]) -> None:
    store.append(SpanBatch(spans), "test", "test", None)


def by_owner(store: Store) -> dict[str, int]:
    """Tokens of prompts by tool, or by kind where there is none; the bill is whole."""
    assert store.cursor().execute(CONSERVED).fetchall() == []
    found = store.cursor().execute(
        "select coalesce(tool, kind), sum(tokens)::bigint from context_ledger where rate <> 'output' group by all"
    )
    return dict(found.fetchall())


@pytest.mark.parametrize("sent", ["whole", "new", "cut"])
def test_tools_have_their_own_and_what_nobody_told_of_is_nobodys(store: Store, rows: Rows, sent: str) -> None:
    """Definitions were never said; of prompts all messages were, or only the new ones, or only the latest."""
    scene = Scene(10, sent)
    load(store, scene.rows())
    found = by_owner(store)
    assert found["A"] == pytest.approx(scene.truth["A"], rel=0.02)
    assert found["B"] == pytest.approx(scene.truth["B"], rel=0.02)
    assert found["user"] == pytest.approx(10 * QUESTION_TOKENS, abs=80)
    assert found["unattributed"] == pytest.approx(10 * HEAD, rel=0.02)
    calls = rows("select tool_call_id, result_tokens, times_sent from tool_calls order by started_at")
    assert [call["times_sent"] for call in calls] == list(range(9, -1, -1))
    for call in calls[:-1]:
        assert call["result_tokens"] == pytest.approx(scene.first_result[call["tool_call_id"]], abs=12)


def test_a_stream_that_does_not_say_its_answer_is_cut_at_its_calls(store: Store) -> None:
    """What the model wrote last in a prompt without its beginning is the answer that it goes on from."""
    scene = Scene(10, "cut", is_said=False)
    load(store, scene.rows())
    found = by_owner(store)
    assert found["A"] == pytest.approx(scene.truth["A"], rel=0.02)
    assert found["unattributed"] == pytest.approx(10 * HEAD, rel=0.02)


def test_a_lost_beginning_is_nobodys(store: Store, rows: Rows) -> None:
    """The first span never came: what the second has beyond its messages is in no result."""
    scene = Scene(10)
    load(store, scene.rows()[1:])
    found = by_owner(store)
    assert found["A"] == pytest.approx(scene.truth["A"], rel=0.1)
    assert found["unattributed"] == pytest.approx(9 * HEAD, rel=0.1)
    [first] = rows(
        "select sum(tokens)::bigint as tokens from context_ledger where kind = 'tool_result'"
        " and request_id = (select request_id from llm_requests order by started_at limit 1)"
    )
    assert first["tokens"] == pytest.approx(scene.first_result["toolu_0"], rel=0.35)


def test_what_goes_on_from_a_lost_answer_is_nobodys(store: Store) -> None:
    """Of a thread one span never came: all before it is unknown to the next request, and no result of it is longer."""
    scene = Scene(6, "new")
    spans = scene.rows()
    load(store, [*spans[:2], *spans[3:]])
    found = by_owner(store)
    live = scene.truth["A"] + scene.truth["B"]
    assert found["A"] + found["B"] < live
    results = store.cursor().execute("select tool_call_id, result_tokens from tool_calls where times_sent > 0")
    assert all(tokens < 1.4 * scene.first_result[call_id] for call_id, tokens in results.fetchall())


@pytest.mark.parametrize(("folder", "case"), [("native", "stream2"), ("native-toolrunner", "loop2")])
def test_recordings_of_the_sdk_say_of_tools_what_others_say(
    recordings: Path, store: Store, rows: Rows, folder: str, case: str
) -> None:
    """Other emitters' recordings of the same conversation give the result 11 or 12 tokens, and the user 24 or 26."""
    file = recordings / "emitter_matrix" / folder / f"{case}.pb"
    load(store, decode(file.read_bytes(), "protobuf").spans.rows)
    found = by_owner(store)
    assert 20 <= found["user"] <= 30
    assert found["unattributed"] > 1_000
    assert rows("select tool, result_tokens between 10 and 13 as is_alike, times_sent from tool_calls") == [
        {"tool": "get_weather", "is_alike": True, "times_sent": 1}
    ]


def test_an_emitter_that_says_definitions_offers_none_where_it_has_none(store: Store, rows: Rows) -> None:
    """Its prompts are whole, so that nothing of them is unattributed."""
    attributes = {
        at.PROVIDER: "anthropic",
        at.OPERATION: at.OPERATION_CHAT,
        at.REQUEST_MODEL: "claude-haiku-4-5",
        at.INPUT_TOKENS: 40,
        at.OUTPUT_TOKENS: 5,
        at.INPUT_MESSAGES: json.dumps([{"role": "user", "parts": [{"type": "text", "content": QUESTION}]}]),
    }
    scope = "opentelemetry.instrumentation.genai.anthropic"
    load(store, decode(protobuf([Made(1, 1, "chat", attributes, scope=scope)]), "protobuf").spans.rows)
    assert rows("select distinct kind from context_ledger where rate = 'input' order by all") == [
        {"kind": "overhead"},
        {"kind": "user"},
    ]


@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(sent=st.sampled_from(["whole", "new", "cut"]), dice=st.integers(0, 2**32).map(random.Random))
def test_no_order_matters(sent: str, dice: random.Random, stores: Callable[[], Store]) -> None:
    """A span at a time, some late, some twice: as if all had come at once; and so while a session goes on."""
    spans = Scene(14, sent).rows()
    store = stores()
    load(store, spans)
    whole = derived(store)
    for _ in range(dice.randint(0, 2)):
        place = dice.randrange(len(spans))
        spans.insert(dice.randrange(len(spans)), spans[place] if dice.random() < 0.5 else spans.pop(place))
    store = stores()
    while spans:
        count = dice.choice((1, 1, 2, 5))
        load(store, spans[:count])
        del spans[:count]
    assert derived(store) == whole
    assert_whole(store)


@pytest.mark.parametrize("sent", ["whole", "new", "cut"])
def test_a_session_of_such_prompts_goes_on_without_its_earlier_ones(sent: str, stores: Callable[[], Store]) -> None:
    """Request by request; once it has settled, most are worked out alone."""
    store = stores()
    derived_before, attributed_before = store.went_on
    for span in Scene(16, sent).rows():
        load(store, [span])
    derived_alone, attributed_alone = store.went_on
    assert derived_alone - derived_before >= 6
    assert attributed_alone - attributed_before >= 3
    assert_whole(store)
