"""What an image costs: its area, which its first bytes tell, not the length of its data."""

from __future__ import annotations

import base64
import struct
from typing import Final

_PIXELS_PER_TOKEN: Final = 750
_LONGEST_EDGE: Final = 1_568
_MOST_TOKENS: Final = 1_600
"""The provider's published rule: larger images are scaled down to these before they are counted."""
_HEAD: Final = 64
_JPEG_HEAD: Final = 65_536
"""Of a JPEG the size comes after its metadata, which cameras make long."""
_JPEG_SIZES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def tokens_of_image(data: str) -> int | None:
    """About how many tokens the image of this base64 text costs; None for formats that are not known."""
    size = _size(data)
    if size is None:
        return None
    width, height = size
    longest = max(width, height)
    if longest > _LONGEST_EDGE:
        width, height = width * _LONGEST_EDGE // longest, height * _LONGEST_EDGE // longest
    return max(min(width * height // _PIXELS_PER_TOKEN, _MOST_TOKENS), 1)


def _size(data: str) -> tuple[int, int] | None:
    try:
        head = base64.b64decode(data[:_HEAD])
        if head[:8] == b"\x89PNG\r\n\x1a\n":
            return _positive(struct.unpack(">II", head[16:24]))
        if head[:4] == b"GIF8":
            return _positive(struct.unpack("<HH", head[6:10]))
        if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
            return _positive(_webp(head))
        if head[:2] == b"\xff\xd8":
            return _jpeg(base64.b64decode(data[:_JPEG_HEAD]))
    except (ValueError, struct.error):
        pass
    return None


def _webp(head: bytes) -> tuple[int, ...]:
    if head[12:16] == b"VP8X":
        return tuple(int.from_bytes(head[at : at + 3], "little") + 1 for at in (24, 27))
    if head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return tuple(each & 0x3FFF for each in struct.unpack("<HH", head[26:30]))


def _jpeg(head: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 < len(head) and head[at] == 0xFF:
        if head[at + 1] in _JPEG_SIZES:
            height, width = struct.unpack(">HH", head[at + 5 : at + 9])
            return _positive((width, height))
        at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    return None


def _positive(size: tuple[int, ...]) -> tuple[int, int] | None:
    width, height = size
    return (width, height) if width > 0 and height > 0 else None
