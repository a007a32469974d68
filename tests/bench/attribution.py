"""Time and memory of the attribution: `attribution.py SESSIONS`, prints its figures as JSON.

A store on disk with SESSIONS sessions of 30 requests (10 tools, a call or two a turn, cached) is attributed from
scratch; then one session of 500 requests gets one more, over and over: attributed whole, attributed alone, and stored
through `Store.append_load` from decoded spans (its chat span and a tool's) to the commit, all in one trace and with a
trace for each request. Times of one request are medians, with the CPU time of the process beside them.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

TURNS = 30
LONG = 500
MORE = 15
TOOLS = 10
PRICES = {"input": "3", "cache_read": "0.3", "cache_write_5m": "3.75", "output": "15"}
TABLES = ("llm_requests", "context_evidence", "seen_calls")


def conversation(session_id: str, turns: int) -> Any:
    """A cached conversation: each turn a call or two, and their results."""
    from conversations import Conversation, definition, result, use

    talk = Conversation(session_id)
    new = [*(definition(f"tool{each}", 400 + each * 10) for each in range(TOOLS)), ["s", 3000], ["u", 200]]
    tokens, read = 2600, 0
    for turn in range(turns):
        if turn:
            new = [
                ["a", 100],
                use(f"tool{turn % TOOLS}", f"id{turn}", 80),
                result(f"tool{turn % TOOLS}", f"id{turn}", 2000),
            ]
            if turn % 3 == 0:
                new += [use("tool1", f"also{turn}", 60), result("tool1", f"also{turn}", 500)]
            tokens += 650 if turn % 3 else 830
        following = f"tool{(turn + 1) % TOOLS}"
        asked = talk.ask(
            *new, answer=[["a", 100], use(following, f"id{turn + 1}", 80)], output=70, read=read,
            write_5m=tokens - read - 3, input=3,
        )  # fmt: skip
        talk.call(following, f"id{turn + 1}", asked.request_id, raw_result_chars=3000)
        read = tokens - 3
    return talk.session


def main(sessions: int) -> None:
    """Prints the figures."""
    from attributed import put_rows, rows_of
    from toolspend_ingest import Store
    from toolspend_ingest.attribution import run

    with tempfile.TemporaryDirectory() as folder:
        Store.open(Path(folder) / "store.duckdb").close()
        import duckdb

        con = duckdb.connect(str(Path(folder) / "store.duckdb"), config={"memory_limit": "1GB"})
        con.executemany(
            "insert into prices values ('bench', 'model', ?, ?, 0, null, null, 'bench')",
            [[rate, Decimal(usd)] for rate, usd in PRICES.items()],
        )
        put_rows(con, rows_of(conversation("one", TURNS)))
        con.execute("update llm_requests set price_model = 'bench/model'")
        for table in TABLES:
            con.execute(f"create temp table made as select * from {table}; delete from {table}")
            con.execute(
                f"insert into {table} select made.* replace (concat('s', number) as session_id,"
                f" concat(trace_id, number) as trace_id) from range({sessions}) as numbers(number), made"
            )
            con.execute("drop table made")
        started = time.perf_counter()
        con.execute("begin")
        run.attribute_sessions(con, [f"s{number}" for number in range(sessions)])
        con.execute("commit")
        spent = time.perf_counter() - started
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        figures = {"seconds": spent, "memory_mb": memory, **one_more(con), **stored(Path(folder))}
        con.close()
    print(json.dumps(figures))


def timed(name: str, work: Callable[[int], object], times: int) -> dict[str, float]:
    """Medians over some runs, in milliseconds."""
    wall, cpu = [], []
    for each in range(times):
        started, spent = time.perf_counter(), time.process_time()
        work(each)
        wall.append(time.perf_counter() - started)
        cpu.append(time.process_time() - spent)
    return {f"{name}_ms": statistics.median(wall) * 1000, f"{name}_cpu_ms": statistics.median(cpu) * 1000}


def one_more(con: Any) -> dict[str, float]:
    """The attribution of one more request: of its whole session, and alone."""
    from attributed import put_rows, rows_of
    from grown import growth_of, loads, put_rest
    from toolspend_ingest.attribution import run
    from toolspend_ingest.attribution.memory import Memory

    rows = [(table, {**row, "price_model": "bench/model"} if table == "llm_requests" else row)
            for table, row in rows_of(conversation("long", LONG + MORE))]  # fmt: skip
    parts = loads(rows, LONG)
    memory = Memory()

    def attribute(*arguments: Any) -> None:
        con.execute("begin")
        run.attribute_sessions(con, ["long"], *arguments)
        con.execute("commit")

    put_rows(con, parts[0])
    whole = timed("whole", lambda _: attribute(), 5)
    attribute(memory)
    alone: list[dict[str, float]] = []
    for part in parts[1:]:
        put_rest(con, part)
        alone.append(timed("alone", lambda _, part=part: attribute(memory, {"long": growth_of(part)}), 1))
    assert memory.steps == MORE
    return {**whole, **{name: statistics.median(each[name] for each in alone) for name in alone[0]}}


def stored(folder: Path) -> dict[str, float]:
    """One more request from decoded spans to the commit."""
    from toolspend_ingest import Store
    from toolspend_ingest.spans import SpanBatch

    found: dict[str, float] = {}
    for name, is_one_trace in (("one_trace", True), ("many_traces", False)):
        batches = list(spans_of(conversation("long", LONG + MORE), is_one_trace))
        with Store.open(folder / f"{name}.duckdb", prices_file=folder / "none.toml") as store:
            store.append(SpanBatch([span for batch in batches[:LONG] for span in batch]), "bench", "bench", None)
            more = [SpanBatch(batch) for batch in batches[LONG:]]
            found |= timed(name, lambda each, more=more: store.append(more[each], "bench", "bench", None), MORE)
            assert store.went_on == (MORE, MORE)
    return found


def spans_of(session: Any, is_one_trace: bool) -> Iterator[list[Any]]:
    """The spans of each request and of the tools that it asked for."""
    from toolspend import attributes as at
    from toolspend_ingest.spans import SpanRow

    def span(trace: str, span_id: str, name: str, begin: datetime, **attributes: Any) -> SpanRow:
        said = json.dumps({name: value for name, value in attributes.items() if value is not None})
        times = (begin, begin + timedelta(seconds=1), 1000.0)
        return SpanRow(
            trace, span_id, None, name, "client", "agent", "toolspend", None, *times, "ok", None, said, "{}", "[]"
        )

    for request, evidence in zip(session.requests, session.evidence, strict=True):
        trace = "trace" if is_one_trace else f"trace-{request.request_id}"
        common = {at.SESSION_ID: session.session_id}
        chat = {
            at.OPERATION: "chat", at.PROVIDER: "anthropic", at.RESPONSE_MODEL: request.model,
            at.RESPONSE_ID: f"msg-{request.request_id}", at.INPUT_TOKENS: request.prompt_tokens,
            at.CACHE_READ_TOKENS: request.read, at.ANTHROPIC_CACHE_WRITE_5M: request.write_5m,
            at.ANTHROPIC_CACHE_WRITE_1H: 0, at.OUTPUT_TOKENS: request.output, at.CONTEXT_BASE: evidence.base,
            at.CONTEXT_DELTA: evidence.delta, at.CONTEXT_RESTATED: evidence.restated,
            at.CONTEXT_SEGMENTS: evidence.segments, at.CONTEXT_CHARS: evidence.chars,
            at.OUTPUT_SEGMENTS: evidence.output,
        }  # fmt: skip
        found = [span(trace, request.request_id, "chat", request.started_at, **common, **chat)]
        for call in session.calls:
            if call.request_id == request.request_id:
                ran = {at.OPERATION: "execute_tool", at.TOOL_NAME: call.tool, at.TOOL_CALL_ID: call.tool_call_id}
                started_at = request.started_at + timedelta(seconds=2)
                found.append(span(trace, call.span_id, f"execute_tool {call.tool}", started_at, **common, **ran))
        yield found


if __name__ == "__main__":
    main(int(sys.argv[1]))
