"""The store: made, migrated, guarded, and the same whatever way the spans came."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

import toolspend_ingest
from agent_trace import agent_spans, chat, tool
from otlp_requests import Made, json_text, protobuf
from toolspend import attributes as at
from toolspend_ingest import Store, schema
from toolspend_ingest.attribution import run as attribution
from toolspend_ingest.decode import decode
from toolspend_ingest.errors import StoreFailed, StoreLocked, StoreMissing, StoreOutdated, StoreTooNew, StoreUnreadable
from toolspend_ingest.spans import SpanBatch

CONSERVED = (Path(__file__).parents[1] / "conservation.sql").read_text(encoding="utf-8")
DERIVED = (
    "spans",
    "llm_requests",
    "context_evidence",
    "tool_calls",
    "context_ledger",
    "tool_batches",
    "tool_definitions",
    "tool_selections",
    "compressions",
    "tool_costs",
    "sessions",
    "tool_versions",
)
PROMISED = {
    "spans": "trace_id, span_id, parent_span_id, name, kind, service, scope, started_at, ended_at, duration_ms, "
    "status, status_message, attributes, resource_attributes, events",
    "llm_requests": "request_id, trace_id, session_id, service, agent, provider, model, started_at, duration_ms, "
    "time_to_first_token_ms, input_tokens, uncached_tokens, cache_read_tokens, cache_write_5m_tokens, "
    "cache_write_1h_tokens, output_tokens, thinking_tokens, tools_offered, stop_reason, status, error_type, "
    "service_tier, cost_usd, is_priced, is_usage_known",
    "tool_calls": "span_id, trace_id, session_id, request_id, tool_call_id, tool, tool_version, server, batch_id, "
    "started_at, duration_ms, status, error_type, argument_tokens, result_tokens, raw_result_tokens, times_sent, "
    "cost_usd, is_on_critical_path",
    "context_ledger": "request_id, trace_id, session_id, started_at, model, kind, tool, tool_version, is_first_send, "
    "rate, tokens, cost_usd, basis",
    "tool_costs": "tool, server, calls, errors, context_tokens, definition_cost_usd, call_cost_usd, result_cost_usd, "
    "carry_cost_usd, compression_cost_usd, fee_cost_usd, total_cost_usd, cost_share, context_share, p50_ms, p95_ms",
    "sessions": "session_id, service, user_id, tags, started_at, ended_at, requests, tool_calls, errors, input_tokens, "
    "output_tokens, cost_usd",
    "tool_batches": "batch_id, session_id, started_at, calls, failed, wall_ms, sequential_ms, speedup",
    "tool_definitions": "tool, tool_version, declared_version, description, input_schema, definition_tokens, "
    "first_seen_at, last_seen_at",
    "tool_selections": "span_id, session_id, task_type, candidates, selected, is_unsure, offered_tokens, "
    "avoided_tokens",
    "compressions": "span_id, session_id, tool, tool_call_id, tokens_before, tokens_after, cost_usd, saved_usd",
    "prices": "provider, model, rate, usd_per_mtok, tier_start_tokens, valid_from, valid_to, source",
    "ingest_log": "source, loaded_at, spans, duplicates, refused, reason",
}


def batch(spans: Sequence[Made]) -> SpanBatch:
    return decode(protobuf(spans), "protobuf").spans


def contents(store: Store) -> dict[str, list[str]]:
    """Every derived relation's rows, as text, in an order of their own."""
    cursor = store.cursor()
    return {name: sorted(str(row) for row in cursor.execute(f"from {name}").fetchall()) for name in DERIVED}


def test_the_public_names_are_these() -> None:
    """The package exports what is documented."""
    assert toolspend_ingest.__all__ == ["Store", "Summary", "ingest"]


@pytest.mark.parametrize("relation", PROMISED)
def test_every_promised_column_exists_and_is_described(store: Store, relation: str) -> None:
    """Each relation of the public surface has its columns, each with a comment."""
    described = dict(
        store.cursor()
        .execute("select column_name, comment from duckdb_columns() where table_name = ?", [relation])
        .fetchall()
    )
    assert set(PROMISED[relation].split(", ")) <= set(described)
    assert all(described.values())


