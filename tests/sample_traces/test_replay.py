"""Recorded exchanges are served again as they were."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import anthropic
import pytest

import standin

STREAMED = "anthropic_cassettes/langchain-anthropic/exchanges/test_agent_loop_streaming.jsonl"
NOT_FOUND = "anthropic_cassettes/braintrust-anthropic/exchanges/test_anthropic_client_error.jsonl"


def exchanges(recordings: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (recordings / name).read_text(encoding="utf-8").split("\n") if line]


def test_a_stream_is_replayed_byte_for_byte(recordings: Path) -> None:
    """What arrives over the socket is the recorded text, to the last space."""
    recorded = exchanges(recordings, STREAMED)
    with standin.serve(standin.replay(recorded)) as url:
        for exchange in recorded:
            data = json.dumps(exchange["request"]).encode()
            request = urllib.request.Request(f"{url}/v1/messages", data, {"content-type": "application/json"})
            with urllib.request.urlopen(request) as response:
                assert response.read().decode() == exchange["sse"]


def test_the_sdk_reads_a_replayed_conversation(recordings: Path) -> None:
    """The ground truth of this recording: (567, 57) and (639, 13) tokens."""
    recorded = exchanges(recordings, STREAMED)
    replay = standin.replay(recorded)
    client = standin.client(replay)
    usage = []
    for exchange in recorded:
        body = {key: value for key, value in exchange["request"].items() if key != "stream"}
        with client.messages.stream(**body) as stream:
            final = stream.get_final_message().usage
        usage.append((final.input_tokens, final.output_tokens))
    assert usage == [(567, 57), (639, 13)]
    assert [request["request"]["messages"] for request in replay.requests] == [
        exchange["request"]["messages"] for exchange in recorded
    ]


def test_an_error_is_replayed_with_its_status(recordings: Path) -> None:
    """A recorded 404 is the SDK's NotFoundError."""
    recorded = exchanges(recordings, NOT_FOUND)
    with pytest.raises(anthropic.NotFoundError):
        standin.client(standin.replay(recorded)).messages.create(**recorded[0]["request"])


def test_a_request_too_many_says_so() -> None:
    """It is an error that the SDK does not retry."""
    replay = standin.replay([])
    with pytest.raises(anthropic.InternalServerError, match="has 0 exchanges; this is request 1"):
        standin.client(replay).messages.create(model="m", max_tokens=1, messages=[{"role": "user", "content": "a"}])
    assert len(replay.requests) == 1
