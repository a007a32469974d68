"""What is acknowledged stays: through kills, full disks, damage, odd clocks and spans that come late or never end."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

import agent_trace
import otlp_requests
import served
from otlp_requests import Made
from soak import disk, kills
from toolspend._frames import encode
from toolspend_dashboard import state
from toolspend_dashboard import writer as writing
from toolspend_dashboard.errors import Busy
from toolspend_dashboard.pruner import Pruner
from toolspend_dashboard.writer import Writer
from toolspend_ingest import Store
from toolspend_ingest.decode import decode
from toolspend_ingest.errors import StoreDamaged, StoreFailed
from toolspend_ingest.retention import Keep
from toolspend_ingest.spans import SpanBatch


@pytest.fixture
def writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Writer]:
    """A writer on an empty store."""
    monkeypatch.setenv("TOOLSPEND_HOME", str(tmp_path))
    made = Writer(Store.open(tmp_path / "toolspend.duckdb"))
    state.set_holder(made)
    yield made
    state.set_holder(None)
    made.close()


def batch(*spans: Made) -> SpanBatch:
    """The spans as they come out of a request."""
    return decode(otlp_requests.protobuf(spans), "protobuf").spans


def store(writer: Writer, *spans: Made) -> None:
    """Have spans stored."""
    writer.submit(batch(*spans), source="test").result(timeout=20)
    assert writer.settle(60)


def value(sql: str) -> Any:
    """The one value that a page would get."""
    row = state.read(lambda cursor: cursor.execute(sql).fetchone())
    assert row is not None
    return row[0]


def test_kills_at_random_moments_lose_and_double_nothing(tmp_path: Path) -> None:
    """Five kill -9, or what fits into a quarter of a minute, under load over HTTP, gRPC and the spool.

    `make soak` does a hundred.
    """
    home = tmp_path / "home"
    home.mkdir()
    killed, tally, faults = kills.run(home, 5, is_lean=True, within_s=15, most_s=1.5)
    assert faults == []
    assert killed
    assert tally.spooled


def test_a_disk_that_fills_and_empties_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """DuckDB gives the store up, and the same process goes on once there is room."""
    try:
        with disk.small_disk(tmp_path / "disk") as small:
            tally, faults, seen = disk.run(small, 2)
    except disk.CannotMount as error:
        pytest.skip(f"no small disk: {error}")
    assert faults == []
    assert (seen["failures"], bool(tally.acknowledged)) == (2, True)


def test_a_page_that_asks_while_the_store_is_reopened_waits_for_it(writer: Writer) -> None:
    """Its question is answered by the store that is open next; none is left that holds the old file."""
    store(writer, Made(1, 1, "x"))
    first = writer.store

    def fail(store: Store) -> None:
        raise StoreFailed(store.path, "no space left on device")

    with pytest.raises(StoreFailed):
        writer.call(fail).result(timeout=10)
    assert value("select count(*) from spans") == 1
    assert served.until(lambda: writer.problem is None)
    assert writer.store is not first


def test_a_long_question_does_not_keep_the_store_from_being_reopened(writer: Writer) -> None:
    """Closing stops what reads, so that the old instance cannot drop the lock of the new one later."""
    with writer.store.reading() as cursor, pytest.raises(duckdb.InterruptException):
        interrupted = time.monotonic()
        import threading

        threading.Timer(0.3, writer.store.close).start()
        cursor.execute("select sum(a.range * b.range) from range(100000) a, range(1000000) b").fetchall()
    assert time.monotonic() - interrupted < 20


def test_while_there_is_no_room_pages_are_answered_and_spans_turned_away(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store is open to read only until there is room, then to write again."""
    store(writer, Made(1, 1, "x"))
    monkeypatch.setattr(writing, "MIN_FREE_DISK_BYTES", 1 << 62)

    def fail(store: Store) -> None:
        raise StoreFailed(store.path, "no space left on device")

    with pytest.raises(StoreFailed):
        writer.call(fail).result(timeout=10)
    assert served.until(lambda: writer.store.is_read_only)
    assert value("select count(*) from spans") == 1
    with pytest.raises(Busy) as turned_away:
        store(writer, Made(2, 1, "x"))
    assert turned_away.value.retry_after_s == writing.RETRY_LATER_S
    monkeypatch.undo()
    assert served.until(lambda: writer.problem is None)
    store(writer, Made(2, 1, "x"))
    assert value("select count(*) from spans") == 2


def damage(path: Path) -> None:
    """Overwrite a block that the store needs."""
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(64))


def test_a_damaged_store_is_named_and_the_spool_stays(tmp_path: Path) -> None:
    """One line says what to do; what was spooled is loaded once that is done."""
    home = tmp_path / "home"
    spool = home / "spool"
    spool.mkdir(parents=True)
    path = home / "toolspend.duckdb"
    Store.open(path).close()
    damage(path)
    content = encode(otlp_requests.protobuf([Made(1, 1, "x")]))
    (spool / "1.spool").write_bytes(content)
    for command in (("ingest",), ("up", "--port", "0", "--otlp-port", "0", "--grpc-port", "0"), ("report",)):
        refused = served.run_here(home, *command)
        assert refused.returncode == 2
        assert "is damaged" in refused.stderr and "move it and toolspend.duckdb.wal away" in refused.stderr
        assert refused.stderr.count("\n") == 1
    assert (spool / "1.spool").read_bytes() == content
    path.rename(home / "damaged")
    assert "1 loaded" in served.run_here(home, "ingest").stdout


