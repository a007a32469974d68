"""What the commands keep, prune, read again and say of what waits."""

from __future__ import annotations

import gzip
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import otlp_requests
import served
from otlp_requests import START, Made, protobuf
from toolspend._frames import encode
from toolspend_dashboard import health, state
from toolspend_dashboard.cli._loading import with_bar
from toolspend_dashboard.pruner import Pruner
from toolspend_dashboard.writer import Writer
from toolspend_ingest import Store, Summary, ingest
from toolspend_ingest.retention import Keep

GOOD = protobuf([Made(1, 1, "good")])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A TOOLSPEND_HOME of the test's own."""
    home = tmp_path / "home"
    (home / "spool").mkdir(parents=True)
    return home


def kept(home: Path) -> list[Path]:
    """What was refused and is kept."""
    return sorted((home / "refused").glob("*"))


def test_damaged_frames_are_kept_and_read_again_once_they_can_be(home: Path) -> None:
    """A file of the spool goes once it is loaded; what was damaged in it stays, until a retry can read it."""
    spooled = encode(GOOD) + b"not a frame" + encode(b"\xff\xff\xff") + encode(protobuf([Made(2, 1, "also good")]))
    (home / "spool" / "1.spool").write_bytes(spooled)
    loaded = served.run_here(home, "ingest")
    assert (loaded.returncode, list((home / "spool").iterdir())) == (1, [])
    assert "2 loaded" in loaded.stdout and "2 refused" in loaded.stdout
    assert sorted(path.read_bytes() for path in kept(home)) == [b"not a frame", b"\xff\xff\xff"]
    for path in kept(home):
        assert f"kept as refused/{path.name}" in loaded.stderr
        assert path.stat().st_mode & 0o077 == 0
    assert "refused input are kept" in served.run_here(home, "doctor").stdout

    again = served.run_here(home, "ingest", "--retry")
    assert (again.returncode, len(kept(home))) == (1, 2)
    next(path for path in kept(home) if path.suffix == ".pb").write_bytes(protobuf([Made(3, 1, "mended")]))
    mended = served.run_here(home, "ingest", "--retry")
    assert "1 loaded" in mended.stdout
    assert [path.read_bytes() for path in kept(home)] == [b"not a frame"]
    kept(home)[0].unlink()
    nothing = served.run_here(home, "ingest", "--retry")
    assert (nothing.returncode, nothing.stdout) == (0, "nothing was refused and kept aside\n")


def test_what_is_refused_again_is_counted_once(home: Path) -> None:
    """However often it is tried again: the records that could not be read are as many as before."""
    without_id = [Made(trace, 0, "bad") for trace in range(2, 9)]
    (home / "spool" / "1.spool").write_bytes(encode(protobuf([Made(1, 1, "good"), *without_id])))
    count = ("sql", "select sum(refused) from ingest_log", "-f", "csv")
    loaded = served.run_here(home, "ingest")
    assert (loaded.returncode, loaded.stdout) == (1, "1 source: 1 loaded, 0 already there, 7 refused\n")
    assert "1.spool: 7 refused, 0 dropped" in served.run_here(home, "doctor").stdout
    for _ in range(2):
        again = served.run_here(home, "ingest", "--retry")
        assert (again.returncode, again.stdout) == (1, "1 source: 0 loaded, 1 already there, 7 refused\n")
        assert "span id is all zeros" in again.stderr
        assert served.run_here(home, *count).stdout.split()[1] == "7"


def test_a_folder_beside_what_is_kept_is_left_alone(home: Path) -> None:
    """Neither a retry nor pruning takes it for refused input, however old it is."""
    (home / "spool" / "1.spool").write_bytes(encode(b"\xff\xff\xff"))
    assert served.run_here(home, "ingest").returncode == 1
    mine = home / "refused" / "mine"
    mine.mkdir()
    (mine / "note.json").write_text("{}", encoding="utf-8")
    os.utime(mine, (0, 0))
    retried = served.run_here(home, "ingest", "--retry")
    assert (retried.returncode, retried.stdout) == (1, "1 source: 0 loaded, 0 already there, 1 refused\n"), (
        retried.stderr
    )
    pruned = served.run_here(home, "ingest", "--retain", "30d")
    assert (pruned.returncode, pruned.stderr) == (0, "")
    assert (mine / "note.json").exists() and len(kept(home)) == 2


def test_what_is_kept_is_bounded(tmp_path: Path) -> None:
    """The oldest makes room, the same bytes are kept once, and what is too large is not kept."""
    from toolspend_ingest.aside import Aside

    aside = Aside(tmp_path / "refused", max_bytes=100)
    names = [aside.keep(bytes([number]) * 40, "a", ".pb") for number in (1, 2, 2, 3)]
    assert names[1] == names[2]
    assert [path.read_bytes()[0] for path in aside.files()] == [2, 3]
    assert aside.keep(bytes(101), "a", ".pb") is None
    assert aside.named("why", bytes(101), "a", ".pb") == "why; not kept"
    assert aside.size() == 80


