"""Reading registries and tools, ours or an application's own in a shape like it."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..targets._tools import read

_HANDLERS: Final = ("handler", "function", "func", "fn", "callback")
_SCHEMAS: Final = ("schema", "input_schema", "inputSchema", "parameters")
_NOTHING: Final[Mapping[str, Any]] = {}
_MOST_NAMES: Final = 20


@dataclass(frozen=True, slots=True)
class Asked:
    """One call as the model asked for it."""

    id: str
    name: str
    input: object


def asked(call: Any) -> Asked:
    """A `tool_use` block, an object or a dict."""
    id = read(call, "id", "tool_use_id", "tool_call_id", "call_id")
    return Asked("" if id is None else str(id), str(read(call, "name") or ""), read(call, "input", "arguments", "args"))


def is_async(handler: Callable[..., Any]) -> bool:
    """Whether calling `handler` gives something to await."""
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(getattr(handler, "__call__", None))  # noqa: B004 - its own nature is asked for


def find(registry: Any, name: str) -> Any:
    """The tool of that name, or None."""
    if isinstance(registry, Mapping):
        return registry.get(name)
    get = getattr(registry, "get", None) or getattr(registry, "get_tool", None)
    if callable(get):
        return get(name)
    tools = getattr(registry, "tools", None)
    if isinstance(tools, Mapping):
        return tools.get(name)
    return next((tool for tool in tools or () if read(tool, "name") == name), None)


def names(registry: Any) -> list[str]:
    """The names of all its tools."""
    held: Iterable[Any] = registry if isinstance(registry, Mapping) else getattr(registry, "tools", None) or ()
    if isinstance(held, Mapping):
        return [str(name) for name in held]
    return [str(read(tool, "name")) for tool in held]


def unknown(registry: Any, name: str) -> str:
    """What the model is told of a tool that does not exist."""
    known = names(registry)
    folded = {each.casefold(): each for each in known}
    near = [folded[each] for each in difflib.get_close_matches(name.casefold(), folded, n=3, cutoff=0.5)]
    near += [each for each in known if each not in near and _words(each) & _words(name)][: 3 - len(near)]
    if near:
        return f"There is no tool {name!r}. Did you mean {' or '.join(near)}? Call it by that name."
    listed = ", ".join(known[:_MOST_NAMES]) + (", and more" if len(known) > _MOST_NAMES else "")
    return f"There is no tool {name!r}." + (f" There are: {listed}." if known else " There are none.")


def _words(name: str) -> set[str]:
    return {word for word in name.casefold().replace("-", "_").split("_") if len(word) > 3}


def handler_of(tool: Any) -> Callable[..., Any] | None:
    """What runs a call of `tool`."""
    return next((found for key in _HANDLERS if callable(found := read(tool, key))), None)


def schema_of(tool: Any) -> Mapping[str, Any]:
    """The JSON Schema of its arguments; empty where there is none."""
    # A pydantic model has a method called `schema`.
    return next((found for key in _SCHEMAS if isinstance(found := read(tool, key), Mapping)), _NOTHING)


def is_repeatable(tool: Any) -> bool:
    """Whether a call may be made twice: said to be idempotent, or to have no side effects."""
    is_idempotent = read(tool, "is_idempotent")
    return is_idempotent is True or (is_idempotent is None and read(tool, "has_side_effects") is False)
