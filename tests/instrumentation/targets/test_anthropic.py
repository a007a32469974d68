"""Every way to call the Messages API gives one span that says the same, and gives the application what it gave."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import anthropic
import pytest

import standin
import toolspend
from evidence_said import apart
from toolspend import _stats, testing
from toolspend import attributes as at
from toolspend.evidence import conversations
from toolspend.evidence.definitions import canonical
from toolspend.evidence.weight import weigh

MODEL = "claude-opus-4-8"
TOOLS = [
    {
        "name": "search",
        "description": "Searches the wiki.",
        "input_schema": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
    }
]
REQUEST: dict[str, Any] = {
    "model": MODEL,
    "max_tokens": 200,
    "system": "Be brief.",
    "tools": TOOLS,
    "messages": [{"role": "user", "content": "Where is the plan?"}],
}
ANSWER = standin.say("Looking.", standin.ToolUse("search", {"query": "plan"}))
CALL_CHARS = len('search{"query":"plan"}')


def weight(text: str) -> list[int | None]:
    """The end of the segment of a text: no flags, no bytes, what it weighs if it is not short."""
    tokens, digits = weigh(text)
    return [] if len(text) < 32 else [None, None, tokens, digits] if digits else [None, None, tokens]


# Content, usage and ids of an answer do not depend on how it was asked for.
SAID = (
    at.OPERATION,
    at.REQUEST_MODEL,
    at.RESPONSE_MODEL,
    at.INPUT_TOKENS,
    at.OUTPUT_TOKENS,
    at.CACHE_READ_TOKENS,
    at.CACHE_WRITE_TOKENS,
    at.ANTHROPIC_STOP_REASON,
    at.CONTEXT_DELTA,
    at.CONTEXT_SEGMENTS,
    at.CONTEXT_CHARS,
)
is_native = hasattr(import_module("anthropic._base_client"), "finish_api_call_span")
has_runner = hasattr(import_module("anthropic.resources.beta.messages").Messages, "tool_runner")


@pytest.fixture
def captured() -> Iterator[testing.Captured]:
    """Spans of an instrumented process."""
    with testing.capture() as captured:
        toolspend.instrument(export=None)
        yield captured
        toolspend.uninstrument()
    assert toolspend.stats()["failures"] == {}


def client(*replies: standin.Reply, **options: Any) -> Any:
    """A client of a stand-in that gives `replies`, or one answer with a tool call."""
    return standin.client(standin.Api(list(replies) or [ANSWER]), max_retries=0, **options)


def async_client(*replies: standin.Reply, **options: Any) -> Any:
    """The same, asynchronous."""
    return standin.async_client(standin.Api(list(replies) or [ANSWER]), max_retries=0, **options)


def chats(captured: testing.Captured) -> list[dict[str, Any]]:
    """The spans of model requests, with what their evidence says."""
    spans = [span for span in captured.spans() if span["attributes"].get(at.OPERATION) == "chat"]
    return [{**span, "attributes": apart(span["attributes"])} for span in spans]


def create() -> None:
    client().messages.create(**REQUEST)


def create_stream() -> None:
    for _ in client().messages.create(**REQUEST, stream=True):
        pass


def stream_helper() -> None:
    with client().messages.stream(**REQUEST) as stream:
        stream.get_final_message()


def raw_response() -> None:
    response = client().messages.with_raw_response.create(**REQUEST)
    assert response.parse().stop_reason == "tool_use"


def raw_stream() -> None:
    for _ in client().messages.with_raw_response.create(**REQUEST, stream=True).parse():
        pass


def beta() -> None:
    client().beta.messages.create(**REQUEST, betas=["interleaved-thinking-2025-05-14"])


def middle_of_a_loop() -> None:
    asyncio.run(_async_create())


async def _async_create() -> None:
    await async_client().messages.create(**REQUEST)


def async_stream() -> None:
    async def run() -> None:
        async for _ in await async_client().messages.create(**REQUEST, stream=True):
            pass

    asyncio.run(run())


def async_stream_helper() -> None:
    async def run() -> None:
        async with async_client().messages.stream(**REQUEST) as stream:
            await stream.get_final_message()

    asyncio.run(run())


def unread_response() -> None:
    with client().messages.with_streaming_response.create(**REQUEST) as response:
        assert response.parse().stop_reason == "tool_use"


def unread_stream() -> None:
    with client().messages.with_streaming_response.create(**REQUEST, stream=True) as response:
        assert "data:" in "".join(response.iter_lines())


def unread_stream_parsed() -> None:
    with client().messages.with_streaming_response.create(**REQUEST, stream=True) as response:
        assert list(response.parse())


def async_unread_response() -> None:
    async def run() -> None:
        async with async_client().messages.with_streaming_response.create(**REQUEST) as response:
            assert (await response.json())["stop_reason"] == "tool_use"

    asyncio.run(run())


UNREAD = [unread_response, unread_stream, unread_stream_parsed, async_unread_response]
"""The application reads the body itself: only the SDK's own spans wait for its end."""