def test_a_refused_request_is_read_again_by_the_running_server(home: Path) -> None:
    """The page's button has the server read it, which owns the store."""
    from toolspend_dashboard import snapshot
    from toolspend_ingest.aside import Aside

    Aside(home / "refused").keep(gzip.compress(GOOD), "otlp-http", ".gzip")
    writer = Writer(Store.open(home / "toolspend.duckdb"))
    state.set_holder(writer)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TOOLSPEND_HOME", str(home))
            assert snapshot.retry().spans == 1
        assert kept(home) == []
        assert state.read(lambda cursor: cursor.execute("select name from spans").fetchall()) == [("good",)]
    finally:
        state.set_holder(None)
        writer.close()


def test_ingest_prunes_what_is_older_than_told(home: Path) -> None:
    """With --retain the load ends with pruning; an age that is none is one line."""
    now_s = datetime.now(UTC).timestamp() - START / 1e9
    spans = [Made(1, 1, "old"), Made(2, 1, "young", at_s=now_s - 3600)]
    (home / "spool" / "1.spool").write_bytes(encode(protobuf(spans)))
    for command in ("ingest", "up"):
        for age in ("soon", "999999d"):
            wrong = served.run_here(home, command, "--retain", age)
            assert wrong.returncode == 2
            assert "give hours, days or weeks" in wrong.stderr and wrong.stderr.count("\n") == 1
    done = served.run_here(home, "ingest", "--retain", "1d")
    assert done.stdout.splitlines() == [
        "1 source: 2 loaded, 0 already there, 0 refused",
        "1 spans removed, 0 emptied of their content: older than told",
    ]
    assert served.run_here(home, "sql", "select name from spans", "-f", "csv").stdout.split() == ["name", "young"]


def test_the_server_prunes_by_itself(home: Path) -> None:
    """`--retain` removes old sessions beside what is stored meanwhile, and says how many spans went."""
    writer = Writer(Store.open(home / "toolspend.duckdb"))
    pruner = Pruner(writer, Keep(timedelta(days=1)), every_s=0.05)
    try:
        spans = otlp_requests.protobuf([Made(1, 1, "old")])
        from toolspend_ingest.decode import decode

        writer.submit(decode(spans, "protobuf").spans, source="test").result(timeout=20)
        pruner.start()
        assert served.until(lambda: pruner.pruned.spans == 1)
        with writer.store.reading() as cursor:
            assert cursor.execute("select count(*) from spans").fetchone() == (0,)
    finally:
        pruner.stop()
        writer.close()


def test_the_doctor_says_what_is_not_loaded(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes and frames of the spool beyond what was read."""
    import fcntl

    path = home / "spool" / "1.spool"
    with path.open("wb", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(encode(GOOD))
        assert served.run_here(home, "ingest").returncode == 0
        assert "all of the spool is loaded" in served.run_here(home, "doctor").stdout
        more = encode(protobuf([Made(2, 1, "x")])) + encode(protobuf([Made(3, 1, "x")]))
        file.write(more)
        monkeypatch.setattr(health, "FEWEST_SPANS", 1)
        shown = served.run_here(home, "doctor").stdout
        assert f"not loaded yet: {len(more):,} bytes of the spool in 2 frames" in shown
        assert "bytes a span with all that follows from it" in shown


def test_a_long_load_says_how_far_it_is(home: Path, tmp_path: Path) -> None:
    """After each chunk the bytes and the spans rise, up to all of them; the bar takes what it is told."""
    from toolspend_ingest import sources

    file = tmp_path / "traces.jsonl"
    line = otlp_requests.json_text([Made(1, number, "x" * 500) for number in range(1, 50)])
    file.write_text("\n".join(line.replace(f"{1:032x}", f"{trace:032x}") for trace in range(1, 9)), encoding="utf-8")
    told: list[tuple[int, int, int]] = []
    with pytest.MonkeyPatch.context() as patch, Store.open(home / "toolspend.duckdb") as store:
        patch.setattr("toolspend_ingest.sources.files.CHUNK_BYTES", sources.CHUNK_BYTES // 200)

        def work(progress: object) -> Summary:
            def report(name: str, done: int, total: int, spans: int) -> None:
                told.append((done, total, spans))
                progress(name, done, total, spans)  # type: ignore[operator]

            return ingest(store, [file], progress=report)

        assert with_bar(work, show_progress=True).spans == 8 * 49
    size = file.stat().st_size
    assert len(told) > 4
    assert told == sorted(told)
    assert (told[0], told[-1]) == ((0, size, 0), (size, size, 8 * 49))


def test_a_file_that_was_read_before_is_said_to_be(home: Path, tmp_path: Path) -> None:
    """Nothing is refused of it this time, as nothing is read; that is no sign of it being whole."""
    garbled = tmp_path / "garbled.bin"
    garbled.write_bytes(b"\x00\xff" * 100)
    assert served.run_here(home, "ingest", garbled).returncode == 1
    again = served.run_here(home, "ingest", garbled)
    assert again.stdout == "1 source: 0 loaded, 0 already there, 0 refused, it was read before\n"
