"""httpx and httpx2, against a server of this process."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType

import pytest
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor

import toolspend
from toolspend._urls import bare
from toolspend.testing import Captured


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=["httpx", "httpx2"])
def library(request: pytest.FixtureRequest) -> ModuleType:
    return pytest.importorskip(request.param)


def test_a_request_is_a_span_without_secrets(library: ModuleType, address: str, captured: Captured) -> None:
    """One client span a request, its URL without path, query, credentials and fragment; the request keeps them."""
    transport = library.HTTPTransport
    before = dict(vars(transport))
    toolspend.instrument(export=None)
    with library.Client() as client:
        response = client.get(f"http://user:secret@{address}/bot-secret/send?api_key=secret#secret")
    assert response.text == "ok"
    assert response.request.url.query == b"api_key=secret"
    [span] = captured.spans()
    assert span["kind"] == "CLIENT"
    assert {span["attributes"].get("http.url"), span["attributes"].get("url.full")} - {None} == {f"http://{address}/"}
    assert "secret" not in str(span)
    toolspend.uninstrument()
    assert dict(vars(transport)) == before


def test_a_path_is_content(library: ModuleType, address: str, captured: Captured) -> None:
    """It leaves where content does, as it is redacted, once."""
    toolspend.instrument(export=None, capture_content=True, redact=lambda text: text.replace("ann", "ann-or-not"))
    with library.Client() as client:
        client.get(f"http://{address}/people/ann?page=2")
    [span] = captured.spans()
    url = span["attributes"].get("http.url") or span["attributes"]["url.full"]
    assert url == bare(url) == f"http://{address}/people/ann-or-not"


def test_what_the_application_instrumented_is_left_alone(address: str, captured: Captured) -> None:
    """Where the application has instrumented httpx itself, nothing is doubled, changed or taken away."""
    httpx = importlib.import_module("httpx")
    theirs = HTTPXClientInstrumentor()
    theirs.instrument()
    try:
        toolspend.instrument(export=None, httpx=True)
        httpx.get(f"http://{address}/path?page=2")
        toolspend.uninstrument()
        httpx.get(f"http://{address}/path?page=3")
        urls = [span["attributes"].get("http.url") or span["attributes"]["url.full"] for span in captured.spans()]
        assert urls == [f"http://{address}/path?page=2", f"http://{address}/path?page=3"]
    finally:
        theirs.uninstrument()


def test_it_can_be_left_out(library: ModuleType, address: str, captured: Captured) -> None:
    """`httpx=False` leaves both libraries as they are."""
    toolspend.instrument(export=None, httpx=False)
    library.get(f"http://{address}/")
    assert captured.spans() == []