WAYS = [
    create,
    create_stream,
    stream_helper,
    raw_response,
    raw_stream,
    beta,
    middle_of_a_loop,
    async_stream,
    async_stream_helper,
    *(UNREAD if is_native else ()),
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_every_way_gives_one_span_that_says_the_same(way: Callable[[], None], captured: testing.Captured) -> None:
    """Usage, evidence and what the output was made of are on one `chat` span, however the API was called."""
    way()
    [span] = chats(captured)
    said = span["attributes"]
    assert {name: said[name] for name in SAID} == {
        at.OPERATION: "chat",
        at.REQUEST_MODEL: MODEL,
        at.RESPONSE_MODEL: MODEL,
        at.INPUT_TOKENS: said[at.INPUT_TOKENS],
        at.OUTPUT_TOKENS: said[at.OUTPUT_TOKENS],
        at.CACHE_READ_TOKENS: 0,
        at.CACHE_WRITE_TOKENS: 0,
        at.ANTHROPIC_STOP_REASON: "tool_use",
        at.CONTEXT_DELTA: said[at.CONTEXT_DELTA],
        at.CONTEXT_SEGMENTS: 3,
        at.CONTEXT_CHARS: said[at.CONTEXT_CHARS],
    }
    assert said[at.INPUT_TOKENS] > 0 < said[at.OUTPUT_TOKENS]
    output = json.loads(said[at.OUTPUT_SEGMENTS])
    assert [segment[:3] for segment in output] == [["a", 8], ["c", CALL_CHARS, "search"]]
    assert span["status"] == "OK"
    assert span["kind"] == "CLIENT"
    assert "plan" not in json.dumps({k: v for k, v in said.items() if k != at.TOOL_DEFINITIONS})


def test_a_whole_span_of_ours(captured: testing.Captured) -> None:
    """Where the SDK emits none, the span is in the terms of the conventions and of the SDK's own."""
    options = {"open_telemetry": False} if is_native else {}
    first = client(**options).messages.create(**REQUEST)
    [span] = captured.spans()
    said = apart(span["attributes"])
    definition = "search" + TOOLS[0]["description"] + canonical(TOOLS[0]["input_schema"])
    call_id = json.loads(said[at.OUTPUT_SEGMENTS])[1][3]
    version = json.loads(said[at.CONTEXT_DELTA])[0][3]
    assert span == {
        "name": f"chat {MODEL}",
        "kind": "CLIENT",
        "scope": "toolspend",
        "trace_id": f"{1:032x}",
        "span_id": f"{1:016x}",
        "parent_id": None,
        "start_ms": span["start_ms"],
        "end_ms": span["end_ms"],
        "status": "OK",
        "status_message": None,
        "events": [],
        "attributes": {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "anthropic",
            "server.address": "api.anthropic.com",
            "gen_ai.request.model": MODEL,
            "gen_ai.request.max_tokens": 200,
            "gen_ai.conversation.id": f"{1:032x}",
            "gen_ai.response.id": said["gen_ai.response.id"],
            "gen_ai.response.model": MODEL,
            "gen_ai.usage.input_tokens": said["gen_ai.usage.input_tokens"],
            "gen_ai.usage.output_tokens": said["gen_ai.usage.output_tokens"],
            "gen_ai.usage.cache_read.input_tokens": 0,
            "gen_ai.usage.cache_write.input_tokens": 0,
            "anthropic.usage.cache_creation.ephemeral_5m_input_tokens": 0,
            "anthropic.usage.cache_creation.ephemeral_1h_input_tokens": 0,
            "anthropic.response.service_tier": "standard",
            "anthropic.message.stop_reason": "tool_use",
            "toolspend.context.evidence": json.dumps(
                {
                    "delta": [
                        ["d", said[at.CONTEXT_CHARS] - 27, "search", version, *weight(definition)],
                        ["s", 9, *weight(REQUEST["system"])],
                        ["u", 18, *weight(REQUEST["messages"][0]["content"])],
                    ],
                    "segments": 3,
                    "chars": said[at.CONTEXT_CHARS],
                },
                separators=(",", ":"),
            ),
            "toolspend.output.segments": json.dumps(
                [
                    ["a", 8, *weight(first.content[0].text)],
                    ["c", CALL_CHARS, "search", call_id, *weight('search{"query":"plan"}')],
                ],
                separators=(",", ":"),
            ),
            "toolspend.tool.definitions": json.dumps(
                [{"name": "search", "version": version, "declared_version": None, **{
                    key: TOOLS[0][key] for key in ("description", "input_schema")}}],
                separators=(",", ":"),
            ),
        },
    }  # fmt: skip


@pytest.mark.skipif(not is_native, reason="this version of the SDK emits no spans")
def test_native_spans_are_enriched_and_never_doubled(captured: testing.Captured) -> None:
    """The SDK's own span carries the evidence; there is no second one, of ours or of the HTTP client beneath."""
    create()
    assert [(span["name"], span["scope"]) for span in captured.spans()] == [
        ("anthropic.messages.create", "com.anthropic.sdk.python")
    ]


def test_a_conversation_has_one_id_without_being_told(captured: testing.Captured) -> None:
    """Turns that are traces of their own belong together, and the second says only what is new."""
    agent = client(ANSWER, standin.say("Done."))
    first = agent.messages.create(**REQUEST)
    call_id = first.content[1].id
    result = {"type": "tool_result", "tool_use_id": call_id, "content": "page 4"}
    messages = [
        *REQUEST["messages"],
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [result]},
    ]
    agent.messages.create(**{**REQUEST, "messages": messages})
    one, two = (span["attributes"] for span in chats(captured))
    assert one[at.CONVERSATION_ID] == two[at.CONVERSATION_ID] == chats(captured)[0]["trace_id"]
    assert json.loads(two[at.CONTEXT_DELTA]) == [
        [0, 3],
        ["a", 8, *weight(first.content[0].text)],
        ["c", CALL_CHARS, "search", call_id, *weight('search{"query":"plan"}')],
        ["r", 6, "search", call_id, *weight("page 4")],
    ]
    assert two[at.CONTEXT_BASE] == chats(captured)[0]["span_id"]
    from toolspend import evidence

    assert evidence.conversation_of_call(call_id) == one[at.CONVERSATION_ID]


