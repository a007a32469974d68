"""`toolspend up`: one process that owns the store, shows the dashboard, receives spans and loads the spool."""

from __future__ import annotations

import contextlib
import errno
import hmac
import importlib
import logging
import os
import secrets
import signal
import socket
import sys
import threading
import tomllib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio.to_thread
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from toolspend._home import spool_dir
from toolspend_ingest import Store
from toolspend_ingest.aside import Aside
from toolspend_ingest.errors import StoreLocked, ToolspendError
from toolspend_ingest.retention import Keep

from . import address, receiver, snapshot, state
from .errors import AlreadyRunning, HostUnusable, PortInUse, TokenMissing
from .gate import Gate, Rules, is_loopback
from .intake import Intake
from .otlp_grpc import GrpcServer
from .pruner import Pruner
from .state import current_store
from .watch import Watcher
from .writer import Writer

__all__ = ["Backend", "Options", "create_app", "current_store", "open_backend", "serve"]

SCRIPT = Path(__file__).with_name("app.py")
WARM = (
    "pandas",
    "plotly.graph_objects",
    "toolspend_dashboard.data",
    "toolspend_dashboard.charts",
    "toolspend_dashboard.components",
    "toolspend_dashboard.findings",
    "PIL.Image",
)
"""What the first page needs and would otherwise wait for; imported while the browser fetches the page's frame."""
SHUTDOWN_S = 3

_log = logging.getLogger("toolspend")


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


@dataclass(frozen=True, slots=True)
class Backend:
    """What stands behind the app: the writer with its store, what feeds it, and the secret for local calls."""

    writer: Writer
    watcher: Watcher
    intake: Intake
    pruner: Pruner
    secret: str

    def status(self) -> dict[str, Any]:
        """How it is, as `/healthz` and the page about it say."""
        problem = self.writer.problem
        return {
            "status": "unavailable" if problem else "degraded" if self.watcher.failure else "ok",
            "problem": problem,
            "waiting_requests": self.writer.waiting_requests,
            "waiting_spans": self.writer.waiting_spans,
            "underived_spans": self.writer.underived_spans,
            "spool_waiting_bytes": self.watcher.waiting_bytes(),
            "spool_failure": self.watcher.failure,
            "commits": self.writer.commits,
            "last_load_s": self.watcher.loaded_s_ago(),
            "refused_kept_bytes": Aside().size(),
            "disk_free_bytes": self.writer.free_bytes(),
            "store_bytes": self.writer.store_bytes(),
            "pruned_spans": self.pruner.pruned.spans,
            "pruned_contents": self.pruner.pruned.contents,
            **self.intake.status(),
        }


@contextlib.contextmanager
def open_backend(db: Path, keep: Keep | None = None) -> Iterator[Backend]:
    """Open the store, start writing and watching; on leaving, commit what waits and close everything."""
    running = address.find(db)
    try:
        store = Store.open(db)
    except StoreLocked as error:
        if running is not None:
            raise AlreadyRunning(db, running.url, running.pid) from error
        raise
    # Before any thread: it sets up plotly, which takes pandas half made where DuckDB imports that in another meanwhile.
    # Pages import pandas before they use plotly.
    importlib.import_module("streamlit")
    writer = Writer(store)
    watcher = Watcher(writer, spool_dir())
    watcher.start()
    pruner = Pruner(writer, keep or Keep())
    pruner.start()
    backend = Backend(writer, watcher, Intake(writer, Aside()), pruner, secrets.token_urlsafe(32))
    state.set_holder(writer)
    state.set_status(backend.status)
    try:
        yield backend
    finally:
        state.set_status(None)
        state.set_holder(None)
        watcher.stop()
        pruner.stop()
        writer.close()
        snapshot.discard(db)


