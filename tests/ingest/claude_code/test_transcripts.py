"""Session files of Claude Code: each response billed once, each tool run told once, each prompt made of what it was."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable
from typing import Any

import pytest

from toolspend_ingest import Store
from transcript_lines import MODEL, Transcript, text, usage, use

Rows = Callable[[str], list[dict[str, Any]]]
Load = Callable[..., Any]
HEAD = 20_000
"""Tokens of the system prompt and the tool definitions, which no session file holds."""


def opened(session: str = "session-1", **common: Any) -> Transcript:
    """A session in which the user has asked for something, and the model calls a tool."""
    written = Transcript(session, **common)
    written.user("Please find out what is wrong. " * 10)
    written.assistant(
        [text("I will look."), use("call-1", command="ls -l")],
        usage(10, 60, write_5m=HEAD + 80),
        message_id="msg_1",
        stop_reason="tool_use",
    )
    return written


def went_on(written: Transcript, number: int, *, prompt: int, uncached: int = 400, output: int = 50) -> None:
    """The model calls the next tool, all but `uncached` tokens of its prompt read from the cache."""
    written.assistant(
        [use(f"call-{number}", command=f"cat file{number}")],
        usage(uncached, output, read=prompt - uncached),
        message_id=f"msg_{number}",
        stop_reason="tool_use",
    )


def test_a_response_of_several_lines_is_billed_once_and_by_its_last_usage(load: Load, rows: Rows) -> None:
    """Two blocks are two lines with one message id; the output of the first is a placeholder."""
    load(opened())
    assert rows(
        "select session_id, model, service, uncached_tokens, cache_read_tokens, cache_write_5m_tokens,"
        " cache_write_1h_tokens, output_tokens, stop_reason, service_tier, is_usage_known, is_priced from llm_requests"
    ) == [
        {
            "session_id": "session-1",
            "model": MODEL,
            "service": "claude-code",
            "uncached_tokens": 10,
            "cache_read_tokens": 0,
            "cache_write_5m_tokens": HEAD + 80,
            "cache_write_1h_tokens": 0,
            "output_tokens": 60,
            "stop_reason": "tool_use",
            "service_tier": "standard",
            "is_usage_known": True,
            "is_priced": True,
        }
    ]


def test_answers_without_ids_are_told_apart_by_where_their_lines_stand(load: Load, rows: Rows) -> None:
    """Some gateways give none: lines that follow one another are blocks of one answer, what the user says parts two."""
    written = opened()
    written.result("call-1", "nothing")
    written.assistant([text("Once."), text("More.")], usage(20, 7), message_id="msg_2")
    written.user("Again.")
    written.assistant([text("Twice.")], usage(30, 8), message_id="msg_3")
    for line in written.lines:
        if isinstance(line, dict) and line["type"] == "assistant":
            del line["requestId"], line["message"]["id"]
    load(written)
    found = rows("select uncached_tokens, output_tokens, response_id from llm_requests order by started_at")
    assert [tuple(row.values()) for row in found] == [(10, 60, None), (20, 7, None), (30, 8, None)]
    assert rows("select tool_call_id, request_id is not null as is_tied from tool_calls") == [
        {"tool_call_id": "call-1", "is_tied": True}
    ]


def test_writes_for_an_hour_are_told_from_those_for_five_minutes(load: Load, rows: Rows) -> None:
    """They are billed at prices of their own."""
    written = Transcript()
    written.user("Hello")
    written.assistant([text("Hi")], usage(3, 5, write_5m=100, write_1h=9_000), message_id="msg_1")
    load(written)
    assert rows("select cache_write_5m_tokens as five, cache_write_1h_tokens as hour from llm_requests") == [
        {"five": 100, "hour": 9_000}
    ]


def test_what_no_line_explains_is_nobodys_and_stays_out_of_the_tools(load: Load, store: Store) -> None:
    """The first prompt is 20,000 tokens longer than its messages: those are unattributed, then and ever after.

    The result's tokens are the growth of the bill without the answer that was re-sent.
    """
    written = opened()
    written.result("call-1", "total 48 drwxr-xr-x " * 150)
    went_on(written, 2, prompt=HEAD + 90 + 60 + 1_000)
    load(written)
    cursor = store.cursor()
    unknown = cursor.execute(
        "select sum(tokens) filter (where rate <> 'output'), any_value(basis) from context_ledger"
        " where kind = 'unattributed' group by request_id"
    ).fetchall()
    assert [basis for _, basis in unknown] == ["unattributed"] * 2
    assert all(abs(tokens - HEAD) < 60 for tokens, _ in unknown)
    [(result,)] = cursor.execute("select sum(tokens) from context_ledger where kind = 'tool_result'").fetchall()
    assert abs(result - 1_000) < 15


@pytest.mark.parametrize("unusable", [{"input_tokens": 1.5, "output_tokens": 1}, {"input_tokens": 10**30}, {}])
def test_a_first_answer_without_a_bill_leaves_the_next_one_as_it_is(
    load: Load, store: Store, unusable: dict[str, Any]
) -> None:
    """What stands before the messages is then told by the second bill, and not taken for the result of the first call.

    Said late, it is said once: the third prompt goes on from the second as ever.
    """
    written = Transcript()
    written.user("Please find out what is wrong. " * 10)
    written.assistant([use("call-1", "Read", path="x")], unusable, message_id="msg_1", stop_reason="tool_use")
    written.result("call-1", "x = 1 " * 500)
    went_on(written, 2, prompt=HEAD + 1_800)
    written.result("call-2", "total 48 drwxr-xr-x " * 150)
    went_on(written, 3, prompt=HEAD + 1_800 + 50 + 1_000)
    load(written)
    found = store.cursor().execute(
        "select kind, tool, sum(tokens)::bigint from context_ledger"
        " where rate not in ('output', 'fee') and kind in ('tool_result', 'unattributed') group by all order by all"
    )
    tokens = {(kind, tool): tokens for kind, tool, tokens in found.fetchall()}
    assert tokens["unattributed", None] == pytest.approx(2 * HEAD, abs=1_000)
    assert tokens["tool_result", "Read"] == pytest.approx(2 * 1_600, abs=1_000)
    assert tokens["tool_result", "Bash"] == pytest.approx(1_000, abs=20)


def test_results_of_parallel_calls_are_told_by_their_ids(load: Load, rows: Rows) -> None:
    """Each result hangs on the line of its own call, and only the last lies on the way to the next request."""
    written = Transcript()
    written.user("Compare both.")
    written.assistant(
        [use("call-a", "Read", path="a"), use("call-b", "Grep", pattern="b"), use("call-c", "Read", path="c")],
        usage(5, 90, write_5m=HEAD),
        message_id="msg_1",
    )
    for call_id, words in (("call-b", "beta " * 90), ("call-a", "alpha " * 300), ("call-c", "gamma " * 30)):
        written.result(call_id, words)
    written.assistant([text("Done.")], usage(900, 4, read=HEAD), message_id="msg_2")
    load(written)
    found = rows("select tool, result_tokens, times_sent, batch_id is not null as together from tool_calls order by 2")
    assert [(row["tool"], row["times_sent"], row["together"]) for row in found] == [
        ("Read", 1, True),
        ("Grep", 1, True),
        ("Read", 1, True),
    ]
    assert found[0]["result_tokens"] < found[1]["result_tokens"] < found[2]["result_tokens"]


def test_a_tool_run_says_how_long_it_took_and_how_it_ended(load: Load, rows: Rows) -> None:
    """Where a duration is stated it counts; else the time from the call to the result."""
    written = Transcript()
    written.user("Go.")
    calls = [use(f"call-{number}", name) for number, name in enumerate(("Bash", "Task", "WebSearch", "Edit", "Write"))]
    written.assistant(calls, usage(5, 90, write_5m=HEAD), message_id="msg_1")
    written.result("call-0", "no such file", is_error=True, toolUseResult="Error: no such file")
    written.result("call-1", "found", toolUseResult={"totalDurationMs": 1_500, "totalTokens": 99_999})
    written.result("call-2", "pages", toolUseResult={"durationSeconds": 0.25})
    written.result("call-3", "The user doesn't want to proceed with this tool use.", is_error=True)
    written.result("call-4", "[Request interrupted by user for tool use]", toolUseResult={"interrupted": True})
    load(written)
    found = rows("select tool, status, error_type, duration_ms from tool_calls order by tool_call_id")
    assert [(row["tool"], row["status"], row["error_type"]) for row in found] == [
        ("Bash", "error", "tool_error"),
        ("Task", "ok", None),
        ("WebSearch", "ok", None),
        ("Edit", "error", "rejected"),
        ("Write", "error", "interrupted"),
    ]
    assert [row["duration_ms"] for row in found[:3]] == [5_000.0, 1_500.0, 250.0]


def test_a_call_without_a_result_is_a_call_all_the_same(load: Load, rows: Rows) -> None:
    """The user stopped it, or the file ends there: how it ended is not known."""
    load(opened())
    assert rows("select tool, status, duration_ms, argument_tokens > 0 as has_arguments from tool_calls") == [
        {"tool": "Bash", "status": "unset", "duration_ms": None, "has_arguments": True}
    ]


def test_an_mcp_tool_keeps_its_name_and_names_its_server(load: Load, rows: Rows) -> None:
    """Also where the tool's own name has two underscores."""
    written = Transcript()
    written.user("Go.")
    written.assistant([use("call-1", "mcp__tracker__list__all")], usage(5, 9, write_5m=HEAD), message_id="msg_1")
    written.result("call-1", "nothing")
    load(written)
    assert rows("select tool, server from tool_calls") == [{"tool": "mcp__tracker__list__all", "server": "tracker"}]


