"""`toolspend up`: one process that owns the store, shows the dashboard, receives spans and loads the spool."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from toolspend_ingest.retention import Keep

from . import address, backend
from .door import Application, Door
from .errors import HostUnusable, PortInUse, TokenMissing
from .frontend import Frontend
from .gate import Gate, Rules, is_loopback
from .otlp_grpc import GrpcServer

__all__ = ["Addresses", "Options", "serve"]

SHUTDOWN_S = 3


@dataclass(frozen=True, slots=True)
class Options:
    """Where to listen. A port of 0 is any free one; None for OTLP's means that there is none."""

    host: str = "127.0.0.1"
    port: int = 8501
    otlp_port: int | None = 4318
    grpc_port: int | None = 4317
    token: str | None = None
    keep: Keep = field(default_factory=Keep)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the page is, and where spans are taken; None for a port that there is not."""

    page: str
    otlp: str | None
    grpc: str | None


def serve(db: Path, options: Options, *, on_ready: Callable[[Addresses], None] | None = None) -> None:
    """Serve until interrupted; `on_ready` is told the addresses once every port listens.

    What is asked before the rest is imported waits. Raises a ToolspendError when the store or a port cannot be had, or
    a token is missing.
    """
    is_local = is_loopback(options.host)
    if not is_local and not options.token:
        raise TokenMissing(options.host)
    # An ordinary exit, with our clean-up; uvicorn raises the signal again once it has shut down.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with contextlib.ExitStack() as stack:
        page = stack.enter_context(_listen(options.host, options.port, "--port"))
        otlp = None
        if options.otlp_port is not None:
            otlp = stack.enter_context(_listen(options.host, options.otlp_port, "--otlp-port"))
        if options.grpc_port:
            # Asked for in our own way first: gRPC says on stderr, at length, that a port is taken.
            _listen(options.host, options.grpc_port, "--grpc-port").close()
        store = stack.enter_context(backend.open_store(db))
        behind = stack.enter_context(contextlib.ExitStack())  # left once nothing more comes from outside
        secret = secrets.token_urlsafe(32)
        published = address.Address(os.getpid(), _local_url(options.host, page), str(db.absolute()), secret)
        address.publish(published)
        stack.callback(address.withdraw, published)
        grpc = None
        if options.grpc_port is not None:
            grpc = GrpcServer(options.host, options.grpc_port, options.token)
            stack.callback(grpc.stop)
        if on_ready is not None:
            otlp_url = f"{_url(options.host, otlp)}/v1/traces" if otlp is not None else None
            grpc_address = f"{_name(options.host)}:{grpc.port}" if grpc is not None else None
            on_ready(Addresses(_url(options.host, page), otlp_url, grpc_address))

        def make() -> Application:
            from . import application

            application.import_framework()
            made = behind.enter_context(backend.running(store, options.keep))
            if grpc is not None:
                grpc.start(made.intake)
            return application.create(made, secret)

        rules = Rules(is_local, options.token, otlp.getsockname()[1] if otlp is not None else None)
        _run(make, rules, [page] if otlp is None else [page, otlp])


def _run(make: Callable[[], Application], rules: Rules, sockets: list[socket.socket]) -> None:
    import uvicorn

    def stop() -> None:
        server.should_exit = True

    door = Door(Frontend.installed(), make, stop)
    config = uvicorn.Config(
        Gate(door, rules),
        ws="websockets-sansio",
        log_level="warning",
        access_log=False,
        lifespan="on",
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    server = uvicorn.Server(config)
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=sockets)
    if door.failure is not None:
        raise door.failure


def _listen(host: str, port: int, option: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        if os.name != "nt":  # there the option lets two programs share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host.strip("[]"), port))
        listener.listen(2048)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(host, port, option) from error
        raise HostUnusable(host, port, error.strerror or str(error)) from error
    return listener


def _url(host: str, listener: socket.socket) -> str:
    return f"http://{_name(host)}:{listener.getsockname()[1]}"


def _name(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _local_url(host: str, listener: socket.socket) -> str:
    """The URL for calls from this machine, also when the server listens on every address."""
    return _url({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), listener)  # noqa: S104 - compared, not bound
