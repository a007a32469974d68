"""Time and memory of the attribution: `attribution.py SESSIONS`, prints its figures as JSON.

A store on disk with SESSIONS sessions of 30 requests (10 tools, a call or two a turn, cached) is attributed from
scratch; then one session of 500 requests gets one more. What is timed is the attribution, not the reading of spans.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

TURNS = 30
LONG = 500
TOOLS = 10
PRICES = {"input": "3", "cache_read": "0.3", "cache_write_5m": "3.75", "output": "15"}
TABLES = ("llm_requests", "context_evidence", "tool_calls")


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
        put_rows(con, rows_of(conversation("long", LONG)))
        con.execute("update llm_requests set price_model = 'bench/model' where session_id = 'long'")
        again = []
        for _ in range(5):
            started = time.perf_counter()
            con.execute("begin")
            run.attribute_sessions(con, ["long"])
            con.execute("commit")
            again.append(time.perf_counter() - started)
        con.close()
    print(json.dumps({"seconds": spent, "memory_mb": memory, "one_more_ms": statistics.median(again) * 1000}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
