"""The server as a process: what it takes, what it refuses, and that what it acknowledged is never lost."""

from __future__ import annotations

import gzip
import json
import socket
import stat
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import pyarrow as pa
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

import otlp_requests
import recorded_messages
import served
from otlp_requests import Made
from served import Server
from toolspend._frames import encode

TRACES = iter(range(1, 1_000_000))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the tests that leave it as it was."""
    home = tmp_path_factory.mktemp("up") / "home"
    with served.up(home) as running:
        yield running


def spans(count: int = 1) -> list[Made]:
    """Spans of a trace that no other test has."""
    trace = next(TRACES)
    return [Made(trace, number + 1, "execute_tool search", {"gen_ai.tool.name": "search"}) for number in range(count)]


def stored(server: Server, made: list[Made]) -> int:
    """How many spans of the trace are in the store."""
    return int(ask(server, f"select count(*) from spans where trace_id = '{made[0].trace_id}'")[0][0])


def ask(server: Server, query: str) -> list[tuple[Any, ...]]:
    """Rows of the running server's store, by way of a snapshot."""
    secret = json.loads((server.home / "server.json").read_text())["secret"]
    answer = served.request(f"{server.url}/api/snapshot", b"", {"authorization": f"Bearer {secret}"})
    with duckdb.connect(answer.json["path"], read_only=True) as con:
        return con.execute(query).fetchall()


def test_spans_are_stored_when_they_are_acknowledged(server: Server) -> None:
    """Protobuf in, an empty ExportTraceServiceResponse out, and a query sees the spans at once."""
    made = spans(3)
    answer = server.send(made)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/x-protobuf")
    assert not ExportTraceServiceResponse.FromString(answer.body).HasField("partial_success")
    assert stored(server, made) == 3


def test_a_resent_span_is_stored_once(server: Server) -> None:
    """A client that did not see the acknowledgement may send again."""
    made = spans(2)
    assert [server.send(made).status for _ in range(3)] == [200, 200, 200]
    assert stored(server, made) == 2


def test_every_encoding_is_taken_on_both_ports(server: Server) -> None:
    """Protobuf and JSON, plain, gzipped, deflated and zstd-compressed, are the same spans."""
    made = spans(8)
    message, text = otlp_requests.protobuf, otlp_requests.json_text
    raw, small = zlib.compressobj(wbits=-zlib.MAX_WBITS), zlib.compressobj(wbits=9)
    bodies = [
        (message(made[0:1]), "application/x-protobuf", ""),
        (text(made[1:2]).encode(), "application/json", ""),
        (gzip.compress(message(made[2:3])), "application/x-protobuf", "gzip"),
        (gzip.compress(text(made[3:4]).encode()), "application/json; charset=utf-8", "gzip"),
        (zlib.compress(message(made[4:5])), "application/x-protobuf", "deflate"),
        (raw.compress(message(made[5:6])) + raw.flush(), "application/x-protobuf", "deflate"),
        (pa.compress(message(made[6:7]), codec="zstd", asbytes=True), "application/x-protobuf", "zstd"),
        (small.compress(message(made[7:8])) + small.flush(), "application/x-protobuf", "deflate"),
    ]
    for url in (server.otlp_url, f"{server.url}/v1/traces"):
        for body, kind, encoding in bodies:
            headers = {"content-type": kind, **({"content-encoding": encoding} if encoding else {})}
            assert served.request(url, body, headers).status == 200, (url, kind, encoding)
    assert stored(server, made) == 8


def test_json_is_answered_in_json(server: Server) -> None:
    """The answer has the encoding of the request."""
    answer = server.post(otlp_requests.json_text(spans()).encode(), "application/json")
    assert (answer.status, answer.headers["content-type"], answer.json) == (200, "application/json", {})


def test_a_refused_span_costs_only_itself_and_is_said(server: Server) -> None:
    """A span with a bad id is counted in partial_success, the others of the request are stored."""
    made = spans(2)
    request = otlp_requests.request(made)
    request.resource_spans[1].scope_spans[0].spans[0].trace_id = b"short"
    answer = server.post(request.SerializeToString())
    partial = ExportTraceServiceResponse.FromString(answer.body).partial_success
    assert (answer.status, partial.rejected_spans) == (200, 1)
    assert "trace id" in partial.error_message
    document = json.loads(otlp_requests.json_text(made))
    document["resourceSpans"][1]["scopeSpans"][0]["spans"][0]["traceId"] = "xyz"
    in_json = server.post(json.dumps(document).encode(), "application/json")
    assert in_json.json["partialSuccess"]["rejectedSpans"] == "1"
    assert stored(server, made) == 1


