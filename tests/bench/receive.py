"""What the receiver takes: `receive.py --spans 20000 --clients 4 --rate 5000`, prints its figures as JSON.

The server is `toolspend up` without its pages, in a process of its own; the clients are processes too, which send mixed
batches of 512 spans of whole agent sessions (`traffic`), about 900 bytes a span. First as fast as it takes them: spans
a second until all are durable, and until all are attributed too, its memory, and bytes a span on disk. Then at the rate
given, once with clients that send one after the other, as those of agents that know nothing of each other do, and once
with all in the same moment: how long acknowledgements take, and a page's questions meanwhile and, before, idle. Last
what each stage takes alone (`stages`); with `--stages` only that. With `--peers FOLDER` instead
other receivers, and ours beside (`peers`).
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("tests", "instrumentation", "ingest", "dashboard")]

HEADERS = {"content-type": "application/x-protobuf"}
RATE_S = 20


def send(
    port: int, client: int, clients: int, spans: int, pause_s: float, late_s: float, ready: Any, found: Any, offset: int
) -> None:
    """One client: its batches, each sent until it is acknowledged; how long each took, in ms."""
    import traffic

    bodies = list(traffic.batches(client + offset, clients, spans))
    waits, again = [], 0
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    ready.wait()
    due = time.perf_counter() + late_s
    for body, _ in bodies:
        if pause_s:
            time.sleep(max(due - time.perf_counter(), 0))
            due += pause_s
        before = time.perf_counter()
        while True:
            connection.request("POST", "/v1/traces", body, HEADERS)
            answer = connection.getresponse()
            answer.read()
            if answer.status == 200:
                break
            if answer.status not in (429, 502, 503, 504):
                found.put(f"the receiver answered {answer.status}")
                return
            again += 1
            time.sleep(min(int(answer.headers.get("retry-after", 1)), 1))
        waits.append((time.perf_counter() - before) * 1000)
    found.put((sum(count for _, count in bodies), waits, again))


def load(
    port: int, clients: int, spans: int, rate: int | None, offset: int, *, is_in_step: bool = True
) -> tuple[int, list[float], int, float]:
    """All clients: spans sent, waits in ms, answers to come again, and seconds."""
    import traffic

    context = multiprocessing.get_context("spawn")
    ready, found = context.Barrier(clients + 1), context.Queue()
    pause_s = clients * traffic.BATCH_SPANS / rate if rate else 0.0
    late_s = 0.0 if is_in_step else pause_s / clients
    workers = [
        context.Process(
            target=send,
            args=(port, client, clients, spans // clients, pause_s, late_s * client, ready, found, offset),
        )
        for client in range(clients)
    ]
    for worker in workers:
        worker.start()
    ready.wait(600)
    before = time.perf_counter()
    results = [found.get() for _ in workers]
    if said := next((each for each in results if isinstance(each, str)), None):
        raise SystemExit(said)
    seconds = time.perf_counter() - before
    for worker in workers:
        worker.join()
    waits = [wait for _, each, _ in results for wait in each]
    return sum(count for count, _, _ in results), waits, sum(again for _, _, again in results), seconds


def family(pid: int) -> list[int]:
    """A process and those that it started."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += family(int(child))
    return found


def resident_mb(pid: int, kind: str) -> float:
    """`VmHWM` (the most) or `VmRSS` (now) of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(kind))) / 1024


def cpu_s(pid: int) -> float:
    """What processes have used of all cores; unlike the time on the wall it depends little on what else runs."""
    ticks = 0
    for each in family(pid):
        user, system = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()[11:13]
        ticks += int(user) + int(system)
    return ticks / os.sysconf("SC_CLK_TCK")


class Reader(threading.Thread):
    """Asks the overview's questions again and again: the time of each run, in ms."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.port, self.waits, self.is_over = port, [], threading.Event()
        self.start()

    def run(self) -> None:
        while not self.is_over.is_set():
            before = time.perf_counter()
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
            connection.request("GET", "/overview")
            connection.getresponse().read()
            connection.close()
            self.waits.append((time.perf_counter() - before) * 1000)
            time.sleep(0.2)

    def stop(self) -> float:
        """End, and the median."""
        self.is_over.set()
        self.join(120)
        return statistics.median(self.waits)


def settle(port: int) -> None:
    """Wait until all that is stored is attributed too."""
    from soak import harness

    while harness.health(port).get("underived_spans"):
        time.sleep(0.1)


