"""OTLP over HTTP: `POST /v1/traces` takes spans and answers once they are on disk."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Literal

from google.rpc import code_pb2, status_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from toolspend_ingest.decode import Decoded, decode
from toolspend_ingest.errors import StoreFailed

from .bodies import BodyError, decompress, read
from .errors import Busy
from .writer import Writer

Media = Literal["protobuf", "json"]

SOURCE = "otlp-http"
RETRY_AFTER_S = 1
_MEDIA: dict[str, Media] = {
    "application/x-protobuf": "protobuf",
    "application/protobuf": "protobuf",
    "application/json": "json",
}
_CODES = {
    400: code_pb2.INVALID_ARGUMENT,
    413: code_pb2.RESOURCE_EXHAUSTED,
    415: code_pb2.INVALID_ARGUMENT,
    500: code_pb2.INTERNAL,
    503: code_pb2.UNAVAILABLE,
}

_log = logging.getLogger("toolspend")


def traces(writer: Writer) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint for spans, which hands them to `writer`."""

    async def endpoint(request: Request) -> Response:
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        media = _MEDIA.get(kind)
        if media is None:
            return _failed(415, "send application/x-protobuf or application/json", "json")
        try:
            body = await read(request)
            decoded = await run_in_threadpool(_decode, body, request.headers.get("content-encoding", ""), media)
            reason = _reason(decoded)
            done = writer.submit(decoded.spans, source=SOURCE, refused=len(decoded.refused), reason=reason)
            await asyncio.wrap_future(done)
        except BodyError as error:
            return _failed(error.status, str(error), media)
        except ClientDisconnect:
            return _failed(400, "the client went away", media)
        except (Busy, StoreFailed) as error:
            return _failed(503, str(error), media)
        except Exception as error:
            _log.exception("a request could not be stored")
            return _failed(500, f"these spans could not be stored: {type(error).__name__}", media)
        return _accepted(len(decoded.refused), reason, media)

    return endpoint


def _decode(body: bytes, encoding: str, media: Media) -> Decoded:
    decoded = decode(decompress(body, encoding), media)
    if decoded.refused and not len(decoded.spans):
        raise BodyError(400, _reason(decoded) or "there is no span in this")
    return decoded


def _reason(decoded: Decoded) -> str | None:
    return decoded.refused[0].reason if decoded.refused else None


def _accepted(refused: int, reason: str | None, media: Media) -> Response:
    if media == "json":
        partial = {"partialSuccess": {"rejectedSpans": str(refused), "errorMessage": reason}} if refused else {}
        return Response(json.dumps(partial), media_type="application/json")
    answer = ExportTraceServiceResponse()
    if refused:
        answer.partial_success.rejected_spans = refused
        answer.partial_success.error_message = reason or ""
    return Response(answer.SerializeToString(), media_type="application/x-protobuf")


def _failed(status: int, message: str, media: Media) -> Response:
    """A google.rpc.Status, as the protocol asks; the retryable one says when."""
    headers = {"retry-after": str(RETRY_AFTER_S)} if status == 503 else {}
    code = _CODES[status]
    if media == "json":
        text = json.dumps({"code": code, "message": message})
        return Response(text, status, headers, media_type="application/json")
    body = status_pb2.Status(code=code, message=message).SerializeToString()
    return Response(body, status, headers, media_type="application/x-protobuf")