def test_the_sdks_exporter_is_served(server: Server) -> None:
    """The OpenTelemetry SDK's own exporter, with and without gzip, sees success."""
    for compression in ("none", "gzip"):
        from opentelemetry.exporter.otlp.proto.http import Compression

        exporter = OTLPSpanExporter(endpoint=server.otlp_url, compression=Compression(compression))
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        with provider.get_tracer("test").start_as_current_span(f"sdk {compression}"):
            pass
        provider.shutdown()
    found = ask(server, "select name from spans where name like 'sdk %' order by name")
    assert found == [("sdk gzip",), ("sdk none",)]


def test_messages_in_log_records_are_evidence_of_their_span(server: Server) -> None:
    """As protobuf and as JSON, one before and one after the spans; the bill by tool has them when it is made."""
    emitted = recorded_messages.conversation("messages")
    logs, url = emitted.all_logs, server.otlp_url.replace("/v1/traces", "/v1/logs")
    half = len(logs.resource_logs) // 2
    one, other = (ExportLogsServiceRequest(resource_logs=each) for each in (logs.resource_logs[:half],
                                                                            logs.resource_logs[half:]))  # fmt: skip
    json_type, binary = {"content-type": "application/json"}, {"content-type": "application/x-protobuf"}
    assert served.request(url, recorded_messages.as_json(one), json_type).status == 200
    assert served.request(server.otlp_url, emitted.all_spans.SerializeToString(), binary).status == 200
    assert (
        served.request(url, gzip.compress(other.SerializeToString()), {**binary, "content-encoding": "gzip"}).status
        == 200
    )
    query = "select tool, calls, result_cost_usd > 0 from tool_costs where tool = 'get_route'"
    assert served.until(lambda: ask(server, query) == [("get_route", 2, True)])


@pytest.mark.parametrize(
    ("body", "headers", "status", "says"),
    [
        (b"\xff\xff\xff", {}, 400, ""),
        (b"{", {"content-type": "application/json"}, 400, "not valid JSON"),
        (b"[]", {"content-type": "application/json"}, 400, "no resourceSpans"),
        (b'{"a": 1}', {"content-type": "application/json"}, 400, "no resourceSpans"),
        (b"not gzip", {"content-encoding": "gzip"}, 400, "damaged"),
        (gzip.compress(b"x" * 1000, mtime=0)[:-10], {"content-encoding": "gzip"}, 400, "ends too early"),
        (b"x", {"content-encoding": "br"}, 415, "use gzip, zstd, deflate or none"),
        (b"x", {"content-type": "text/plain"}, 415, "application/x-protobuf or application/json"),
        (b"x", {"content-type": ""}, 415, "application/x-protobuf or application/json"),
        (b"x" * (33 << 20), {}, 413, "send smaller batches"),
    ],
)
def test_bad_requests_get_one_line(
    server: Server, body: bytes, headers: dict[str, str], status: int, says: str
) -> None:
    """The status says whose fault it is, the body is a google.rpc.Status with one line."""
    answer = server.post(body, **{"content_type": "application/x-protobuf", **headers})
    if answer.headers["content-type"] == "application/json":
        message = answer.json["message"]
    else:
        message = Status.FromString(answer.body).message
    assert answer.status == status
    assert says in message and message and "\n" not in message


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_bomb_is_refused_before_it_unfolds(server: Server, encoding: str) -> None:
    """What stands for a gigabyte is a 413, and the server's memory does not grow by it."""
    zeros = bytes(1 << 30)
    bomb = gzip.compress(zeros, 9) if encoding == "gzip" else pa.compress(zeros, codec="zstd", asbytes=True)
    before = resident_bytes(server.process.pid)
    answer = server.post(bomb, content_encoding=encoding)
    assert answer.status == 413
    assert "when decompressed" in Status.FromString(answer.body).message
    assert resident_bytes(server.process.pid) - before < 200 << 20


