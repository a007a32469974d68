"""A server that is killed while clients send, and what its store has to hold afterwards."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import grpc

import served
import traffic
from toolspend._frames import encode
from toolspend_ingest import Store

LEAN = Path(__file__).with_name("lean.py")
HEADERS = {"content-type": "application/x-protobuf"}
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
SPOOLED_AT_ONCE = 3
SPOOLED_EVERY_S = 0.5


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Tally:
    """What clients saw: sessions acknowledged, and answers that made them send again."""

    acknowledged: set[int] = field(default_factory=set)
    spooled: set[int] = field(default_factory=set)
    unanswered: int = 0
    turned_away: int = 0
    waits_ms: list[float] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)


class Clients:
    """Threads that send whole sessions until they are acknowledged, one that spools; each session once, or again."""

    def __init__(self, http_port: int, grpc_port: int, spool: Path, *, http_clients: int = 3, has_spool: bool = True):
        self.tally = Tally()
        self._http_port, self._grpc_port, self._spool = http_port, grpc_port, spool
        self._stop = threading.Event()
        self._lock = threading.Lock()
        works = [*[self._over_http] * http_clients, self._over_grpc, *[self._into_the_spool] * has_spool]
        self._threads = [
            threading.Thread(target=work, args=(index + 1, len(works))) for index, work in enumerate(works)
        ]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _over_http(self, first: int, step: int) -> None:
        def send(body: bytes) -> bool:
            connection = http.client.HTTPConnection("127.0.0.1", self._http_port, timeout=30)
            try:
                connection.request("POST", "/v1/traces", body, HEADERS)
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                self.tally.unanswered += 1
                return False
            finally:
                connection.close()
            return self._is_taken(answer.status == 200, answer.status == 503, f"HTTP {answer.status}")

        self._until_acknowledged(first, step, send)

    def _over_grpc(self, first: int, step: int) -> None:
        options = [("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 200)]
        with grpc.insecure_channel(f"127.0.0.1:{self._grpc_port}", options=options) as channel:
            export = channel.unary_unary(EXPORT)

            def send(body: bytes) -> bool:
                try:
                    export(body, timeout=30)
                except grpc.RpcError as error:
                    code = error.code()
                    return self._is_taken(False, code == grpc.StatusCode.UNAVAILABLE, f"gRPC {code} {error.details()}")
                return True

            self._until_acknowledged(first, step, send)

    def _is_taken(self, is_taken: bool, is_away: bool, said: str) -> bool:
        with self._lock:
            self.tally.turned_away += is_away
            if not (is_taken or is_away):
                self.tally.unexpected.append(said)
        return is_taken

    def _until_acknowledged(self, first: int, step: int, send: Callable[[bytes], bool]) -> None:
        number = first
        while not self._stop.is_set():
            body, before = traffic.whole(number), time.perf_counter()
            while not send(body):
                if self._stop.wait(0.05):
                    return
            with self._lock:
                self.tally.acknowledged.add(number)
                self.tally.waits_ms.append((time.perf_counter() - before) * 1000)
            number += step

    def _into_the_spool(self, first: int, step: int) -> None:
        self._spool.mkdir(parents=True, exist_ok=True)
        number = first
        while not self._stop.is_set():
            hidden = self._spool / f".{number:020}.new"
            with contextlib.suppress(OSError), hidden.open("wb", buffering=0) as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                hidden.rename(self._spool / f"{number:020}.spool")
                for _ in range(SPOOLED_AT_ONCE):
                    frame = encode(traffic.whole(number))
                    if file.write(frame) != len(frame):
                        break
                    self.tally.spooled.add(number)
                    number += step
                    if self._stop.wait(SPOOLED_EVERY_S):
                        return


@contextlib.contextmanager
def lean(home: Path, http_port: int, grpc_port: int, min_free_mib: int = 64) -> Iterator[subprocess.Popen[bytes]]:
    """The server without pages; killed at the end where it still runs."""
    arguments = [sys.executable, str(LEAN), str(home / "toolspend.duckdb"), str(http_port), str(grpc_port)]
    process = subprocess.Popen([*arguments, str(min_free_mib)], env=served.environment(home))
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def whole(home: Path, http_port: int, grpc_port: int) -> Iterator[subprocess.Popen[bytes]]:
    """`toolspend up` as a user starts it; killed at the end where it still runs."""
    process = subprocess.Popen(
        served.command("up", "--port", "0", "--otlp-port", str(http_port), "--grpc-port", str(grpc_port)),
        env=served.environment(home), stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def is_up(port: int) -> bool:
    """Whether the server answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status in (200, 503)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def health(port: int) -> dict[str, Any]:
    """What `/healthz` says; nothing where it does not answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
        connection.request("GET", "/healthz")
        found: dict[str, Any] = json.loads(connection.getresponse().read())
        return found
    return {}


def kill_at_random(
    start: Callable[[], contextlib.AbstractContextManager[subprocess.Popen[bytes]]],
    port: int, kills: int, seed: int, most_s: float, within_s: float, said: Callable[[int], None],
) -> int:  # fmt: skip
    """Start the server and kill it at a random moment, some while it still starts; how often, within that time."""
    chance, deadline = random.Random(seed), time.monotonic() + within_s
    for number in range(kills):
        if time.monotonic() > deadline:
            return number
        with start() as process:
            if chance.random() < 0.8:
                assert served.until(lambda running=process: is_up(port) or running.poll() is not None, within_s=180)
            assert process.poll() is None
            time.sleep(chance.uniform(0.05, most_s))
            process.kill()
        said(number + 1)
    return kills


FAULTS = {
    "spans are stored twice": "select trace_id, span_id from spans group by all having count(*) > 1",
    "requests are billed twice": "select request_id, trace_id from llm_requests group by all having count(*) > 1",
    "calls are there twice": "select tool_call_id, trace_id from tool_calls group by all having count(*) > 1",
    "requests have a ledger that does not sum to their bill": """
        select request_id, trace_id
        from llm_requests
        left join (
            select trace_id, request_id, sum(cost_usd) as billed_usd from context_ledger group by trace_id, request_id
        ) as ledger using (trace_id, request_id)
        where cost_usd is distinct from billed_usd
    """,
}


def faults(store: Path, tally: Tally) -> list[str]:
    """What is lost, doubled or wrong in the store once what is due is derived, one line each."""
    with Store.open(store) as opened:
        opened.derive_pending()
    sure = tally.acknowledged | tally.spooled
    made = {session.session_id: session for session in map(traffic.session, sure)}
    found = []
    with duckdb.connect(str(store)) as con:
        spans = dict(con.execute("select trace_id, count(*) from spans group by trace_id").fetchall())
        lost = [each.session_id for each in made.values() if spans.get(each.trace_id) != len(each.spans)]
        if lost:
            found.append(f"{len(lost)} acknowledged sessions are not whole, as {lost[0]}")
        for what, query in FAULTS.items():
            rows = con.execute(query).fetchall()
            if rows:
                found.append(f"{len(rows)} {what}, as {rows[0]}")
        bills = con.execute("select session_id, requests, input_tokens from sessions").fetchall()
    wrong = [
        bill for bill in bills if bill[0] in made and bill[1:] != (made[bill[0]].requests, made[bill[0]].input_tokens)
    ]
    if wrong or len({bill[0] for bill in bills} & made.keys()) != len(made):
        found.append(f"{len(wrong)} sessions have another bill than was sent, as {wrong[:1]}")
    return [*found, *tally.unexpected[:5]]


def stored(store: Path) -> tuple[int, int]:
    """Spans and requests in the store."""
    with duckdb.connect(str(store)) as con:
        row = con.execute("select (select count(*) from spans), (select count(*) from llm_requests)").fetchone()
    assert row is not None
    return int(row[0]), int(row[1])
