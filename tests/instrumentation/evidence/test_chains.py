"""What a request says of its prompt: only what is new, and enough to rebuild the whole."""

from __future__ import annotations

import base64
import copy
import json
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence_said import apart
from toolspend import attributes as at
from toolspend.evidence import describe_output
from toolspend.evidence.chains import MAX_KEYS, Chains
from toolspend.evidence.definitions import definition_log
from toolspend.evidence.weight import weigh

Body = dict[str, Any]
Segment = list[Any]


@pytest.fixture(autouse=True)
def _no_definitions_sent() -> None:
    definition_log.forget_sent()


class Reader:
    """Rebuilds prompts from evidence as ingestion would, and checks what the evidence says of itself."""

    def __init__(self) -> None:
        self.chains = Chains()
        self.prompts: dict[str, list[Segment]] = {}
        self.conversations: list[str] = []
        self.evidence: list[dict[str, Any]] = []

    def send(self, body: Body, scope: str | None = None) -> list[Segment]:
        number = len(self.evidence)
        span_id = f"{number:016x}"
        evidence, tip = self.chains.describe(
            copy.deepcopy(body),
            scope=scope,
            span_id=span_id,
            conversation_id=f"conversation-{number}",
            has_definitions=True,
        )
        self.tip = tip
        evidence = apart(evidence)
        self.evidence.append(evidence)
        self.conversations.append(tip.conversation_id)
        base = self.prompts.get(evidence.get(at.CONTEXT_BASE, ""), [])
        prompt: list[Segment] = []
        for item in json.loads(evidence[at.CONTEXT_DELTA]):
            prompt += base[item[0] : item[0] + item[1]] if isinstance(item[0], int) else [item]
        assert len(prompt) == evidence[at.CONTEXT_SEGMENTS]
        assert sum(segment[1] for segment in prompt) == evidence[at.CONTEXT_CHARS]
        for first, *restated in json.loads(evidence.get(at.CONTEXT_RESTATED, "[]")):
            assert prompt[first : first + len(restated)] == restated
        self.prompts[span_id] = prompt
        return prompt

    def answer(self, *blocks: dict[str, Any], id: str | None = None) -> None:
        """Tells the conversation of the last request what the model said."""
        describe_output(blocks, self.tip, id, self.chains)


def whole(body: Body) -> list[Segment]:
    """The prompt of `body` as a process that has seen nothing before describes it."""
    return Reader().send(body)


