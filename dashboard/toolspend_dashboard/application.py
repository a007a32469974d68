"""The application behind the door: Streamlit's pages, OTLP over HTTP, `/healthz` and the snapshot call."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hmac
import importlib
import logging
import tomllib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio.to_thread
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from toolspend_ingest.errors import ToolspendError

from . import receiver, snapshot
from .backend import Backend
from .door import Application

SCRIPT = Path(__file__).with_name("app.py")
FRAMEWORK = ("streamlit", "pandas", "plotly.graph_objects", "PIL.Image")
PAGES = (
    "toolspend_dashboard.data",
    "toolspend_dashboard.charts",
    "toolspend_dashboard.components",
    "toolspend_dashboard.findings",
)
UNCOLLECTED_S = 2.0
"""How long after the start cycles are looked for again: the first page is made meanwhile."""

_log = logging.getLogger("toolspend")


def import_framework() -> None:
    """Import what Streamlit's pages are made with, before any other thread does; no cycles are looked for from then on.

    Streamlit sets up plotly, which takes pandas half made where DuckDB imports that in another thread meanwhile.
    """
    gc.disable()
    _import(FRAMEWORK)


def create(backend: Backend, secret: str, script: Path = SCRIPT) -> Application:
    """The application; local calls have to know `secret`."""
    import streamlit as st

    configure_streamlit(script)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        # Decoding must not wait for slots that a burst of page files holds.
        anyio.to_thread.current_default_thread_limiter().total_tokens = 40
        asyncio.get_running_loop().call_later(UNCOLLECTED_S, _collect)
        yield

    app = st.App(
        script,
        routes=[
            *receiver.routes(backend.intake),
            health(backend),
            Route("/api/snapshot", _snapshot(backend, secret), methods=["POST"]),
        ],
        lifespan=lifespan,
    )
    life = app.lifespan()(app)  # makes the runtime, which caches of the pages ask for
    _import(PAGES)
    return Application(app, life)


def health(backend: Backend) -> Route:
    """`/healthz`: how the server is, with status 503 where nothing can be stored just now."""

    async def endpoint(_request: Request) -> Response:
        found = await run_in_threadpool(backend.status)
        return JSONResponse(found, 503 if found["status"] == "unavailable" else 200)

    return Route("/healthz", endpoint, methods=["GET"])


def configure_streamlit(script: Path) -> None:
    """Apply the settings beside the script over those of the user, the working folder and the environment."""
    from streamlit.web.bootstrap import load_config_options

    settings: dict[str, Any] = {}
    file = script.parent / ".streamlit" / "config.toml"
    if file.is_file():
        settings = _flat(tomllib.loads(file.read_text(encoding="utf-8")))
    load_config_options({**settings, "server.headless": True, "logger.level": "error"})


def _collect() -> None:
    gc.freeze()  # what was imported stays
    gc.enable()


def _import(names: tuple[str, ...]) -> None:
    for name in names:
        try:
            importlib.import_module(name)
        except Exception:
            # The page that needs it will say what is wrong with it.
            _log.debug("could not import %s ahead", name, exc_info=True)


def _snapshot(backend: Backend, secret: str) -> Callable[[Request], Any]:
    def make() -> Path:
        backend.watcher.load_now()  # what is stored can be asked about all the same
        return snapshot.fresh()

    async def endpoint(request: Request) -> Response:
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {secret}".encode()):
            return PlainTextResponse("the secret of server.json is needed\n", 401)
        try:
            return JSONResponse({"path": str((await run_in_threadpool(make)).absolute())})
        except ToolspendError as error:
            return PlainTextResponse(f"{error}\n", 503)

    return endpoint


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
