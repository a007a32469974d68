"""A backend on a loopback port, for tests that want a real socket; nothing beyond the standard library."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standin.api import Answer, Api, Backend
from standin.script import Reply, Script


@contextmanager
def serve(backend: Backend | Script | Sequence[Reply]) -> Iterator[str]:
    """Serves a backend, or an `Api` of the script given, on 127.0.0.1; yields its base URL."""
    served = Api(backend) if callable(backend) or isinstance(backend, Sequence) else backend
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(served))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(backend: Backend) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._reply()

        def do_POST(self) -> None:
            self._reply()

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing: tests read the backend's own record."""

        def _reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = backend.answer(self.command, self.path, headers, body)
            time.sleep(answer.first_chunk_after_s)
            try:
                self._send(answer)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def _send(self, answer: Answer) -> None:
            is_stream = answer.headers["content-type"].startswith("text/event-stream")
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if not is_stream:
                content = b"".join(answer.chunks)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                return
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for chunk in answer.chunks:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                self.wfile.flush()
                time.sleep(answer.next_chunk_after_s)
            if answer.is_cut:
                self.close_connection = True
            else:
                self.wfile.write(b"0\r\n\r\n")

    return Handler
