"""The process that runs one statement of a stranger's SQL; started by `sandbox.run`, never imported by it.

It reads one JSON request from stdin and writes one JSON answer to stdout. Nothing else of this project is imported
here, so that the process holds no secret, no open store and no code that could be turned against its parent.
"""

from __future__ import annotations

import contextlib
import datetime
import decimal
import json
import math
import os
import re
import sys
import types
import uuid
from typing import Any

# The order matters: temp_directory can only be set while external access is on, and nothing after lock_configuration.
SETTINGS = (
    "set temp_directory = ''",
    "set max_temp_directory_size = '0KB'",
    "set memory_limit = '{memory_mb}MB'",
    "set threads = 1",
    "set enable_progress_bar = false",
    "set max_execution_time = {timeout_ms}",
    "set autoinstall_known_extensions = false",
    "set autoload_known_extensions = false",
    "set allow_community_extensions = false",
    "set allow_persistent_secrets = false",
    "set python_enable_replacements = false",
    "set pivot_limit = 1000",
    "set TimeZone = 'UTC'",
    "set enable_external_access = false",
    "set lock_configuration = true",
)

READING = ("SELECT", "EXPLAIN")
# DuckDB rewrites a PIVOT without an IN list into several statements; this is how such a text starts.
PIVOT = re.compile(r"\s*(?:--[^\n]*\n\s*|/\*.*?\*/\s*)*(?:with\b.*|from\b.*)?\bpivot(?:_wider)?\b", re.I | re.S)
ALLOWED = "cannot run here: select, explain, show, describe, summarize and pivot can"
ROWS_PER_FETCH = 256


class RefusedError(Exception):
    """The statement is not one that may run here."""


def _json_safe(value: Any) -> Any:
    """A value that JSON has: exact text for what it lacks, null for a number that is none."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case decimal.Decimal():
            return float(value)
        case datetime.datetime():
            return value.isoformat(sep=" ")
        case datetime.date() | datetime.time():
            return value.isoformat()
        case bytes() | bytearray() | memoryview():
            return bytes(value).hex()
        case dict():
            return {
                key if isinstance(key, str) else _key(_json_safe(key)): _json_safe(item) for key, item in value.items()
            }
        case list() | tuple() | set():
            return [_json_safe(item) for item in value]
        case uuid.UUID() | datetime.timedelta():
            return str(value)
        case _:
            return str(value)


def _key(value: Any) -> str:
    """The text of a map's key that is not text."""
    return str(value) if isinstance(value, str) else json.dumps(value)


def _limit_resources(limits: dict[str, int]) -> None:
    """Take from this process what it no longer needs: memory, time, every further file."""
    try:
        import resource
    except ImportError:  # not a POSIX system: the parent's clock is the only guard
        return
    # Files are open by now: none can grow (FSIZE 0 also stops devices' files), few can be added.
    wanted = {
        resource.RLIMIT_AS: limits["address_space_bytes"],
        resource.RLIMIT_CPU: limits["cpu_s"],
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: limits["open_files"],
        resource.RLIMIT_CORE: 0,
    }
    for what, limit in wanted.items():
        hard = resource.getrlimit(what)[1]
        allowed = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        # At the soft processor limit comes SIGXCPU, which the parent can tell from a kill; at the hard one SIGKILL.
        ceiling = allowed + 1 if what == resource.RLIMIT_CPU and hard == resource.RLIM_INFINITY else allowed
        with contextlib.suppress(ValueError, OSError):  # macOS has no RLIMIT_AS that it honours
            resource.setrlimit(what, (allowed, ceiling))


def _the_statement(con: Any, sql: str) -> Any:
    """The one parsed statement of the text, when it is of a kind that reads."""
    try:
        sql.encode()
    except UnicodeEncodeError:
        raise RefusedError("the statement is not text: it has half of a surrogate pair") from None
    try:
        statements = con.extract_statements(sql)
        kinds = [each.type.name for each in statements]
    except ValueError:  # the Python enum does not know every kind of statement that the parser knows
        raise RefusedError(f"this {ALLOWED}") from None
    if not statements:
        raise RefusedError("there is no statement: type a select")
    if len(statements) > 1:
        raise RefusedError("there are several statements: give one at a time")
    (kind,) = kinds
    if kind in READING or (kind == "MULTI" and PIVOT.match(sql)):
        return statements[0]
    raise RefusedError(f"{kind.replace('_', ' ').lower()} {ALLOWED}")


