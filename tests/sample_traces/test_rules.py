"""The stand-in counts by the rules that it is given, and does to a context what the API does."""

from __future__ import annotations

from typing import Any

import standin
from standin import Compaction, Rules, ToolSearch, ToolUse, say

from .conftest import Clock, ask, text

MODEL = "claude-opus-4-8"
OTHER = Rules(
    tokens_of_text=lambda text, model: len(text),
    tool_prompt_tokens=lambda model, choice: 1_000,
    message_tokens=10,
    definition_tokens=20,
    tool_use_tokens=30,
    tool_result_tokens=40,
    request_tokens=50,
    end_tokens=60,
)
TOOL = {"name": "t", "description": "d", "input_schema": {"type": "object"}}
SEARCH = {"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"}


def body(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": MODEL, "max_tokens": 2_000, "messages": list(messages) or [user("go")]} | more


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def said(message: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": message["content"]}


def test_everything_that_is_counted_follows_the_rules() -> None:
    """Text, framing, the hidden prompt and the output: nothing of the standard rules is left."""
    api = standin.Api([say("hello", ToolUse("t", {"a": 1})), say("ok")], rules=OTHER)
    _, asked = ask(api, body(tools=[TOOL]))
    definition = len('{"name":"t","description":"d","input_schema":{"type":"object"}}')
    assert asked["usage"]["input_tokens"] == 50 + 1_000 + 20 + definition + 10 + len("go")
    assert asked["usage"]["output_tokens"] == len("hello") + 30 + len("t") + len('{"a":1}') + 60
    result = {"type": "tool_result", "tool_use_id": asked["content"][1]["id"], "content": "12345"}
    ask(api, body(user("go"), said(asked), user([result]), tools=[TOOL]))
    assert api.requests[-1].prompt_tokens("tool_result", "t") == 40 + 5


def test_a_compaction_is_billed_beside_the_message() -> None:
    """The top level leaves the iteration that compacted out; what it read is not in the prompt that follows."""
    summary = "All is well."
    edit = {"type": "compact_20260112", "trigger": {"type": "input_tokens", "value": 50_000}}
    more = {"context_management": {"edits": [edit]}}
    api = standin.Api([say("ok"), say(Compaction(summary), "go on"), say("ok")])
    long = user(text(3_000))
    _, before = ask(api, body(long, **more))
    assert [each["type"] for each in before["usage"]["iterations"]] == ["message"]
    messages = [long, said(before), user("more")]
    _, message = ask(api, body(*messages, **more))
    usage = message["usage"]
    compaction, after = usage["iterations"]
    assert (compaction["type"], after["type"]) == ("compaction", "message")
    assert compaction["input_tokens"] > 3_000 > 100 > usage["input_tokens"] == after["input_tokens"]
    assert [block["type"] for block in message["content"]] == ["compaction", "text"]
    assert usage["output_tokens"] == after["output_tokens"]
    _, last = ask(api, body(*messages, said(message), user("and?"), **more))
    assert last["usage"]["input_tokens"] < 100
    assert api.requests[-1].prompt_tokens("compaction") == standin.tokens_of_text(summary, MODEL)
    assert api.requests[1].compacted


def test_a_pause_after_compaction_bills_the_compaction_alone() -> None:
    """As the API has it: nothing at the top level, one iteration, and `compaction` as the reason to stop."""
    edit = {"type": "compact_20260112", "pause_after_compaction": True}
    api = standin.Api([say(Compaction("All is well."))])
    _, message = ask(api, body(user(text(500)), context_management={"edits": [edit]}))
    assert message["stop_reason"] == "compaction"
    assert (message["usage"]["input_tokens"], message["usage"]["output_tokens"]) == (0, 0)
    assert [each["type"] for each in message["usage"]["iterations"]] == ["compaction"]


def clearing(**more: Any) -> dict[str, Any]:
    edit = {
        "type": "clear_tool_uses_20250919",
        "trigger": {"type": "input_tokens", "value": 1_000},
        "keep": {"type": "tool_uses", "value": 1},
    }
    return {"context_management": {"edits": [edit | more]}, "tools": [TOOL]}


def called(results: int, tokens: int) -> list[dict[str, Any]]:
    messages = [user("go")]
    for number in range(results):
        call = {"type": "tool_use", "id": f"toolu_{number}", "name": "t", "input": {}}
        result = {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": text(tokens)}
        messages += [{"role": "assistant", "content": [call]}, user([result])]
    return messages


def test_old_results_are_cleared_from_what_is_billed() -> None:
    """The newest stays, the others shrink to a note, and the response says how many tokens that freed."""
    api = standin.Api(lambda request: say("ok"))
    _, plain = ask(api, body(*called(3, 1_000), tools=[TOOL]))
    _, edited = ask(api, body(*called(3, 1_000), **clearing()))
    (applied,) = edited["context_management"]["applied_edits"]
    assert applied["cleared_tool_uses"] == 2
    freed = plain["usage"]["input_tokens"] - edited["usage"]["input_tokens"]
    assert applied["cleared_input_tokens"] == freed > 1_900
    assert len(api.requests[-1].body["messages"]) == 7


def test_nothing_is_cleared_below_the_trigger_or_for_little() -> None:
    """A short prompt stays, and so does one of which too little would go or whose tools are spared."""
    api = standin.Api(lambda request: say("ok"))
    for messages, edit in (
        (called(3, 50), clearing()),
        (called(3, 1_000), clearing(clear_at_least={"type": "input_tokens", "value": 5_000})),
        (called(3, 1_000), clearing(exclude_tools=["t"])),
    ):
        _, message = ask(api, body(*messages, **edit))
        assert message["context_management"] == {"applied_edits": []}


def test_clearing_breaks_the_cached_prefix(clock: Clock) -> None:
    """What lies before the first cleared result is read from the cache, the rest is not."""
    api = standin.Api(lambda request: say("ok"), clock=clock)
    edit = clearing() | {"cache_control": {"type": "ephemeral"}}
    first = body(*called(2, 1_500), **edit, system=[{"type": "text", "text": text(5_000)}])
    _, before = ask(api, first)
    _, again = ask(api, first)
    assert again["usage"]["cache_read_input_tokens"] == before["usage"]["cache_creation_input_tokens"]
    _, after = ask(api, first | {"messages": called(3, 1_500)})
    assert after["usage"]["cache_read_input_tokens"] < before["usage"]["cache_creation_input_tokens"]


def test_a_deferred_definition_is_billed_where_the_search_brings_it() -> None:
    """It is not in the first pass; it is in the one after the search and in every later request."""
    deferred = {**TOOL, "description": text(400), "defer_loading": True}
    api = standin.Api([say("ok"), say(ToolSearch("t", ["t"]), ToolUse("t")), say("ok")])
    tools = {"tools": [SEARCH, deferred]}
    _, plain = ask(api, body(**tools))
    assert api.requests[0].prompt_tokens("tool_definition", "t") == 0
    _, found = ask(api, body(**tools))
    assert found["usage"]["input_tokens"] > 2 * plain["usage"]["input_tokens"] + 400
    assert [block["type"] for block in found["content"]] == ["server_tool_use", "tool_search_tool_result", "tool_use"]
    result = {"type": "tool_result", "tool_use_id": found["content"][-1]["id"], "content": "1"}
    ask(api, body(user("go"), said(found), user([result]), **tools))
    assert api.requests[2].prompt_tokens("tool_definition", "t") > 400
    assert api.requests[2].prompt_tokens("tool_result", "tool_search_tool_regex") > 0


def test_a_tool_of_the_providers_costs_more_than_what_is_sent() -> None:
    """By its type, as the rules say; it belongs to the definition."""
    rules = Rules(server_tool_tokens={SEARCH["type"]: 240})
    plain, costly = standin.Api([say("ok")]), standin.Api([say("ok")], rules=rules)
    for api in (plain, costly):
        ask(api, body(tools=[SEARCH]))
    name = SEARCH["name"]
    added = costly.requests[0].prompt_tokens("tool_definition", name) - plain.requests[0].prompt_tokens(
        "tool_definition", name
    )
    assert added == 240
