"""Frames of a spool file as chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from toolspend._frames import Damage, frames

from ..decode import Decoded, Refusal, decode_protobuf
from . import CHUNK_SPANS, Chunk


def framed_chunks(data: bytes, origin: int, *, is_final: bool, identify: Callable[[int], str]) -> Iterator[Chunk]:
    """The frames in a file's bytes from `origin` on. Unless `is_final`, what is unfinished at their end is left.

    `identify(position)` is the identity to store with a position of the file.
    """
    decoded, dropped, position = Decoded(), 0, origin
    for item in frames(data):
        if isinstance(item, Damage):
            if item.is_tail and not is_final:
                break
            decoded.refused.append(Refusal(f"bytes {origin + item.start} to {origin + item.end}", item.reason))
        else:
            dropped += item.dropped
            held = decode_protobuf(item.payload) if item.payload else Decoded()
            held.refused = [Refusal(f"frame at byte {origin + item.start}", str(refusal)) for refusal in held.refused]
            decoded.merge(held)
        position = origin + item.end
        if len(decoded.spans) >= CHUNK_SPANS:
            yield Chunk(decoded, identify(position), position, dropped)
            decoded, dropped = Decoded(), 0
    if len(decoded.spans) or decoded.refused or dropped:
        yield Chunk(decoded, identify(position), position, dropped)
