"""Frames of a spool file as chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from toolspend._frames import Damage, frames

from ..decode import Decoded, Refusal, decode_protobuf
from . import CHUNK_SPANS, Chunk


def framed_chunks(
    data: bytes,
    origin: int,
    *,
    is_final: bool,
    identify: Callable[[int], str],
    keep: Callable[[bytes, str], str | None] | None = None,
    chunk_spans: int = CHUNK_SPANS,
) -> Iterator[Chunk]:
    """The frames in a file's bytes from `origin` on. Unless `is_final`, what is unfinished at their end is left.

    `identify(position)` is the identity to store with a position of the file. `keep(bytes, suffix)` puts damage aside
    and says how it is called there; a chunk ends once it has `chunk_spans`.
    """
    decoded, dropped, position = Decoded(), 0, origin
    for item in frames(data):
        if isinstance(item, Damage):
            if item.is_tail and not is_final:
                break
            kept = _kept(keep, data[item.start : item.end], ".spool")
            where = f"bytes {origin + item.start} to {origin + item.end}"
            decoded.refused.append(Refusal(where, f"{item.reason}{kept}"))
        else:
            dropped += item.dropped
            held = decode_protobuf(item.payload) if item.payload else Decoded()
            kept = _kept(keep, item.payload, ".pb") if held.refused else ""
            where = f"frame at byte {origin + item.start}"
            held.refused = [Refusal(where, f"{refusal}{kept}") for refusal in held.refused]
            decoded.merge(held)
        position = origin + item.end
        if len(decoded.spans) >= chunk_spans:
            yield Chunk(decoded, identify(position), position, dropped, item.end / len(data))
            decoded, dropped = Decoded(), 0
    if len(decoded.spans) or decoded.refused or dropped:
        yield Chunk(decoded, identify(position), position, dropped)


def _kept(keep: Callable[[bytes, str], str | None] | None, data: bytes, suffix: str) -> str:
    name = keep(data, suffix) if keep is not None else None
    return f", kept as {name}" if name else ""