def test_every_statement_prepares_against_the_schema(store: Store) -> None:
    """Each .sql file of ingestion binds to the real tables and says first what one row of it is."""
    con = store.cursor()
    statements = {**schema.views(), **schema.queries(), **attribution.queries()}
    assert {path.stem for path in Path(schema.__file__).parent.glob("queries/*.sql")} == set(schema.queries())
    for name, sql in statements.items():
        assert sql.startswith("-- One row per "), name
        (statement,) = con.extract_statements(sql)
        assert statement is not None, name


def test_times_and_money_have_the_promised_types(store: Store) -> None:
    """Money is decimal(18, 9), tokens are bigint, times are timestamps without a zone."""
    columns = store.cursor().execute(
        "select table_name, column_name, data_type from duckdb_columns() where schema_name = 'main'"
    )
    for table, column, kind in columns.fetchall():
        if column.endswith("_usd"):
            assert kind == "DECIMAL(18,9)", (table, column)
        if column.endswith("_tokens") or column in {"tokens", "calls", "errors", "requests"}:
            assert kind == "BIGINT", (table, column)
        if column.endswith("_at") or column.startswith("valid_"):
            assert kind == "TIMESTAMP", (table, column)


def test_a_second_open_keeps_rows_and_restores_views(tmp_path: Path) -> None:
    """Reopening migrates nothing twice; a change of the views is noticed by their text."""
    path = tmp_path / "s.duckdb"
    with Store.open(path) as store:
        store.append(batch(agent_spans()), "a", "a", 1)
        before = contents(store)
    with duckdb.connect(str(path)) as con:
        con.execute("drop view tool_costs; update store_facts set value = 'older' where name = 'schema'")
    with Store.open(path) as store:
        assert contents(store) == before
        versions = store.cursor().execute("select version from migrations order by version").fetchall()
        assert versions == [(migration.version,) for migration in schema.migrations()]


def older(path: Path, version: int) -> duckdb.DuckDBPyConnection:
    """A store with the tables of an earlier version, open."""
    con = duckdb.connect(str(path))
    con.execute("create table migrations (version integer not null, name varchar not null)")
    for migration in schema.migrations()[:version]:
        con.execute(migration.sql)
        con.execute("insert into migrations values (?, ?)", [migration.version, migration.name])
    return con


def test_an_older_store_gets_its_attributes_compressed(tmp_path: Path) -> None:
    """Spans of before the eighth migration stay as they were, described as ever, in less room."""
    spans = batch(agent_spans())
    with older(tmp_path / "s.duckdb", 7) as con:
        con.register("incoming", spans.to_arrow())
        con.execute("insert into spans by name select * from incoming")
    with Store.open(tmp_path / "new.duckdb") as store:
        store.append(spans, "a", "a", 1)
        expected = contents(store)
    with Store.open(tmp_path / "s.duckdb") as store:
        assert contents(store) == expected
        cursor = store.cursor()
        comments = cursor.execute("select comment from duckdb_columns() where table_name = 'spans'").fetchall()
        assert all(comment for (comment,) in comments)
        cursor.execute("checkpoint")
        stored = cursor.execute(
            "select distinct compression from pragma_storage_info('spans')"
            " where column_name = 'attributes' and segment_type <> 'VALIDITY'"
        )
        assert stored.fetchall() == [("ZSTD",)]


def test_calls_of_an_older_store_cost_what_they_did(tmp_path: Path) -> None:
    """Rows of before the ninth migration are read through the view, which adds nothing to them."""
    with older(tmp_path / "s.duckdb", 8) as con:
        con.execute(
            "insert into tool_calls (trace_id, session_id, tool, started_at, status, times_sent, cost_usd)"
            " values ('t', 's', 'search', now(), 'ok', 3, 0.25)"
        )
        con.execute("comment on table tool_calls is 'One row per tool execution.'")
        for sql in [*(each.sql for each in schema.migrations()[8:]), *schema.views().values(), schema.comments()]:
            con.execute(sql)
        assert con.execute("select times_sent, cost_usd from tool_calls").fetchall() == [(3, Decimal("0.25"))]
        described = con.execute("select comment is not null from duckdb_tables() where table_name = 'seen_calls'")
        assert described.fetchall() == [(False,)]


