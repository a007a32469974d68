"""Where this user's spool and store lie."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_VARIABLE: Final = "TOOLSPEND_HOME"


class HomeUnknown(OSError):
    """A path starts from a home folder that this system does not know; the message is one line that says what to do."""


def home() -> Path:
    """`TOOLSPEND_HOME`, else this user's data folder on this platform. It need not exist. Raises HomeUnknown."""
    given = os.environ.get(_VARIABLE)
    if given:
        return expanded(Path(given), _VARIABLE)
    import platformdirs

    try:
        found = Path(platformdirs.user_data_dir("toolspend", appauthor=False))
    except RuntimeError:
        found = Path()
    # Earlier platformdirs leave the tilde in place.
    if not found.is_absolute():
        raise HomeUnknown(f"this user has no home folder here: set {_VARIABLE} to a folder that can be written")
    return found


def expanded(path: Path, name: str) -> Path:
    """`path`, given by the user as `name`, with a tilde replaced by the home folder meant. Raises HomeUnknown."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise HomeUnknown(f"{name}={path} starts from a home folder that is not known: give the whole path") from None


def spool_dir() -> Path:
    """The folder of the spool's files. Raises HomeUnknown."""
    return home() / "spool"


def store_path() -> Path:
    """The file of the store, unless a command is told another one. Raises HomeUnknown."""
    return home() / "toolspend.duckdb"
