"""What every command shares: the options, and errors as one line."""

from __future__ import annotations

import functools
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, ParamSpec, TypeVar

import typer

from toolspend._home import expanded, store_path
from toolspend_ingest.errors import StoreMissing, ToolspendError

if TYPE_CHECKING:
    from toolspend_ingest.retention import Keep

P = ParamSpec("P")
R = TypeVar("R")

EXIT_REFUSED = 1
"""Everything ran, and some input was refused."""
EXIT_ERROR = 2
"""The command could not do what was asked."""
EXIT_INTERRUPTED = 130
"""As shells say it of a Ctrl+C."""

Db = Annotated[
    Path | None,
    typer.Option(
        "--db",
        metavar="PATH",
        help="The store, a DuckDB file. Default: toolspend.duckdb in TOOLSPEND_HOME.",
        show_default=False,
    ),
]
Retain = Annotated[
    str | None,
    typer.Option(
        "--retain",
        metavar="AGE",
        help="Keep sessions this long after their latest span, as 30d, 8w or 12h, then remove them with their bill. "
        "Default: for ever.",
        show_default=False,
    ),
]
RetainContent = Annotated[
    str | None,
    typer.Option(
        "--retain-content",
        metavar="AGE",
        help="Keep prompts, arguments and results in spans this long, where they hold any. Default: a quarter of "
        "--retain.",
        show_default=False,
    ),
]

Verbose = Annotated[bool, typer.Option("--verbose", help="Show the whole trace of an error.")]


def keep(retain: str | None, retain_content: str | None) -> Keep:
    """What the two options ask to keep. Raises AgeInvalid."""
    from toolspend_ingest.retention import Keep, age

    sessions = age(retain) if retain is not None else None
    content = age(retain_content) if retain_content is not None else None
    return Keep(sessions, content if content is not None or sessions is None else sessions / 4)


def store_at(db: Path | None) -> Path:
    """The store that a command works on."""
    return (expanded(db, "--db") if db is not None else store_path()).absolute()


def store_to_read(db: Path | None) -> Path:
    """The store that a command asks. Raises StoreMissing where `db` was given and is not there: it is not made."""
    path = store_at(db)
    if db is not None and not path.exists():
        raise StoreMissing(path)
    return path


def one_line_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Turn what a user can do something about into one line on stderr and exit code 2; `verbose` shows the trace."""

    @functools.wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except BrokenPipeError:
            # The reader of a pipe has seen enough; what is still buffered has nowhere to go.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except KeyboardInterrupt:
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except (ToolspendError, OSError) as error:
            if kwargs.get("verbose"):
                traceback.print_exc()
            fail(_text(error))

    return guarded


def fail(message: str) -> NoReturn:
    """Say why in one line on stderr and end with exit code 2."""
    # A path that is not UTF-8 is shown with escapes.
    shown = message.encode("utf-8", "backslashreplace").decode()
    typer.echo(f"toolspend: {shown}", err=True)
    raise typer.Exit(EXIT_ERROR)


def _text(error: Exception) -> str:
    if isinstance(error, OSError) and not isinstance(error, ToolspendError):
        reason = error.strerror or str(error)
        return f"{error.filename}: {reason}" if error.filename else reason
    return " ".join(str(error).split())
