"""The real SDK accepts what the stand-in says: whole, streamed, asynchronous, on a socket, and when it fails."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anthropic
import pytest

import standin
from standin import ToolUse, say

from .conftest import ask

TOOLS = [{"name": "get_weather", "description": "Weather.", "input_schema": {"type": "object", "properties": {}}}]
REQUEST: dict[str, Any] = {
    "model": "claude-haiku-4-5",
    "max_tokens": 500,
    "tools": TOOLS,
    "messages": [{"role": "user", "content": "Is it warm in Paris and in Oslo?"}],
}
TURN = say("Let me look.", ToolUse("get_weather", {"city": "Paris"}), ToolUse("get_weather", {"city": "Oslo — å"}))


@contextmanager
def in_process(backend: standin.Backend) -> Iterator[Any]:
    yield standin.client(backend)


@contextmanager
def on_a_socket(backend: standin.Backend) -> Iterator[Any]:
    with standin.serve(backend) as url, anthropic.Anthropic(api_key="sk-standin", base_url=url) as client:
        yield client


both_ways = pytest.mark.parametrize("connect", [in_process, on_a_socket])
Connect = Callable[[standin.Backend], Any]


@both_ways
def test_a_stream_adds_up_to_the_whole_message(connect: Connect) -> None:
    """Content, stop reason and final usage are the same; the usage at the start is a placeholder."""
    with connect(standin.Api([TURN, TURN, TURN], seed="a")) as client:
        whole = client.messages.create(**REQUEST)
        with client.messages.stream(**REQUEST) as stream:
            streamed = stream.get_final_message()
        events = list(client.messages.create(**REQUEST, stream=True))
    assert [block.type for block in whole.content] == ["text", "tool_use", "tool_use"]
    assert [block.input for block in streamed.content[1:]] == [block.input for block in whole.content[1:]]
    assert (streamed.stop_reason, streamed.content[0].text) == (whole.stop_reason, whole.content[0].text)
    assert streamed.usage.input_tokens == whole.usage.input_tokens
    assert streamed.usage.output_tokens == whole.usage.output_tokens
    kinds = [event.type for event in events]
    assert (kinds[0], kinds[-2:]) == ("message_start", ["message_delta", "message_stop"])
    assert events[0].message.usage.output_tokens < events[-2].usage.output_tokens == whole.usage.output_tokens


def test_the_asynchronous_client_works() -> None:
    """Both create and stream."""

    async def run() -> tuple[Any, Any]:
        client = standin.async_client(standin.Api([TURN, TURN]))
        whole = await client.messages.create(**REQUEST)
        async with client.messages.stream(**REQUEST) as stream:
            return whole, await stream.get_final_message()

    whole, streamed = asyncio.run(run())
    assert whole.usage.output_tokens == streamed.usage.output_tokens


@both_ways
def test_the_sdk_retries_what_may_be_retried(connect: Connect) -> None:
    """429 with its retry-after and 529 are tried again within one call; only the answer is billed."""
    api = standin.Api([standin.rate_limited(0.01), standin.overloaded(), say("ok")])
    with connect(api) as client:
        assert client.messages.create(**REQUEST).content[0].text == "ok"
    assert [record.status for record in api.requests] == [429, 529, 200]
    assert [record.bill is None for record in api.requests] == [True, True, False]


@pytest.mark.parametrize(
    ("change", "key", "error"),
    [
        ({"model": "claude-nonexistent"}, "k", anthropic.NotFoundError),
        ({"messages": []}, "k", anthropic.BadRequestError),
        ({}, "sk-invalid", anthropic.AuthenticationError),
    ],
)
def test_errors_have_the_sdks_types(change: dict[str, Any], key: str, error: type[Exception]) -> None:
    """They carry the request id of the response's header."""
    with pytest.raises(error) as caught:
        standin.client(standin.Api([TURN]), api_key=key).messages.create(**{**REQUEST, **change})
    assert caught.value.response.headers["request-id"].startswith("req_01")  # type: ignore[attr-defined]


def test_exhausted_retries_raise() -> None:
    """A server error that does not go away reaches the application."""
    client = standin.client(standin.Api([standin.internal_error()] * 2), max_retries=1)
    with pytest.raises(anthropic.InternalServerError):
        client.messages.create(**REQUEST)