def test_a_rewound_conversation_goes_on_from_where_it_was_rewound_to(load: Load, store: Store) -> None:
    """What was said on the way that was left is in no later prompt."""
    written = opened()
    asked = written.result("call-1", "one two three " * 100)
    went_on(written, 2, prompt=HEAD + 90 + 60 + 400)
    written.result("call-2", "a wrong way " * 400)
    written.tip = asked
    went_on(written, 3, prompt=HEAD + 90 + 60 + 400)
    load(written)
    sent = store.cursor().execute("select tool_call_id, times_sent from tool_calls order by 1").fetchall()
    assert sent == [("call-1", 2), ("call-2", 0), ("call-3", 0)]


def test_after_a_compaction_only_the_summary_is_carried(load: Load, store: Store) -> None:
    """The head stays what it was, results are gone, and the summary is the compaction's."""
    written = opened()
    written.result("call-1", "total 48 drwxr-xr-x " * 150)
    went_on(written, 2, prompt=HEAD + 90 + 60 + 1_000)
    written.result("call-2", "of no interest " * 50)
    written.compact("We looked at the files and found nothing. " * 40)
    written.user("Go on.")
    written.assistant([text("Very well.")], usage(420, 5, read=HEAD), message_id="msg_3")
    load(written)
    tokens = dict(
        store.cursor()
        .execute(
            "select kind, sum(tokens)::bigint from context_ledger where rate <> 'output' and request_id ="
            " (select request_id from llm_requests order by started_at desc limit 1) group by kind"
        )
        .fetchall()
    )
    assert abs(tokens["unattributed"] - HEAD) < 60
    assert 350 < tokens["compaction"] < 430
    assert set(tokens) == {"unattributed", "compaction", "user", "overhead"}


