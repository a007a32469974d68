"""`toolspend up` without its pages, which start slowly: `lean.py DB HTTP_PORT GRPC_PORT MIN_FREE_MIB`."""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from toolspend_dashboard import application, backend, queries, receiver, state, writer
from toolspend_dashboard.otlp_grpc import GrpcServer
from toolspend_dashboard.queries import Filters

OVERVIEW = ("extent", "totals", "ledger", "tools", "calls_over_time", "bases", "uncached", "compressions")
OTHERS = {"bucket_s": 3600, "max_rows": 10}


def overview(_request: Request) -> PlainTextResponse:
    """The questions of the overview, each asked anew, in a thread as the page's script runs in one."""
    for name in OVERVIEW:
        state.read(lambda cursor, name=name: queries.run(cursor, name, **Filters().parameters(), **OTHERS))
    return PlainTextResponse("answered\n")


def main(db: str, http_port: str, grpc_port: str, min_free_mib: str) -> None:
    """Serves until it is killed; the port answers once it is ready."""
    writer.MIN_FREE_DISK_BYTES = int(min_free_mib) << 20
    with backend.running(backend.open_store(Path(db))) as behind:
        grpc = GrpcServer("127.0.0.1", int(grpc_port), None)
        grpc.start(behind.intake)
        routes = [*receiver.routes(behind.intake), application.health(behind), Route("/overview", overview)]
        app = Starlette(routes=routes)
        uvicorn.run(app, host="127.0.0.1", port=int(http_port), log_level="error", access_log=False)
        grpc.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
