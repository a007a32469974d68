"""`toolspend up` without its pages, which start slowly: `lean.py DB HTTP_PORT GRPC_PORT MIN_FREE_MIB`."""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from toolspend_dashboard import receiver, server, writer
from toolspend_dashboard.otlp_grpc import GrpcServer


def main(db: str, http_port: str, grpc_port: str, min_free_mib: str) -> None:
    """Serves until it is killed; the port answers once it is ready."""
    writer.MIN_FREE_DISK_BYTES = int(min_free_mib) << 20
    with server.open_backend(Path(db)) as backend:
        grpc = GrpcServer(backend.intake, "127.0.0.1", int(grpc_port), None)
        grpc.start()
        app = Starlette(routes=[*receiver.routes(backend.intake), server.health(backend)])
        uvicorn.run(app, host="127.0.0.1", port=int(http_port), log_level="error", access_log=False)
        grpc.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