def test_a_stream_closed_early_has_no_output_usage(captured: testing.Captured) -> None:
    """What `message_start` says of the output is a placeholder: unknown, not zero and not one."""
    stream = client().messages.create(**REQUEST, stream=True)
    next(iter(stream))
    stream.close()
    del stream
    gc.collect()
    [span] = chats(captured)
    assert at.OUTPUT_TOKENS not in span["attributes"]
    assert span["attributes"][at.INPUT_TOKENS] > 0


def test_a_stream_never_read_still_ends_its_span(captured: testing.Captured) -> None:
    """A response dropped unread ends its span when it is collected, without usage."""
    stream = client().messages.create(**REQUEST, stream=True)
    del stream
    gc.collect()
    [span] = chats(captured)
    assert at.INPUT_TOKENS not in span["attributes"]


def test_a_stream_that_breaks_raises_what_it_raised(captured: testing.Captured) -> None:
    """An error event in a stream reaches the application, and the span."""
    stream = client(standin.Turn([standin.Text("Half an answer")], error_after=3)).messages.create(
        **REQUEST, stream=True
    )
    with pytest.raises(anthropic.APIStatusError):
        list(stream)
    [span] = chats(captured)
    assert span["status"] == "ERROR"
    assert at.OUTPUT_TOKENS not in span["attributes"]


def test_an_error_is_raised_as_it_was_and_named(captured: testing.Captured) -> None:
    """The span of a refused request has the API's error type and no usage."""
    with pytest.raises(anthropic.RateLimitError):
        client(standin.rate_limited()).messages.create(**REQUEST)
    [span] = chats(captured)
    assert (span["status"], span["attributes"][at.ERROR_TYPE]) == ("ERROR", "rate_limit_error")
    assert at.INPUT_TOKENS not in span["attributes"]


