"""Where this user's spool and store lie."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """`TOOLSPEND_HOME`, else this user's data folder on this platform. It need not exist."""
    given = os.environ.get("TOOLSPEND_HOME")
    if given:
        return Path(given).expanduser()
    import platformdirs

    return Path(platformdirs.user_data_dir("toolspend", appauthor=False))


def spool_dir() -> Path:
    """The folder of the spool's files."""
    return home() / "spool"


def store_path() -> Path:
    """The file of the store, unless a command is told another one."""
    return home() / "toolspend.duckdb"