@pytest.mark.parametrize("command", [["report"], ["audit"], ["doctor"], ["reattribute"]])
def test_damage_that_a_question_finds_is_one_line(tmp_path: Path, command: list[str]) -> None:
    """A store may open well and have damage in its rows; what is said names it, and not the copy that was asked."""
    home = tmp_path / "home"
    path, made = home / "toolspend.duckdb", list[Made]()
    with Store.open(path) as opened:
        for trace in range(1, 500):
            made += [agent_trace.chat(trace, 1, trace, trace), agent_trace.tool(trace, 2, "search", f"{trace}", trace)]
        opened.append(batch(*made), "test", "test", None)
    damage_rows(path)
    found = served.run(home, *command)
    assert found.returncode == 2
    assert found.stderr.startswith(f"toolspend: {path} is damaged (Corrupt database file"), found.stderr
    assert found.stderr.count("\n") == 1


def damage_rows(path: Path) -> None:
    """Flip a bit in each block of the file that is not read when the store is opened and copied."""
    kept, tried = path.read_bytes(), path.with_name("tried.duckdb")
    for start in range(3 * 4096, len(kept), 262_144):
        damaged = bytearray(kept)
        damaged[start + 5_000] ^= 1
        tried.write_bytes(damaged)
        with contextlib.suppress(StoreDamaged), Store.open(tried) as opened:
            opened.snapshot(tried)
            kept = bytes(damaged)
    path.write_bytes(kept)


def test_damage_found_while_serving_is_not_written_over(writer: Writer) -> None:
    """What can be read is shown, and nothing more is taken until somebody has looked."""
    store(writer, Made(1, 1, "x"))

    def find(store: Store) -> None:
        with store.reading():
            raise duckdb.Error("Corrupt database file: computed checksum 1 does not match stored checksum 2")

    with pytest.raises(StoreDamaged):
        writer.call(find).result(timeout=10)
    time.sleep(2 * writing.REOPEN_S)
    assert "is damaged" in (writer.problem or "")
    with pytest.raises(Busy, match="is damaged"):
        store(writer, Made(2, 1, "x"))
    assert value("select count(*) from spans") == 1


def test_a_span_a_day_late_is_billed_where_it_belongs(writer: Writer) -> None:
    """The session is the same as if it had come in order."""
    spans = agent_trace.agent_spans()
    late = [span for span in spans if span.name.startswith("chat")][:1]
    store(writer, *[span for span in spans if span not in late])
    before = value("select count(*) from llm_requests")
    store(writer, Made(77, 1, "another day", at_s=86_400))
    store(writer, *late)
    ledger = state.read(lambda cursor: cursor.execute("select * from context_ledger order by all").fetchall())
    assert value("select count(*) from llm_requests") == before + 1
    writer.call(lambda store: store.rederive()).result(timeout=20)
    assert state.read(lambda cursor: cursor.execute("select * from context_ledger order by all").fetchall()) == ledger


def test_a_trace_that_never_ends_is_billed_as_it_grows(writer: Writer) -> None:
    """Its root never comes: every request that came is in the session, once."""
    for number in range(1, 6):
        store(writer, agent_trace.chat(1, number, number, number, parent=99))
        assert value("select sum(requests) from sessions") == number


@pytest.mark.parametrize("at_s", [-50 * 365 * 86_400.0, 200 * 365 * 86_400.0])
def test_a_senders_wrong_clock_costs_nobody_else(writer: Writer, at_s: float) -> None:
    """Spans of decades ago or ahead are stored beside those of now, and a copy sent again is one span."""
    for _ in range(2):
        store(writer, Made(1, 1, "odd", at_s=at_s), Made(2, 1, "now"))
    assert value("select count(*) from spans") == 2


def test_a_clock_put_forward_prunes_nothing(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was young when the server started is no older than the server has run since."""
    pruner = Pruner(writer, Keep(timedelta(days=30)))

    class Forward(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime(2126, 1, 1, tzinfo=UTC)

    from toolspend_dashboard import pruner as pruning

    monkeypatch.setattr(pruning, "datetime", Forward)
    assert pruner.now() < datetime.now(UTC).replace(tzinfo=None) + timedelta(minutes=1)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the lock of another process")
def test_the_lock_outlives_a_reopening(writer: Writer, tmp_path: Path) -> None:
    """Another process still cannot write to the store after it was closed and opened again."""
    with writer.store.reading() as cursor:
        cursor.execute("select 1").fetchall()

    def fail(store: Store) -> None:
        raise StoreFailed(store.path, "no space left on device")

    with pytest.raises(StoreFailed):
        writer.call(fail).result(timeout=10)
    assert served.until(lambda: writer.problem is None)
    refused = served.run(tmp_path, "ingest")
    assert refused.returncode == 2
    assert f"is open in process {os.getpid()}" in refused.stderr
