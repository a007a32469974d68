"""OTLP over HTTP: `POST /v1/traces`, `/v1/logs` and `/v1/metrics` answer once what they took is on disk."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
from collections.abc import Awaitable, Callable

import anyio.to_thread
from google.protobuf import json_format
from google.rpc import code_pb2, status_pb2
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from toolspend_ingest.errors import StoreError

from .bodies import BodyError, decompress, read
from .errors import Busy
from .intake import READERS, SIGNALS, Held, Intake, Media, Signal, Taken

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


def routes(intake: Intake) -> list[Route]:
    """A route for each signal."""
    readers = anyio.CapacityLimiter(READERS)
    return [Route(f"/v1/{signal.name}", _endpoint(signal, intake, readers), methods=["POST"]) for signal in SIGNALS]


def _endpoint(
    signal: Signal, intake: Intake, readers: anyio.CapacityLimiter
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        media = _MEDIA.get(kind)
        if media is None:
            return _failed(415, "send application/x-protobuf or application/json", "json")
        try:
            with intake.request() as held:
                body = await read(request, held)
                encoding = request.headers.get("content-encoding", "")
                take = functools.partial(_take, signal, intake, body, encoding, media, held)
                with intake.reading():
                    taken = await anyio.to_thread.run_sync(take, limiter=readers)
                await asyncio.wrap_future(taken.done)
        except BodyError as error:
            return _failed(error.status, str(error), media)
        except ClientDisconnect:
            return _failed(400, "the client went away", media)
        except Busy as error:
            return _failed(503, str(error), media, error.retry_after_s)
        except StoreError as error:
            return _failed(503, str(error), media)
        except Exception as error:
            _log.exception("a request could not be stored")
            return _failed(500, f"this could not be stored: {type(error).__name__}", media)
        if taken.is_empty:
            return _failed(400, taken.reason or "there is nothing in this", media)
        return _accepted(signal, taken, media)

    return endpoint


def _take(signal: Signal, intake: Intake, body: bytes, encoding: str, media: Media, held: Held) -> Taken:
    try:
        payload = decompress(body, encoding, held)
    except BodyError as error:
        if error.status == 400:
            intake.refuse(body, SOURCE, f".{encoding.strip().lower()}", str(error))
        raise
    return intake.take(signal, payload, media, SOURCE)


def _accepted(signal: Signal, taken: Taken, media: Media) -> Response:
    answer = signal.response()
    if taken.refused:
        setattr(answer.partial_success, signal.rejected, taken.refused)
        answer.partial_success.error_message = taken.reason or ""
    if media == "json":
        return Response(json_format.MessageToJson(answer, indent=None), media_type="application/json")
    return Response(answer.SerializeToString(), media_type="application/x-protobuf")


def _failed(status: int, message: str, media: Media, retry_after_s: int = RETRY_AFTER_S) -> Response:
    """A google.rpc.Status, as the protocol asks; the retryable one says when.

    Pressure is a 503 too, never a 429: the protocol has both tried again, so one answer does.
    """
    headers = {"retry-after": str(retry_after_s)} if status == 503 else {}
    code = _CODES[status]
    if media == "json":
        text = json.dumps({"code": code, "message": message})
        return Response(text, status, headers, media_type="application/json")
    body = status_pb2.Status(code=code, message=message).SerializeToString()
    return Response(body, status, headers, media_type="application/x-protobuf")
