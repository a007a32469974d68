"""The writing thread: what waits is bounded, committed together, and a failure costs only its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

import otlp_requests
import served
from agent_trace import agent_spans
from otlp_requests import Made
from toolspend_dashboard import deriver, receiver
from toolspend_dashboard import writer as writing
from toolspend_dashboard.errors import Busy
from toolspend_dashboard.intake import Intake
from toolspend_dashboard.writer import Writer
from toolspend_ingest import Store
from toolspend_ingest.apart import Apart
from toolspend_ingest.aside import Aside
from toolspend_ingest.decode import decode
from toolspend_ingest.errors import StoreFailed
from toolspend_ingest.spans import SpanBatch
from toolspend_ingest.store import Load


@pytest.fixture
def writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Writer]:
    """A writer on an empty store."""
    monkeypatch.setenv("TOOLSPEND_HOME", str(tmp_path))
    made = Writer(Store.open(tmp_path / "toolspend.duckdb"))
    yield made
    made.close()


@pytest.fixture
def hold(writer: Writer) -> Iterator[Callable[[], None]]:
    """Keeps the writer at work until it is called, as loading a large spool would."""
    started, released = threading.Event(), threading.Event()

    def work(_store: Store) -> None:
        started.set()
        released.wait(30)

    writer.call(work)
    assert started.wait(10)
    yield released.set
    released.set()


def batch(trace: int, spans: int = 1) -> SpanBatch:
    """Spans of one trace."""
    return decode(otlp_requests.protobuf([Made(trace, number + 1, "x") for number in range(spans)]), "protobuf").spans


def stored(writer: Writer) -> int:
    """How many spans the store has."""
    with writer.store.cursor() as cursor:
        row = cursor.execute("select count(*) from spans").fetchone()
    return int(row[0]) if row else 0


def test_what_derives_is_made_ready_once_nothing_is_due(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at the start, when the first page is made; then without having to be needed."""
    apart = writer.store._derivation
    assert isinstance(apart, Apart) and apart.pid is None
    monkeypatch.setattr(deriver, "PREPARE_S", 0.01)
    writer.changed(0)  # it goes round once more
    assert served.until(lambda: apart.pid is not None)


def test_what_waits_is_committed_together(writer: Writer, hold: Callable[[], None]) -> None:
    """Ten requests that came while the writer was busy share one commit."""
    waiting = [writer.submit(batch(trace, 3), source="test") for trace in range(1, 11)]
    assert (writer.waiting_requests, writer.waiting_spans) == (10, 30)
    hold()
    for done in waiting:
        done.result(timeout=10)
    with writer.store.reading() as cursor:
        loads = cursor.execute("select count(*) from ingest_log").fetchone()
    assert (loads, stored(writer), writer.waiting_spans) == ((1,), 30, 0)