def test_retries_inside_a_call_are_one_request(captured: testing.Captured) -> None:
    """A call that the SDK retried is one span, with the usage of the attempt that was billed."""
    api = standin.Api([standin.rate_limited(0.01), ANSWER])
    standin.client(api, max_retries=1).messages.create(**REQUEST)
    assert len(api.requests) == 2
    [span] = chats(captured)
    assert span["status"] == "OK"


def test_cancellation_passes_through(captured: testing.Captured) -> None:
    """A cancelled call raises CancelledError, and its span ends without a verdict."""

    async def run() -> None:
        api = standin.Api([ANSWER], is_timed=True)
        task = asyncio.create_task(standin.async_client(api).messages.create(**REQUEST))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    [span] = chats(captured)
    assert span["status"] == "UNSET"


@pytest.mark.skipif(not hasattr(anthropic.resources.Messages, "count_tokens"), reason="this version cannot count")
def test_other_calls_of_the_api_are_no_model_requests(captured: testing.Captured) -> None:
    """Counting tokens is not billed."""
    client().messages.count_tokens(model=MODEL, messages=REQUEST["messages"])
    assert chats(captured) == []


@pytest.mark.parametrize(
    ("package", "options", "provider"),
    [
        ("AnthropicBedrock", {"aws_access_key": "a", "aws_secret_key": "b", "aws_region": "eu-west-1"}, "aws.bedrock"),
        ("AnthropicVertex", {"project_id": "p", "region": "europe-west1", "access_token": "t"}, "gcp.vertex_ai"),
    ],
)
def test_bedrock_and_vertex_clients_are_covered(
    package: str, options: dict[str, Any], provider: str, captured: testing.Captured
) -> None:
    """The clients of other platforms go the same way, and their spans name the platform and the model asked for."""
    pytest.importorskip("boto3" if package == "AnthropicBedrock" else "google.auth", reason="the extra is not there")
    http = standin.http_library()
    api = standin.Api([ANSWER])

    class Platform:
        """Takes the platform's paths for the API's, as the platform does."""

        def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> standin.Answer:
            sent = {"model": MODEL, **json.loads(body)}
            sent.pop("anthropic_version", None)
            return api.answer(method, "/v1/messages", {"x-api-key": "sk-standin"}, json.dumps(sent).encode())

    transport = http.Client(transport=standin.transport(Platform(), http))
    platform = getattr(anthropic, package)(http_client=transport, max_retries=0, **options)
    platform.messages.create(**REQUEST)
    [span] = chats(captured)
    assert span["attributes"][at.PROVIDER] == provider
    assert span["attributes"][at.REQUEST_MODEL] == MODEL
    assert span["attributes"][at.INPUT_TOKENS] > 0
    assert span["attributes"][at.CONTEXT_SEGMENTS] == 3


@pytest.mark.skipif(not has_runner, reason="this version of the SDK has no tool runner")
def test_the_tool_runner_gives_a_span_per_request_and_per_tool(captured: testing.Captured) -> None:
    """A run of a function tool has its call, its version and its sizes; the second request carries its result."""

    @anthropic.beta_tool
    def search(query: str) -> str:
        """Searches the wiki."""
        return "page 4" * 50

    runner = client(ANSWER, standin.say("Done.")).beta.messages.tool_runner(
        model=MODEL, max_tokens=200, tools=[search], messages=REQUEST["messages"]
    )
    runner.until_done()
    one, _ = chats(captured)
    call = json.loads(one["attributes"][at.OUTPUT_SEGMENTS])[1]
    [run] = [span for span in captured.spans() if span["attributes"].get(at.OPERATION) == "execute_tool"]
    said = run["attributes"]
    assert (said[at.TOOL_NAME], said[at.TOOL_CALL_ID]) == ("search", call[3])
    assert (said[at.TOOL_ARGUMENT_CHARS], said[at.TOOL_RESULT_CHARS]) == (len('{"query":"plan"}'), 300)
    assert said[at.TOOL_VERSION] == json.loads(one["attributes"][at.CONTEXT_DELTA])[0][3]


def test_a_session_is_on_every_span(captured: testing.Captured) -> None:
    """What the application calls the work, for whom, and its tags, reach the SDK's spans too."""
    with toolspend.session("ticket-4711", user="u-17", tags=["eval"]):
        create()
    said = chats(captured)[0]["attributes"]
    assert (said[at.SESSION_ID], said[at.USER_ID], said[at.SESSION_TAGS]) == ("ticket-4711", "u-17", ("eval",))


