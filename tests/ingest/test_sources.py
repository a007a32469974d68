"""The spool and files of OTLP: read once, continued where they grew, and whole around damage."""

from __future__ import annotations

import fcntl
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from otlp_requests import Made, json_text, protobuf
from toolspend import _frames
from toolspend_ingest import Store, Summary, ingest
from toolspend_ingest.errors import SourceUnreadable, StoreFailed

Rows = Callable[[str], list[dict[str, Any]]]


def frame(number: int, dropped: int = 0) -> bytes:
    """A frame with one span of its own."""
    return _frames.encode(protobuf([Made(number, 1, f"s{number}")]), dropped)


def line(number: int) -> bytes:
    """A JSON line with one span of its own."""
    return json_text([Made(number, 1, f"s{number}")]).encode() + b"\n"


def counts(summary: Summary) -> tuple[int, int, int]:
    return summary.spans, summary.duplicates, summary.refused


@pytest.fixture
def spool(home: Path) -> Path:
    """The spool's folder."""
    folder = home / "spool"
    folder.mkdir(parents=True)
    return folder


def test_an_empty_home_has_nothing_to_load(store: Store) -> None:
    """Without a spool there are no sources, and nothing is logged."""
    summary = ingest(store, None)
    assert (summary.sources, summary.has_refused) == ([], False)
    assert store.cursor().execute("select count(*) from ingest_log").fetchone() == (0,)


def test_a_finished_file_is_loaded_and_deleted(store: Store, spool: Path, rows: Rows) -> None:
    """The spans of a writer that is gone are stored, its drops are logged, and its file makes room."""
    (spool / "1.spool").write_bytes(frame(1) + frame(2, dropped=3) + _frames.encode(b"", 4))
    summary = ingest(store, None)
    assert (counts(summary), summary.dropped, summary.has_refused) == ((2, 0, 0), 7, False)
    assert list(spool.iterdir()) == []
    assert rows("select source, spans, dropped, reason from ingest_log") == [
        {"source": "1.spool", "spans": 2, "dropped": 7, "reason": "7 spans were dropped by the sender"}
    ]


def test_a_file_in_use_is_followed(store: Store, spool: Path) -> None:
    """While its writer lives a file stays, an unfinished frame waits, and each frame is loaded once."""
    path = spool / "1.spool"
    with path.open("ab", buffering=0) as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        writer.write(frame(1) + frame(2)[:20])
        assert counts(ingest(store, None)) == (1, 0, 0)
        assert counts(ingest(store, None)) == (0, 0, 0)
        writer.write(frame(2)[20:])
        assert counts(ingest(store, None)) == (1, 0, 0)
        assert path.exists()
    assert counts(ingest(store, None)) == (0, 0, 0)
    assert not path.exists()


def test_a_torn_end_is_named_once_the_writer_is_gone(store: Store, spool: Path, rows: Rows) -> None:
    """A process killed while writing loses the frame it was at, which is said; the file goes."""
    (spool / "1.spool").write_bytes(frame(1) + frame(2)[:-1])
    summary = ingest(store, None)
    assert (counts(summary), summary.has_refused) == ((1, 0, 1), True)
    assert "cut off" in rows("select reason from ingest_log")[0]["reason"]
    assert list(spool.iterdir()) == []
    assert not ingest(store, None).has_refused


def test_every_whole_frame_around_damage_is_loaded(store: Store, spool: Path) -> None:
    """Zeros at the start, garbage between, a flipped bit within and a torn end cost only the frames they hit."""
    flipped = bytearray(frame(4))
    flipped[30] ^= 1
    content = b"\0" * 50 + frame(1) + b"TSP1 garbage" + frame(2) + bytes(flipped) + frame(3) + frame(5)[:9]
    (spool / "1.spool").write_bytes(content)
    summary = ingest(store, None)
    assert counts(summary) == (3, 0, 4)
    (source,) = summary.sources
    assert source.reason is not None
    assert source.reason.startswith("bytes 0 to 50: ")


