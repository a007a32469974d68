"""Our failures never reach the caller."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable
from types import TracebackType
from typing import Final, ParamSpec, TypeVar

from . import _stats

P = ParamSpec("P")
R = TypeVar("R")

logger: Final = logging.getLogger("toolspend")


class guarded:  # noqa: N801 (used as a keyword: `with guarded("spool"):`)
    """Swallows an `Exception` of ours: logged once per `where`, counted in `stats()["failures"]`.

    Also a decorator, of a function that then returns None where it failed. With `TOOLSPEND_RAISE=1`, as in this
    project's own tests, the exception is raised. What is no `Exception` (a cancellation, an exit) always passes.
    """

    __slots__ = ("where",)

    def __init__(self, where: str) -> None:
        self.where = where

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None or not isinstance(error, Exception):
            return False
        record_failure(self.where, error)
        return not _is_raising()

    def __call__(self, function: Callable[P, R]) -> Callable[P, R | None]:
        """`function`, returning None where it failed."""

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R | None:
            try:
                return function(*args, **kwargs)
            except Exception as error:
                failed(self.where, error)
                return None

        return call


def failed(where: str, error: Exception) -> None:
    """For an `except Exception` where `guarded` would take too long: a microsecond, on the way of every request."""
    record_failure(where, error)
    if _is_raising():
        raise error


def record_failure(where: str, error: BaseException) -> None:
    """Counts a failure at `where`, and logs the first of them there, without its message (which may hold content)."""
    if _stats.count_failure(where):
        logger.warning(
            "toolspend: %s failed with %s; the application is not affected. Further failures there are only counted.",
            where,
            type(error).__qualname__,
            exc_info=error if logger.isEnabledFor(logging.DEBUG) else None,
        )


def _is_raising() -> bool:
    return os.environ.get("TOOLSPEND_RAISE") == "1"
