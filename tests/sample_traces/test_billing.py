"""The stand-in bills as the API documents it."""

from __future__ import annotations

from typing import Any

import pytest

import standin

from .conftest import Clock, ask, text

MODEL = "claude-sonnet-4-5"
FIVE_MINUTES = {"type": "ephemeral"}
ONE_HOUR = {"type": "ephemeral", "ttl": "1h"}
FRAMING = 3 + 4  # the request's and one message's


def always(request: dict[str, Any]) -> standin.Reply:
    return standin.say("ok")


def block(tokens: int, cache: dict[str, str] | None = None, word: str = "word") -> dict[str, Any]:
    return {"type": "text", "text": text(tokens, word)} | ({"cache_control": cache} if cache else {})


def body(*system: dict[str, Any], user: Any = "go", model: str = MODEL, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": user}]
    return {"model": model, "max_tokens": 100, "system": list(system), "messages": messages} | more


def billed(api: standin.Api, request: dict[str, Any]) -> tuple[int, int, int, int]:
    """(read, written for an hour, written for five minutes, uncached)."""
    status, message = ask(api, request)
    assert status == 200, message
    usage = message["usage"]
    creation = usage["cache_creation"]
    five, hour = creation["ephemeral_5m_input_tokens"], creation["ephemeral_1h_input_tokens"]
    assert usage["cache_creation_input_tokens"] == five + hour
    return usage["cache_read_input_tokens"], hour, five, usage["input_tokens"]


def test_a_prefix_is_written_once_and_then_read(clock: Clock) -> None:
    """The second request reads what the first one wrote, and pays in full only what follows the breakpoint."""
    api = standin.Api(always, clock=clock)
    request = body(block(2_000, FIVE_MINUTES))
    assert billed(api, request) == (0, 0, 2_003, 4 + 1)
    assert billed(api, request) == (2_003, 0, 0, 4 + 1)


@pytest.mark.parametrize(("cache", "seconds"), [(FIVE_MINUTES, 300), (ONE_HOUR, 3_600)])
def test_an_entry_lives_for_its_ttl_after_its_last_use(clock: Clock, cache: dict[str, str], seconds: int) -> None:
    """A read just before the end starts the time again; without one the entry is gone."""
    api = standin.Api(always, clock=clock)
    request = body(block(2_000, cache))
    billed(api, request)
    for _ in range(3):
        clock.now += seconds - 1
        assert billed(api, request)[0] == 2_003
    clock.now += seconds
    assert billed(api, request)[0] == 0


@pytest.mark.parametrize(("model", "least"), [(MODEL, 1_024), ("claude-haiku-4-5", 4_096)])
def test_a_short_prefix_is_not_cached(clock: Clock, model: str, least: int) -> None:
    """One token under the model's minimum is billed as plain input, the minimum itself is written."""
    api = standin.Api(always, clock=clock)
    assert billed(api, body(block(least - 4, FIVE_MINUTES), model=model)) == (0, 0, 0, least - 1 + 5)
    assert billed(api, body(block(least - 3, FIVE_MINUTES), model=model)) == (0, 0, least, 5)


def test_an_entry_is_found_twenty_blocks_back_and_no_further(clock: Clock) -> None:
    """A breakpoint checks its own block and the nineteen before it."""
    for added, is_found in ((19, True), (20, False)):
        api = standin.Api(always, clock=clock)
        billed(api, body(block(2_000, FIVE_MINUTES)))
        more = [block(1) for _ in range(added - 1)]
        read = billed(api, body(block(2_000), *more, block(1, FIVE_MINUTES)))[0]
        assert (read == 2_003) is is_found, added


def test_any_change_before_the_breakpoint_misses(clock: Clock) -> None:
    """Another text, another model or another tool in front of the prefix means that it is written again."""
    api = standin.Api(always, clock=clock)
    billed(api, body(block(2_000, FIVE_MINUTES)))
    tool = {"name": "t", "description": "d", "input_schema": {"type": "object"}}
    assert billed(api, body(block(2_000, FIVE_MINUTES, "team")))[0] == 0
    assert billed(api, body(block(2_000, FIVE_MINUTES), model="claude-sonnet-4-0"))[0] == 0
    assert billed(api, body(block(2_000, FIVE_MINUTES), tools=[tool]))[0] == 0
    assert billed(api, body(block(2_000, FIVE_MINUTES), user="something else"))[0] == 2_003


def test_writes_are_split_by_their_ttl(clock: Clock) -> None:
    """What lies before the last one-hour breakpoint is written for an hour, the rest for five minutes."""
    api = standin.Api(always, clock=clock)
    request = body(block(2_000, ONE_HOUR), block(500, FIVE_MINUTES), user=[block(300, FIVE_MINUTES)])
    assert billed(api, request) == (0, 2_003, 500 + 4 + 300, 0)
    clock.now += 600
    assert billed(api, request) == (2_003, 0, 500 + 4 + 300, 0)


def test_automatic_caching_marks_the_last_block(clock: Clock) -> None:
    """With cache_control at the top level, each request of a growing conversation reads the one before it."""
    api = standin.Api(always, clock=clock)
    first = {"role": "user", "content": text(2_000)}
    request = {"model": MODEL, "max_tokens": 100, "messages": [first], "cache_control": FIVE_MINUTES}
    assert billed(api, request) == (0, 0, 2_000 + FRAMING, 0)
    grown = [first, {"role": "assistant", "content": "ok"}, {"role": "user", "content": text(50)}]
    assert billed(api, request | {"messages": grown}) == (2_000 + FRAMING, 0, 4 + 1 + 4 + 50, 0)


def test_an_entry_is_readable_only_once_its_answer_begins(clock: Clock) -> None:
    """Two requests at the same time both write: neither can read the other's entry yet."""
    api = standin.Api(always, clock=clock, is_timed=True)
    request = body(block(2_000, FIVE_MINUTES))
    assert billed(api, request)[2] == billed(api, request)[2] == 2_003
    clock.now += 5
    assert billed(api, request)[0] == 2_003


def test_five_breakpoints_or_a_later_hour_are_refused(clock: Clock) -> None:
    """Both are invalid requests, as with the API, and cost nothing."""
    api = standin.Api(always, clock=clock)
    for request in (
        body(*[block(1_100, FIVE_MINUTES) for _ in range(5)]),
        body(block(1_100, FIVE_MINUTES), block(1_100, ONE_HOUR)),
    ):
        status, message = ask(api, request)
        assert (status, message["error"]["type"]) == (400, "invalid_request_error")
    assert [record.bill for record in api.requests] == [None, None]


def test_the_hidden_tool_prompt_is_billed_once(clock: Clock) -> None:
    """However many tools there are, it is one share of overhead; each definition is billed for itself."""
    api = standin.Api(always, clock=clock)
    tools = [{"name": f"tool_{n}", "description": text(40), "input_schema": {"type": "object"}} for n in range(3)]
    bare = sum(billed(api, body()))
    one = sum(billed(api, body(tools=tools[:1]))) - bare
    three = sum(billed(api, body(tools=tools))) - bare
    record = api.requests[-1]
    assert three - one == 2 * record.prompt_tokens("tool_definition", "tool_0")
    assert one - record.prompt_tokens("tool_definition", "tool_0") == 346
    assert sum(piece.tokens for piece in record.pieces) == three + bare


def test_thinking_is_billed_as_output_and_then_leaves() -> None:
    """It is part of output_tokens, named apart, and gone from the context when the user speaks again."""
    api = standin.Api([standin.say(standin.Thinking("hm " * 50, 900), "ok"), standin.say("ok"), standin.say("ok")])
    request = body(max_tokens=2_000)
    _, message = ask(api, request)
    assert message["usage"]["output_tokens_details"] == {"thinking_tokens": 900}
    assert message["usage"]["output_tokens"] == 900 + 1 + 3
    said = [{"role": "user", "content": "go"}, {"role": "assistant", "content": message["content"]}]
    more = [*said, {"role": "user", "content": "more"}]
    ask(api, request | {"messages": more})
    assert api.requests[-1].prompt_tokens("thinking") == 0
    ask(api, request | {"model": "claude-opus-4-8", "messages": more})
    assert api.requests[-1].prompt_tokens("thinking") > 0


def test_a_server_tool_makes_another_pass_and_a_fee() -> None:
    """The prompt is billed again for the pass after the search, with what was found; the searches are counted."""
    search = standin.WebSearch("q", [("Title", "https://example.org/1", 6_000)])
    api = standin.Api([standin.say("ok"), standin.say(search, "ok")])
    before = ask(api, body(block(500)))[1]["usage"]["input_tokens"]
    usage = ask(api, body(block(500)))[1]["usage"]
    assert usage["server_tool_use"] == {"web_search_requests": 1, "web_fetch_requests": 0}
    assert usage["input_tokens"] > 2 * before + 900


def test_output_beyond_max_tokens_is_cut_off() -> None:
    """The stop reason says so, and no more than the limit is billed."""
    _, message = ask(standin.Api([standin.say(text(500))]), body())
    assert message["stop_reason"] == "max_tokens"
    assert message["usage"]["output_tokens"] <= 100


def test_an_unpaired_result_is_refused() -> None:
    """A result without its call, and a call without its result, are invalid requests."""
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "x"}
    call = {"type": "tool_use", "id": "toolu_1", "name": "t", "input": {}}
    assert ask(standin.Api(always), body(user=[result]))[0] == 400
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": [call]}]
    assert ask(standin.Api(always), body() | {"messages": [*messages, {"role": "user", "content": "b"}]})[0] == 400
    assert ask(standin.Api(always), body() | {"messages": [*messages, {"role": "user", "content": [result]}]})[0] == 200