def test_subagents_are_conversations_of_the_same_session(load: Load, store: Store, rows: Rows) -> None:
    """In the same file, and in a file of their own: with a head of their own, and no part of the main conversation."""
    written = opened()
    written.assistant(
        [use("call-t", "Task", prompt="Look into it.", subagent_type="explorer")],
        usage(5, 50, read=HEAD + 100),
        message_id="msg_2",
    )
    main = written.tip
    written.common = {"isSidechain": True}
    written.user("Look into it.", parent=False)
    written.assistant([use("call-s", "Grep")], usage(5, 40, write_5m=5_000), message_id="msg_s1")
    written.result("call-s", "matches " * 200)
    written.assistant([text("Found.")], usage(300, 4, read=5_000), message_id="msg_s2")
    written.common, written.tip = {}, main
    written.result("call-t", "Found.", toolUseResult={"totalDurationMs": 9_000})
    written.assistant([text("There it is.")], usage(90, 7, read=HEAD + 110), message_id="msg_3")
    apart = Transcript("session-1", isSidechain=True, agentId="a17")
    apart.user("Look elsewhere.")
    apart.assistant([text("Nothing here.")], usage(5, 6, write_5m=7_000), message_id="msg_a1")
    load(written, agent_a17=apart)
    assert rows("select agent, count(*) as requests from llm_requests group by agent order by 2, 1") == [
        {"agent": "subagent", "requests": 1},
        {"agent": "explorer", "requests": 2},
        {"agent": None, "requests": 3},
    ]
    assert rows("select count(*) as sessions from sessions") == [{"sessions": 1}]
    heads = store.cursor().execute(
        "select response_id, (select sum(tokens) from context_ledger as l where l.request_id = r.request_id"
        " and kind = 'unattributed' and rate <> 'output')::bigint from llm_requests as r"
    )
    for response_id, tokens in heads.fetchall():
        truth = {"msg_s": 5_000, "msg_a": 7_000}.get(response_id[:5], HEAD)
        assert abs(tokens - truth) < 90, response_id
    assert store.cursor().execute("select times_sent from tool_calls where tool = 'Grep'").fetchall() == [(1,)]


