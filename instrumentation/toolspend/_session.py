"""Who and what a piece of work belongs to."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from contextvars import Token
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Final, TypeVar, cast

from opentelemetry import context as otel_context
from opentelemetry.context import Context

F = TypeVar("F", bound=Callable[..., Any])

_KEY: Final = otel_context.create_key("toolspend.session")
_is_used = False


@dataclass(frozen=True, slots=True)
class Session:
    """A session as spans carry it."""

    id: str | None
    user: str | None
    tags: tuple[str, ...]


class session:  # noqa: N801 (used as a keyword: `with toolspend.session("ticket-4711"):`)
    """Marks the work within it as belonging to session `id`: `with`, `async with`, or a decorator. Sessions nest.

    It travels in the OpenTelemetry context, so it reaches wherever spans find their parents. Where `id` is None or
    empty, as nobody knows it, the work belongs to the session that it would without; `user` and `tags` hold.
    """

    def __init__(self, id: str | None, *, user: str | None = None, tags: Sequence[str] = ()) -> None:
        names = (tags,) if isinstance(tags, str) else tuple(str(tag) for tag in tags)
        self._session = Session(None if id is None else str(id) or None, None if user is None else str(user), names)
        self._tokens: list[Token[Context]] = []

    def __enter__(self) -> session:
        global _is_used
        _is_used = True
        made, outer = self._session, current()
        if made.id is None and outer is not None:
            made = replace(made, id=outer.id)
        self._tokens.append(otel_context.attach(otel_context.set_value(_KEY, made)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        otel_context.detach(self._tokens.pop())

    async def __aenter__(self) -> session:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, function: F) -> F:
        """`function`, sync or async, with each of its calls in this session."""
        given = self._session

        def fresh() -> session:
            return session(given.id, user=given.user, tags=given.tags)

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def call_async(*args: Any, **kwargs: Any) -> Any:
                with fresh():
                    return await function(*args, **kwargs)

            return cast("F", call_async)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with fresh():
                return function(*args, **kwargs)

        return cast("F", call)


def is_used() -> bool:
    """Whether this process ever began a session: until then there is none to look for."""
    return _is_used


def current(context: Context | None = None) -> Session | None:
    """The session of `context`, or of the running code."""
    if not _is_used:
        return None
    # A context is a dict. OpenTelemetry's way to read it costs a microsecond more, on the way of every span.
    found = otel_context.get_current() if context is None else context
    session: Session | None = found.get(_KEY)  # type: ignore[assignment]
    return session