def test_a_store_from_a_newer_version_is_refused_by_name(tmp_path: Path) -> None:
    """The message names the file, both versions and what to do, on one line."""
    path = tmp_path / "s.duckdb"
    Store.open(path).close()
    with duckdb.connect(str(path)) as con:
        con.execute("insert into migrations values (99, 'from the future')")
    for read_only in (False, True):
        with pytest.raises(StoreTooNew) as error:
            Store.open(path, read_only=read_only)
        message = str(error.value)
        assert str(path) in message and "99" in message and "pip install -U" in message and "\n" not in message


def test_an_older_store_is_not_migrated_by_a_reader(tmp_path: Path) -> None:
    """Opened to read, a store without the latest migration says how to get it."""
    path = tmp_path / "s.duckdb"
    Store.open(path).close()
    with duckdb.connect(str(path)) as con:
        con.execute("delete from migrations where version > 1")
    with pytest.raises(StoreOutdated, match="toolspend ingest"):
        Store.open(path, read_only=True)


def test_a_failed_migration_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Migrations are one transaction: an error in the last undoes the first."""
    path = tmp_path / "s.duckdb"
    bad = schema.Migration(3, "0003_bad", "create table t (a int); select no_such_function()")
    known = schema.migrations()
    monkeypatch.setattr(schema, "migrations", lambda: (*known, bad))
    with pytest.raises(duckdb.Error):
        Store.open(path)
    with duckdb.connect(str(path)) as con:
        assert con.execute("select table_name from duckdb_tables()").fetchall() == []


def test_what_is_no_store_is_named(tmp_path: Path) -> None:
    """A missing file to read, a text file and a folder are each one line."""
    with pytest.raises(StoreMissing, match="toolspend up"):
        Store.open(tmp_path / "none.duckdb", read_only=True)
    text = tmp_path / "notes.txt"
    text.write_text("not a database, though long enough to have a header" * 10)
    for path in (text, tmp_path):
        with pytest.raises(StoreUnreadable) as error:
            Store.open(path)
        assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_locked_store_names_the_process(tmp_path: Path) -> None:
    """A store open elsewhere says where, and what can be done."""
    path = tmp_path / "s.duckdb"
    with Store.open(path):
        code = f"""
from pathlib import Path
from toolspend_ingest import Store
from toolspend_ingest.errors import StoreLocked
try:
    Store.open(Path({str(path)!r}))
except StoreLocked as error:
    print(error.pid, error)
"""
        shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=_env(), check=True)
    assert shown.stdout.startswith(f"{os.getpid()} {path} is open in process {os.getpid()}")
    assert len(shown.stdout.splitlines()) == 1
    assert StoreLocked(path, None).pid is None


def test_a_store_is_opened_once_in_a_process(tmp_path: Path) -> None:
    """A second opening is refused as that of another process is, and leaves the first one as it was."""
    path = tmp_path / "it's a store.duckdb"
    with Store.open(path) as store:
        for read_only in (False, True):
            with pytest.raises(StoreLocked) as error:
                Store.open(path, read_only=read_only)
            assert error.value.pid == os.getpid()
        assert store.append(batch(agent_spans()), "a", "a", 1).spans
    Store.open(path).close()


def test_a_checkpoint_writes_few_rows_again(tmp_path: Path) -> None:
    """Tables grow by groups of some thousand rows, also one that began with a larger group."""
    path = tmp_path / "s.duckdb"
    more = "insert into source_positions select 'source ' || range, 'same', 1, now() from range({}, {})"
    with older(path, 1) as con:
        con.execute(more.format(0, 30_000))
    with Store.open(path) as store:
        store.write(lambda con: con.execute(more.format(30_000, 70_000)))
        cursor = store.cursor()
        cursor.execute("checkpoint")
        groups = cursor.execute(
            "select sum(count) from pragma_storage_info('source_positions')"
            " where column_name = 'source' and segment_type <> 'VALIDITY' group by row_group_id order by row_group_id"
        )
        assert [rows for (rows,) in groups.fetchall()] == [30_000, 30_720, 9_280]


def test_the_order_batches_and_copies_of_spans_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Permuted, split and repeated, the spans give the tables that they give at once; so does deriving anew."""
    spans = [*agent_spans(), chat(3, 30, 20, 2, attributes={at.CONVERSATION_ID: "resumed"})]
    with Store.open(tmp_path / "whole.duckdb") as store:
        store.append(batch(spans), "a", "a", 1)
        expected = contents(store)
        store.rederive()
        assert contents(store) == expected
        monkeypatch.setattr("toolspend_ingest.store._TRACES_AT_ONCE", 1)
        store.rederive()
        assert contents(store) == expected
    assert len(expected["llm_requests"]) == 3
    generator = random.Random(7)
    for attempt in range(8):
        order = spans + generator.sample(spans, 4)
        generator.shuffle(order)
        with Store.open(tmp_path / f"{attempt}.duckdb") as store:
            while order:
                size = generator.randint(1, 5)
                store.append(batch(order[:size]), "a", "a", len(order))
                order = order[size:]
            assert contents(store) == expected


