"""Deriving in a process of its own, so that the interpreter's lock of this one is free for those who send spans.

The child (`apart_child`) has no store: DuckDB's file is open in one process. It runs the same steps as `Here` on a
connection that sends its statements through a pipe; they run here, in the caller's transaction, where DuckDB does not
hold the lock. What the child knows of sessions is lost with it, and nothing else: what is due is stored.
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import duckdb
import pyarrow as pa

from .derivation import Here, Steps
from .errors import NotDerived
from .news import News
from .pipes import Pipe

END_S: Final = 5.0
"""How long a child may take to end by itself; it does nothing then but to leave."""

_log = logging.getLogger("toolspend")


class Apart:
    """Derives in a child, which is started again where it died; here, where there can be none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._child: subprocess.Popen[bytes] | None = None
        self._pipe: Pipe | None = None
        self._must_forget = threading.Event()
        self._steps = Steps()
        self._knows_any = False
        self._here: Here | None = None
        self._failure: str | None = None

    @property
    def steps(self) -> Steps:
        """What the child did since it was started."""
        return self._steps

    @property
    def pid(self) -> int | None:
        """The child's process id; None where there is none."""
        return self._child.pid if self._child is not None else None

    def prepare(self) -> None:
        """Start the child where there is none, as that takes a second; what goes wrong shows when it is needed."""
        with contextlib.suppress(OSError):
            self._started()

    def go_on(self, con: duckdb.DuckDBPyConnection, news: News) -> list[str]:
        """Make what follows from the news; gives the traces that were derived whole. Raises NotDerived."""
        try:
            pipe = self._started()
        except OSError as error:
            if self._here is None:
                _log.warning("no process of its own for deriving (%s): it is done in this one", error)
                self._here = Here()
            return self._here.go_on(con, news)
        self._here = None  # what it knows of sessions is of before the child
        try:
            must_forget = self._must_forget.is_set()
            self._must_forget.clear()
            if must_forget or not self._knows_any:  # then it reads them from the store, with those of before
                pipe.send(must_forget, sorted(news.trace_ids()))
            else:
                pipe.send(must_forget, sorted(news.changed), table=news.spans.to_arrow())
            derived, steps, self._knows_any, failure = _serve(pipe, con)
            self._steps = Steps(*steps)
        except (EOFError, OSError, pa.ArrowInvalid) as error:
            self._end()
            _log.warning("the process that derives ended, and is started again")
            raise NotDerived(self._path, "the process that derives ended") from error
        except BaseException:
            # It waits for an answer, or works on what will not be kept.
            self._end()
            raise
        if failure is not None:
            if failure != self._failure:  # what is due is tried again and again
                _log.error("%s", failure)
            self._failure = failure
            raise NotDerived(self._path, failure.rstrip().rpartition("\n")[2])
        return cast(list[str], derived)

    def forget(self) -> None:
        """What the child knows of sessions is not what is stored of them any more."""
        self._must_forget.set()
        if self._here is not None:
            self._here.forget()

    def close(self) -> None:
        """End the child."""
        self._end(within_s=END_S)

    def _started(self) -> Pipe:
        if self._pipe is None or self._child is None or self._child.poll() is not None:
            self._end()
            # Where its packages are is told, as this process may have been started in another way.
            paths = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-m", "toolspend_ingest.apart_child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": paths},
                # What interrupts this process is not for the child: it ends with its pipe.
                start_new_session=True,
            )
            self._pipe = Pipe(cast(BinaryIO, self._child.stdout), cast(BinaryIO, self._child.stdin))
            self._must_forget.clear()
            self._knows_any = False
            self._steps = Steps()
        return self._pipe

    def _end(self, within_s: float = 0.0) -> None:
        child, pipe, self._child, self._pipe = self._child, self._pipe, None, None
        if pipe is not None:
            pipe.close()
        if child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(within_s or 0.001)
            child.kill()
            child.wait()


def _serve(pipe: Pipe, con: duckdb.DuckDBPyConnection) -> Sequence[Any]:
    """Runs the child's statements until it is done.

    Then it says which traces it derived, its steps, whether it knows any session, and the stack where it failed.
    """
    while True:
        (kind, *said), table = pipe.receive()
        match kind:
            case "run":
                con.execute(*said)
            case "ask":
                pipe.send(table=con.sql(said[0], params=said[1]).to_arrow_table())
            case "register":
                con.register(said[0], table)
            case "unregister":
                con.unregister(said[0])
            case "insert":
                con.from_arrow(table).insert_into(said[0])
            case _:
                return said