def test_too_much_waiting_is_turned_away(
    writer: Writer, hold: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the bounds on spans and on requests the sender is told to come again; a first batch always fits."""
    monkeypatch.setattr(writing, "MAX_WAITING_SPANS", 5)
    large = writer.submit(batch(1, 8), source="test")
    with pytest.raises(Busy, match="8 spans are waiting to be stored: send this again"):
        writer.submit(batch(2), source="test")
    monkeypatch.setattr(writing, "MAX_WAITING_SPANS", 100)
    monkeypatch.setattr(writing, "MAX_WAITING_REQUESTS", 1)
    with pytest.raises(Busy, match="1 requests are waiting"):
        writer.submit(batch(3), source="test")
    hold()
    large.result(timeout=10)
    assert stored(writer) == 8


def test_a_full_disk_turns_spans_away_before_the_store_fails(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """With less free than is kept in reserve, nothing is written and the reason is said."""
    monkeypatch.setattr(writing, "MIN_FREE_DISK_BYTES", 1 << 62)
    with pytest.raises(Busy, match="is full, free some space"):
        writer.submit(batch(1), source="test")
    assert stored(writer) == 0


def test_a_request_that_cannot_be_stored_costs_only_itself(writer: Writer, hold: Callable[[], None]) -> None:
    """The others of its group are committed."""
    broken = SpanBatch([next(iter(batch(2)))._replace(name=None)])  # type: ignore[arg-type]
    good, bad, also_good = (writer.submit(each, source="test") for each in (batch(1), broken, batch(3)))
    hold()
    good.result(timeout=10)
    also_good.result(timeout=10)
    assert bad.exception(timeout=10) is not None
    assert stored(writer) == 2


def test_a_store_that_gave_up_is_opened_again(writer: Writer) -> None:
    """After DuckDB invalidated the file the next spans go into a new connection to it."""
    writer.submit(batch(1), source="test").result(timeout=10)
    first = writer.store

    def fail(store: Store) -> None:
        raise StoreFailed(store.path, "no space left on device")

    with pytest.raises(StoreFailed):
        writer.call(fail).result(timeout=10)
    assert served.until(lambda: writer.problem is None)
    writer.submit(batch(2), source="test").result(timeout=10)
    assert writer.store is not first
    assert stored(writer) == 2


def test_closing_commits_what_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was accepted is on disk afterwards, and nothing more is accepted."""
    monkeypatch.setenv("TOOLSPEND_HOME", str(tmp_path))
    path = tmp_path / "toolspend.duckdb"
    writer = Writer(Store.open(path))
    waiting: list[Future[None]] = [writer.submit(batch(trace), source="test") for trace in range(1, 21)]
    writer.close()
    assert all(done.done() and done.exception() is None for done in waiting)
    with pytest.raises(Busy, match="stopping"):
        writer.submit(batch(99), source="test")
    with Store.open(path, read_only=True) as store:
        assert store.cursor().execute("select count(*) from spans").fetchall() == [(20,)]


def test_a_busy_writer_is_a_503_with_a_time(
    writer: Writer, hold: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The status that makes an exporter try again, in the request's encoding, saying when."""
    monkeypatch.setattr(writing, "MAX_WAITING_REQUESTS", 0)
    app = Starlette(routes=receiver.routes(Intake(writer, Aside())))

    async def post() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            content = otlp_requests.json_text([Made(1, 1, "x")])
            return await client.post("/v1/traces", content=content, headers={"content-type": "application/json"})

    import anyio

    answer = anyio.run(post)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["code"] == 14
    assert "send this again" in answer.json()["message"]


def test_an_acknowledged_span_is_derived_soon_and_by_the_next_process_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is due is stored with the spans: a process that ends in between leaves it to the next one."""
    monkeypatch.setenv("TOOLSPEND_HOME", str(tmp_path))
    path = tmp_path / "toolspend.duckdb"
    call = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}
    spans = decode(otlp_requests.protobuf([Made(1, 1, "execute_tool search", call)]), "protobuf").spans
    with Store.open(path) as store:
        store.append_load(spans, Load("test", "test", None), is_derived_later=True)
        assert store.cursor().execute("select count(*) from tool_calls").fetchall() == [(0,)]
    writer = Writer(Store.open(path))
    try:
        assert writer.settle(30)
        with writer.store.reading() as cursor:
            assert cursor.execute("select tool from tool_calls").fetchall() == [("search",)]
            assert cursor.execute("select count(*) from pending_traces").fetchall() == [(0,)]
    finally:
        writer.close()


def test_deriving_beside_storing_gives_what_deriving_at_once_gives(writer: Writer, tmp_path: Path) -> None:
    """The same spans, in pieces while others are derived, and in one transaction: the same rows."""
    spans = decode(otlp_requests.protobuf(agent_spans()), "protobuf").spans
    for row in spans:
        writer.submit(SpanBatch([row]), source="test").result(timeout=20)
    assert writer.settle(60)
    tables = ("llm_requests", "context_ledger", "tool_calls", "tool_batches", "compressions")
    with Store.open(tmp_path / "other.duckdb") as other:
        other.append(spans, "test", "test", None)
        for table in tables:
            query = f"select * from {table} order by all"
            with writer.store.reading() as cursor:
                assert cursor.execute(query).fetchall() == other.cursor().execute(query).fetchall(), table


def test_requests_that_are_read_at_the_same_time_are_committed_together(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first waits for the second, which is being read as it comes."""
    monkeypatch.setattr(writing, "GATHER_S", 30)
    with writer.expecting():
        first = writer.submit(batch(1), source="otlp-http")
        with pytest.raises(TimeoutError):
            first.result(0.2)
        second = writer.submit(batch(2), source="otlp-http")
    first.result(10)
    second.result(10)
    assert writer.store.cursor().execute("select spans from ingest_log").fetchall() == [(2,)]


def test_a_commit_does_not_wait_for_long(writer: Writer) -> None:
    """A request that takes its time to be read holds up no other, and closing neither."""
    with writer.expecting():
        writer.submit(batch(1), source="otlp-http").result(10)
        writer.submit(batch(2), source="otlp-http")
        writer.close()
