"""What one request may hold, and what all of them may."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from otlp_requests import Made, json_text, protobuf
from toolspend_dashboard import bodies
from toolspend_dashboard import writer as writing
from toolspend_dashboard.bodies import BodyError
from toolspend_dashboard.errors import Busy
from toolspend_dashboard.intake import SIGNALS, Intake
from toolspend_dashboard.writer import Writer
from toolspend_ingest import Store
from toolspend_ingest.aside import Aside

TRACES = SIGNALS[0]


@pytest.fixture
def writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Writer]:
    """A writer on an empty store."""
    monkeypatch.setenv("TOOLSPEND_HOME", str(tmp_path))
    made = Writer(Store.open(tmp_path / "toolspend.duckdb"))
    yield made
    made.close()


@pytest.fixture
def intake(writer: Writer) -> Intake:
    """One that may hold a hundred bytes."""
    return Intake(writer, Aside(), max_held_bytes=100)


def test_all_requests_together_hold_no_more_than_is_set(intake: Intake) -> None:
    """One alone may be larger, a second is told to come again, and what is answered makes room."""
    with intake.request() as first:
        first.grow(150)
        with pytest.raises(Busy, match="are waiting to be stored"), intake.request() as second:
            second.grow(1)
        first.grow(50)
        assert intake.status()["held_bytes"] == 200
    with intake.request() as third:
        third.grow(60)
        with intake.request() as fourth:
            fourth.grow(40)
    assert (intake.status()["held_bytes"], intake.status()["turned_away"]) == (0, 1)


def test_a_request_is_turned_away_before_it_is_read_where_nothing_can_be_stored(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is known before a body is taken into memory."""
    monkeypatch.setattr(writing, "MIN_FREE_DISK_BYTES", 1 << 62)
    with pytest.raises(Busy, match="is full, free some space"), intake.request():
        pytest.fail("it was let in")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_unfolding_ends_at_the_limit(intake: Intake, encoding: str) -> None:
    """No more than the limit is made of a body, and it is accounted for."""
    content = bytes(10_000)
    body = {
        "gzip": lambda: zlib.compress(content, wbits=zlib.MAX_WBITS | 16),
        "deflate": lambda: zlib.compress(content),
        "zstd": lambda: pa.compress(content, codec="zstd", asbytes=True),
    }[encoding]()
    with intake.request() as held:
        assert bodies.decompress(body, encoding, held, limit=10_000) == content
        assert intake.status()["held_bytes"] == 10_000
    with intake.request() as held, pytest.raises(BodyError) as refused:
        bodies.decompress(body, encoding, held, limit=9_999)
    assert refused.value.status == 413
    with intake.request() as held, pytest.raises(BodyError) as cut:
        bodies.decompress(body[:-4], encoding, held)
    assert cut.value.status == 400


@pytest.mark.parametrize("bits", [*range(9, 16), *range(-15, -8)])
@pytest.mark.parametrize("level", [0, 1, 6, 9])
def test_deflate_may_have_any_window_and_no_frame(intake: Intake, bits: int, level: int) -> None:
    """A small window is zlib's as much as the one that all take; some clients leave its frame out."""
    content = bytes(range(256)) * 40
    for given in (content, content[:3], b""):
        packed = zlib.compressobj(level, wbits=bits)
        with intake.request() as held:
            assert bodies.decompress(packed.compress(given) + packed.flush(), "deflate", held) == given


def test_several_members_are_one_body(intake: Intake) -> None:
    """Gzip and zstd may be written one after the other."""
    gzip = zlib.compress(b"one", wbits=zlib.MAX_WBITS | 16) + zlib.compress(b"two", wbits=zlib.MAX_WBITS | 16)
    zstd = pa.compress(b"one", codec="zstd", asbytes=True) + pa.compress(b"two", codec="zstd", asbytes=True)
    with intake.request() as held:
        assert bodies.decompress(gzip, "gzip", held) == bodies.decompress(zstd, "zstd", held) == b"onetwo"


def test_what_came_is_counted_by_signal(intake: Intake) -> None:
    """Requests, bytes, spans, and what was refused or holds nothing to store."""
    body = protobuf([Made(1, 1, "x"), Made(1, 2, "y")])
    intake.take(TRACES, body, "protobuf", "test").done.result(timeout=20)
    intake.take(TRACES, b"{", "json", "test").done.result(timeout=20)
    logs = b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": "1"}]}]}]}'
    intake.take(SIGNALS[1], logs, "json", "test").done.result(timeout=20)
    received = intake.status()["received"]
    of_traces = {"requests": 2, "bytes": len(body) + 1, "spans": 2, "refused": 1, "skipped": 0, "passed_over": 0}
    assert received["traces"] == of_traces
    assert received["logs"] == {
        "requests": 1,
        "bytes": len(logs),
        "spans": 0,
        "refused": 0,
        "skipped": 1,
        "passed_over": 1,
    }


def test_requests_of_two_receivers_are_logged_apart(intake: Intake, writer: Writer) -> None:
    """A commit has one source, so that the log says what came from where."""
    sources = ("otlp-http", "otlp-grpc", "otlp-http")
    for number, source in enumerate(sources, 1):
        intake.take(TRACES, json_text([Made(number, 1, "x")]).encode(), "json", source)
    writer.call(lambda store: None).result(timeout=20)
    with writer.store.reading() as cursor:
        logged = cursor.execute("select source, cast(sum(spans) as bigint) from ingest_log group by source").fetchall()
    assert dict(logged) == {"otlp-http": 2, "otlp-grpc": 1}
