"""OTLP over gRPC: the three `Export` calls answer once what they took is on disk.

The calls are served from the bytes, not from the generated messages, so that a damaged request gives what is whole of
it here too. Compression is gRPC's own; it bounds what a message may unfold to.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

# It says on stderr what its clients do; what goes wrong here is said by us.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

from toolspend_ingest.errors import StoreError

from .errors import Busy, HostUnusable, PortInUse
from .gate import bears
from .intake import SIGNALS, Intake, Signal, Taken

SOURCE = "otlp-grpc"
MAX_MESSAGE_BYTES = 8 << 20
"""Twice what servers take by default, and so what exporters keep to; `WORKERS` of them may be held at once."""
WORKERS = 32
"""A call waits in a thread for its commit; beyond these, calls wait unread."""
STOP_S = 3

_log = logging.getLogger("toolspend")


class GrpcServer:
    """The server on one port; `port` is the one it listens on."""

    def __init__(self, host: str, port: int, token: str | None) -> None:
        self._token = token
        self._server = grpc.server(
            ThreadPoolExecutor(WORKERS, "toolspend-grpc"),
            options=[("grpc.max_receive_message_length", MAX_MESSAGE_BYTES), ("grpc.so_reuseport", 0)],
        )
        address = f"[{host.strip('[]')}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            self.port = int(self._server.add_insecure_port(address))
        except RuntimeError as error:
            if "in use" in str(error):
                raise PortInUse(host, port, "--grpc-port") from error
            raise HostUnusable(host, port, str(error)) from error

    def start(self, intake: Intake) -> None:
        """Begin to answer; until then calls wait."""
        self._server.add_generic_rpc_handlers([_handler(signal, intake, self._token) for signal in SIGNALS])
        self._server.start()

    def stop(self) -> None:
        """Take nothing more; returns once what was taken is answered, or `STOP_S` have passed."""
        self._server.stop(STOP_S).wait()


def _handler(signal: Signal, intake: Intake, token: str | None) -> grpc.GenericRpcHandler:
    export: Callable[[bytes, grpc.ServicerContext], bytes] = functools.partial(_export, signal, intake, token)
    service = f"opentelemetry.proto.collector.{signal.service}"
    return grpc.method_handlers_generic_handler(service, {"Export": grpc.unary_unary_rpc_method_handler(export)})


def _export(signal: Signal, intake: Intake, token: str | None, payload: bytes, context: grpc.ServicerContext) -> bytes:
    if token is not None and not _has_token(context, token):
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "a token is needed: send `authorization: Bearer TOKEN`")
    try:
        with intake.request() as held:
            held.grow(len(payload))
            with intake.reading():
                taken = intake.take(signal, payload, "protobuf", SOURCE)
            taken.done.result()
    except Busy as error:
        _turn_away(context, str(error), error.retry_after_s)
    except StoreError as error:
        _turn_away(context, str(error), 1)
    except Exception as error:
        _log.exception("a request could not be stored")
        context.abort(grpc.StatusCode.INTERNAL, f"this could not be stored: {type(error).__name__}")
        raise AssertionError("abort raises") from error
    if taken.is_empty:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, taken.reason or "there is nothing in this")
    return _accepted(signal, taken)


def _accepted(signal: Signal, taken: Taken) -> bytes:
    answer = signal.response()
    if taken.refused:
        setattr(answer.partial_success, signal.rejected, taken.refused)
        answer.partial_success.error_message = taken.reason or ""
    return bytes(answer.SerializeToString())


def _has_token(context: grpc.ServicerContext, token: str) -> bool:
    given: Any = dict(context.invocation_metadata()).get("authorization", "")
    return isinstance(given, str) and bears(given, token)


def _turn_away(context: grpc.ServicerContext, reason: str, retry_after_s: int) -> NoReturn:
    """UNAVAILABLE, with the RetryInfo that the protocol asks for."""
    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=retry_after_s)))
    status = status_pb2.Status(code=code_pb2.UNAVAILABLE, message=reason, details=[detail])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNAVAILABLE, reason)
    raise AssertionError("abort raises")