def percentile(values: list[float], share: float) -> float:
    """That share of the values is not above it."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def main(spans: int, clients: int, rate: int) -> dict[str, Any]:
    """The figures."""
    from soak import harness
    from toolspend_ingest.connection import connect

    home = Path(tempfile.mkdtemp(prefix="toolspend-bench-")) / "home"
    home.mkdir()
    port, grpc_port = harness.free_port(), harness.free_port()
    figures: dict[str, Any] = {"cores": os.cpu_count(), "clients": clients}
    with harness.lean(home, port, grpc_port) as process:
        assert harness.served.until(lambda: harness.is_up(port), within_s=60)
        before = cpu_s(process.pid)
        sent, waits, again, seconds = load(port, clients, spans, None, 0)
        acknowledged = time.perf_counter()
        settle(port)
        lag = time.perf_counter() - acknowledged
        figures |= {
            "spans": sent,
            "durable_per_s": round(sent / seconds),
            "attributed_per_s": round(sent / (seconds + lag)),
            "ack_p50_ms": round(percentile(waits, 0.5)),
            "ack_p95_ms": round(percentile(waits, 0.95)),
            "server_cpu_us_per_span": round((cpu_s(process.pid) - before) / sent * 1e6, 1),
            "told_to_come_again": again,
            "most_memory_mb": round(sum(resident_mb(each, "VmHWM") for each in family(process.pid))),
        }
        idle = Reader(port)
        time.sleep(6)
        figures["page_idle_ms"] = round(idle.stop())
        meanwhile = Reader(port)
        _, waits, again, seconds = load(port, clients, rate * RATE_S, rate, 1 << 28, is_in_step=False)
        figures |= {
            "page_meanwhile_ms": round(meanwhile.stop()),
            "rate_asked": rate,
            "rate_taken": round(rate * RATE_S / seconds),
            "rate_ack_p50_ms": round(percentile(waits, 0.5)),
            "rate_ack_p95_ms": round(percentile(waits, 0.95)),
        }
        _, waits, again, seconds = load(port, clients, rate * RATE_S, rate, 1 << 29)
        figures |= {
            "in_step_ack_p50_ms": round(percentile(waits, 0.5)),
            "in_step_ack_p95_ms": round(percentile(waits, 0.95)),
        }
        settle(port)  # else the bytes are of a store without the last sessions' bill
        process.terminate()
        process.wait(60)
    store = home / "toolspend.duckdb"
    # As the server opens it: with groups of another size, a checkpoint would write the tables anew.
    with connect(store, read_only=False) as con:
        con.execute("checkpoint")
        row = con.execute("select (select count(*) from spans), (select count(*) from llm_requests)").fetchone()
        sizes = con.execute(
            "select block_size * used_blocks, block_size * total_blocks from pragma_database_size()"
            " where database_name = current_database()"
        ).fetchone()
        own = con.execute(
            "select count(distinct block_id) * 262144 from"
            " (select unnest(list_prepend(block_id, additional_block_ids)) as block_id"
            " from pragma_storage_info('spans')) where block_id >= 0"
        ).fetchone()
        due = con.execute("select count(distinct trace_id) from pending_traces").fetchone()
        ledger = con.execute(
            "select count(*) from llm_requests where request_id not in (select request_id from context_ledger)"
        ).fetchone()
    assert row is not None and sizes is not None and ledger is not None and own is not None and due is not None
    figures |= {
        "stored": row[0], "requests": row[1], "requests_not_attributed": ledger[0],
        "traces_still_due": due[0],
        "bytes_per_span": round(sizes[0] / row[0]), "file_bytes_per_span": round(sizes[1] / row[0]),
        "bytes_per_span_of_spans": round(own[0] / row[0]),
    }  # fmt: skip
    return figures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=1_000_000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rate", type=int, default=5_000, help="spans a second of the second part")
    parser.add_argument("--stages", action="store_true", help="only what each stage takes alone")
    parser.add_argument("--peers", type=Path, metavar="FOLDER", help="the environments that `make bench-peers` makes")
    given = parser.parse_args()
    if given.peers is not None:
        from bench import peers

        print(json.dumps({**peers.beside(given.peers, given.spans, given.clients), "load": os.getloadavg()[0]}))
        sys.exit()
    from bench.stages import stages

    figures = {} if given.stages else main(given.spans, given.clients, given.rate)
    print(json.dumps({**figures, "stages": stages(min(given.spans, 100_000)), "load": os.getloadavg()[0]}))
