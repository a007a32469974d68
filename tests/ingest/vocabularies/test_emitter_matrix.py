"""One conversation through twelve set-ups of real emitters: the same requests, tokens, calls and cost from each.

What an emitter does not say is stated here, emitter by emitter, and is the last column of the README's table.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from toolspend_ingest import Store
from toolspend_ingest.decode import decode
from toolspend_ingest.spans import SpanBatch

Fresh = Callable[[str], Store]
Rows = Callable[[str], list[dict[str, Any]]]
NATIVE: Final = "com.anthropic.sdk.python"
CONSERVED: Final = (Path(__file__).parents[2] / "conservation.sql").read_text(encoding="utf-8")
README: Final = Path(__file__).parents[3] / "README.md"
PER_TOKEN: Final = {"input": Decimal("0.000001"), "output": Decimal("0.000005")}
"""Claude Haiku 4.5, in dollars."""

UNSAID: Final[dict[str, set[str]]] = {
    "anthropic SDK": {"tool definitions", "output of streams, what it was made of"},
    "OpenTelemetry genai": {"service tier"},
    "OpenLLMetry anthropic": {"service tier", "time to first token", "output tokens of streams"},
    "OpenLLMetry langchain": {"service tier", "time to first token", "stop reason", "response id of streams"},
    "OpenInference anthropic": {"time to first token"},
    "OpenInference langchain": {"time to first token", "response id of streams", "service tier of streams"},
    "Logfire anthropic": {"time to first token", "response id of streams"},
    "pydantic-ai": {"service tier", "time to first token"},
}
"""What the recordings of each emitter do not say of a request."""
EMITTERS: Final = {
    "native": "anthropic SDK",
    "native-toolrunner": "anthropic SDK",
    "genai": "OpenTelemetry genai",
    "traceloop": "OpenLLMetry anthropic",
    "traceloop_plus_native": "OpenLLMetry anthropic",
    "traceloop-langchain": "OpenLLMetry langchain",
    "openinf": "OpenInference anthropic",
    "openinf_plus_native": "OpenInference anthropic",
    "openinference-langchain": "OpenInference langchain",
    "logfire": "Logfire anthropic",
    "pydantic-ai": "pydantic-ai",
}
CONVENTIONS: Final = {"tool_use": "tool_call", "end_turn": "stop"}
"""The conventions' words for the provider's, which some emitters use."""
IN_CONVENTIONS: Final = {"OpenTelemetry genai", "OpenLLMetry anthropic", "pydantic-ai"}
CASES: Final = [
    (folder, case, suffix)
    for folder, cases in {
        "native": ["stream2", "error404"],
        "native-toolrunner": ["loop2"],
        "genai": ["stream2", "error404"],
        "traceloop": ["stream2", "error404"],
        "traceloop_plus_native": ["stream2", "error404"],
        "traceloop-langchain": ["stream2", "loop2"],
        "openinf": ["stream2", "error404"],
        "openinf_plus_native": ["stream2", "error404"],
        "openinference-langchain": ["stream2", "loop2"],
        "logfire": ["stream2", "error404"],
        "pydantic-ai": ["loop2"],
    }.items()
    for case in cases
    for suffix in ("pb", "json")
]
TWO: Final = [case for case in CASES if case[0].endswith(("plus_native", "-langchain", "pydantic-ai"))]


def load(store: Store, file: Path, *, but: str | None = None) -> None:
    """Puts a recording into the store, without the spans of one emitter."""
    decoded = decode(file.read_bytes(), "protobuf" if file.suffix == ".pb" else "json")
    assert decoded.refused == []
    store.append(SpanBatch(row for row in decoded.spans if row.scope != but), "test", "test", None)


def truth_of(recordings: Path, folder: str, case: str) -> dict[str, Any]:
    expected = json.loads((recordings / "emitter_matrix" / folder / "expected.json").read_text())
    truth: dict[str, Any] = expected["ground_truth"][case]
    return truth


def facts(row: dict[str, Any]) -> tuple[Any, ...]:
    names = ("model", "status", "error_type", "input_tokens", "uncached_tokens", "cache_read_tokens",
             "cache_write_5m_tokens", "cache_write_1h_tokens", "output_tokens", "cost_usd",
             "is_usage_known")  # fmt: skip
    return tuple("ok" if name == "status" and row[name] == "unset" else row[name] for name in names)


def expected_facts(call: dict[str, Any], unsaid: set[str]) -> tuple[Any, ...]:
    usage = call["usage"]
    said, read = usage.get("input_tokens", 0), usage.get("cache_read_input_tokens", 0)
    written, output = usage.get("cache_creation_input_tokens", 0), usage.get("output_tokens", 0)
    cost = said * PER_TOKEN["input"] + output * PER_TOKEN["output"]
    is_known = not (call["stream"] and "output tokens of streams" in unsaid)
    if not is_known:
        output, cost = None, said * PER_TOKEN["input"]
    is_error = call["status"] >= 400
    return (call["model"], "error" if is_error else "ok", "not_found_error" if is_error else None,
            said + read + written, said, read, written, 0, output, cost, is_known)  # fmt: skip


def check(rows: Rows, truth: dict[str, Any], unsaid: set[str], *, model: str | None = None) -> None:
    """The bill and the calls are those of the recording."""
    found = rows("from llm_requests order by started_at")
    expected = [expected_facts(call | ({"model": model} if model else {}), unsaid) for call in truth["calls"]]
    assert [facts(row) for row in found] == expected
    for link in truth["turn_links"]:
        one, other = found[link["prev"]], found[link["next"]]
        assert other["input_tokens"] - one["input_tokens"] == link["delta_prompt"]
    calls = rows("select tool, tool_call_id, request_id, result_chars from tool_calls order by started_at")
    asked = [(name, found[at]["request_id"]) for at, call in enumerate(truth["calls"]) for name in call["tool_calls"]]
    assert [(call["tool"], call["request_id"]) for call in calls] == asked
    assert all(call["tool_call_id"].startswith("toolu_") for call in calls)
    assert sum(call["result_chars"] for call in calls) == sum(
        link["new_tool_result_chars"] for link in truth["turn_links"]
    )
    ((total,),) = (row.values() for row in rows("select coalesce(sum(cost_usd), 0) from context_ledger"))
    assert total == sum(row["cost_usd"] for row in found)
    assert rows(CONSERVED) == [], "request by request and rate by rate"


@pytest.mark.parametrize(("folder", "case", "suffix"), CASES)
def test_each_emitter_alone_tells_the_same_bill(
    recordings: Path, store: Store, rows: Rows, folder: str, case: str, suffix: str
) -> None:
    """Requests, tokens by class, calls, errors and cost are those of the recording, or marked as unsaid."""
    name, truth = EMITTERS[folder], truth_of(recordings, folder, case)
    but = None if name == "anthropic SDK" else NATIVE
    load(store, recordings / "emitter_matrix" / folder / f"{case}.{suffix}", but=but)
    is_alias = name.endswith("langchain") and case == "stream2"
    # LangChain's streams name the model that was asked for.
    check(rows, truth, UNSAID[name], model="claude-haiku-4-5" if is_alias else None)


@pytest.mark.parametrize(("folder", "case", "suffix"), TWO)
def test_two_emitters_on_one_sdk_give_one_bill(
    recordings: Path, store: Store, rows: Rows, folder: str, case: str, suffix: str
) -> None:
    """The SDK's own spans beside another's, in one trace or two, with ids and without: one bill, each copy marked."""
    truth = truth_of(recordings, folder, case)
    load(store, recordings / "emitter_matrix" / folder / f"{case}.{suffix}")
    check(rows, truth, set())
    copies = rows("select c.* from request_copies as c semi join llm_requests as r "
                  "on c.request_id = r.request_id and c.request_trace_id = r.trace_id")  # fmt: skip
    assert len(copies) == len(truth["calls"])
    assert len(rows("select s.span_id from spans as s semi join request_copies using (trace_id, span_id)")) == len(
        copies
    )
    others = {each["scope"] for each in copies} | {each["scope"] for each in rows("from llm_requests")}
    assert len(others) == 2


@pytest.mark.parametrize(("folder", "case", "suffix"), [case for case in TWO if case[2] == "pb"])
def test_the_order_of_arrival_does_not_matter(
    recordings: Path, store: Store, rows: Rows, folder: str, case: str, suffix: str, fresh: Fresh
) -> None:
    """One emitter's spans before the other's, or span by span from the last to the first: the same rows."""
    file = recordings / "emitter_matrix" / folder / f"{case}.{suffix}"
    load(store, file)
    whole = [rows(query) for query in DERIVED]
    spans = list(decode(file.read_bytes(), "protobuf").spans)
    own = [row for row in spans if row.scope == NATIVE]
    other = [row for row in spans if row.scope != NATIVE]
    for number, batches in enumerate(([own, other], [other, own], [[row] for row in reversed(spans)])):
        with fresh(f"{number}") as again:
            for batch in batches:
                again.append(SpanBatch(batch), "test", "test", None)
            cursor = again.cursor()
            for query, before in zip(DERIVED, whole, strict=True):
                assert cursor.execute(query).fetchall() == [tuple(row.values()) for row in before]


DERIVED: Final = tuple(
    f"select * from {table} order by all"
    for table in ("llm_requests", "tool_calls", "context_ledger", "context_evidence", "request_copies")
)


@pytest.mark.parametrize("folder", sorted(EMITTERS))
def test_what_an_emitter_does_not_say_is_null(recordings: Path, folder: str, fresh: Fresh) -> None:
    """All that is promised of a request is there, but for what the table says that the emitter leaves unsaid."""
    name = EMITTERS[folder]
    for case in ("stream2", "loop2"):
        file = recordings / "emitter_matrix" / folder / f"{case}.pb"
        if not file.exists():
            continue
        with fresh(case) as store:
            load(store, file, but=None if name == "anthropic SDK" else NATIVE)
            cursor = store.cursor()
            found = cursor.execute(
                "select provider, r.session_id, stop_reason, response_id, service_tier, time_to_first_token_ms,"
                " tools_offered, output from llm_requests as r left join context_evidence using (request_id)"
                " order by r.started_at"
            ).fetchall()
        calls = truth_of(recordings, folder, case)["calls"]
        is_stream = case == "stream2"
        assert len(found) == len(calls)
        for row, call in zip(found, calls, strict=True):
            provider, session, stop, response, tier, first, tools, output = row
            said_stop = CONVENTIONS[call["stop_reason"]] if name in IN_CONVENTIONS else call["stop_reason"]
            assert provider == "anthropic"
            assert session
            assert stop == (None if "stop reason" in UNSAID[name] else said_stop)
            assert (response is None) == (is_stream and "response id of streams" in UNSAID[name])
            is_tierless = "service tier" in UNSAID[name] or (is_stream and "service tier of streams" in UNSAID[name])
            assert tier == (None if is_tierless else "standard")
            assert (first is None) == (not is_stream or "time to first token" in UNSAID[name])
            assert tools == (None if "tool definitions" in UNSAID[name] else 1)
            is_silent = is_stream and "output of streams, what it was made of" in UNSAID[name]
            assert (output is None) == is_silent


def test_the_readme_says_what_is_unsaid() -> None:
    """The README's table of emitters says of each what these recordings show."""
    table = {}
    for line in README.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] in UNSAID:
            table[cells[0]] = {part.strip() for part in cells[-1].split(";")}
    assert table == UNSAID


@pytest.mark.parametrize("suffix", ["pb", "json"])
def test_native_mcp_recordings_give_their_calls(recordings: Path, store: Store, rows: Rows, suffix: str) -> None:
    """The MCP SDK's own spans are five calls, of which two failed; the rest of the protocol is none."""
    load(store, recordings / "emitter_matrix" / "native-mcp" / f"modern.{suffix}")
    found = rows("select tool, status, error_type from tool_calls order by started_at")
    assert [tuple(row.values()) for row in found] == [
        ("search_books", "unset", None),
        ("search_books", "unset", None),
        ("big_report", "unset", None),
        ("broken", "error", "tool_error"),
        ("no_such_tool", "error", "tool_error"),
    ]