def _rows(con: Any, max_rows: int, max_bytes: int) -> tuple[list[str], bool]:
    """The rows as JSON texts, at most `max_rows` of at most `max_bytes` together, and whether that cut some off."""
    rows: list[str] = []
    size = 0
    while True:
        fetched = con.fetchmany(min(ROWS_PER_FETCH, max_rows + 1 - len(rows)))
        if not fetched:
            return rows, False
        for row in fetched:
            if len(rows) == max_rows:
                return rows, True
            text = json.dumps([_json_safe(value) for value in row], allow_nan=False, separators=(",", ":"))
            size += len(text) + 1
            if size > max_bytes:
                if not rows:
                    raise RefusedError(f"one row is larger than {max_bytes:,} bytes: select fewer or shorter columns")
                return rows, True
            rows.append(text)


class _Utc(datetime.tzinfo):
    """UTC with the one method that `pytz` zones have beside the standard ones."""

    def utcoffset(self, _at: datetime.datetime | None) -> datetime.timedelta:
        return datetime.timedelta()

    def dst(self, _at: datetime.datetime | None) -> datetime.timedelta:
        return datetime.timedelta()

    def tzname(self, _at: datetime.datetime | None) -> str:
        return "UTC"

    def localize(self, at: datetime.datetime) -> datetime.datetime:
        return at.replace(tzinfo=self)


def _timezones() -> types.ModuleType:
    """What DuckDB needs of `pytz` to return a `timestamptz`; the session's zone is UTC, so UTC is all there is."""
    module = types.ModuleType("pytz")
    module.__dict__["timezone"] = lambda _name: _Utc()
    module.__dict__["utc"] = _Utc()
    return module


def _answer(request: dict[str, Any]) -> str:
    sys.path[:] = request["path"]
    sys.modules["pytz"] = _timezones()
    import duckdb

    limits = request["limits"]
    con = duckdb.connect(request["snapshot"], read_only=True)
    for setting in SETTINGS:
        con.execute(setting.format_map(limits))
    _limit_resources(limits)
    try:
        statement = _the_statement(con, request["sql"])
        con.execute(statement)
        description = con.description or []
        rows, is_truncated = _rows(con, limits["max_rows"], limits["max_bytes"])
        columns = json.dumps([column[0] for column in description])
        type_names = json.dumps([str(column[1]) for column in description])
        head = f'"columns":{columns},"types":{type_names},"is_truncated":{json.dumps(is_truncated)}'
        return f'{{{head},"rows":[{",".join(rows)}]}}'
    except RefusedError as error:
        return _error("refused", str(error))
    except (MemoryError, duckdb.OutOfMemoryException):
        return _error("memory", "")
    except duckdb.InterruptException:
        return _error("timeout", "")
    except duckdb.PermissionException:
        return _error("refused", "files, other databases, extensions and settings are out of a query's reach")
    except duckdb.Error as error:
        text = str(error)
        if "read-only mode" in text:
            return _error("refused", "a query cannot change the store")
        return _error("failed", text)


def _error(kind: str, message: str) -> str:
    return json.dumps({"error": kind, "message": message})


def main() -> None:
    """Answer the request on stdin and leave without clean-up, which the limits could make fail."""
    request = json.loads(sys.stdin.buffer.read())
    try:
        answer = _answer(request)
    except MemoryError:
        answer = _error("memory", "")
    except Exception as error:
        answer = _error("failed", f"{type(error).__name__}: {error}")
    sys.stdout.buffer.write(answer.encode("utf-8", "replace"))
    sys.stdout.buffer.flush()
    # A streamed result may still be open; the process's end closes it.
    os._exit(0)


if __name__ == "__main__":
    main()
