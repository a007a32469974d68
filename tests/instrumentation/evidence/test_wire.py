"""What the bytes of a body show to be known is exactly what looking at its objects shows."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence_said import apart
from toolspend import attributes as at
from toolspend.evidence import chains as chains_module
from toolspend.evidence import describe_output, wire
from toolspend.evidence.chains import Chains
from toolspend.evidence.definitions import definition_log

Body = dict[str, Any]
CACHED = {"cache_control": {"type": "ephemeral"}}


@pytest.fixture(autouse=True)
def _every_body_is_worth_it(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(chains_module, "MIN_BYTES", 0)
    definition_log.forget_sent()
    yield
    definition_log.forget_sent()


def encoded(body: Body) -> bytes:
    """`body` as the SDK sends it."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


class Both:
    """Two memories of the same requests, of which one is given their bytes."""

    def __init__(self) -> None:
        self.by_bytes, self.by_objects = Chains(), Chains()
        self.requests = 0
        self.tips: list[Any] = []

    def send(self, body: Body, scope: str | None = None) -> dict[str, Any]:
        """What both say of `body`, which must be the same."""
        said = []
        self.tips = []
        for memory, sent in ((self.by_bytes, encoded(body)), (self.by_objects, None)):
            definition_log.forget_sent()
            evidence, tip = memory.describe(
                copy.deepcopy(body),
                scope=scope,
                span_id=f"{self.requests:016x}",
                conversation_id=f"conversation-{self.requests}",
                has_definitions=True,
                sent=sent,
            )
            said.append((evidence, tip.conversation_id, tip.count, tip.key))
            self.tips.append((memory, tip))
        self.requests += 1
        assert said[0] == said[1]
        return said[0][0]

    def answer(self, *blocks: dict[str, Any]) -> None:
        """Tells both what the model said to the last request."""
        for memory, tip in self.tips:
            describe_output(blocks, tip, f"msg_{self.requests}", memory)


class Poison(dict[str, Any]):
    """A message that must not be looked at."""

    def get(self, *_: object) -> Any:
        raise AssertionError("looked at")

    __getitem__ = __iter__ = get


