"""The SQL that makes the store: numbered migrations, views, and what each relation and column means."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import NamedTuple


class Migration(NamedTuple):
    """One numbered, append-only step of the schema."""

    version: int
    name: str
    sql: str


def _sql_files(folder: str) -> dict[str, str]:
    entries = (entry for entry in files(__name__).joinpath(folder).iterdir() if entry.name.endswith(".sql"))
    return {entry.name: entry.read_text(encoding="utf-8") for entry in sorted(entries, key=lambda entry: entry.name)}


@cache
def migrations() -> tuple[Migration, ...]:
    """Every migration in the order of its number."""
    return tuple(Migration(int(name[:4]), name[:-4], sql) for name, sql in _sql_files("migrations").items())


@cache
def views() -> dict[str, str]:
    """The statement of each view by the view's name."""
    return {name[:-4]: sql for name, sql in _sql_files("views").items()}


@cache
def comments() -> str:
    """The `comment on` statements for every relation and column that is promised."""
    return files(__name__).joinpath("comments.sql").read_text(encoding="utf-8")


@cache
def query(name: str) -> str:
    """The text of one statement of the ingestion, `schema/queries/NAME.sql`."""
    return files(__name__).joinpath("queries", f"{name}.sql").read_text(encoding="utf-8")


@cache
def queries() -> dict[str, str]:
    """Every statement of the ingestion by name."""
    return {name[:-4]: sql for name, sql in _sql_files("queries").items()}


@cache
def fingerprint() -> str:
    """A hash of the views and comments, to know when they have to be replaced."""
    text = "\0".join([*views().values(), comments()])
    return hashlib.sha256(text.encode()).hexdigest()