@pytest.mark.parametrize("copied", ["marked", "kept", "rewritten"])
def test_a_fork_is_billed_for_what_it_adds(load: Load, store: Store, rows: Rows, copied: str) -> None:
    """A forked or resumed session begins with copies of another one's lines.

    Some versions mark them, some keep the session's name in them, and some only write the new one's.
    """
    first = opened()
    first.result("call-1", "total 48 drwxr-xr-x " * 150)
    went_on(first, 2, prompt=HEAD + 90 + 60 + 1_000)
    first.result("call-2", "much more " * 200)
    fork = Transcript("session-2")
    for line in first.lines:
        assert isinstance(line, dict)
        origin = {"forkedFrom": {"sessionId": "session-1", "messageUuid": line["uuid"]}} if copied == "marked" else {}
        fork.lines.append({**line, **({} if copied == "kept" else {"sessionId": "session-2"}), **origin})
    fork.tip, fork.now = first.tip, first.now
    fork.user("Another way, please.")
    went_on(fork, 3, prompt=HEAD + 90 + 60 + 1_000 + 50 + 450)
    went_on(first, 4, prompt=HEAD + 90 + 60 + 1_000 + 50 + 430)
    load(first, fork)
    load(fork, first)
    assert rows("select count(*) as requests, count(distinct response_id) as responses from llm_requests") == [
        {"requests": 4, "responses": 4}
    ]
    assert rows("select count(*) as calls, count(distinct tool_call_id) as ids from tool_calls") == [
        {"calls": 4, "ids": 4}
    ]
    if copied != "rewritten":  # else nothing tells which of the two sessions came first
        assert rows("select session_id, requests from sessions order by 1") == [
            {"session_id": "session-1", "requests": 3},
            {"session_id": "session-2", "requests": 1},
        ]
    found = store.cursor().execute(
        "select response_id, kind, sum(tokens)::bigint from context_ledger join llm_requests using (request_id)"
        " where rate <> 'output' and response_id in ('msg_3', 'msg_4') and kind in ('tool_result', 'unattributed')"
        " group by all order by all"
    )
    for response_id, kind, tokens in found.fetchall():
        # The fork's first prompt shares one figure by what its texts weigh; how much the head was is known.
        truth, tolerance = (HEAD, 0.02) if kind == "unattributed" else (1_430, 0.2)
        assert abs(tokens - truth) < tolerance * truth, (response_id, kind, tokens)


