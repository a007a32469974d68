"""Bodies of requests: read, decompressed and bounded before anything looks into them."""

from __future__ import annotations

import zlib

from starlette.requests import Request

from toolspend_ingest import zstd

from .intake import Held

MAX_BODY_BYTES = 32 * 1024 * 1024
"""Largest body, as sent and decompressed; collectors take 20 MiB by default."""
DRAINED_BYTES = 8 * MAX_BODY_BYTES
_BLOCK = 1 << 20


class BodyError(Exception):
    """The body cannot be taken; `status` is the HTTP status to answer with."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


async def read(request: Request, held: Held, limit: int = MAX_BODY_BYTES) -> bytes:
    """The body as sent, accounted for in `held`; raises BodyError 413 when it is longer than `limit` bytes."""
    body = bytearray()
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received <= limit:
            held.grow(len(chunk))
            body += chunk
        else:
            body.clear()
            # A client that is still sending does not read the answer, so a body that ends soon is read to its end.
            if received > DRAINED_BYTES:
                break
    if received > limit:
        raise BodyError(413, f"the body is larger than {limit:,} bytes: send smaller batches")
    return bytes(body)


def decompress(body: bytes, encoding: str, held: Held, limit: int = MAX_BODY_BYTES) -> bytes:
    """The body without its content encoding, accounted for in `held`; never makes more than `limit` bytes of it.

    Raises BodyError: 415 for an encoding that is not known, 400 for damage, 413 for too much; and Busy.
    """
    match encoding.strip().lower():
        case "" | "identity":
            return body
        case "gzip" | "x-gzip":
            return _inflate(body, zlib.MAX_WBITS | 16, held, limit)
        case "deflate":
            # Zlib framed as the standard says, or raw as some clients send it.
            return _inflate(body, zlib.MAX_WBITS if _is_framed(body) else -zlib.MAX_WBITS, held, limit)
        case "zstd":
            return _unzstd(body, held, limit)
        case other:
            raise BodyError(415, f"content encoding {other[:40]!r} is not known: use gzip, zstd, deflate or none")


def _is_framed(body: bytes) -> bool:
    """Whether a body begins with the two bytes of zlib, for a window of any size; no raw one begins so."""
    return len(body) > 1 and body[0] & 15 == 8 and int.from_bytes(body[:2], "big") % 31 == 0


def _inflate(body: bytes, window_bits: int, held: Held, limit: int) -> bytes:
    output = bytearray()
    while body:
        stream = zlib.decompressobj(window_bits)
        while not stream.eof:
            try:
                part = stream.decompress(body, min(_BLOCK, limit + 1 - len(output)))
            except zlib.error as error:
                raise _damaged(str(error)) from error
            body = stream.unconsumed_tail
            if not (part or body or stream.eof):
                raise BodyError(400, "the compressed body ends too early")
            _add(output, part, held, limit)
        # A gzip file may have several members.
        body = stream.unused_data
    return bytes(output)


def _unzstd(body: bytes, held: Held, limit: int) -> bytes:
    output = bytearray()
    try:
        for part in zstd.pieces(body, _BLOCK, window_log=zstd.WINDOW_LOG_OF_BODIES):
            _add(output, part, held, limit)
    except zstd.DamagedError as error:
        raise _damaged(str(error)) from error
    return bytes(output)


def _add(output: bytearray, part: bytes, held: Held, limit: int) -> None:
    if len(output) + len(part) > limit:
        raise BodyError(413, f"the body is larger than {limit:,} bytes when decompressed: send smaller batches")
    held.grow(len(part))
    output += part


def _damaged(reason: str) -> BodyError:
    return BodyError(400, f"the compressed body is damaged: {reason}")