def create_app(backend: Backend, rules: Rules, script: Path = SCRIPT) -> Any:
    """The ASGI application: Streamlit's pages, OTLP over HTTP, `/healthz` and the snapshot call."""
    import streamlit as st

    _configure_streamlit(script)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        # Decoding must not wait for slots that a burst of page files holds.
        anyio.to_thread.current_default_thread_limiter().total_tokens = 40
        threading.Thread(target=_warm, name="toolspend-warm", daemon=True).start()
        yield

    return st.App(
        script,
        routes=[
            *receiver.routes(backend.intake),
            health(backend),
            Route("/api/snapshot", _snapshot(backend), methods=["POST"]),
        ],
        middleware=[Middleware(Gate, rules=rules)],
        lifespan=lifespan,
    )


def serve(db: Path, options: Options, *, on_ready: Callable[[Addresses], None] | None = None) -> None:
    """Serve until interrupted; `on_ready` is told the addresses once every port listens.

    Raises a ToolspendError when the store or a port cannot be had, or a token is missing.
    """
    is_local = is_loopback(options.host)
    if not is_local and not options.token:
        raise TokenMissing(options.host)
    with contextlib.ExitStack() as stack:
        page = stack.enter_context(_listen(options.host, options.port, "--port"))
        otlp = None
        if options.otlp_port is not None:
            otlp = stack.enter_context(_listen(options.host, options.otlp_port, "--otlp-port"))
        if options.grpc_port:
            # Asked for in our own way first: gRPC says on stderr, at length, that a port is taken.
            _listen(options.host, options.grpc_port, "--grpc-port").close()
        backend = stack.enter_context(open_backend(db, options.keep))
        url = _url(options.host, page)
        published = address.Address(os.getpid(), _local_url(options.host, page), str(db.absolute()), backend.secret)
        address.publish(published)
        stack.callback(address.withdraw, published)
        otlp_port = otlp.getsockname()[1] if otlp is not None else None
        grpc = None
        if options.grpc_port is not None:
            grpc = GrpcServer(backend.intake, options.host, options.grpc_port, options.token)
            stack.callback(grpc.stop)
            grpc.start()
        app = create_app(backend, Rules(is_local, options.token, otlp_port))
        if on_ready is not None:
            otlp_url = f"{_url(options.host, otlp)}/v1/traces" if otlp is not None else None
            on_ready(Addresses(url, otlp_url, f"{_name(options.host)}:{grpc.port}" if grpc is not None else None))
        _run(app, [page] if otlp is None else [page, otlp])


def _run(app: Any, sockets: list[socket.socket]) -> None:
    import uvicorn

    config = uvicorn.Config(
        app,
        ws="websockets-sansio",
        log_level="warning",
        access_log=False,
        lifespan="on",
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    # uvicorn raises the signal again once it has shut down; this makes that an ordinary exit, with our clean-up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=sockets)


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


def health(backend: Backend) -> Route:
    """`/healthz`: how the server is, with status 503 where nothing can be stored just now."""

    async def endpoint(_request: Request) -> Response:
        found = await run_in_threadpool(backend.status)
        return JSONResponse(found, 503 if found["status"] == "unavailable" else 200)

    return Route("/healthz", endpoint, methods=["GET"])


def _snapshot(backend: Backend) -> Callable[[Request], Any]:
    def make() -> Path:
        with contextlib.suppress(ToolspendError):  # what is stored can be asked about all the same
            backend.watcher.load().result()
        return snapshot.fresh()

    async def endpoint(request: Request) -> Response:
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {backend.secret}".encode()):
            return PlainTextResponse("the secret of server.json is needed\n", 401)
        try:
            return JSONResponse({"path": str((await run_in_threadpool(make)).absolute())})
        except ToolspendError as error:
            return PlainTextResponse(f"{error}\n", 503)

    return endpoint


def _configure_streamlit(script: Path) -> None:
    """Apply the settings beside the script over those of the user, the working folder and the environment."""
    from streamlit.web.bootstrap import load_config_options

    settings: dict[str, Any] = {}
    file = script.parent / ".streamlit" / "config.toml"
    if file.is_file():
        settings = _flat(tomllib.loads(file.read_text(encoding="utf-8")))
    load_config_options({**settings, "server.headless": True, "logger.level": "error"})


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _warm() -> None:
    for name in WARM:
        try:
            importlib.import_module(name)
        except Exception:
            # The page that needs it will say what is wrong with it.
            _log.debug("could not import %s ahead", name, exc_info=True)