@both_ways
def test_a_stream_can_break_off(connect: Connect) -> None:
    """A connection that breaks raises the HTTP library's error, after the events that did arrive."""
    seen: list[str] = []
    error = standin.http_library().RemoteProtocolError
    cut = standin.Turn([standin.Text("word " * 200)], cut_after=5)
    with connect(standin.Api([cut])) as client, pytest.raises(error):
        seen.extend(event.type for event in client.messages.create(**REQUEST, stream=True))
    assert "message_stop" not in seen


def test_a_stream_can_end_in_an_error_event() -> None:
    """An overloaded_error in the middle is a status error of the SDK."""
    broken = standin.Turn([standin.Text("word " * 200)], error_after=4)
    with pytest.raises(anthropic.APIStatusError):
        list(standin.client(standin.Api([broken])).messages.create(**REQUEST, stream=True))


def test_tokens_can_be_counted_without_a_bill() -> None:
    """count_tokens says what create will bill, and is no message."""
    api = standin.Api([TURN])
    client = standin.client(api)
    messages = client.messages if hasattr(client.messages, "count_tokens") else client.beta.messages
    count = messages.count_tokens(model=REQUEST["model"], messages=REQUEST["messages"], tools=TOOLS)
    assert count.input_tokens == client.messages.create(**REQUEST).usage.input_tokens
    assert api.requests[0].bill is None


def test_beta_and_raw_responses_work() -> None:
    """The beta resource and with_raw_response give the same message."""
    client = standin.client(standin.Api([TURN, TURN]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        beta = client.beta.messages.create(**REQUEST)
        raw = client.messages.with_raw_response.create(**REQUEST)
    assert beta.usage.output_tokens == raw.parse().usage.output_tokens
    assert raw.headers["request-id"].startswith("req_01")


def test_a_conversation_goes_on_with_the_results() -> None:
    """The blocks of a response can be sent back with their results; the truth names each one's owner."""
    api = standin.Api([TURN, say("Yes.")])
    client = standin.client(api)
    asked = client.messages.create(**REQUEST)
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": "21 degrees " * 30}
        for block in asked.content
        if block.type == "tool_use"
    ]
    said = [{"role": "assistant", "content": asked.content}, {"role": "user", "content": results}]
    answered = client.messages.create(**{**REQUEST, "messages": [*REQUEST["messages"], *said]})
    record = api.requests[-1]
    assert record.prompt_tokens("tool_result", "get_weather") > 150
    assert record.prompt_tokens("tool_use", "get_weather") > 20
    assert sum(piece.tokens for piece in record.pieces) == answered.usage.input_tokens
    assert {piece.call_id for piece in record.pieces if piece.owner == "tool_result"} == {
        block.id for block in asked.content if block.type == "tool_use"
    }


def test_the_tool_runner_goes_on_from_what_the_api_holds() -> None:
    """It sends the new messages only; the whole conversation is billed, and the script is asked with all of it."""
    if not hasattr(anthropic, "beta_tool"):
        pytest.skip("this SDK has no tool runner")

    @anthropic.beta_tool
    def get_weather(city: str) -> str:
        """Weather."""
        return f"{city}: 21 degrees. " * 30

    api = standin.Api([say(ToolUse("get_weather", {"city": "Paris"})), say("Warm.")])
    runner = standin.client(api).beta.messages.tool_runner(
        model="claude-haiku-5-5", max_tokens=200, tools=[get_weather], messages=REQUEST["messages"]
    )
    assert runner.until_done().content[0].text == "Warm."
    assert [len(record.body["messages"]) for record in api.requests] == [1, 3]
    assert api.requests[1].prompt_tokens("tool_definition") == api.requests[0].prompt_tokens("tool_definition") > 0


def test_a_conversation_that_is_not_held_is_named() -> None:
    """The error carries the code by which the SDK starts again with the whole history."""
    request = {**REQUEST, "thread": {"type": "continue", "previous_message_id": "msg_lost"}}
    status, message = ask(standin.Api([TURN]), request)
    assert (status, message["error"]["details"]) == (404, {"error_code": "thread_not_found"})
