"""Zstandard in pieces: whole, cut off, damaged, and asking for too much."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolspend_ingest import zstd

MEMORY = Path("/proc/self/statm")


def packed(content: bytes) -> bytes:
    """One frame."""
    return pa.compress(content, codec="zstd", asbytes=True)


def read(raw: bytes, most: int = 1 << 20, start: int = 0) -> tuple[bytes, str | None]:
    """What could be read, and why no more."""
    parts: list[bytes] = []
    try:
        for part in zstd.pieces(raw, most, window_log=zstd.WINDOW_LOG_OF_BODIES, start=start):
            assert 0 < len(part) <= most
            parts.append(part)
    except zstd.DamagedError as error:
        return b"".join(parts), str(error)
    return b"".join(parts), None


@given(st.lists(st.binary(max_size=300), max_size=4), st.integers(1, 50), st.integers(0, 400))
def test_all_frames_are_read_from_anywhere(contents: list[bytes], most: int, start: int) -> None:
    """In pieces of any size, from any byte on."""
    raw, whole = b"".join(map(packed, contents)), b"".join(contents)
    assert read(raw, most) == (whole, None)
    assert read(raw, most, start) == (whole[start:], None)


@given(st.binary(min_size=1, max_size=2_000), st.data())
def test_what_was_cut_off_gives_what_comes_before(content: bytes, data: st.DataObject) -> None:
    """A beginning of the content, and that it is cut off, at whatever byte."""
    raw = packed(content)
    found, why = read(raw[: data.draw(st.integers(1, len(raw) - 1))], most=1)
    assert content.startswith(found)
    assert why == "it is cut off"


@given(st.binary(max_size=200))
def test_what_is_no_zstandard_is_said(raw: bytes) -> None:
    """Any bytes are read or said to be damaged, on one line."""
    _, why = read(zstd.MAGIC + raw)
    assert why is None or "\n" not in why
    assert read(b"x" + raw)[1] is not None


def test_a_frame_is_given_no_more_memory_than_told() -> None:
    """One whose window is 128 MiB is refused for a body and read for a file."""
    raw = zstd.MAGIC + bytes([0b0000_0000, 17 << 3]) + bytes([0b0010_1001, 0, 0]) + b"hello"  # a raw block, the last
    with pytest.raises(zstd.DamagedError, match="memory"):
        list(zstd.pieces(raw, 10, window_log=zstd.WINDOW_LOG_OF_BODIES))
    assert list(zstd.pieces(raw, 10, window_log=zstd.WINDOW_LOG_OF_FILES)) == [b"hello"]


@pytest.mark.skipif(not MEMORY.exists(), reason="this system does not say how much memory a process has")
def test_bodies_that_are_cut_off_leave_nothing_behind() -> None:
    """Thousands of them take no memory that stays: the receiver runs for weeks."""
    raw = packed(random.Random(1).randbytes(3_000))[:-500]

    def resident_kb() -> int:
        return int(MEMORY.read_text().split()[1]) * 4

    for _ in range(500):
        assert read(raw)[1] is not None
    before = resident_kb()
    for _ in range(5_000):
        read(raw)
    assert resident_kb() - before < 8_000
