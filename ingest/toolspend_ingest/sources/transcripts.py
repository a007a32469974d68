"""Session files of Claude Code as chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..claude_code import transcript
from ..decode import Decoded, Refusal
from ..spans import SpanBatch
from . import CHUNK_SPANS, Chunk


def transcript_chunks(data: bytes, start: int, session: str, identify: Callable[[int], str]) -> Iterator[Chunk]:
    """What a session file has from `start` on; a last line that is not whole is left.

    The position is stored with the last chunk: what comes before it is read again where the loading is cut off.
    """
    if start >= len(data):
        return
    spans, bad, end = transcript.read(data, start, session)
    identity = identify(end)
    refused = [Refusal(each.where, str(each)) for each in bad]
    while len(spans) > CHUNK_SPANS:
        yield Chunk(Decoded(SpanBatch(spans[:CHUNK_SPANS])), identity, 0)
        spans = spans[CHUNK_SPANS:]
    if spans or refused or end > start:
        yield Chunk(Decoded(SpanBatch(spans), refused), identity, end)