def test_what_claude_code_says_for_the_model_is_not_billed(load: Load, rows: Rows) -> None:
    """An API error is a request that failed and cost nothing; other words of its own are no request at all."""
    written = opened()
    written.result("call-1", "fine")
    written.assistant(
        [text('API Error: 529 {"type":"error","error":{"type":"overloaded_error"}}')],
        usage(0, 0),
        message_id="f0f0",
        model="<synthetic>",
        isApiErrorMessage=True,
        requestId=None,
    )
    written.user("Try again.")
    written.assistant([text("No response requested.")], usage(0, 0), message_id="e0e0", model="<synthetic>")
    written.user("Now?")
    went_on(written, 2, prompt=HEAD + 300)
    load(written)
    found = rows(
        "select model, status, error_type, input_tokens, output_tokens, cost_usd > 0 as is_billed, is_usage_known"
        " from llm_requests order by started_at"
    )
    assert [row["status"] for row in found] == ["unset", "error", "unset"]
    assert found[1] == {
        "model": MODEL,
        "status": "error",
        "error_type": "overloaded_error",
        "input_tokens": 0,
        "output_tokens": 0,
        "is_billed": False,
        "is_usage_known": True,
    }


def test_searches_of_the_provider_have_their_fee(load: Load, rows: Rows) -> None:
    """Server tools run inside the request, and are billed by the use."""
    written = Transcript()
    written.user("What is new?")
    written.assistant(
        [
            {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "news"}},
            {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": []},
            text("Nothing."),
        ],
        usage(2_000, 50, server_tool_use={"web_search_requests": 2, "web_fetch_requests": 0}),
        message_id="msg_1",
    )
    load(written)
    assert rows("select tool, server from tool_calls") == [{"tool": "web_search", "server": "anthropic"}]
    [fee] = rows("select tokens, cost_usd from context_ledger where rate = 'fee'")
    assert (fee["tokens"], float(fee["cost_usd"])) == (2, 0.02)


def test_fast_answers_and_other_models_have_their_own_prices(load: Load, rows: Rows) -> None:
    """What each line says of its model counts, not what the session began with."""
    written = opened()
    written.result("call-1", "fine")
    written.assistant([text("Yes.")], usage(9, 9, read=HEAD, speed="fast"), message_id="msg_2", model="claude-opus-4-6")
    load(written)
    assert rows("select model, service_tier from llm_requests order by started_at") == [
        {"model": MODEL, "service_tier": "standard"},
        {"model": "claude-opus-4-6", "service_tier": "fast"},
    ]


def test_an_image_counts_by_its_area(load: Load, rows: Rows) -> None:
    """100,000 characters of base64 are no 25,000 tokens: 600 by 625 pixels are 500."""
    written = opened()
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 600, 625)
    data = base64.b64encode(head + bytes(75_000)).decode()
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
    written.result("call-1", [picture])
    written.user("and " * 400)
    went_on(written, 2, prompt=HEAD + 90 + 60 + 900)
    load(written)
    [call] = rows("select result_tokens from tool_calls where tool_call_id = 'call-1'")
    assert 450 < call["result_tokens"] < 600


