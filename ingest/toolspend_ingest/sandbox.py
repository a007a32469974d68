"""A stranger's SQL, run where it can do no harm: one statement, in a process of its own that can be killed.

The process opens a snapshot of the store read-only, with files, other databases, extensions and settings locked out,
no environment, no inherited files, and limits on memory, processor time and file size. DuckDB's own limits are not
enough: `memory_limit` does not cover scalar functions, and its time limit cannot interrupt one long function call.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolspend_ingest.errors import QueryFailed, QueryRefused, QueryTimeout

MEMORY_MB = 512
ADDRESS_SPACE_BYTES = 1_500 * 1024 * 1024
OPEN_FILES = 24
START_UP_GRACE_S = 1.5
"""What starting Python and DuckDB may take beside the query's own time; 0.15 s on an idle machine."""
CONCURRENT_QUERIES = 4

_CHILD = Path(__file__).with_name("_sandbox_child.py")
_slots = threading.BoundedSemaphore(CONCURRENT_QUERIES)


@dataclass(frozen=True, slots=True)
class Result:
    """What a query returned: `rows` are lists of JSON values in the order of `columns`.

    `types` are DuckDB's type names. Decimals are floats, times ISO 8601 texts in UTC, blobs hexadecimal, intervals
    and UUIDs texts; NaN and infinity are None.
    """

    columns: list[str]
    types: list[str]
    rows: list[list[Any]]
    is_truncated: bool
    elapsed_ms: float


def run(
    sql: str,
    snapshot: Path,
    *,
    timeout_s: float = 10,
    max_rows: int = 10_000,
    max_bytes: int = 16 * 1024 * 1024,
) -> Result:
    """Run one reading statement on the DuckDB file `snapshot`, in a child process that ends within `timeout_s`.

    Raises QueryRefused, QueryFailed or QueryTimeout; each text is one line.
    """
    started = time.perf_counter()
    if not _slots.acquire(timeout=timeout_s):
        raise QueryTimeout(f"{CONCURRENT_QUERIES} queries are still running: try again in a moment")
    try:
        answer = _ask_child(sql, snapshot, timeout_s, max_rows, max_bytes)
    finally:
        _slots.release()
    return Result(
        columns=answer["columns"],
        types=answer["types"],
        rows=answer["rows"],
        is_truncated=answer["is_truncated"],
        elapsed_ms=(time.perf_counter() - started) * 1000,
    )


def _ask_child(sql: str, snapshot: Path, timeout_s: float, max_rows: int, max_bytes: int) -> dict[str, Any]:
    request = {
        "sql": sql,
        "snapshot": str(snapshot.absolute()),
        # The interpreter starts isolated (-I -S) and is told where its packages are.
        "path": [entry for entry in sys.path if entry and Path(entry).is_absolute()],
        "limits": {
            "memory_mb": MEMORY_MB,
            "address_space_bytes": ADDRESS_SPACE_BYTES,
            "open_files": OPEN_FILES,
            "timeout_ms": math.ceil(timeout_s * 1000),
            "cpu_s": math.ceil(timeout_s + START_UP_GRACE_S),
            "max_rows": max_rows,
            "max_bytes": max_bytes,
        },
    }
    child = subprocess.Popen(  # noqa: S603 - a fixed command; the statement goes in through stdin
        [sys.executable, "-I", "-S", "-B", str(_CHILD)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={},
        cwd=snapshot.absolute().parent,
        close_fds=True,
        start_new_session=True,
    )
    try:
        output, _ = child.communicate(
            json.dumps(request).encode("utf-8", "surrogatepass"), timeout=timeout_s + START_UP_GRACE_S
        )
    except subprocess.TimeoutExpired:
        raise _timeout(timeout_s) from None
    finally:
        _kill(child)
    return _read(output, child.returncode, timeout_s)


def _read(output: bytes, return_code: int, timeout_s: float) -> dict[str, Any]:
    """The child's answer, or the error that it or its end stands for."""
    if return_code == -getattr(signal, "SIGXCPU", 0):
        raise _timeout(timeout_s)
    try:
        answer: dict[str, Any] = json.loads(output)
    except ValueError:
        # An allocation that fails deep inside a C library can only abort the process.
        raise _out_of_memory() from None
    match answer.get("error"):
        case None:
            return answer
        case "refused":
            raise QueryRefused(answer["message"])
        case "timeout":
            raise _timeout(timeout_s)
        case "memory":
            raise _out_of_memory()
        case _:
            raise QueryFailed(_one_line(answer["message"]))


def _timeout(timeout_s: float) -> QueryTimeout:
    return QueryTimeout(f"the query was stopped after {timeout_s:g} s: add a filter or a limit")


def _out_of_memory() -> QueryFailed:
    return QueryFailed(f"the query needs more than {MEMORY_MB} MB of memory: add a filter, or select fewer columns")


def _one_line(message: str) -> str:
    """DuckDB's message without the excerpt of the statement that it points into."""
    text = message.split("\n\nLINE ")[0].split("\nLINE ")[0]
    return " ".join(part.strip() for part in text.splitlines() if part.strip())


def _kill(child: subprocess.Popen[bytes]) -> None:
    """End the child and everything in its process group, and collect it."""
    if child.poll() is None:
        if hasattr(os, "killpg"):
            # The child leads a session of its own, so its group is its pid.
            os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()
    child.communicate()
