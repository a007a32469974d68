"""The spool's framing: how batches of spans lie in a file, and how to find them again after damage.

A file is a sequence of frames: the magic `TSP1`, then three little-endian 32-bit numbers (length of the payload,
CRC-32, spans that the writer dropped since its last frame), then the payload, a serialized OTLP
`ExportTraceServiceRequest`.
The checksum covers the length, the dropped count and the payload. A frame may have an empty payload: then it only says
how many spans were dropped.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MAGIC: Final = b"TSP1"
_COUNTS: Final = struct.Struct("<II")
_HEADER: Final = struct.Struct("<4sIII")
HEADER_BYTES: Final = _HEADER.size
_MAX_COUNT: Final = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Frame:
    """A whole frame: its byte range in the file, its payload, and the spans dropped before it."""

    start: int
    end: int
    payload: bytes
    dropped: int


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that belong to no whole frame. `is_tail` when no whole frame follows: a writer may still be at it."""

    start: int
    end: int
    reason: str
    is_tail: bool


def encode(payload: bytes, dropped: int = 0) -> bytes:
    """One frame of `payload`, saying that `dropped` spans were lost before it."""
    counts = _COUNTS.pack(len(payload), min(dropped, _MAX_COUNT))
    checksum = zlib.crc32(payload, zlib.crc32(counts))
    return _HEADER.pack(MAGIC, len(payload), checksum, min(dropped, _MAX_COUNT)) + payload


def frame_bytes(header: bytes) -> int | None:
    """How long a frame with this header is as a whole; None where it is no header."""
    if len(header) < HEADER_BYTES or not header.startswith(MAGIC):
        return None
    return HEADER_BYTES + int(_HEADER.unpack_from(header)[1])


def frames(data: bytes, offset: int = 0) -> Iterator[Frame | Damage]:
    """Every whole frame of `data` from `offset` on, and between them the damage, in file order.

    `offset` must be 0 or the end of a frame or of a damage. Every byte from there on lies in exactly one item.
    """
    while offset < len(data):
        frame = _frame_at(data, offset)
        if frame is None:
            reason = _reason(data, offset)
            frame = _next_frame(data, offset + 1)
            if frame is None:
                yield Damage(offset, len(data), reason, is_tail=True)
                return
            yield Damage(offset, frame.start, reason, is_tail=False)
        yield frame
        offset = frame.end


def _frame_at(data: bytes, offset: int) -> Frame | None:
    start = offset + HEADER_BYTES
    if len(data) < start or not data.startswith(MAGIC, offset):
        return None
    _, length, checksum, dropped = _HEADER.unpack_from(data, offset)
    end = start + length
    if end > len(data):
        return None
    payload = bytes(memoryview(data)[start:end])
    if zlib.crc32(payload, zlib.crc32(_COUNTS.pack(length, dropped))) != checksum:
        return None
    return Frame(offset, end, payload, dropped)


def _next_frame(data: bytes, offset: int) -> Frame | None:
    while (offset := data.find(MAGIC, offset)) >= 0:
        frame = _frame_at(data, offset)
        if frame is not None:
            return frame
        offset += 1
    return None


def _reason(data: bytes, offset: int) -> str:
    if not data.startswith(MAGIC, offset):
        is_cut = len(data) - offset < len(MAGIC) and MAGIC.startswith(data[offset:])
        return "cut off within a frame's header" if is_cut else "not the start of a frame"
    if len(data) < offset + HEADER_BYTES:
        return "cut off within a frame's header"
    length: int = _HEADER.unpack_from(data, offset)[1]
    if offset + HEADER_BYTES + length > len(data):
        return f"a frame of {length} bytes is cut off"
    return "a frame's checksum does not match"