def turn(number: int, marked: bool = False) -> list[dict[str, Any]]:
    """A call and its result, which may carry a cache breakpoint."""
    call = {"type": "tool_use", "id": f"toolu_{number}", "name": "search", "input": {"query": f"q{number}"}}
    result: dict[str, Any] = {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": f"found {number}"}
    return [
        {"role": "assistant", "content": [{"type": "text", "text": f"Turn {number}."}, call]},
        {"role": "user", "content": [{**result, **(CACHED if marked else {})}]},
    ]


def body(turns: int, marked: int | None = None) -> Body:
    """A request after `turns` turns, with a cache breakpoint at the end of turn `marked`."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Start."}]
    for number in range(turns):
        messages += turn(number, number == marked)
    tools = [{"name": "search", "description": "Searches.", "input_schema": {"type": "object"}}]
    return {"max_tokens": 100, "messages": messages, "model": "m", "system": "Be brief.", "tools": tools}


def describe(chains: Chains, request: Body, sent: bytes, number: int) -> dict[str, Any]:
    """The evidence of `request`."""
    return chains.describe(
        request, scope=None, span_id=f"{number:016x}", conversation_id="c", has_definitions=False, sent=sent
    )[0]


@pytest.mark.parametrize("lag", [None, 0, 1], ids=["no breakpoints", "one that moves on", "one that lags behind"])
def test_messages_that_are_known_are_not_looked_at(lag: int | None) -> None:
    """Only what is new in a prompt is read, and what a moved breakpoint changed."""
    chains, plain = Chains(), Chains()
    for number in range(12):
        request = body(number, None if lag is None else number - 1 - lag)
        sent, expected = encoded(request), describe(plain, request, b"", number)
        known = 0 if number < 2 else 2 * (number - 1) + 1 - (0 if lag is None else 1 + 2 * lag)
        for index in range(max(known, 0)):
            request["messages"][index] = Poison()
        assert describe(chains, request, sent, number) == expected


def test_turns_with_tools_that_are_known_compare_no_definitions() -> None:
    """The bytes about the messages stand for the definitions and the system text."""
    chains = Chains()
    for number in range(3):
        request = body(number)
        sent = encoded(request)
        if number:
            request["tools"], request["system"] = [Poison()], [Poison()]
        evidence = describe(chains, request, sent, number)
    assert json.loads(apart(evidence)[at.CONTEXT_DELTA])[0] == [0, 6], "definition, system text, four segments"


def test_what_looks_like_the_end_of_a_message_is_told_from_it() -> None:
    """Arguments may hold what separates messages and what follows them, in text and in nested values."""
    both = Both()
    odd = [
        {"list": [1], "model": "m", "messages": [{"role": "user", "content": "x"}, {"role": "user", "content": "y"}]},
        {"text": '}],"model":"m"},{"role":"user","content":[{"'},
        {"\\": '\\"', "x": [{"a": 1}, {"role": [2], "model": []}], "model": {"messages": []}},
    ]
    request = body(0)
    both.send(request)
    for number, argument in enumerate(odd * 2):
        call, result = turn(number, marked=bool(number % 2))
        call["content"][1].update(input=argument, **CACHED)
        request["messages"] += [call, result]
        both.send(request)
        call["content"].append({"type": "text", "text": "Edited."})
        both.send(request)
        both.send({**request, "tools": [{"name": "other", "input_schema": argument}]})
        both.send({"metadata": {"messages": [argument]}, **request})
        both.send({key: request[key] for key in ("model", "tools", "system", "messages")})


def test_branches_and_sessions_are_kept_apart() -> None:
    """Parallel branches of one prompt, and one prompt in two sessions, each go on from their own."""
    both = Both()
    for number in range(12):
        both.send(body(0))
        both.answer(*turn(number)[0]["content"])
    for round_ in range(3):
        for number in range(12):
            request = body(0)
            request["messages"] += turn(number) + [message for n in range(round_) for message in turn(100 + n)]
            both.send(request)
            both.send(request, scope="other")


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit the least recently used bodies are forgotten, and nothing else changes."""
    monkeypatch.setattr(wire, "MAX_KEPT_BYTES", 3_000)
    both = Both()
    for turns in range(6):
        for number in range(8):
            request = body(turns)
            request["messages"][0]["content"] = f"Question {number}."
            both.send(request)
    lines = both.by_bytes._wires._lines.values()
    kept = sum(len(piece.text) for line in lines for piece in line.pieces)
    assert 0 < kept == both.by_bytes._wires._bytes <= 3_000


texts = st.text(alphabet=st.sampled_from('ab{}[],:"\\é日\n\x00'), max_size=6)
values = st.recursive(
    st.one_of(texts, st.integers(0, 3), st.booleans(), st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(["role", "model", "messages", "x"]), inner)
    ),
    max_leaves=4,
)
marks = st.sampled_from([{}, {}, CACHED])
blocks = st.one_of(
    st.builds(lambda text, mark: {"type": "text", "text": text, **mark}, texts, marks),
    st.builds(
        lambda id, argument, mark: {"type": "tool_use", "id": id, "name": "search", "input": argument, **mark},
        st.sampled_from(["toolu_1", "toolu_2"]),
        st.dictionaries(st.sampled_from(["role", "model", "x"]), values, max_size=2),
        marks,
    ),
    st.builds(
        lambda id, text, mark: {"type": "tool_result", "tool_use_id": id, "content": text, **mark},
        st.sampled_from(["toolu_1", "toolu_2"]),
        texts,
        marks,
    ),
)
contents = st.one_of(texts, st.lists(blocks, max_size=3))
messages = st.one_of(
    st.builds(
        lambda role, content: {"role": role, "content": content}, st.sampled_from(["user", "assistant"]), contents
    ),
    st.builds(
        lambda role, content: {"content": content, "role": role}, st.sampled_from(["user", "assistant"]), contents
    ),
)
heads = st.sampled_from(
    [
        {},
        {"tools": [{"name": "a", "input_schema": {"messages": [{"role": "user"}], "model": ["x"]}}]},
        {"tools": [{"name": "b", "input_schema": {"messages": [{"role": "user"}], "model": ["x"]}}]},
        {"tools": [{"name": "a", "input_schema": {}, **CACHED}], "system": "Be brief."},
        {"system": [{"type": "text", "text": "Be brief.", **CACHED}], **CACHED},
    ]
)
orders = st.sampled_from(
    [("max_tokens", "messages", "model"), ("messages", "model"), ("model", "messages"), ("system", "messages")]
)
actions = ["append", "append", "append", "drop", "replace", "fork", "unmark", "again"]
steps = st.lists(
    st.tuples(st.sampled_from(actions), st.integers(0, 20), messages, st.none() | heads, st.none() | orders),
    max_size=14,
)


@settings(max_examples=300, deadline=None)
@given(first=st.lists(messages, min_size=1, max_size=4), head=heads, order=orders, steps=steps)
def test_both_ways_agree_on_any_history(first: Any, head: Any, order: Any, steps: Any) -> None:
    """Whatever changes between requests, evidence and conversation are the same with the bytes as without."""
    both, history = Both(), list(first)
    histories = [list(history)]
    for action, place, message, other_head, other_order in [("append", 0, None, None, None), *steps]:
        head, order = other_head or head, other_order or order
        if action == "append" and message is not None:
            history.append(message)
        elif action == "drop" and len(history) > 1:
            del history[place % len(history)]
        elif action == "replace":
            history[place % len(history)] = message
        elif action == "fork":
            history = [*histories[place % len(histories)], message]
        elif action == "unmark":
            history = [unmarked(each) for each in history[:-1]] + history[-1:]
        histories.append(list(history))
        known = {"max_tokens": 100, "model": "m", "messages": history, "system": "s" * (1 + place % 2)}
        both.send({**{key: known[key] for key in order}, **head}, scope="s" if place % 7 == 6 else None)
        if place % 3 == 0:
            both.answer({"type": "text", "text": "a"})


def unmarked(message: dict[str, Any]) -> dict[str, Any]:
    """`message` without cache breakpoints."""
    if isinstance(message["content"], str):
        return message
    content = [{key: value for key, value in block.items() if key != "cache_control"} for block in message["content"]]
    return {**message, "content": content}
