"""A stranger's SQL: what it may ask, and everything it may not do."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from toolspend_ingest import Store, sandbox
from toolspend_ingest.errors import QueryError, QueryFailed, QueryRefused, QueryTimeout

SECRET = "the-secret-of-this-machine"
TIMEOUT_S = 1.0
# Starting the process, killing it and a busy machine come on top of the query's own time.
LIMIT_S = TIMEOUT_S + sandbox.START_UP_GRACE_S + 2.0


@dataclass(frozen=True)
class Ground:
    """A store, its snapshot, and files a hostile statement would like to read or write; `{...}` in statements."""

    folder: Path
    store: Path
    snapshot: Path

    def fill(self, statement: str) -> str:
        places = {
            "csv": self.folder / "secret.csv",
            "json": self.folder / "secret.json",
            "txt": self.folder / "secret.txt",
            "parquet": self.folder / "secret.parquet",
            "other": self.folder / "other.duckdb",
            "out": self.folder / "written",
            "folder": self.folder,
            "store": self.store,
            "snapshot": self.snapshot,
        }
        for name, path in places.items():
            statement = statement.replace(f"{{{name}}}", str(path))
        return statement

    def fingerprint(self) -> dict[str, str]:
        return {
            str(path.relative_to(self.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        }


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    import duckdb

    folder = tmp_path_factory.mktemp("sandbox")
    with duckdb.connect(str(folder / "other.duckdb")) as con:
        con.execute("create table secrets as select ? as secret", [SECRET])
        con.execute(f"copy secrets to '{folder / 'secret.parquet'}'")
        con.execute(f"copy secrets to '{folder / 'secret.csv'}'")
        con.execute(f"copy secrets to '{folder / 'secret.json'}'")
    (folder / "secret.txt").write_text(SECRET, encoding="utf-8")
    with Store.open(folder / "store.duckdb", prices_file=folder / "no-prices.toml") as store:
        store.snapshot(folder / "snapshot.duckdb")
    yield Ground(folder, folder / "store.duckdb", folder / "snapshot.duckdb")


READS_FILES = [
    "select * from read_csv('{csv}')",
    "select * from read_csv_auto('{csv}')",
    "select * from '{csv}'",
    "from '{parquet}'",
    "select * from read_text('{txt}')",
    "select content from read_blob('{txt}')",
    "select * from read_json('{json}')",
    "select * from read_json_objects('{json}')",
    "select * from read_ndjson('{json}')",
    "select * from read_parquet('{parquet}')",
    "select * from parquet_metadata('{parquet}')",
    "select * from parquet_schema('{parquet}')",
    "select * from glob('{folder}/*')",
    "select * from sniff_csv('{csv}')",
    "select * from read_duckdb('{other}')",
    "select * from read_text('/proc/self/environ')",
    "select * from read_text('/etc/passwd')",
    "select * from read_csv('/dev/stdin')",
    "with x as (select * from read_text('{txt}')) select * from x",
    "select (select content from read_text('{txt}'))",
    "describe select * from '{csv}'",
    "summarize '{csv}'",
    "explain analyze select * from read_text('{txt}')",
    "pivot '{csv}' on secret",
    "select * from query('select * from read_text(''{txt}'')')",
    "select * from query_table('{csv}')",
    "select getenv('HOME')",
    "select * from duckdb_secrets()",
    "from read_csv('https://example.invalid/x.csv')",
]
WRITES_FILES = [
    "copy (select 1) to '{out}.csv'",
    "copy spans to '{out}.parquet' (format parquet)",
    "with x as (copy (select 1) to '{out}.csv') select * from x",
    "with x as (copy (select 1 as a) to '{out}.csv' (return_files true)) select 1",
    "explain analyze copy (select 1) to '{out}.csv'",
    "copy (select 1) to '/dev/stdout'",
    "export database '{out}'",
    "copy from database snapshot to other",
    "import database '{out}'",
    "select * from enable_logging(storage := 'file', storage_path := '{out}.log')",
    "call enable_logging(storage := 'file', storage_path := '{out}.log')",
    "pragma enable_profiling = 'json'",
    "set profiling_output = '{out}.json'",
    "set log_query_path = '{out}.log'",
    "explain (analyze, format json) copy (select 1) to '{out}'",
]
REACHES_OUT = [
    "attach '{other}' as other",
    "attach '{other}' as other (read_only)",
    "detach snapshot",
    "use memory",
    "install httpfs",
    "load httpfs",
    "force install spatial from community",
    "create secret s (type s3, key_id 'x')",
    "connect 'x'",
]
CHANGES_SETTINGS = [
    "set enable_external_access = true",
    "set lock_configuration = false",
    "set memory_limit = '20GB'",
    "set max_execution_time = 0",
    "set allowed_directories = ['/']",
    "reset enable_external_access",
    "pragma memory_limit = '20GB'",
    "set variable x = 1",
    "select set_config('memory_limit', '20GB')",
]
CHANGES_DATA = [
    "insert into prices values ('p', 'm', 'input', 1, 0, null, null, 'x')",
    "delete from prices",
    "update prices set usd_per_mtok = 0",
    "drop table spans",
    "truncate spans",
    "create table t as select 1",
    "create temp view spans as select 1",
    "create or replace macro f() as 1",
    "alter table spans add column x int",
    "with x as (insert into prices values ('p', 'm', 'input', 1, 0, null, null, 'x') returning *) select * from x",
    "with x as (delete from prices returning *) select count(*) from x",
    "with x as (update prices set usd_per_mtok = 0 returning *) select count(*) from x",
    "explain analyze delete from prices",
    "merge into prices using prices p on true when matched then delete",
    "vacuum",
    "checkpoint",
    "begin transaction",
    "prepare q as select 1",
    "call pragma_version()",
    "select nextval('no_such_sequence')",
]
SEVERAL = [
    "select 1; select 2",
    "select 1; drop table spans",
    "rollback; insert into prices values ('p', 'm', 'input', 1, 0, null, null, 'x')",
    "select 1; copy (select 1) to '{out}.csv'",
    "pivot prices on provider; drop table spans",
    "",
    "-- nothing",
    ";",
]
TAKES_MEMORY = [
    "select repeat('x', 2000000000)",
    "select list(range) from range(100000000)",
    "select damerau_levenshtein(repeat('a', 30000), repeat('b', 30000))",
    "select printf('%2000000000d', 1)",
    "select lpad('x', 2000000000, 'y')",
    "select length(string_agg(repeat('x', 1000000), '')) from range(2000)",
    "select string_split(repeat('x,', 200000000), ',')",
    "select a.range, b.range from range(20000000) a join range(20000000) b using (range) order by hash(a.range)",
    "select format('{:>2000000000}', 'x')",
]
TAKES_TIME = [
    "select sum(range) from range(100000000000)",
    "select count(*) from generate_series(1, 100000000000)",
    "with recursive r(n) as (select 1 union all select n + 1 from r) select max(n) from r",
    "select sum(a.range + b.range * c.range) from range(100000) a, range(100000) b, range(100000) c",
    "select pg_sleep(60)",
    "select sleep_ms(60000)",
    "select list_reduce(range(100000000), lambda a, b: a + b)",
    "select count(*) from range(40000000) where regexp_matches(repeat('a', 200) || range::varchar, '(a+)+$')",
]
HOSTILE = [
    *READS_FILES, *WRITES_FILES, *REACHES_OUT, *CHANGES_SETTINGS, *CHANGES_DATA, *SEVERAL, *TAKES_MEMORY, *TAKES_TIME,
]  # fmt: skip
# Harmless in themselves: what is asked is whether they return what they must not.
MAY_SUCCEED = ("select * from duckdb_secrets()",)


@pytest.mark.parametrize("statement", HOSTILE)
def test_a_hostile_statement_leaks_nothing_writes_nothing_and_ends(ground: Ground, statement: str) -> None:
    """It is refused or stopped in time, in one line, with no file made or changed."""
    before = ground.fingerprint()
    started = time.perf_counter()
    try:
        result = sandbox.run(ground.fill(statement), ground.snapshot, timeout_s=TIMEOUT_S)
    except QueryError as error:
        text = str(error)
        assert "\n" not in text and len(text) < 400
    else:
        assert statement in MAY_SUCCEED
        text = str(result.rows)
    assert time.perf_counter() - started < LIMIT_S
    assert SECRET not in text
    assert "root:" not in text
    assert ground.fingerprint() == before


def test_honest_queries_work_after_hostile_ones(ground: Ground) -> None:
    """Nothing that a statement did outlives its process."""
    for hostile in ("drop table spans", "select repeat('x', 2000000000)"):
        with pytest.raises(QueryError):
            sandbox.run(hostile, ground.snapshot, timeout_s=TIMEOUT_S)
    assert sandbox.run("select count(*) as spans from spans", ground.snapshot).rows == [[0]]


@pytest.mark.parametrize(
    "statement",
    [
        "select 1 as one",
        "from prices limit 1",
        "values (1, 2)",
        "with x as (select 1 as a) select * from x;",
        "show tables",
        "describe tool_costs",
        "summarize prices",
        "explain select * from spans",
        "pivot prices on rate using max(usd_per_mtok) group by model",
        "from (pivot prices on rate in ('input', 'output') using max(usd_per_mtok) group by model)",
        "-- a comment\nselect 1",
        "table prices",
    ],
)
def test_statements_that_read_are_answered(ground: Ground, statement: str) -> None:
    """Every kind of statement that is promised returns rows or an empty result."""
    result = sandbox.run(statement, ground.snapshot)
    assert result.columns
    assert len(result.types) == len(result.columns)


def test_values_become_json_values(ground: Ground) -> None:
    """Decimals, times, nested values and numbers that are none are what JSON can hold."""
    result = sandbox.run(
        """
        select 1.5::decimal(18, 9) as money, timestamp '2026-01-02 03:04:05.5' as at, timestamptz '2026-01-02 00:00+01'
        as zoned, date '2026-01-02' as day, [1.5::decimal(4, 2), null] as list, {'a': 1} as struct, map {1: 'x'} as map,
        'nan'::double as nan, '\\xAA'::blob as blob, interval 1 day as span, 2::hugeint ** 100 as huge, null as nothing
        """,
        ground.snapshot,
    )
    assert result.columns[:3] == ["money", "at", "zoned"]
    assert result.types[:4] == ["DECIMAL(18,9)", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "DATE"]
    assert result.rows == [
        [
            1.5,
            "2026-01-02 03:04:05.500000",
            "2026-01-01 23:00:00+00:00",
            "2026-01-02",
            [1.5, None],
            {"a": 1},
            {"1": "x"},
            None,
            "aa",
            "1 day, 0:00:00",
            float(2**100),
            None,
        ]
    ]


def test_rows_beyond_the_cap_are_cut_and_said(ground: Ground) -> None:
    """A huge result costs no more than its cap."""
    result = sandbox.run("from range(10000000)", ground.snapshot, max_rows=100)
    assert (len(result.rows), result.is_truncated) == (100, True)
    exact = sandbox.run("from range(100)", ground.snapshot, max_rows=100)
    assert (len(exact.rows), exact.is_truncated) == (100, False)


def test_bytes_beyond_the_cap_are_cut_and_said(ground: Ground) -> None:
    """Wide rows are cut by size; one row that alone is too large is refused with what to do."""
    result = sandbox.run("select repeat('x', 1000) from range(1000)", ground.snapshot, max_bytes=50_000)
    assert 40 <= len(result.rows) <= 50
    assert result.is_truncated
    with pytest.raises(QueryRefused, match="fewer or shorter columns"):
        sandbox.run("select repeat('x', 100000)", ground.snapshot, max_bytes=50_000)


@pytest.mark.parametrize(
    ("statement", "kind", "says"),
    [
        ("drop table spans", QueryRefused, "drop cannot run here: select, explain"),
        ("select 1; select 2", QueryRefused, "give one at a time"),
        ("select * from read_text('/etc/passwd')", QueryRefused, "out of a query's reach"),
        ("with x as (delete from prices returning *) from x", QueryRefused, "cannot change the store"),
        ("select * from spanz", QueryFailed, 'Did you mean "spans"'),
        ("selec 1", QueryFailed, "syntax error"),
        ("select sum(range) from range(100000000000)", QueryTimeout, "stopped after 0.5 s: add a filter or a limit"),
    ],
)
def test_errors_say_what_to_do(ground: Ground, statement: str, kind: type[QueryError], says: str) -> None:
    """Each is one line in the user's words."""
    with pytest.raises(kind, match=says):
        sandbox.run(statement, ground.snapshot, timeout_s=0.5 if kind is QueryTimeout else 5)


def test_the_process_gets_nothing_of_its_parents(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the environment and no open file of the parent is there to be read."""
    monkeypatch.setenv("TOOLSPEND_TOKEN", SECRET)
    read_end, write_end = os.pipe()
    os.set_inheritable(read_end, True)
    try:
        with pytest.raises(QueryRefused):
            sandbox.run(f"select * from read_text('/proc/self/fd/{read_end}')", ground.snapshot)
        result = sandbox.run("select name, value from duckdb_settings()", ground.snapshot)
        assert SECRET not in str(result.rows)
    finally:
        os.close(read_end)
        os.close(write_end)


def test_a_missing_snapshot_is_one_line(tmp_path: Path) -> None:
    """A path that is not there is an error of the query, not a trace."""
    with pytest.raises(QueryFailed, match="does not exist"):
        sandbox.run("select 1", tmp_path / "none.duckdb")
