"""A store with plausible sessions, straight into the derived tables: each request's ledger sums to its bill."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pandas as pd

START = datetime(2026, 11, 9, 8, 0)
RATES = {
    "claude-sonnet-4-5": {"input": 3.0, "cache_read": 0.3, "cache_write_5m": 3.75, "output": 15.0},
    "claude-haiku-4-5": {"input": 1.0, "cache_read": 0.1, "cache_write_5m": 1.25, "output": 5.0},
}
DEFINITIONS = {
    "read_file": 310, "search_code": 420, "run_tests": 260, "edit_file": 540, "list_directory": 180, "git_diff": 220,
    "web_fetch": 380, "search_documents": 450, "summarise_page": 240, "query_warehouse": 690, "plot_chart": 820,
    "lookup_customer": 300, "search_tickets": 360, "send_reply": 410, "mcp__calendar__create_event": 760,
    "mcp__calendar__find_slot": 640, "translate": 210,
}  # fmt: skip
RESULTS = {
    "read_file": 2600, "search_code": 900, "run_tests": 1400, "edit_file": 120, "list_directory": 350, "git_diff": 800,
    "web_fetch": 3400, "search_documents": 1300, "summarise_page": 260, "query_warehouse": 1900, "plot_chart": 90,
    "lookup_customer": 420, "search_tickets": 1100, "send_reply": 60,
}  # fmt: skip
SERVICES = {
    "coding-agent": ["read_file", "search_code", "run_tests", "edit_file", "list_directory", "git_diff"],
    "research-agent": ["web_fetch", "search_documents", "summarise_page", "query_warehouse", "plot_chart", "translate"],
    "support-agent": ["lookup_customer", "search_tickets", "send_reply", "mcp__calendar__create_event",
                      "mcp__calendar__find_slot"],
}  # fmt: skip
HOSTILE_TOOLS = [
    "<script>alert(1)</script>",
    "**bold** _it_ [x](http://example.invalid) $a$",
    "'; drop table spans; --",
]

FAILING_TOOL = HOSTILE_TOOLS[1]

Row = dict[str, Any]


@dataclass
class _Piece:
    kind: str
    tokens: int
    tool: str | None = None
    version: str | None = None
    is_sent: bool = False
    call: Row | None = None


@dataclass
class _Rows:
    tables: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))

    def add(self, table: str, **row: Any) -> Row:
        self.tables[table].append(row)
        return row


def fill(con: duckdb.DuckDBPyConnection, *, sessions: int = 24, seed: int = 7, hostile: bool = False) -> None:
    """Insert `sessions` sessions into an empty store; the same seed gives the same rows."""
    chance, rows = random.Random(seed), _Rows()
    services = list(SERVICES)
    for number in range(sessions):
        service = services[number % 3]
        tools = [*SERVICES[service], *(HOSTILE_TOOLS if hostile and number % 3 == 0 else [])]
        model = "house-model-1" if number == 5 else list(RATES)[0 if number % 4 else 1]
        at = START + timedelta(hours=chance.uniform(0, 13 * 24) // 1 if number else 0, minutes=chance.randrange(60))
        turns = chance.randint(3, 7) if service == "support-agent" else chance.randint(8, 26)
        _session(rows, chance, number, service, tools, model, at, turns)
    _definitions(rows, hostile=hostile)
    for table, content in rows.tables.items():
        frame = pd.DataFrame(content)
        con.register("incoming", frame)
        con.execute(f"insert into {table} by name select * from incoming")
        con.unregister("incoming")
    con.execute(
        "update seen_calls set cost_usd = null "
        "where request_id in (select request_id from llm_requests where not is_priced)"
    )
    con.execute(
        "insert into ingest_log values ('synthetic', timestamp '2026-11-22 07:00:00', $spans, 0, 0, 0, null)",
        {"spans": len(rows.tables["spans"])},
    )


def _session(
    rows: _Rows,
    chance: random.Random,
    number: int,
    service: str,
    tools: list[str],
    model: str,
    at: datetime,
    turns: int,
) -> None:
    session, trace = f"{service.split('-')[0]}-{4700 + number}", f"{number:032x}"
    is_cached = number % 5 != 1
    version = "b2c3d4e5f6a7" if at > START + timedelta(days=7) else "a1b2c3d4e5f6"
    pieces = [_Piece("tool_definition", DEFINITIONS.get(tool, 150), tool, version) for tool in tools]
    pieces += [
        _Piece("overhead", 346),
        _Piece("system", chance.randint(600, 2400)),
        _Piece("user", chance.randint(40, 400)),
    ]
    cached = 0
    common = {"trace_id": trace, "session_id": session, "service": service}
    for turn in range(turns):
        request = f"{number:08x}{turn:08x}"
        took = chance.uniform(900, 6500)
        is_aborted, is_failed = number % 7 == 3 and turn == 2, number % 6 == 4 and turn == 4
        prompt = sum(piece.tokens for piece in pieces)
        base = {**common, "request_id": request, "started_at": at, "model": model}
        output = _output(chance, tools, version, is_last=turn == turns - 1)
        usage: Row = {}
        cost: Decimal | None = None
        is_known = not (is_aborted or is_failed)
        if is_known:
            read = cached if is_cached else 0
            write = prompt - read if is_cached else 0
            cached = prompt
            cost = _bill(rows, base, model, pieces, output, read, write)
            thinking = sum(piece.tokens for piece in output if piece.kind == "thinking")
            usage = {
                "input_tokens": prompt, "cache_read_tokens": read, "cache_write_5m_tokens": write,
                "cache_write_1h_tokens": 0, "uncached_tokens": prompt - read - write,
                "output_tokens": sum(piece.tokens for piece in output), "thinking_tokens": thinking,
            }  # fmt: skip
        rows.add(
            "llm_requests", **base, **usage, agent=service, provider="anthropic", price_model=f"anthropic/{model}",
            response_id=f"msg_{request}", duration_ms=took, time_to_first_token_ms=took * 0.3, tools_offered=len(tools),
            stop_reason="tool_use" if turn < turns - 1 else "end_turn", status="error" if is_failed else "ok",
            error_type="OverloadedError" if is_failed else None, service_tier="standard", user_id="u-17",
            compressed_tool=None, cost_usd=cost, is_priced=model in RATES, is_usage_known=is_known,
        )  # fmt: skip
        rows.add(
            "spans", trace_id=trace, span_id=request, name="chat", kind="client", service=service, started_at=at,
            ended_at=at + timedelta(milliseconds=took), duration_ms=took, status="ok", attributes="{}",
            resource_attributes="{}", events="[]",
        )  # fmt: skip
        at += timedelta(milliseconds=took + 15)
        if not is_known:
            continue
        at = _run_calls(rows, chance, common, request, at, output, pieces)


def _output(chance: random.Random, tools: list[str], version: str, *, is_last: bool) -> list[_Piece]:
    output = [_Piece("thinking", chance.randint(40, 600))] if chance.random() < 0.4 else []
    output.append(_Piece("assistant", chance.randint(20, 500 if is_last else 90)))
    if not is_last:
        callable_tools = [tool for tool in tools if not tool.startswith("mcp__") and tool != "translate"]
        weights = [3 if position == 0 else 1 for position, _ in enumerate(callable_tools)]
        for tool in chance.choices(callable_tools, weights, k=chance.choice([1, 1, 2, 4])):
            output.append(_Piece("tool_use", chance.randint(40, 160), tool, version))
    return output


def _bill(
    rows: _Rows, base: Row, model: str, pieces: list[_Piece], output: list[_Piece], read: int, write: int
) -> Decimal | None:
    """Ledger rows for one request: the prompt by position, then the output; returns what they cost together."""
    shares: dict[tuple[Any, ...], int] = defaultdict(int)
    position = 0
    for piece in pieces:
        first = not piece.is_sent
        piece.is_sent = True
        for start, end, rate in (
            (0, read, "cache_read"),
            (read, read + write, "cache_write_5m"),
            (read + write, 1 << 60, "input"),
        ):
            inside = min(position + piece.tokens, end) - max(position, start)
            if inside > 0:
                shares[piece.kind, piece.tool, piece.version, first, rate] += inside
        if piece.call is not None:
            piece.call["times_sent"] += 1
        position += piece.tokens
    for piece in output:
        shares[piece.kind, piece.tool, piece.version, True, "output"] += piece.tokens
    total = Decimal(0)
    for (kind, tool, version, is_first, rate), tokens in shares.items():
        cost = Decimal(str(RATES[model][rate])) * tokens / 1_000_000 if model in RATES else None
        total += cost or 0
        basis = "exact" if kind == "thinking" else "unattributed" if kind == "overhead" else "reconciled"
        rows.add(
            "context_ledger", **base, kind="unattributed" if (kind, tokens % 7) == ("overhead", 0) else kind, tool=tool,
            tool_version=version, is_first_send=is_first, rate=rate, tokens=tokens, cost_usd=cost, basis=basis,
        )  # fmt: skip
    return total if model in RATES else None


def _run_calls(
    rows: _Rows,
    chance: random.Random,
    common: Row,
    request: str,
    at: datetime,
    output: list[_Piece],
    pieces: list[_Piece],
) -> datetime:
    """Run the calls of one response in parallel and append their blocks; returns when the last one ended."""
    calls = [piece for piece in output if piece.kind == "tool_use"]
    # Thinking leaves the context.
    pieces += [piece for piece in output if piece.kind != "thinking"]
    took_ms, results, failed = [], [], 0
    for index, piece in enumerate(calls):
        tool = str(piece.tool)
        has_span = chance.random() > 0.04
        took = chance.lognormvariate(5.5 if tool != "run_tests" else 8.3, 0.7)
        is_error = chance.random() < (0.22 if tool == "query_warehouse" else 0.5 if tool == FAILING_TOOL else 0.03)
        failed += is_error
        raw = max(12, int(RESULTS.get(tool, 200) * chance.lognormvariate(0, 0.5))) if not is_error else 40
        sent = min(raw, 2500)
        call = rows.add(
            "seen_calls", **common, request_id=request, tool=tool, tool_call_id=f"toolu_{request}{index}",
            tool_version=piece.version, declared_version="1", server="warehouse" if tool == "query_warehouse" else None,
            span_id=f"{request[:12]}{index:04x}" if has_span else None, batch_id=request if len(calls) > 1 else None,
            started_at=at, duration_ms=took if has_span else None, status="error" if is_error else "ok",
            error_type=chance.choice(["TimeoutError", "TimeoutError", "ConnectionError"]) if is_error else None,
            argument_chars=piece.tokens * 4, result_chars=sent * 4, raw_result_chars=raw * 4,
            argument_tokens=piece.tokens, result_tokens=sent, raw_result_tokens=raw, times_sent=0,
            cost_usd=Decimal(sent) * 3 / 1_000_000, has_side_effects=False, is_on_critical_path=None,
        )  # fmt: skip
        took_ms.append(took)
        results.append(_Piece("tool_result", sent, tool, piece.version, call=call))
    pieces += results
    if len(calls) > 1:
        rows.add(
            "tool_batches", trace_id=common["trace_id"], session_id=common["session_id"], batch_id=request,
            started_at=at, calls=len(calls), failed=failed, wall_ms=max(took_ms), sequential_ms=sum(took_ms),
            speedup=sum(took_ms) / max(took_ms),
        )  # fmt: skip
    return at + timedelta(milliseconds=max(took_ms, default=0) + 20)


def _definitions(rows: _Rows, *, hostile: bool) -> None:
    names = {**DEFINITIONS, **(dict.fromkeys(HOSTILE_TOOLS, 150) if hostile else {})}
    for tool, tokens in names.items():
        for version, from_day in (("a1b2c3d4e5f6", 0), ("b2c3d4e5f6a7", 7)):
            rows.add(
                "seen_definitions", tool=tool, tool_version=version, declared_version="1" if from_day == 0 else "2",
                description=f"Use {tool} to work on what the task names.\nReturns text.",
                input_schema='{"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}',
                definition_chars=tokens * 4,
                first_seen_at=START + timedelta(days=from_day), last_seen_at=START + timedelta(days=from_day + 6),
            )  # fmt: skip