def resident_bytes(pid: int) -> int:
    """Memory that a process holds."""
    if sys.platform != "linux":
        pytest.skip("reads /proc")
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096


def test_an_empty_request_is_fine(server: Server) -> None:
    """An exporter's probe carries no spans; JSON leaves out what is empty."""
    refused = server.get("/healthz").json["refused_kept_bytes"]
    for signal in ("traces", "logs", "metrics"):
        url = f"{server.url}/v1/{signal}"
        assert served.request(url, b"", {"content-type": "application/x-protobuf"}).status == 200
        assert served.request(url, b"{}", {"content-type": "application/json"}).status == 200
    assert server.post(b'{"resourceSpans": []}', "application/json").status == 200
    assert server.get("/healthz").json["refused_kept_bytes"] == refused


def test_other_web_pages_can_neither_read_nor_post(server: Server) -> None:
    """A foreign origin, or a foreign name that points to this machine, is turned away on every path."""
    port = urlsplit(server.url).port
    body = otlp_requests.protobuf(spans())
    for path in ("/", "/healthz", "/_stcore/health", "/v1/traces"):
        posted = body if path == "/v1/traces" else None
        kind = {"content-type": "application/x-protobuf"}
        for hostile in (
            {"host": f"attacker.example:{port}"},
            {"origin": "https://attacker.example"},
            {"origin": "null"},
            {"host": f"attacker.example:{port}", "origin": f"http://attacker.example:{port}"},
        ):
            answer = served.request(f"{server.url}{path}", posted, {**kind, **hostile})
            assert answer.status == 403, (path, hostile)
            assert "access-control-allow-origin" not in {name.lower() for name in answer.headers}
    assert server.get("/healthz", host=f"localhost:{port}", origin=f"http://localhost:{port}").status == 200


def test_a_foreign_page_cannot_open_the_websocket(server: Server) -> None:
    """The pages' websocket checks what their requests check."""
    at = urlsplit(server.url)
    for headers, expected in (
        ("Origin: https://attacker.example", b"403"),
        (f"Origin: http://{at.netloc}", b"101"),
    ):
        with socket.create_connection((at.hostname, at.port), timeout=10) as connection:
            connection.sendall(
                f"GET /_stcore/stream HTTP/1.1\r\nHost: {at.netloc}\r\n{headers}\r\nConnection: Upgrade\r\n".encode()
                + b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            assert connection.recv(100).split()[1] == expected


def test_the_otlp_port_shows_no_pages(server: Server) -> None:
    """What is opened to collectors takes spans and says how it is."""
    base = server.otlp_url.removesuffix("/v1/traces")
    assert served.request(f"{base}/", None, {}).status == 404
    assert served.request(f"{base}/healthz", None, {}).json["status"] == "ok"


def test_the_page_is_served(server: Server) -> None:
    """The frame of the page, with usage statistics of the framework off."""
    page = server.get("/")
    assert page.status == 200
    assert b"<html" in page.body


def test_the_spool_is_loaded_as_it_grows(server: Server) -> None:
    """What an agent writes into the spool is in the store soon after, without a request."""
    made = spans(2)
    commits = server.get("/healthz").json["commits"]
    spool = server.home / "spool"
    spool.mkdir(exist_ok=True)
    (spool / "agent-1.spool").write_bytes(encode(otlp_requests.protobuf(made)))
    assert served.until(lambda: server.get("/healthz").json["commits"] > commits)
    assert served.until(lambda: server.get("/healthz").json["spool_waiting_bytes"] == 0)
    assert stored(server, made) == 2


def test_requests_from_many_clients_are_all_stored(server: Server) -> None:
    """Thirty-two at once share commits, and none is lost."""
    batches = [spans(20) for _ in range(32)]
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(server.send, batches))
    assert {answer.status for answer in answers} == {200}
    traces = ", ".join(f"'{made[0].trace_id}'" for made in batches)
    assert ask(server, f"select count(*) from spans where trace_id in ({traces})") == [(32 * 20,)]


