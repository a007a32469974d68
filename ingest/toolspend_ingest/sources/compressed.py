"""Files as they are or compressed by gzip or zstd; of a damaged one, as much as can be read."""

from __future__ import annotations

import zlib
from pathlib import Path

from .. import zstd
from ..decode import Refusal

_GZIP = b"\x1f\x8b"
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_BLOCK = 1 << 20
_PIECE = 64


def read(path: Path) -> tuple[bytes, list[Refusal]]:
    """The content of a file, decompressed where it is compressed, and what of it is damaged."""
    raw = path.read_bytes()
    if raw.startswith(_GZIP):
        return _gunzip(raw)
    if raw.startswith(zstd.MAGIC):
        return _unzstd(raw)
    return raw, []


def _gunzip(raw: bytes) -> tuple[bytes, list[Refusal]]:
    parts: list[bytes] = []
    while raw.startswith(_GZIP):
        member = zlib.decompressobj(_GZIP_WINDOW)
        try:
            for start in range(0, len(raw), _BLOCK):
                parts.append(member.decompress(raw[start : start + _BLOCK]))
                if member.eof:
                    raw = member.unused_data + raw[start + _BLOCK :]
                    break
        except zlib.error as error:
            return b"".join(parts), [Refusal("", f"damaged gzip: {error}")]
        if not member.eof:
            return b"".join(parts), [Refusal("", "damaged gzip: cut off")]
    return b"".join(parts), []


def _unzstd(raw: bytes) -> tuple[bytes, list[Refusal]]:
    content, reason = _read_zstd(raw, 0, _BLOCK)
    if reason is None:
        return content, []
    # A block that meets the damage is lost as a whole: what is whole of it is read again in small pieces.
    rest, _ = _read_zstd(raw, len(content), _PIECE)
    return content + rest, [Refusal("", f"damaged zstd: {reason}")]


def _read_zstd(raw: bytes, start: int, most: int) -> tuple[bytes, str | None]:
    """The content from `start` on in pieces of `most` bytes, as far as it can be read, and what stopped it."""
    parts: list[bytes] = []
    try:
        parts.extend(zstd.pieces(raw, most, window_log=zstd.WINDOW_LOG_OF_FILES, start=start))
    except zstd.DamagedError as error:
        return b"".join(parts), str(error)
    return b"".join(parts), None