def test_a_span_that_is_sent_again_is_stored_once(store: Store) -> None:
    """Copies in a batch and in later batches are counted as duplicates."""
    spans = agent_spans()
    first = store.append(batch([*spans, spans[0]]), "a", "a", 1)
    second = store.append(batch(spans), "b", "b", 1)
    assert (first.spans, first.duplicates) == (len(spans), 1)
    assert (second.spans, second.duplicates) == (0, len(spans))


def test_of_two_copies_of_a_span_the_fuller_stays(tmp_path: Path) -> None:
    """A span exported while open and again when done is the done one, in either order."""
    half = Made(1, 2, "chat", {"a": 1}, lasts_s=0)
    done = Made(1, 2, "chat", {"a": 1, "b": 2}, lasts_s=3)
    for number, order in enumerate(([half, done], [done, half])):
        with Store.open(tmp_path / f"{number}.duckdb") as store:
            for span in order:
                store.append(batch([span]), "a", "a", None)
            assert store.cursor().execute("select duration_ms from spans").fetchall() == [(3000.0,)]
        with Store.open(tmp_path / f"{number} at once.duckdb") as store:
            store.append(batch(order), "a", "a", None)
            assert store.cursor().execute("select duration_ms from spans").fetchall() == [(3000.0,)]


def test_a_span_that_comes_again_with_another_start_is_billed_once(tmp_path: Path) -> None:
    """By the later and fuller one, in either order and in any batches, and the ledger sums to that bill."""
    early = chat(1, 2, 0, 1)
    late = chat(1, 2, 0.5, 1, attributes={at.OUTPUT_TOKENS: 77})
    call = tool(1, 5, "search", "call_a", 3)
    found = []
    for number, order in enumerate(([[early], [late]], [[late], [early]], [[early, late]])):
        with Store.open(tmp_path / f"{number}.duckdb") as store:
            for spans in order:
                store.append(batch([*spans, replace(call, at_s=3 + spans[0].at_s)]), "a", "a", None)
            cursor = store.cursor()
            assert cursor.execute(CONSERVED).fetchall() == []
            assert cursor.execute("select count(*) from tool_calls").fetchall() == [(1,)]
            found.append(cursor.execute("select output_tokens, started_at, cost_usd from llm_requests").fetchall())
    assert [row[0] for row in found[0]] == [77]
    assert found[1:] == found[:1] * 2


def test_a_session_that_loses_its_request_is_attributed_again(store: Store) -> None:
    """A trace whose session becomes known later leaves nothing behind under the trace's id."""
    request = chat(1, 2, 1, 1, attributes={at.CONVERSATION_ID: ""}, parent=1)
    store.append(batch([request]), "a", "a", 1)
    cursor = store.cursor()
    assert cursor.execute("select distinct session_id from context_ledger").fetchall() == [(request.trace_id,)]
    store.append(batch([Made(1, 1, "root", {at.SESSION_ID: "ticket-1"})]), "a", "a", 2)
    for relation in ("context_ledger", "llm_requests", "sessions"):
        assert cursor.execute(f"select distinct session_id from {relation}").fetchall() == [("ticket-1",)]


def test_the_ledger_sums_to_the_bill(store: Store) -> None:
    """For each request the ledger's tokens and dollars are the billed ones."""
    store.append(batch(agent_spans()), "a", "a", 1)
    differing = (
        store.cursor()
        .execute(
            "select request_id from llm_requests join context_ledger l using (request_id) group by all "
            "having sum(l.cost_usd) is distinct from any_value(llm_requests.cost_usd) "
            "or sum(l.tokens) filter (where rate = 'output') <> any_value(output_tokens) "
            "or sum(l.tokens) filter (where rate not in ('output', 'fee')) <> any_value(input_tokens)"
        )
        .fetchall()
    )
    assert differing == []