def test_the_secret_for_local_calls_is_the_owners(server: Server) -> None:
    """server.json is readable by its owner only, and the snapshot call needs what is in it."""
    file = server.home / "server.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    content = json.loads(file.read_text())
    assert (content["pid"], content["url"]) == (server.process.pid, server.url)
    url = f"{server.url}/api/snapshot"
    assert served.request(url, b"", {}).status == 401
    assert served.request(url, b"", {"authorization": "Bearer guess"}).status == 401
    assert served.request(url, b"", {"authorization": f"Bearer {content['secret']}"}).status == 200


def test_a_second_server_on_the_same_store_says_where_the_first_is(server: Server) -> None:
    """One line with the first one's URL; also after a snapshot, whose copying must not cost the store its lock."""
    ask(server, "select 1")
    second = served.run(server.home, "up", "--port", "0", "--otlp-port", "0", "--grpc-port", "0")
    assert second.returncode == 2
    assert server.url in second.stderr and second.stderr.count("\n") == 1


@pytest.mark.parametrize("option", ["--port", "--otlp-port", "--grpc-port"])
def test_a_port_in_use_says_which_option_to_give(server: Server, tmp_path: Path, option: str) -> None:
    """One line, and the server that has the port goes on."""
    taken = str(urlsplit(server.url).port)
    ports = {"--port": "0", "--otlp-port": "0", "--grpc-port": "0", option: taken}
    refused = served.run(tmp_path / "home", "up", *(each for pair in ports.items() for each in pair))
    assert refused.returncode == 2
    assert refused.stderr == (
        f"toolspend: port {taken} on 127.0.0.1 is in use: stop what listens there, or give another {option} PORT\n"
    )
    assert not (tmp_path / "home" / "server.json").exists()


def test_acknowledged_spans_survive_kill_9(tmp_path: Path) -> None:
    """The process dies while clients send; every span that was acknowledged is in the store."""
    home = tmp_path / "home"
    acknowledged: list[list[Made]] = []
    with served.up(home) as server:
        enough = threading.Event()

        def send() -> None:
            while True:
                made = spans(5)
                try:
                    answer = server.send(made)
                except OSError:
                    return
                if answer.status == 200:
                    acknowledged.append(made)
                    if len(acknowledged) >= 12:
                        enough.set()

        clients = [threading.Thread(target=send) for _ in range(3)]
        for client in clients:
            client.start()
        assert enough.wait(60)
        server.process.kill()
        for client in clients:
            client.join()
    with duckdb.connect(str(home / "toolspend.duckdb")) as con:
        found = dict(con.execute("select trace_id, count(*) from spans group by all").fetchall())
    assert {made[0].trace_id: found.get(made[0].trace_id) for made in acknowledged} == {
        made[0].trace_id: 5 for made in acknowledged
    }
    # What it left behind is stale: the next command works as if it were not there.
    assert (home / "server.json").exists()
    assert served.run(home, "sql", "select 1").returncode == 0


def test_it_stops_cleanly(tmp_path: Path) -> None:
    """Ended by a signal, it says nothing, exits with 0 and leaves only the store; the next start has the spans."""
    home = tmp_path / "home"
    with served.up(home) as server:
        made = spans(4)
        assert server.send(made).status == 200
        assert served.run(home, "sql", "select 1").returncode == 0
        assert server.stop() == ""
        assert server.process.returncode == 0
    assert [file.name for file in home.iterdir() if file.is_file()] == ["toolspend.duckdb"]
    answer = served.run(home, "sql", "select count(*) from spans", "-f", "csv")
    assert answer.stdout.split()[1] == "4"


def test_it_stops_cleanly_while_it_starts(tmp_path: Path) -> None:
    """Ended as soon as it has said its addresses, when it still imports what pages need."""
    home = tmp_path / "home"
    with served.up(home) as server:
        assert server.stop() == ""
        assert server.process.returncode == 0
    assert [file.name for file in home.iterdir() if file.is_file()] == ["toolspend.duckdb"]
    assert served.run(home, "sql", "select 1").returncode == 0