def search(number: int, text: str = "found it") -> list[dict[str, Any]]:
    """One turn: the model calls `search`, and its result."""
    call = {"type": "tool_use", "id": f"toolu_{number}", "name": "search", "input": {"query": f"q{number}"}}
    return [
        {"role": "assistant", "content": [{"type": "text", "text": f"Turn {number}."}, call]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": text}]},
    ]


TOOLS = [
    {"name": f"tool_{n}", "description": "Does it.", "input_schema": {"type": "object", "properties": {"n": {}}}}
    for n in range(3)
]


def body(turns: int, first: str = "Start.") -> Body:
    """A request of a conversation after `turns` turns."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": first}]
    for number in range(turns):
        messages += search(number)
    return {"tools": TOOLS, "system": "Be brief.", "messages": messages}


def test_a_first_request_is_a_keyframe_in_prompt_order() -> None:
    """Definitions, system text and messages come in the order in which the provider renders them."""
    reader = Reader()
    prompt = reader.send(body(1))
    assert [segment[0] for segment in prompt] == ["d", "d", "d", "s", "u", "a", "c", "r"]
    assert [segment[:4] for segment in prompt[6:]] == [
        ["c", 6 + len('{"query":"q0"}'), "search", "toolu_0"],
        ["r", 8, "search", "toolu_0"],
    ]
    result = body(1)["messages"][-1]["content"][0]
    result["content"] = "A passage of 2,000 words about the question. " * 3
    request = body(1)
    request["messages"][-1]["content"][0] = result
    weight = weigh(result["content"])
    assert whole(request)[-1][4:] == [None, None, weight.tokens, weight.digits]
    assert at.CONTEXT_BASE not in reader.evidence[0]


def test_a_later_request_says_only_what_is_new() -> None:
    """The delta of a turn is one copy and the turn, however long the conversation is."""
    reader = Reader()
    for turns in range(40):
        assert reader.send(body(turns)) == whole(body(turns))
    deltas = [len(json.loads(evidence[at.CONTEXT_DELTA])) for evidence in reader.evidence]
    assert deltas[1:] == [4] * 39
    sizes = [sum(len(str(value)) for value in evidence.values()) for evidence in reader.evidence]
    assert max(sizes[5:]) - min(sizes[5:]) < 60
    assert set(reader.conversations) == {"conversation-0"}


def test_evidence_holds_no_content() -> None:
    """Of prompts and results only sizes, kinds, names and ids are said; definitions are code, and can be left out."""
    secret = "the launch code is 0000"
    request = body(1, first=secret)
    request["system"] = secret
    request["messages"][1]["content"][1]["input"]["query"] = secret
    request["messages"][2]["content"][0]["content"] = secret
    evidence, _ = Chains().describe(request, scope=None, span_id="0" * 16, conversation_id="c", has_definitions=False)
    assert secret not in json.dumps(evidence)
    assert at.TOOL_DEFINITIONS not in evidence


def test_a_definition_is_sent_once_per_version() -> None:
    """The text of a definition goes out with the first request that offers it, and again when it changes."""
    reader = Reader()
    changed = body(2)
    changed["tools"] = [*TOOLS[:2], {**TOOLS[2], "description": "Does it better."}]
    for request in (body(0), body(1), changed):
        reader.send(request)
    sent = [json.loads(evidence.get(at.TOOL_DEFINITIONS, "[]")) for evidence in reader.evidence]
    assert [[row["name"] for row in rows] for rows in sent] == [["tool_0", "tool_1", "tool_2"], [], ["tool_2"]]


def test_a_definition_changed_in_place_is_noticed() -> None:
    """What is compared with is a copy, so that mutating the list that was sent does not hide the change."""
    chains, request = Chains(), copy.deepcopy(body(0))
    first, _ = chains.describe(request, scope=None, span_id="0" * 16, conversation_id="c", has_definitions=True)
    request["tools"][0]["input_schema"]["properties"]["extra"] = {"type": "string"}
    second, _ = chains.describe(request, scope=None, span_id="1" * 16, conversation_id="c", has_definitions=True)
    assert apart(second)[at.CONTEXT_CHARS] > apart(first)[at.CONTEXT_CHARS]


def test_an_edited_result_leaves_the_rest_copied() -> None:
    """Clearing an old result re-sends one segment, not the conversation after it."""
    reader = Reader()
    for turns in range(11):
        reader.send(body(turns))
    edited = body(11)
    edited["messages"][2]["content"][0]["content"] = "[cleared]"
    assert reader.send(edited) == whole(edited)
    items = json.loads(reader.evidence[-1][at.CONTEXT_DELTA])
    assert sum(isinstance(item[0], str) for item in items) == 4, "the cleared result and the new turn"
    assert reader.conversations[-1] == "conversation-0"


def test_dropped_turns_are_copied_around() -> None:
    """A sliding window keeps its conversation and says only what is new."""
    reader = Reader()
    for turns in range(12):
        reader.send(body(turns))
    slid = body(13)
    del slid["messages"][1:7]
    assert reader.send(slid) == whole(slid)
    assert sum(isinstance(item[0], str) for item in json.loads(reader.evidence[-1][at.CONTEXT_DELTA])) == 6
    assert reader.conversations[-1] == "conversation-0"


def test_branches_of_one_prompt_are_told_apart_by_their_answers() -> None:
    """The same first prompt twice is two conversations, and each next turn finds its own."""
    reader = Reader()
    tips = []
    for number in (0, 1):
        reader.send(body(0))
        tips.append(reader.tip)
        reader.answer(*search(number)[0]["content"])
    for number in (0, 1):
        request = body(0)
        request["messages"] += search(number)
        assert reader.send(request) == whole(request)
    assert reader.conversations == ["conversation-0", "conversation-1", "conversation-0", "conversation-1"]


def test_a_fork_builds_on_where_it_left() -> None:
    """A second continuation of an earlier turn copies the shared beginning."""
    reader = Reader()
    for turns in range(6):
        reader.send(body(turns))
    fork = body(3)
    fork["messages"] += search(77, "elsewhere")
    assert reader.send(fork) == whole(fork)
    assert reader.evidence[-1][at.CONTEXT_BASE] == f"{3:016x}"
    assert reader.send(body(6)) == whole(body(6)), "the other branch goes on undisturbed"


def test_sessions_are_kept_apart() -> None:
    """Two sessions with the same text never build on one another."""
    reader = Reader()
    reader.send(body(2), scope="a")
    reader.send(body(3), scope="b")
    assert at.CONTEXT_BASE not in reader.evidence[1]


def test_a_conversation_resumed_without_its_beginning_is_recognised_by_its_calls() -> None:
    """After a summary replaced the first turns, a call that the model made here still names the conversation."""
    reader = Reader()
    reader.send(body(0))
    reader.answer(*search(0)[0]["content"])
    resumed = {**body(0), "messages": [{"role": "user", "content": "Summary."}, *search(0)]}
    reader.send(resumed)
    assert reader.conversations == ["conversation-0", "conversation-0"]


def test_a_thread_that_the_provider_holds_is_the_whole_prompt() -> None:
    """A request that continues a message by id is billed for all before it, and says so, though it sends only news."""
    reader = Reader()
    reader.send({**body(2), "thread": {"type": "create"}})
    call, result = search(2)
    reader.answer(*call["content"], id="msg_1")
    held = {"thread": {"type": "continue", "previous_message_id": "msg_1"}, "messages": [result]}
    assert reader.send(held) == whole(body(3))
    assert len(json.loads(reader.evidence[-1][at.CONTEXT_DELTA])) == 4
    assert reader.conversations == ["conversation-0"] * 2


def test_a_thread_begun_elsewhere_claims_nothing() -> None:
    """Where the provider holds what this process never saw, there is no evidence rather than half of it."""
    chains = Chains()
    held = {"thread": {"type": "continue", "previous_message_id": "msg_9"}, "messages": [search(0)[1]]}
    for number in range(2):
        evidence, tip = chains.describe(
            held, scope=None, span_id=f"{number:016x}", conversation_id="c", has_definitions=True
        )
        assert evidence == {}
        describe_output([{"type": "text", "text": "Done."}], tip, f"msg_{number}", chains)
        held = {"thread": {"type": "continue", "previous_message_id": f"msg_{number}"}, "messages": [search(1)[1]]}


def test_cache_marks_are_where_the_breakpoints_are() -> None:
    """Marks on a tool, on system text, on a block and on the whole request are indexes into the prompt."""
    request = body(1)
    request["tools"] = [*TOOLS[:2], {**TOOLS[2], "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    request["system"] = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
    request["messages"][-1]["content"][0]["cache_control"] = {"type": "ephemeral"}
    reader = Reader()
    prompt = reader.send(request)
    assert json.loads(reader.evidence[0][at.CONTEXT_CACHE_MARKS]) == [[2, "1h"], [3, "5m"], [7, "5m"]]
    assert prompt == whole(body(1)), "a mark is no content: the segments are the same"


def test_images_and_text_of_one_result_are_two_segments() -> None:
    """An image is told from the text beside it, and its size is that of its data."""
    content = [
        {"type": "text", "text": "A chart."},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 5000}},
    ]
    request = body(1)
    request["messages"][-1]["content"][0]["content"] = content
    text, image = whole(request)[-2:]
    assert text == ["r", 8, "search", "toolu_0"]
    assert image == ["r", 5000, "search", "toolu_0", "i"]  # data that is no image of a known format has no weight


def test_text_that_is_not_ascii_says_its_bytes() -> None:
    """Characters alone do not tell how dense a language is."""
    assert whole({"messages": [{"role": "user", "content": "日本語"}]}) == [["u", 3, None, None, None, 9]]
    text = "日本語" * 20
    assert whole({"messages": [{"role": "user", "content": text}]}) == [
        ["u", 60, None, None, None, 180, weigh(text).tokens]
    ]


def test_an_error_result_is_flagged() -> None:
    """A failed call is told from a good one by the result that the model got."""
    request = body(1)
    request["messages"][-1]["content"][0]["is_error"] = True
    assert whole(request)[-1][:5] == ["r", 8, "search", "toolu_0", "e"]


def test_an_image_weighs_what_its_area_costs() -> None:
    """750 by 1,000 pixels are 1,000 tokens, however long their data is."""
    data = base64.b64encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 750, 1000) + bytes(900)).decode()
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
    assert whole({"messages": [{"role": "user", "content": [image]}]}) == [
        ["u", len(data), None, None, "i", None, 1000]
    ]


def test_a_deferred_definition_is_told_from_the_place_where_it_was_found() -> None:
    """Among the definitions it is marked; after the result that names it stands a reference of no length."""
    found = {
        "type": "tool_search_tool_search_result",
        "tool_references": [{"type": "tool_reference", "tool_name": "search"}],
    }
    prompt = whole(
        {
            "tools": [{**TOOLS[0], "name": "search", "defer_loading": True}, {"type": "web_search_x", "name": "web"}],
            "messages": [
                {"role": "user", "content": "Find it."},
                {
                    "role": "assistant",
                    "content": [{"type": "tool_search_tool_result", "tool_use_id": "s1", "content": found}],
                },
            ],
        }
    )
    assert [segment[0] for segment in prompt] == ["d", "d", "u", "r", "d"]
    assert (prompt[0][2], prompt[0][4], prompt[1][4]) == ("search", "l", "s")
    assert prompt[3][1] == len("search ")  # of the result the names are left: no more was billed in a recording
    assert prompt[4] == ["d", 0, "search", None, "l"]


def test_what_is_remembered_is_bounded() -> None:
    """Chains beyond the limit are forgotten, and the next request of one is a keyframe."""
    reader = Reader()
    for number in range(MAX_KEYS + 10):
        reader.send(body(0, first=f"Conversation {number}."))
    reader.send(body(1, first="Conversation 0."))
    assert at.CONTEXT_BASE not in reader.evidence[-1]
    reader.send(body(1, first=f"Conversation {MAX_KEYS + 9}."))
    assert at.CONTEXT_BASE in reader.evidence[-1]


@pytest.mark.parametrize(("count", "is_found"), [(8, False), (9, True)])
def test_an_edited_prompt_is_looked_for_where_more_is_new_than_a_turn_adds(count: int, is_found: bool) -> None:
    """Nine new messages are worth a look at the last prompt that began alike; eight are said again."""
    reader = Reader()
    messages = [{"role": "user", "content": f"Message {number}."} for number in range(count)]
    reader.send({"messages": messages})
    reader.send({"messages": [messages[0], {"role": "user", "content": "Edited."}, *messages[2:]]})
    assert (at.CONTEXT_BASE in reader.evidence[-1]) is is_found


def test_a_block_of_an_unknown_kind_is_not_taken_for_text() -> None:
    """What looks like a text block and is none is described for what it is, also where that text was said before."""
    reader = Reader()
    reader.send({"messages": [{"role": "user", "content": "x"}, {"role": "user", "content": "y"}]})
    odd = {"messages": [{"role": "user", "content": "x"}, {"role": "user", "content": [{"type": "odd", "text": "y"}]}]}
    assert reader.send(odd) == whole(odd)


def blocks() -> st.SearchStrategy[Any]:
    """Blocks as agents send them, unusual ones included."""
    text = st.text(max_size=8)
    call_ids = st.sampled_from(["toolu_1", "toolu_2", "toolu_3"])
    values = st.one_of(text, st.integers(), st.none(), st.lists(text, max_size=2))
    return st.one_of(
        st.fixed_dictionaries({"type": st.just("text"), "text": text}),
        st.fixed_dictionaries(
            {
                "type": st.just("tool_use"),
                "id": call_ids,
                "name": st.sampled_from(["search", "read"]),
                "input": st.dictionaries(text, values, max_size=2),
            }
        ),
        st.fixed_dictionaries(
            {"type": st.just("tool_result"), "tool_use_id": call_ids, "content": st.one_of(text, st.none())},
            optional={"is_error": st.booleans()},
        ),
        st.fixed_dictionaries({"type": st.just("thinking"), "thinking": text, "signature": text}),
        st.fixed_dictionaries({"type": text}, optional={"text": values, "content": values}),
    )


def messages() -> st.SearchStrategy[Any]:
    """Messages with string or block content."""
    content = st.one_of(st.text(max_size=8), st.lists(blocks(), max_size=3))
    return st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": content})


edits = st.lists(
    st.tuples(st.sampled_from(["append", "drop", "replace", "fork"]), st.integers(0, 20), messages()), max_size=12
)


@settings(max_examples=150, deadline=None)
@given(first=st.lists(messages(), min_size=1, max_size=4), steps=edits)
def test_any_history_is_rebuilt_exactly(first: list[Any], steps: list[tuple[str, int, Any]]) -> None:
    """Whatever an agent does to its messages, the deltas give each prompt back in kinds, sizes and ids.

    A tool's name may differ: where the prompt no longer holds the call of a result, a process that saw it knows more.
    """
    reader = Reader()
    history = list(first)
    histories = [list(history)]
    reader.send({"messages": history})
    for action, place, message in steps:
        if action == "append":
            history.append(message)
        elif action == "drop" and len(history) > 1:
            del history[place % len(history)]
        elif action == "replace":
            history[place % len(history)] = message
        elif action == "fork":
            history = [*histories[place % len(histories)], message]
        histories.append(list(history))
        got = reader.send({"messages": history})
        expected = whole({"messages": history})
        assert [s[:2] for s in got] == [s[:2] for s in expected]