def test_content_leaves_only_when_asked_and_redacted() -> None:
    """Prompts and answers are on the span with `capture_content=True`, as `redact` leaves them."""
    with testing.capture() as captured:
        toolspend.instrument(export=None, capture_content=True, redact=lambda text: text.replace("plan", "[x]"))
        create()
        toolspend.uninstrument()
    said = chats(captured)[0]["attributes"]
    assert json.loads(said[at.INPUT_MESSAGES]) == [
        {"role": "user", "parts": [{"type": "text", "content": "Where is the [x]?"}]}
    ]
    assert json.loads(said[at.OUTPUT_MESSAGES])[0]["parts"][1]["arguments"] == {"query": "[x]"}


def test_content_is_dropped_where_redact_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A redact function that raises costs the content, never the call or the span."""
    monkeypatch.setenv("TOOLSPEND_RAISE", "0")

    def redact(_text: str) -> str:
        raise RuntimeError("no")

    with testing.capture() as captured:
        toolspend.instrument(export=None, capture_content=True, redact=redact)
        create()
        toolspend.uninstrument()
    [span] = chats(captured)
    assert at.INPUT_MESSAGES not in span["attributes"]
    assert span["attributes"][at.INPUT_TOKENS] > 0
    assert toolspend.stats()["failures"] == {"redact": 3}
    _stats.reset()


def test_uninstrument_restores_the_sdk_exactly() -> None:
    """Every attribute that was wrapped is the object that it was."""
    base = import_module("anthropic._base_client")
    owners = [base, base.SyncAPIClient, base.AsyncAPIClient, base.Stream, base.AsyncStream]

    def objects() -> list[dict[str, int]]:
        # By identity: a wrapper is equal to what it wraps.
        return [{name: id(value) for name, value in vars(owner).items()} for owner in owners]

    before = objects()
    toolspend.instrument(export=None)
    assert objects() != before
    toolspend.uninstrument()
    assert objects() == before


def test_a_client_made_before_the_call_is_covered(captured: testing.Captured) -> None:
    """Clients and bound methods that exist already are traced."""
    toolspend.uninstrument()
    bound = client().messages.create
    toolspend.instrument(export=None)
    bound(**REQUEST)
    assert chats(captured)[0]["attributes"][at.CONTEXT_SEGMENTS] == 3


@pytest.mark.skipif(not is_native, reason="this SDK has no spans of its own")
def test_a_long_conversation_is_recognised_by_what_was_sent(captured: testing.Captured) -> None:
    """The bytes of earlier bodies are found again, and say what looking at the messages says."""
    offered = [{**TOOLS[0], "name": f"search_{number}", "description": "Searches. " * 40} for number in range(12)]
    evidence: dict[str, list[dict[str, Any]]] = {}
    for session, options in (("bytes", {}), ("objects", {"open_telemetry": False})):
        with toolspend.session(session):
            for turns in range(4):
                messages = list(REQUEST["messages"])
                for number in range(turns):
                    messages += [{"role": "assistant", "content": f"Turn {number}."}, {"role": "user", "content": "é"}]
                client(**options).messages.create(**{**REQUEST, "tools": offered, "messages": messages})
        kept = [piece for line in conversations._wires._lines.values() for piece in line.pieces]
        assert sum(piece.messages for piece in kept) == 7
        evidence[session] = [
            {name: span["attributes"].get(name) for name in (at.CONTEXT_DELTA, at.CONTEXT_RESTATED, at.CONTEXT_CHARS)}
            for span in chats(captured)[-4:]
        ]
    assert evidence["bytes"] == evidence["objects"]


@pytest.mark.skipif(not is_native, reason="this SDK has no spans of its own")
def test_a_client_that_changes_bodies_is_described_by_what_it_was_given(captured: testing.Captured) -> None:
    """Where something else is sent than what was given, as on other platforms, what was sent is not consulted."""

    class Changing(anthropic.Anthropic):
        def _prepare_options(self, options: Any) -> Any:
            return super()._prepare_options(options)

    offered = [{**TOOLS[0], "description": "Searches. " * 800}]
    api = standin.Api([ANSWER])
    http = standin.http_library()
    changing = Changing(api_key="sk-standin", http_client=http.Client(transport=standin.transport(api, http)))
    changing.messages.create(**{**REQUEST, "tools": offered})
    assert chats(captured)[0]["attributes"][at.CONTEXT_SEGMENTS] == 3
    assert not conversations._wires._lines