def test_beyond_this_machine_a_token_is_needed(tmp_path: Path) -> None:
    """Without one it does not start; with one, spans and pages need it and any host name is taken."""
    home = tmp_path / "home"
    refused = served.run(home, "up", "--host", "0.0.0.0", "--port", "0", "--otlp-port", "0", "--grpc-port", "0")
    assert refused.returncode == 2
    assert "set TOOLSPEND_TOKEN" in refused.stderr and refused.stderr.count("\n") == 1
    assert not home.exists()
    with served.up(home, "--host", "0.0.0.0", TOOLSPEND_TOKEN="let-me-in") as server:
        at = urlsplit(server.url)
        url, otlp = f"http://127.0.0.1:{at.port}", server.otlp_url.replace("0.0.0.0", "127.0.0.1")
        body, kind = otlp_requests.protobuf(spans()), {"content-type": "application/x-protobuf"}
        assert served.request(otlp, body, kind).status == 401
        assert served.request(otlp, body, {**kind, "authorization": "Bearer wrong"}).status == 401
        assert served.request(otlp, body, {**kind, "authorization": "Bearer let-me-in"}).status == 200
        assert served.request(otlp, body, {**kind, "authorization": "bearer let-me-in"}).status == 200
        assert served.request(otlp, body, {**kind, "authorization": "Basic let-me-in"}).status == 401
        assert served.request(f"{url}/", None, {}).status == 401
        elsewhere = {"host": "box.example", "authorization": "Bearer let-me-in"}
        assert served.request(f"{url}/", None, elsewhere).status == 200
        assert served.run(home, "sql", "select 1").returncode == 0
        with socket.create_connection(("127.0.0.1", at.port or 0), timeout=10) as connection:
            connection.sendall(f"GET /?token=let-me-in HTTP/1.1\r\nHost: {at.netloc}\r\n\r\n".encode())
            head = connection.recv(2000).decode().lower()
        assert "303" in head.split("\r\n")[0]
        cookie = next(line.partition(": ")[2] for line in head.split("\r\n") if line.startswith("set-cookie"))
        assert "httponly" in cookie and "samesite=strict" in cookie and "let-me-in" not in cookie
        assert served.request(f"{url}/", None, {"cookie": cookie.split(";")[0]}).status == 200


def test_a_token_in_an_exporters_address_is_taken(tmp_path: Path) -> None:
    """What is told to be exported is stored, also where the token is in the address and not in a header."""
    with served.up(tmp_path / "home", TOOLSPEND_TOKEN="let-me-in") as server:
        exporter = OTLPSpanExporter(f"{server.otlp_url}?token=let-me-in", timeout=10)
        processor = SimpleSpanProcessor(exporter)
        provider = TracerProvider()
        provider.add_span_processor(processor)
        provider.get_tracer("test").start_span("told by an exporter").end()
        provider.shutdown()
        assert ask(server, "select name from spans") == [("told by an exporter",)]
        assert served.request(f"{server.otlp_url}?token=wrong", b"", {}).status == 401
        assert served.request(f"{server.otlp_url}?token=let-me-in", None, {}).status == 405


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/logs", "/v1/metrics"])
def test_where_spans_are_sent_there_is_no_page(server: Server, path: str) -> None:
    """What reads from there, as a client does that a proxy redirected, is told that it stored nothing."""
    for url in (server.url, server.otlp_url.removesuffix("/v1/traces")):
        answer = served.request(f"{url}{path}", None, {})
        assert (answer.status, answer.headers["allow"], answer.text) == (405, "POST", f"{path} takes POST\n")


def test_no_setting_of_the_user_can_turn_usage_statistics_on(tmp_path: Path) -> None:
    """The settings beside the script win over the environment and over the working folder's."""
    (tmp_path / ".streamlit").mkdir()
    (tmp_path / ".streamlit" / "config.toml").write_text("[browser]\ngatherUsageStats = true\n", encoding="utf-8")
    code = (
        "from toolspend_dashboard.application import SCRIPT, configure_streamlit; configure_streamlit(SCRIPT)\n"
        "from streamlit import config\n"
        "names = 'browser.gatherUsageStats server.fileWatcherType client.toolbarMode client.showErrorDetails'\n"
        "print([config.get_option(name) for name in names.split()])"
    )
    environment = served.environment(tmp_path / "home", STREAMLIT_BROWSER_GATHER_USAGE_STATS="true")
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "[False, 'none', 'minimal', 'none']\n", done.stderr
