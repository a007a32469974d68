"""Deriving in a process of its own: the same tables, and nothing but time is lost where it dies."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

import traffic
from sessions_that_go_on import SETTLED, assert_whole, spans_of
from simulator import Simulated
from toolspend_ingest import Store
from toolspend_ingest.apart import Apart
from toolspend_ingest.apart_child import serve
from toolspend_ingest.attribution import densities
from toolspend_ingest.decode import decode
from toolspend_ingest.errors import NotDerived
from toolspend_ingest.news import News
from toolspend_ingest.pipes import Pipe
from toolspend_ingest.spans import SpanBatch, SpanRow
from toolspend_ingest.store import Due, Load

Simulate = Callable[[str, int], Simulated]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store that derives in a child."""
    with Store.open(tmp_path / "toolspend.duckdb") as made:
        made.derive_apart()
        yield made


def put(store: Store, spans: Sequence[SpanRow] | SpanBatch) -> None:
    batch = spans if isinstance(spans, SpanBatch) else SpanBatch(spans)
    store.append_load(batch, Load("test", "test", None), is_derived_later=True)


def child_of(store: Store) -> int:
    apart = store._derivation
    assert isinstance(apart, Apart)
    assert apart.pid is not None
    return apart.pid


def put_bit_by_bit(store: Store, one: Sequence[SpanRow], two: Sequence[SpanRow]) -> None:
    """Two sessions that come a little at a time, one span late, and then others, each derived as it comes."""
    dice = random.Random(7)
    spans = [span for pair in zip(one, two, strict=False) for span in pair]
    late = spans.pop(-40)
    begin = 0
    while begin < len(spans):
        end = begin + (dice.choice((2, 8, 30)) if begin else len(spans) // 2)
        put(store, spans[begin:end])
        store.derive_pending(dice.choice((None, 1)))
        begin = end
    put(store, [late])
    for number in range(6):
        put(store, decode(traffic.whole(number + 1), "protobuf").spans)
    store.derive_pending()


def test_the_tables_are_those_that_one_process_makes(simulated: Simulate, store: Store) -> None:
    """Whatever comes when."""
    put_bit_by_bit(store, spans_of(simulated("cached", 1)), spans_of(simulated("edited", 2)))
    assert_whole(store)


def test_sessions_go_on_in_the_child_too(simulated: Simulate, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are added to, and a rollback is heard of. (A thread stands for the child: here sessions settle early.)"""
    monkeypatch.setattr(densities, "ALL_EQUATIONS", SETTLED)
    (there, here), (back, forth) = os.pipe(), os.pipe()
    ends = Pipe(os.fdopen(there, "rb"), os.fdopen(forth, "wb")), Pipe(os.fdopen(back, "rb"), os.fdopen(here, "wb"))
    monkeypatch.setattr(Apart, "_started", lambda _self: ends[1])
    thread = threading.Thread(target=serve, args=(ends[0],), daemon=True)
    thread.start()
    spans = spans_of(simulated("cached", 1))
    half, went_on = len(spans) // 2, []
    put(store, spans[:half])
    for place in range(half, len(spans), 3):
        if place == half + 6:
            store.write(lambda con: con.execute("select 1"))
        store.derive_pending()
        put(store, spans[place : place + 3])
        went_on.append(store.went_on[0])
    store.derive_pending()
    assert went_on[:5] == [0, 1, 1, 2, 3]
    assert store.went_on[1] > 0
    ends[1].close()
    thread.join()
    assert_whole(store)


def test_the_child_loads_nothing_that_makes_frames(store: Store) -> None:
    """Arrow would load pandas with the first column that becomes an array."""
    put(store, decode(traffic.whole(1), "protobuf").spans)
    assert store.derive_pending() == Due(1, 0)
    maps = Path(f"/proc/{child_of(store)}/maps")
    if not maps.is_file():
        pytest.skip("only Linux tells what a process has loaded")
    assert "/numpy/" in maps.read_text()
    assert "/pandas/" not in maps.read_text()


def test_a_child_that_is_killed_leaves_what_is_due(simulated: Simulate, store: Store) -> None:
    """Killed between two pieces of work or within one: it is started again, and the tables are whole."""
    spans = spans_of(simulated("cached", 1))
    put(store, spans[:-8])
    store.derive_pending()
    os.kill(child_of(store), signal.SIGKILL)
    put(store, spans[-8:-4])
    while True:
        try:
            store.derive_pending()
            break
        except NotDerived:  # it was still dying
            continue
    put(store, spans[-4:])
    os.kill(child_of(store), signal.SIGSTOP)
    subprocess.Popen(["/bin/sh", "-c", f"sleep 0.3; kill -9 {child_of(store)}"])
    with pytest.raises(NotDerived, match="ended"):
        store.derive_pending()
    assert store.derive_pending() == Due(len({span.trace_id for span in spans[-4:]}), 0)
    assert_whole(store)


def test_what_fails_in_the_child_is_told_and_stays_due(
    simulated: Simulate, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its stack is logged once, the last line is in the error, and the same child goes on."""
    spans = spans_of(simulated("cached", 1))
    put(store, spans[:20])
    store.derive_pending()
    put(store, spans[20:])
    with monkeypatch.context() as patched:
        patched.setattr(SpanBatch, "to_arrow", lambda _self: pa.table({"other": pa.array([1])}))
        patched.setattr(News, "take", lambda _self, _traces: News())
        for _ in range(2):
            store._derivation._must_forget.clear()  # type: ignore[attr-defined]
            patched.setattr(store._derivation, "_knows_any", True)
            with pytest.raises(NotDerived, match="Error"):
                store.derive_pending()
    assert len([record for record in caplog.records if "Traceback" in record.message]) == 1
    child = child_of(store)
    assert store.derive_pending().left == 0
    assert child_of(store) == child
    assert_whole(store)


def test_a_statement_that_fails_ends_the_child(simulated: Simulate, store: Store) -> None:
    """What it worked on is rolled back; a new one makes it from the store."""
    put(store, spans_of(simulated("cached", 1)))
    store.cursor().execute("alter table context_ledger rename to away")
    with pytest.raises(duckdb.CatalogException):
        store.derive_pending()
    store.cursor().execute("alter table away rename to context_ledger")
    assert store.derive_pending().left == 0
    assert_whole(store)


def test_the_child_is_started_when_asked_for_or_needed(store: Store, simulated: Simulate) -> None:
    """Not before, as it takes a second of CPU; and not for a store that is closed."""
    apart = store._derivation
    assert isinstance(apart, Apart)
    assert store.derive_pending() == Due(0, 0)
    assert apart.pid is None
    store.prepare_to_derive()
    child = child_of(store)
    put(store, spans_of(simulated("cached", 1))[:20])
    store.derive_pending()
    assert child_of(store) == child
    store.close()
    store.prepare_to_derive()
    assert apart.pid is None


def test_the_child_ends_with_the_store(simulated: Simulate, tmp_path: Path) -> None:
    """No process is left behind."""
    with Store.open(tmp_path / "one.duckdb") as store:
        store.derive_apart()
        put(store, spans_of(simulated("cached", 1))[:20])
        store.derive_pending()
        child = child_of(store)
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_where_no_process_can_be_started_it_is_derived_here(
    simulated: Simulate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """That is said once."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "gone"))
    spans = spans_of(simulated("cached", 1))
    with Store.open(tmp_path / "one.duckdb") as store:
        store.derive_apart()
        for part in (spans[:20], spans[20:]):
            put(store, part)
            assert store.derive_pending().left == 0
        assert_whole(store)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a pipe be made wider")
def test_who_sends_a_table_of_half_a_megabyte_does_not_wait_for_its_reader() -> None:
    """It goes on while the other end is busy."""
    reads, writes = os.pipe()
    reader, writer = Pipe(os.fdopen(reads, "rb"), io.BytesIO()), Pipe(io.BytesIO(), os.fdopen(writes, "wb"))
    table = pa.table({"text": ["x" * 1000] * 500})
    sender = threading.Thread(target=writer.send, args=("insert",), kwargs={"table": table}, daemon=True)
    sender.start()
    sender.join(10)
    assert not sender.is_alive()
    assert reader.receive() == (("insert",), table)
    writer.close()
    reader.close()
