"""The spans that Claude Code sends where its tracing is turned on, alone and beside what else tells of a session.

Their attributes are those that are published and were recorded of versions 2.1.222 to 2.1.289.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from claude_code_telemetry import MODEL, event, logs, request_event, session
from otlp_requests import Made, protobuf
from toolspend_ingest import Store, ingest
from toolspend_ingest.decode import decode
from toolspend_ingest.signals import decode_logs

Rows = Callable[[str], list[dict[str, Any]]]
CONSERVED: Final = (Path(__file__).parents[2] / "conservation.sql").read_text(encoding="utf-8")
SCOPE: Final = "com.anthropic.claude_code.tracing"
SAID: Final = "a text that somebody said"


def made(span: int, name: str, said: dict[str, Any], **more: Any) -> Made:
    common = {"session.id": "session-1", "user.id": "u-1", "span.type": name.removeprefix("claude_code.")}
    return Made(1, span, name, {**common, **said}, scope=more.pop("scope", SCOPE), service="claude-code", **more)


def asked(span: int, at_s: float = 0, *, request_id: str | None = "req_msg_1", **more: Any) -> Made:
    """A request as its span tells it: the cache is beside the input."""
    said = {
        "gen_ai.system": "anthropic",
        "gen_ai.request.model": MODEL,
        "model": MODEL,
        "input_tokens": 10,
        "output_tokens": 60,
        "cache_read_tokens": 20_000,
        "cache_creation_tokens": 80,
        "success": True,
        "stop_reason": "tool_use",
        "ttft_ms": 300,
        **({"request_id": request_id, "gen_ai.response.id": request_id} if request_id else {}),
        **more,
    }
    return made(span, "claude_code.llm_request", said, parent=1, at_s=at_s)


def ran(span: int, at_s: float = 1, *, call_id: str = "call-1", names_call: bool = True, **outcome: Any) -> list[Made]:
    """A tool that the user had to permit for 2 of 3 seconds."""
    call = {"tool_use_id": call_id, "gen_ai.tool.call.id": call_id}
    return [
        made(span, "claude_code.tool", {"tool_name": "Bash", "full_command": SAID, **call}, parent=1, at_s=at_s,
             lasts_s=3),
        made(span + 1, "claude_code.tool.blocked_on_user", {"decision": "accept"}, parent=span, at_s=at_s, lasts_s=2),
        made(span + 2, "claude_code.tool.execution", {**(call if names_call else {}), "success": True, **outcome},
             parent=span, at_s=at_s + 2, status="unset" if outcome.get("success", True) else "error"),
    ]  # fmt: skip


def load(store: Store, spans: Sequence[Made]) -> None:
    store.append(decode(protobuf(spans), "protobuf").spans, "otlp", "otlp", None)
    assert store.cursor().execute(CONSERVED).fetchall() == []


ROOT: Final = made(1, "claude_code.interaction", {"user_prompt": SAID}, lasts_s=9)


@pytest.mark.parametrize("names_call", [True, False])
def test_its_spans_are_requests_and_calls(store: Store, rows: Rows, names_call: bool) -> None:
    """Each request with its cache, each tool as long as it ran and as it ended, all in the session that they name."""
    failed = ran(6, 5, call_id="call-2", names_call=names_call, success=False, error_class="ShellError")
    load(store, [ROOT, asked(2), *ran(3, names_call=names_call), *failed, made(9, "claude_code.hook", {})])
    assert rows("select session_id, model, input_tokens, uncached_tokens, cache_read_tokens, cache_write_5m_tokens as"
                " written, output_tokens, time_to_first_token_ms as first, is_usage_known, is_priced, user_id"
                " from llm_requests") == [
        {"session_id": "session-1", "model": MODEL, "input_tokens": 20_090, "uncached_tokens": 10,
         "cache_read_tokens": 20_000, "written": 80, "output_tokens": 60, "first": 300.0, "is_usage_known": True,
         "is_priced": True, "user_id": "u-1"}
    ]  # fmt: skip
    assert rows("select tool, tool_call_id as id, status, error_type, duration_ms, session_id from tool_calls"
                " order by started_at") == [
        {"tool": "Bash", "id": "call-1", "status": "ok", "error_type": None, "duration_ms": 1000.0,
         "session_id": "session-1"},
        {"tool": "Bash", "id": "call-2", "status": "error", "error_type": "ShellError", "duration_ms": 1000.0,
         "session_id": "session-1"},
    ]  # fmt: skip


def test_a_refused_request_costs_nothing_and_one_that_says_no_tokens_is_unknown(store: Store, rows: Rows) -> None:
    """Whether anything was billed is known where the provider answered."""
    silent = dict.fromkeys(("input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens"), -1)
    load(
        store,
        [asked(2, success=False, status_code=529, **silent), asked(3, 2, request_id=None, success=False, **silent)],
    )
    found = rows("select status, error_type, input_tokens, is_usage_known from llm_requests order by started_at")
    assert [tuple(row.values()) for row in found] == [
        ("error", "529", 0, True),
        ("error", "request_failed", None, False),
    ]


def test_a_run_whose_tool_is_not_told_is_no_call(store: Store, rows: Rows) -> None:
    """Nothing says what ran."""
    load(store, [ROOT, ran(3)[2]])
    assert rows("from tool_calls") == []


def test_what_was_said_is_not_stored(store: Store) -> None:
    """Prompts, commands, files and what tools gave, on spans and in their events."""
    texts = dict.fromkeys(("user_prompt", "new_context", "tool_input", "file_path", "response.model_output"), SAID)
    event_of = {
        "name": "tool.output",
        "time": "2026-10-01T00:00:00",
        "attributes": {"output": SAID, "diff": SAID, "n": 1},
    }
    (row,) = decode(protobuf([made(2, "claude_code.tool", {"tool_name": "Edit", **texts})]), "protobuf").spans
    batch = type(decode(b"", "protobuf").spans)([row._replace(events=json.dumps([event_of]))])
    store.append(batch, "otlp", "otlp", None)
    load(store, [ROOT, *ran(3)])
    text = str(store.cursor().execute("select * from spans").fetchall())
    assert SAID not in text
    assert "Edit" in text
    assert '"n":1' in text


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_its_spans_its_events_and_its_session_file_are_one_bill(
    store: Store, rows: Rows, tmp_path: Path, order: tuple[int, ...]
) -> None:
    """The file has two requests, the spans the first of them and one for a title, the events all three and one more."""
    title = asked(8, 6, request_id="req_title", output_tokens=9)
    told = [
        request_event(1, 1.0),
        request_event(2, 4.0, input_tokens=150, output_tokens=5),
        request_event(3, 6.0, request_id="req_title", output_tokens="9"),
        request_event(4, 7.0, request_id="req_lost", output_tokens="7"),
        event("tool_result", 2.0, tool_name="Bash", tool_use_id="call-1", success="true", duration_ms=12),
    ]
    path = session(tmp_path / "session-1.jsonl")
    steps: list[Callable[[], object]] = [
        lambda: ingest(store, [path]),
        lambda: load(store, [ROOT, asked(2), *ran(3), title]),
        lambda: store.append(decode_logs(json.dumps(logs(*told)).encode(), "json").spans, "otlp", "otlp", None),
    ]
    for place in order:
        steps[place]()
    found = rows("select output_tokens, count(*) as n from llm_requests group by all order by 1")
    assert [tuple(row.values()) for row in found] == [(5, 1), (7, 1), (9, 1), (60, 1)]
    assert rows("select tool_call_id, duration_ms from tool_calls") == [{"tool_call_id": "call-1", "duration_ms": 12.0}]
    assert store.cursor().execute(CONSERVED).fetchall() == []
