"""`@toolspend.tool`: a function that is a tool but passes through no registry and no executor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

F = TypeVar("F", bound=Callable[..., Any])


@overload
def tool(function: F, /) -> F: ...
@overload
def tool(
    *, name: str | None = None, version: str | None = None, has_side_effects: bool | None = None
) -> Callable[[F], F]: ...
def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    version: str | None = None,
    has_side_effects: bool | None = None,
) -> Any:
    """Declares a function, sync or async, as a tool: each call is an `execute_tool` span while instrumented.

    `name` is what the model sees (default the function's name). Where the tool also runs through a traced executor,
    `version` and `has_side_effects` land on the executor's span, and there is no second one. A generator function's
    span lasts until the generator is done.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        # Only here: importing toolspend is to cost an agent that declares no tools as little as it can.
        from ._declared import declare

        return declare(function, name, version, has_side_effects)

    return decorate if function is None else decorate(function)