def test_a_bad_span_in_a_frame_is_named_with_its_frame(store: Store, spool: Path) -> None:
    """A frame that is whole may hold a payload that is not: its whole spans are loaded."""
    payload = protobuf([Made(1, 1, "a"), Made(1, 2, "b")])
    (spool / "1.spool").write_bytes(_frames.encode(payload[:-3]))
    summary = ingest(store, None)
    assert counts(summary) == (1, 0, 1)
    assert str(summary.sources[0].refusals[0]).startswith("frame at byte 0: ")


def test_a_crash_between_commit_and_deletion_doubles_nothing(store: Store, spool: Path) -> None:
    """The position is stored with the spans: a file that was not deleted in time is only deleted."""
    path = spool / "1.spool"
    path.write_bytes(frame(1) + frame(2))
    content = path.read_bytes()
    ingest(store, None)
    path.write_bytes(content)
    assert counts(ingest(store, None)) == (0, 0, 0)
    assert not path.exists()


def test_what_is_not_stored_stays_in_the_spool(store: Store, spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the store cannot be written the file is kept, and the next run loads it."""
    path = spool / "1.spool"
    path.write_bytes(frame(1))
    with monkeypatch.context() as patched:

        def fail(*_: object) -> None:
            raise OSError("disk full")

        patched.setattr("toolspend_ingest.pipeline.derive", fail)
        with pytest.raises(StoreFailed):
            ingest(store, None)
    assert path.exists()
    assert counts(ingest(store, None)) == (1, 0, 0)


FORMATS: dict[str, bytes] = {
    "a.pb": protobuf([Made(1, 1, "a"), Made(1, 2, "b")]),
    "a.bin": protobuf([Made(1, 1, "a"), Made(1, 2, "b")]),
    "a.json": json_text([Made(1, 1, "a"), Made(1, 2, "b")]).encode(),
    "pretty.json": json.dumps(json.loads(json_text([Made(1, 1, "a"), Made(1, 2, "b")])), indent=1).encode(),
    "array.json": b"[" + line(1).strip() + b",\n" + line(2).strip() + b"]",
    "lines.json": line(1) + line(2),
    "a.jsonl": b"\xef\xbb\xbf" + line(1) + b"\r\n" + line(2).strip(),
    "a.ndjson": line(1) + line(2),
    "misnamed.pb": line(1) + line(2),
    "misnamed.json": protobuf([Made(1, 1, "a"), Made(1, 2, "b")]),
    "a.otlp": line(1) + line(2),
    "a.spool": frame(1) + frame(2),
}


@pytest.mark.parametrize("packing", ["", ".gz", ".zst"])
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_told_by_its_content(store: Store, tmp_path: Path, name: str, packing: str) -> None:
    """Each encoding, plain or compressed, named well or badly, gives its two spans once."""
    content = FORMATS[name]
    if packing == ".gz":
        content = gzip.compress(content)
    elif packing == ".zst":
        content = pa.Codec("zstd").compress(content, asbytes=True)
    path = tmp_path / f"{name}{packing}"
    path.write_bytes(content)
    assert counts(ingest(store, [path])) == (2, 0, 0)
    assert counts(ingest(store, [path])) == (0, 0, 0)
    assert path.exists()


def test_folders_are_searched_below(store: Store, tmp_path: Path) -> None:
    """A folder's OTLP files are loaded in order of their names; other files are left alone."""
    folder = tmp_path / "in" / "deep"
    folder.mkdir(parents=True)
    (folder / "b.jsonl").write_bytes(line(1))
    (folder / "a.json.gz").write_bytes(gzip.compress(line(2)))
    (folder / "notes.txt").write_text("no spans here")
    seen: list[tuple[str, int, int]] = []
    summary = ingest(store, [folder.parent], progress=lambda *step: seen.append(step))
    assert [Path(source.source).name for source in summary.sources] == ["a.json.gz", "b.jsonl"]
    assert counts(summary) == (2, 0, 0)
    assert seen[0][1] == 0
    assert seen[-1][1] == seen[-1][2] == sum(path.stat().st_size for path in folder.glob("*.json*"))


def test_a_file_that_grew_is_continued(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """New lines are read from where the last run ended, and line numbers go on."""
    monkeypatch.setattr("toolspend_ingest.sources.files.CHUNK_BYTES", 100)
    path = tmp_path / "a.jsonl"
    path.write_bytes(line(1) + line(2))
    assert counts(ingest(store, [path])) == (2, 0, 0)
    path.write_bytes(path.read_bytes() + line(3) + b"broken\n" + line(4))
    summary = ingest(store, [path])
    assert counts(summary) == (2, 0, 1)
    assert summary.sources[0].refusals[0].where == "line 4"


def test_a_line_cut_off_is_refused_until_it_is_whole(store: Store, tmp_path: Path) -> None:
    """The end of a file that is being written is named, and read again when it has grown."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(line(1) + line(2)[:50])
    for spans in (1, 0):
        summary = ingest(store, [path])
        assert (counts(summary), summary.sources[0].refusals[0].where) == ((spans, 0, 1), "line 2")
    path.write_bytes(line(1) + line(2))
    assert counts(ingest(store, [path])) == (1, 0, 0)


def test_a_file_that_was_replaced_is_read_anew(store: Store, tmp_path: Path) -> None:
    """Other content under the same name is no continuation, also when it begins alike."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(line(1) + line(2))
    ingest(store, [path])
    path.write_bytes(line(1) + line(3) + line(4))
    assert counts(ingest(store, [path])) == (2, 1, 0)


def test_a_copy_of_a_loaded_file_loads_nothing(store: Store, tmp_path: Path) -> None:
    """The same content under another name is known."""
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_bytes(line(1) + line(2))
    assert counts(ingest(store, [tmp_path / "a.jsonl"])) == (2, 0, 0)
    assert counts(ingest(store, [tmp_path / "b.jsonl"])) == (0, 0, 0)


@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_a_compressed_file_that_is_cut_off_gives_what_it_has(store: Store, tmp_path: Path, packing: str) -> None:
    """The whole lines before the damage are loaded, and the damage is named."""
    content = b"".join(line(number) for number in range(1, 3001))
    packed = gzip.compress(content) if packing == "gz" else pa.Codec("zstd").compress(content, asbytes=True)
    path = tmp_path / f"a.jsonl.{packing}"
    path.write_bytes(packed[: len(packed) * 3 // 4])
    summary = ingest(store, [path])
    assert 0 < summary.spans < 3000
    assert any(f"damaged {'gzip' if packing == 'gz' else 'zstd'}" in str(each) for each in summary.sources[0].refusals)


def test_a_path_that_is_not_there_is_said_before_anything_is_loaded(store: Store, tmp_path: Path) -> None:
    """One wrong path among several loads none, and names it on one line."""
    (tmp_path / "a.jsonl").write_bytes(line(1))
    with pytest.raises(SourceUnreadable) as error:
        ingest(store, [tmp_path / "a.jsonl", tmp_path / "nope.json"])
    assert "nope.json" in str(error.value) and "\n" not in str(error.value)
    assert store.cursor().execute("select count(*) from spans").fetchone() == (0,)


def test_what_is_not_otlp_is_refused_and_logged(store: Store, tmp_path: Path, rows: Rows) -> None:
    """A picture, a text and JSON of another kind are refusals with a reason each; an empty file is nothing."""
    for name, content in {
        "a.bin": b"\x89PNG\r\n\x1a\n" + bytes(40),
        "b.json": b'{"rows": []}',
        "c.json": b" \n",
    }.items():
        (tmp_path / name).write_bytes(content)
    summary = ingest(store, [tmp_path])
    assert [source.refused > 0 for source in summary.sources] == [True, True, False]
    assert len(rows("from ingest_log where refused > 0 and reason is not null")) == 2


def test_malformed_recordings_load_through_files(recordings: Path, store: Store, rows: Rows) -> None:
    """The folder of malformed files gives its six good spans and a reason for each bad file."""
    summary = ingest(store, [recordings / "malformed_otlp" / "duckdb-otlp-malformed"])
    assert (summary.spans, summary.has_refused) == (6, True)
    refused = {Path(source.source).name for source in summary.sources if source.refused}
    assert refused == {"malformed.jsonl", "multifile_malformed_traces.jsonl", "expected.json"}
    assert "line 2" in rows("select reason from ingest_log where source like '%/malformed.jsonl'")[0]["reason"]
