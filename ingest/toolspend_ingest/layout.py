"""A store's file brought to what this version expects: migrations, views and their comments, and prices."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import duckdb

from . import prices, schema
from .errors import StoreForeign, StoreOutdated, StoreTooNew

_MARKS: Final = {"migrations", "spans"}
"""The tables of every store, whatever its version."""


def check(con: duckdb.DuckDBPyConnection, path: Path, *, is_read_only: bool) -> int:
    """The version of the schema of the store at `path`; 0 where the file is empty.

    Raises StoreForeign, StoreTooNew, and StoreOutdated where it is only to be read.
    """
    known, found = schema.migrations()[-1].version, _version(con, path)
    if found > known:
        raise StoreTooNew(path, found, known)
    if is_read_only and found < known:
        raise StoreOutdated(path, found, known)
    return found


def bring_up(con: duckdb.DuckDBPyConnection, found: int) -> None:
    """Makes the migrations after version `found`, and the views where they are not these."""
    con.execute(schema.query("make_migrations"))
    newer = [each for each in schema.migrations() if each.version > found]
    for migration in newer:
        con.execute(migration.sql)
        con.execute(schema.query("add_migration"), [migration.version, migration.name])
    if newer or fact(con, "schema") != schema.fingerprint():
        for statement in schema.views().values():
            con.execute(statement)
        con.execute(schema.comments())
        set_fact(con, "schema", schema.fingerprint())


def load_prices(con: duckdb.DuckDBPyConnection, prices_file: Path | None) -> str:
    """Loads the price lists with the user's own, where they are not these; gives their fingerprint."""
    overrides = prices.read_overrides(prices_file if prices_file is not None else prices.default_file())
    fingerprint = prices.fingerprint(overrides)
    if fact(con, "prices") != fingerprint:
        prices.load(con, overrides)
        set_fact(con, "prices", fingerprint)
    return fingerprint


def fact(con: duckdb.DuckDBPyConnection, name: str) -> str | None:
    """What the store notes of itself under `name`, or None."""
    row = con.execute(schema.query("store_fact"), [name]).fetchone()
    return str(row[0]) if row else None


def set_fact(con: duckdb.DuckDBPyConnection, name: str, value: str) -> None:
    """Has the store note `value` under `name`."""
    con.execute(schema.query("delete_store_fact"), [name])
    con.execute(schema.query("add_store_fact"), [name, value])


def _version(con: duckdb.DuckDBPyConnection, path: Path) -> int:
    found = {name for (name,) in con.execute(schema.query("names_of_relations")).fetchall()}
    if not found:
        return 0
    if not found >= _MARKS:
        raise StoreForeign(path)
    row = con.execute(schema.query("last_migration")).fetchone()
    return int(row[0]) if row and row[0] is not None else 0