def test_shares_are_of_the_whole_bill_and_failures_do_not_speed_up_a_tool(store: Store) -> None:
    """`tool_costs` divides by everything billed, and its percentiles leave failed calls out."""
    store.append(batch(agent_spans()), "a", "a", 1)
    rows = {row[0]: row for row in store.cursor().execute("from tool_costs").fetchall()}
    total, prompt = store.cursor().execute(
        "select sum(cost_usd), sum(tokens) filter (where rate <> 'output') from context_ledger"
    ).fetchone() or (0, 0)
    search, fetch = rows["search"], rows["fetch"]
    assert search[1:4] == ("library", 1, 0)
    assert search[12] == pytest.approx(float(search[11]) / float(total))
    assert search[13] == pytest.approx(search[4] / prompt)
    assert search[14:16] == (2000.0, 2000.0)
    assert fetch[2:4] == (1, 1)
    assert fetch[14:16] == (None, None)


def test_a_snapshot_is_a_store_of_its_own(store: Store, tmp_path: Path) -> None:
    """A copy can be read while the store is open, and replaces an older copy whole."""
    target = tmp_path / "copies" / "snapshot.duckdb"
    for number in (1, 2):
        store.append(batch([Made(number, 1, "s")]), "a", "a", number)
        store.snapshot(target)
        with Store.open(target, read_only=True) as copy:
            assert copy.cursor().execute("select count(*) from spans").fetchone() == (number,)
    assert [path.name for path in target.parent.iterdir()] == ["snapshot.duckdb"]


def test_a_variable_is_never_taken_for_a_table(store: Store) -> None:
    """A query that names a Python variable fails instead of reading it."""
    secret = [1]
    with pytest.raises(duckdb.CatalogException):
        store.cursor().execute("select * from secret").fetchall()
    assert secret == [1]


def test_a_failed_write_is_typed_and_keeps_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """When DuckDB gives up within a transaction, the error says what to do and no part of it is stored."""

    def give_up(*_: object) -> None:
        raise duckdb.FatalException("FATAL Error: Failed to write: No space left on device\nmore")

    monkeypatch.setattr(attribution, "attribute_sessions", give_up)
    with pytest.raises(StoreFailed, match="free some disk space") as error:
        store.append(batch(agent_spans()), "a", "a", 5)
    assert "\n" not in str(error.value)
    assert store.cursor().execute("select count(*) from spans").fetchone() == (0,)
    assert store.position("a") is None


def test_killed_at_any_moment_a_second_run_neither_loses_nor_doubles(tmp_path: Path) -> None:
    """A process killed while it loads leaves whole transactions; running again completes them."""
    path, lines = tmp_path / "s.duckdb", tmp_path / "in.jsonl"
    code = f"""
import sys
from pathlib import Path
from toolspend_ingest import Store, ingest, sources
from toolspend_ingest.sources import files
files.CHUNK_BYTES = 2000
print("ready", flush=True)
ingest(Store.open(Path({str(path)!r})), [Path({str(lines)!r})])
"""
    lines.write_text("".join(json_text([chat(n, 1, n, n)]) + "\n" for n in range(1, 41)))
    for delay_s in (0.05, 0.25, 0.5, 0.9):
        child = subprocess.Popen([sys.executable, "-c", code], env=_env(), stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(delay_s)
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()
    subprocess.run([sys.executable, "-c", code], env=_env(), check=True, capture_output=True)
    with Store.open(path) as store:
        counted = store.cursor().execute(
            "select (select count(*) from spans), (select count(*) from llm_requests), "
            "(select sum(spans) from ingest_log), (select sum(duplicates) from ingest_log)"
        )
        assert counted.fetchone() == (40, 40, 40, 0)


def _env() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def test_one_poisonous_span_does_not_cost_its_batch(store: Store) -> None:
    """Nesting that the database's JSON cannot take, control characters and sheer size are stored like anything else."""
    deep: object = 1
    for _ in range(150):
        deep = [deep]
    odd = {"deep": deep, "nul": "a\0b", "long": "x" * 3_000_000, "": "", "quote'": '"'}
    spans = [Made(1, 1, "odd\0name", odd), Made(1, 2, "good")]
    assert store.append(decode(json_text(spans).encode(), "json").spans, "a", "a", 1).spans == 2
    assert store.cursor().execute("select count(*) from spans").fetchone() == (2,)
