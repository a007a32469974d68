"""What other receivers take of the same traffic, beside ours and in one run: `receive.py --peers .venv-peers`.

Asked of each: as many spans from as many clients, the same bytes, over OTLP/HTTP; how soon all are acknowledged, and
how soon a query finds all: rows of the SQLite file for trace-view, and for Phoenix, which acknowledges what it has
queued. Ours acknowledges what is committed, which a query finds at once; it is timed until all spans are attributed
too, which the others have nothing of. Then the most memory that its processes held, and how much its files grew.

Each runs in a network of its own that has loopback alone: trace-view listens on every address, and nothing that a peer
might send about itself gets out. Phoenix is told not to as well, by its own settings. Where a peer cannot run, a line
says why, and the others go on.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[:0] = [
        str(Path(__file__).parents[2] / each) for each in ("tests", "instrumentation", "ingest", "dashboard")
    ]

import duckdb

import served
from bench import receive
from soak import harness

UP_WITHIN_S = 180
QUERYABLE_WITHIN_S = 900
_ALONE = ("unshare", "--net", "--map-root-user", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
_VERSION = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"


@dataclass(frozen=True, slots=True)
class Receiver:
    """One that takes OTLP over HTTP; commands and settings may name {bin}, {home}, {port} and {grpc_port}."""

    name: str
    command: tuple[str, ...]
    stored: Callable[[Path], int]
    """How many spans a query finds; of ours, which one process owns, once it has ended."""
    settings: Mapping[str, str] = field(default_factory=dict)
    package: str | None = None
    """What is installed in its environment; None for ours."""
    ready: str = "/"
    is_on_loopback: bool = True


def _rows(path: Path) -> int:
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as con,
    ):
        return int(con.execute("select count(*) from spans").fetchone()[0])
    return 0


def _own_rows(home: Path) -> int:
    with duckdb.connect(str(home / "toolspend.duckdb")) as con:
        row = con.execute("select count(*) from spans").fetchone()
    return int(row[0]) if row is not None else 0


OURS = Receiver(
    "toolspend",
    (sys.executable, str(harness.LEAN), "{home}/toolspend.duckdb", "{port}", "{grpc_port}", "64"),
    _own_rows,
    ready="/healthz",
)
PEERS = (
    Receiver(
        "phoenix",
        ("{bin}/phoenix", "serve"),
        lambda home: _rows(home / "phoenix.db"),
        {
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_PORT": "{port}",
            "PHOENIX_GRPC_PORT": "{grpc_port}",
            "PHOENIX_WORKING_DIR": "{home}",
            "PHOENIX_TELEMETRY_ENABLED": "false",
            "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
        },
        package="arize-phoenix",
        ready="/healthz",
    ),
    Receiver(
        "trace-view",
        ("{bin}/tv", "--port", "{port}", "--db", "{home}/traces.db", "serve"),
        lambda home: _rows(home / "traces.db"),
        package="trace-view",
        is_on_loopback=False,
    ),
)


class NotRun(Exception):
    """A receiver that could not be measured: why, in one line."""


def beside(folder: Path, spans: int, clients: int) -> dict[str, Any]:
    """Ours and each peer, one after the other, and how many times as much ours takes; `folder` has environments."""
    is_alone = subprocess.run([*_ALONE, "true"], capture_output=True, check=False).returncode == 0
    found: dict[str, Any] = {"spans": spans, "clients": clients, "is_offline": is_alone}
    for receiver in (OURS, *PEERS):
        try:
            if not is_alone and not receiver.is_on_loopback:
                raise NotRun("it listens on every address, and no network of its own can be made here")
            found[receiver.name] = _apart(receiver, folder, spans, clients, _ALONE if is_alone else ())
        except NotRun as reason:
            found[receiver.name] = {"not_run": str(reason)}
            print(f"{receiver.name} was not measured: {reason}", file=sys.stderr)
    return found | {"ratios": _ratios(found)}


def _ratios(found: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """How many times as many spans a second ours takes, and how many times as much room and memory a peer does."""
    own, ratios = found[OURS.name], {}
    for peer in PEERS:
        other = found[peer.name]
        if "not_run" in own or "not_run" in other:
            continue
        pairs = {
            "acknowledged_per_s": (own["acknowledged_per_s"], other["acknowledged_per_s"]),
            "queryable_per_s": (own["queryable_per_s"], other["queryable_per_s"]),
            "attributed_to_queryable_per_s": (own["attributed_per_s"], other["queryable_per_s"]),
            "bytes_per_span": (other["bytes_per_span"], own["bytes_per_span"]),
            "most_memory_mb": (other["most_memory_mb"], own["most_memory_mb"]),
        }
        ratios[peer.name] = {name: round(above / below, 2) for name, (above, below) in pairs.items() if below}
    return ratios


def _apart(receiver: Receiver, folder: Path, spans: int, clients: int, alone: tuple[str, ...]) -> dict[str, Any]:
    """The figures of a receiver, measured by a process in its network."""
    binaries = folder.resolve() / receiver.name / "bin"
    if receiver.package is not None and not binaries.is_dir():
        raise NotRun(f"it is not installed in {folder / receiver.name}, which `make bench-peers` does")
    command = [*alone, sys.executable, __file__, receiver.name, str(binaries), str(spans), str(clients)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotRun((done.stderr.strip().splitlines() or ["it said nothing"])[-1])
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if receiver.package is not None:
        asked = [str(binaries / "python"), "-c", _VERSION, receiver.package]
        figures["version"] = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return figures


def measure(receiver: Receiver, binaries: Path, spans: int, clients: int) -> dict[str, Any]:
    """The figures of one receiver, started afresh. Raises NotRun."""
    with tempfile.TemporaryDirectory(prefix="toolspend-bench-") as folder:
        home, port = Path(folder), harness.free_port()
        words = {"bin": str(binaries), "home": folder, "port": str(port), "grpc_port": str(harness.free_port())}
        said = home / "said"
        settings = {name: value.format_map(words) for name, value in receiver.settings.items()}
        with said.open("wb") as log:
            process = subprocess.Popen(
                [each.format_map(words) for each in receiver.command],
                env={**served.environment(home), **settings}, cwd=home, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            if not harness.served.until(lambda: process.poll() is not None or _answers(port, receiver.ready),
                                        within_s=UP_WITHIN_S) or process.poll() is not None:  # fmt: skip
                raise NotRun(f"it did not start: {(said.read_text().strip().splitlines() or ['it said nothing'])[-1]}")
            return _measured(receiver, process, home, port, spans, clients)
        finally:
            process.kill()
            process.wait()


def _measured(
    receiver: Receiver, process: subprocess.Popen[bytes], home: Path, port: int, spans: int, clients: int
) -> dict[str, Any]:
    before = _bytes(home)
    sent, waits, again, seconds = receive.load(port, clients, spans, None, 0)
    acknowledged = time.perf_counter()
    figures: dict[str, Any] = {"spans": sent, "acknowledged_per_s": round(sent / seconds)}
    is_ours = receiver.package is None
    if is_ours:
        figures["queryable_per_s"] = figures["acknowledged_per_s"]
        while harness.health(port).get("underived_spans"):
            time.sleep(0.05)
        figures["attributed_per_s"] = round(sent / (seconds + time.perf_counter() - acknowledged))
    else:
        while (found := receiver.stored(home)) < sent and time.perf_counter() - acknowledged < QUERYABLE_WITHIN_S:
            time.sleep(0.05)
        figures["queryable_per_s"] = round(found / (seconds + time.perf_counter() - acknowledged))
    figures |= {
        "ack_p50_ms": round(receive.percentile(waits, 0.5)),
        "ack_p95_ms": round(receive.percentile(waits, 0.95)),
        "told_to_come_again": again,
        "most_memory_mb": round(_most_memory_mb(process.pid)),
    }
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(60)
    stored = receiver.stored(home)
    return {**figures, "stored": stored, "bytes_per_span": round((_bytes(home) - before) / max(stored, 1))}


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
        connection.request("GET", path)
        return connection.getresponse().status < 500
    return False


def _bytes(home: Path) -> int:
    """The size of what is stored, logs of databases with it."""
    return sum(each.stat().st_size for each in home.rglob("*") if each.is_file() and each.name != "said")


def _most_memory_mb(pid: int) -> float:
    """The most that a process and those it started held, each at its own time."""
    below = Path(f"/proc/{pid}/task").glob("*/children")
    children = {int(child) for listed in below for child in listed.read_text().split()}
    return receive.resident_mb(pid, "VmHWM") + sum(map(_most_memory_mb, children))


if __name__ == "__main__":
    name, binaries, spans, clients = sys.argv[1:]
    try:
        figures = measure(
            next(each for each in (OURS, *PEERS) if each.name == name), Path(binaries), int(spans), int(clients)
        )
    except NotRun as reason:
        sys.exit(str(reason))
    print(json.dumps(figures))