def test_thinking_that_is_only_signed_is_thinking(load: Load, rows: Rows) -> None:
    """Newer versions write the signature without the text: the tokens are not the tool's for that."""
    written = Transcript()
    written.user("Think.")
    written.assistant(
        [{"type": "thinking", "thinking": "", "signature": "Es" * 1_500}, use("call-1", command="ls")],
        usage(5, 560, write_5m=HEAD),
        message_id="msg_1",
    )
    load(written)
    tokens = {row["kind"]: row["n"] for row in rows(
        "select kind, sum(tokens)::bigint as n from context_ledger where rate = 'output' group by kind"
    )}  # fmt: skip
    assert tokens["thinking"] > 450
    assert tokens["tool_use"] < 100


def test_what_is_no_part_of_the_prompt_is_left_out(load: Load, store: Store) -> None:
    """Progress, snapshots, titles and hooks lie between the lines; what Claude Code attaches is in the prompt."""
    written = opened()
    for kind, fields in (
        ("progress", {"data": {"type": "hook_progress", "command": "x" * 4_000}}),
        ("attachment", {"attachment": {"type": "hook_success", "stdout": "y" * 4_000}}),
        ("system", {"subtype": "turn_duration", "durationMs": 3, "content": "z" * 4_000}),
    ):
        written.line(kind, **fields)
    written.lines.append({"type": "file-history-snapshot", "messageId": "1", "snapshot": {"files": "s" * 4_000}})
    written.lines.append({"type": "summary", "summary": "t" * 4_000, "leafUuid": "1"})
    written.line("attachment", attachment={"type": "todo_reminder", "content": "remember the milk " * 60})
    written.result("call-1", "word " * 100, parent=True)
    written.user("shown to people only " * 100, isVisibleInTranscriptOnly=True)
    went_on(written, 2, prompt=HEAD + 90 + 60 + 340)
    load(written)
    [prompt] = store.cursor().execute(
        "select delta from context_evidence order by started_at desc limit 1"
    ).fetchall()  # fmt: skip
    kinds = [segment[0] for segment in json.loads(prompt[0])]
    assert kinds == [0, "a", "c", "u", "r"]


def test_no_content_is_stored(load: Load, store: Store) -> None:
    """Sizes, kinds, names and ids, and none of the words."""
    written = opened()
    written.result("call-1", "a secret of the result")
    went_on(written, 2, prompt=HEAD + 300)
    load(written)
    for table in ("spans", "context_evidence", "tool_calls", "llm_requests"):
        stored = json.dumps(store.cursor().execute(f"select * from {table}").fetchall(), default=str)
        for words in ("secret", "find out", "I will look", "ls -l"):
            assert words not in stored, table


def test_a_bad_line_costs_only_itself_and_is_named(load: Load, rows: Rows) -> None:
    """Broken JSON, JSON of another kind, content of another form: the lines around them count."""
    written = opened()
    written.garbage('{"type": "user", "message": {"role"')
    written.garbage("17")
    written.result("call-1", "fine")
    written.user([{"type": "tool_result", "tool_use_id": ["a", "list"], "content": [7, None, {"type": "text"}]}])
    written.lines.append({"type": "assistant", "uuid": "u", "message": {"id": "x", "content": 7, "usage": "none"}})
    written.lines.append({"type": "user", "uuid": "v", "message": "error", "timestamp": "yesterday"})
    went_on(written, 2, prompt=HEAD + 300)
    summary = load(written)
    assert [str(each).split(":")[0] for each in summary.sources[0].refusals][:2] == ["line 4", "line 5"]
    assert rows("select count(*) as known from llm_requests where is_usage_known") == [{"known": 2}]


def test_a_file_without_messages_is_no_error(load: Load) -> None:
    """A session that was opened and left at once holds a summary or a snapshot."""
    written = Transcript()
    written.lines.append({"type": "summary", "summary": "Nothing happened", "leafUuid": "1"})
    summary = load(written)
    assert (summary.spans, summary.refused) == (0, 0)
