"""The process that derives: reads what is new, asks for what it needs, and sends rows back (see `apart`)."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from typing import Any, Final, TypeAlias, cast

import duckdb
import pyarrow as pa

from .arrow import rows_of
from .derivation import Here
from .news import News
from .pipes import Pipe
from .spans import SpanBatch, SpanColumns

NICENESS: Final = 5
"""Whoever waits for an answer goes before."""
Params: TypeAlias = Sequence[Any] | Mapping[str, Any] | None


class Answer:
    """What a statement gives, once somebody asks for it."""

    def __init__(self, statements: Statements, sql: str, params: Params) -> None:
        self._statements = statements
        self.sql = sql
        self.params = params

    def to_arrow_table(self) -> pa.Table:
        """Its rows as a table."""
        return self._statements.ask(self)

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Its rows."""
        return list(rows_of(self.to_arrow_table()))

    def fetchone(self) -> tuple[Any, ...] | None:
        """Its first row."""
        return next(iter(self.fetchall()), None)


class _Relation:
    def __init__(self, pipe: Pipe, table: pa.Table) -> None:
        self._pipe = pipe
        self._table = table

    def insert_into(self, name: str) -> None:
        self._pipe.send("insert", name, table=self._table)


class Statements:
    """As much of a DuckDB connection as deriving uses. Nobody waits for a statement that is not asked for its rows."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._last: Answer | None = None

    def execute(self, sql: str, params: Params = None) -> Answer:
        """A statement; its rows are asked for before the next, or never."""
        self.finish()
        self._last = Answer(self, sql, params)
        return self._last

    def sql(self, sql: str, *, params: Params = None) -> Answer:
        """The same: a relation that is read once."""
        return self.execute(sql, params)

    def register(self, name: str, table: pa.Table) -> None:
        """A table by that name."""
        self.finish()
        self._pipe.send("register", name, table=table, is_last=False)

    def unregister(self, name: str) -> None:
        """No table by that name any more."""
        self.finish()
        self._pipe.send("unregister", name, is_last=False)

    def from_arrow(self, table: pa.Table) -> _Relation:
        """A table that is to be inserted."""
        self.finish()
        return _Relation(self._pipe, table)

    def ask(self, answer: Answer) -> pa.Table:
        """The rows of the last statement."""
        if answer is not self._last:
            raise RuntimeError("the rows of a statement are asked for before the next")
        self._last = None
        self._pipe.send("ask", answer.sql, answer.params)
        return self._pipe.receive()[1]

    def finish(self) -> None:
        """Sends what nobody asked for yet."""
        if self._last is not None:
            self._pipe.send("run", self._last.sql, self._last.params)
            self._last = None


def serve(pipe: Pipe) -> None:
    """Derives what it is told of until nothing comes any more."""
    derivation = Here()
    while True:
        try:
            (must_forget, changed), table = pipe.receive()
        except EOFError:
            return
        if must_forget:
            derivation.forget()
        spans = SpanBatch.of(SpanColumns(table, ())) if table is not None else SpanBatch()
        news = News(spans, set(changed))
        statements = Statements(pipe)
        try:
            derived = derivation.go_on(cast(duckdb.DuckDBPyConnection, statements), news)
            statements.finish()
        except (EOFError, OSError):
            return
        except Exception:
            derivation.forget()
            pipe.send("done", [], tuple(derivation.steps), False, traceback.format_exc())
        else:
            pipe.send("done", derived, tuple(derivation.steps), derivation.knows_any, None)


class _WithoutPandas(MetaPathFinder):
    """Arrow imports pandas wherever it is installed: some 35 MB, for frames that nothing here makes."""

    def find_spec(self, fullname: str, _path: object, _target: object = None) -> None:
        """Raises ModuleNotFoundError for pandas."""
        if fullname == "pandas":
            raise ModuleNotFoundError("nothing here makes frames", name=fullname)


def main() -> None:
    """Serves the process that started this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.meta_path.insert(0, _WithoutPandas())
    # What is printed by mistake must not come between messages.
    writes = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    pipe = Pipe(sys.stdin.buffer, writes)
    serve(pipe)
    pipe.close()


if __name__ == "__main__":
    main()
