"""Zstandard, a piece at a time: of what was cut off or damaged, all that comes before.

Arrow reads it too, but keeps the memory of every stream that was cut off.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final

if sys.version_info >= (3, 14):
    from compression.zstd import DecompressionParameter, ZstdDecompressor, ZstdError
else:
    from backports.zstd import DecompressionParameter, ZstdDecompressor, ZstdError

MAGIC: Final = b"\x28\xb5\x2f\xfd"
WINDOW_LOG_OF_BODIES: Final = 23
"""8 MiB: more must not be asked of who receives a body over HTTP (RFC 9659)."""
WINDOW_LOG_OF_FILES: Final = 27
"""128 MiB: what the command-line tool takes without being told."""
_BLOCK: Final = 1 << 20


class DamagedError(Exception):
    """What is no Zstandard from here on, or ends within a frame."""


def pieces(raw: bytes, most: int, *, window_log: int, start: int = 0) -> Iterator[bytes]:
    """The content of all frames of `raw` from byte `start` of it on, in pieces of at most `most` bytes.

    Raises DamagedError after what could be read. No frame is given more than two to the power of `window_log` bytes.
    """
    position = 0
    try:
        while position < len(raw):
            frame = ZstdDecompressor(options={DecompressionParameter.window_log_max: window_log})
            while not frame.eof:
                given = b""
                if frame.needs_input:
                    given = raw[position : position + _BLOCK]
                    position += len(given)
                    if not given:
                        raise DamagedError("it is cut off")
                part = frame.decompress(given, min(start, _BLOCK) or most)
                if start:
                    start -= len(part)
                elif part:
                    yield part
            position -= len(frame.unused_data)
    except ZstdError as error:
        raise DamagedError(str(error)) from error
