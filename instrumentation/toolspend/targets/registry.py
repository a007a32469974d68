"""The agent's own tool registry: what it selects, and the handlers of its tools.

The shape: `register`, `get_tools_for_task(task_type, max_tools)`, `get_tool_definitions(tools)`, and tools (objects or
dicts) with `name, description, schema, handler, category, estimated_tokens`.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, TypeVar

from opentelemetry.trace import Span, Status, StatusCode

from .. import _provider
from .. import attributes as at
from .._guard import guarded, record_failure
from ..evidence.definitions import definition_log
from . import _calls, _named, _tools, _wrapping
from ._errors import error_type
from ._tools import ToolInfo
from ._wrapping import Restore, Wrapped

R = TypeVar("R")

_SELECT: Final = "get_tools_for_task"
_CONTAINERS: Final = ("tools", "_tools", "all_tools", "registered_tools", "_registry", "registry")
_CONTAINER_TYPES: Final = (dict, list, tuple, set, Mapping)
_LISTINGS: Final = ("list_tools", "get_all_tools", "all", "get_tools")
_HANDLERS: Final = ("handler", "function", "func", "fn", "callback")


class _Seen:
    """A tool as it was when it was described."""

    __slots__ = ("_made_of", "_schema", "_tool", "info")

    def __init__(self, tool: Any, info: ToolInfo) -> None:
        self.info = info
        self._tool = tool
        self._made_of = _made_of(tool)
        schema = self._made_of[2]
        try:
            self._schema = copy.deepcopy(schema) if type(schema) is dict else None
        except Exception:  # it holds what is no JSON: that it was edited in place is not seen then
            self._schema = None

    def is_tool(self, tool: Any) -> bool:
        """Whether it is this tool, whatever it says."""
        return self._tool is tool

    def is_of(self, tool: Any) -> bool:
        """Whether it is this tool, and says the same still."""
        now = _made_of(tool)
        return (
            self._tool is tool
            and all(a is b for a, b in zip(self._made_of, now, strict=True))
            and (self._schema is None or now[2] == self._schema)
        )


def _made_of(tool: Any) -> tuple[object, object, object]:
    return _tools.read(tool, "name"), _tools.read(tool, "description"), _tools.read(tool, "schema")


class _Registry:
    """One registry that we watch. `seen` holds each tool beside its description, by the tool's identity."""

    def __init__(self, registry: Any) -> None:
        self.registry = registry
        self.seen: dict[int, _Seen] = {}
        self.restores: list[Restore] = []
        self._members: list[int] = []
        self._by_name: dict[str, tuple[Any, ToolInfo]] = {}

    def refresh(self, names: Collection[str] | None = None) -> dict[str, ToolInfo]:
        """Wraps the handlers of tools that are new. Describes the tools that the registry holds, by name.

        With `names`, only those: while the registry holds the same tools this looks at no others, which keeps a batch
        at 10 us where describing 40 tools took 300.
        """
        held = _held(self.registry)
        members = list(map(id, held))
        if names is None or members != self._members or not all(map(self._is_in_place, names)):
            self._by_name = {}
            for tool in filter(_is_tool, held):
                info = self.info(tool)
                self._by_name[info.name] = (tool, info)
                self._wrap_handler(tool, info)
            self._members = members
        wanted = self._by_name if names is None else names
        return {name: self._by_name[name][1] for name in wanted if name in self._by_name}

    def described(self) -> dict[str, ToolInfo]:
        """The tools that the registry held when it was last looked at, by name."""
        return {name: info for name, (_, info) in self._by_name.items()}

    @property
    def has_tools(self) -> bool:
        """Whether it was seen to hold any tool."""
        return bool(self._by_name)

    def _is_in_place(self, name: str) -> bool:
        known = self._by_name.get(name)
        if known is None:
            return True
        seen = self.seen.get(id(known[0]))
        if seen is None or not seen.is_of(known[0]):
            return False
        handlers = [_tools.read(known[0], each) for each in _HANDLERS]
        return any(isinstance(each, Wrapped) for each in handlers) or not any(map(callable, handlers))

    def info(self, tool: Any) -> ToolInfo:
        """The description of `tool`, made anew only when what it is made of has been replaced or edited."""
        known = self.seen.get(id(tool))
        if known is not None and known.is_of(tool):
            return known.info
        info = _tools.describe(tool)
        if known is not None and known.is_tool(tool):
            # Its handler's wrapper holds what was known.
            info.function = known.info.function
            known.info.become(info)
            info = known.info
        if info.declared_version is not None:
            definition_log.declare(info.name, info.declared_version)
        self.seen[id(tool)] = _Seen(tool, info)
        return info

    def _wrap_handler(self, tool: Any, info: ToolInfo) -> None:
        name = next((each for each in _HANDLERS if callable(_tools.read(tool, each))), None)
        if name is None:
            return
        handler = _tools.read(tool, name)
        if isinstance(handler, Wrapped) and handler._self_is_handler:
            return
        info.function = inspect.unwrap(handler)
        wrapped = _wrapping.wrap(handler, _around_handler(info))
        wrapped._self_is_handler = True
        try:
            self.restores.append(_wrapping.replace_attribute(tool, name, wrapped))
        except (AttributeError, TypeError) as error:
            # A tool that cannot be changed still gets its spans, as long as the batch that it runs in.
            record_failure("tool handler that cannot be replaced", error)


_watched: list[_Registry] = []


def instrument(registry: Any) -> None:
    """Traces the selections of `registry` (an object, or "module:name") and the handlers of its tools."""
    target = _named.resolve(registry, "registry")
    select = getattr(target, _SELECT, None)
    if isinstance(target, type) or not (callable(select) or callable(getattr(target, "register", None))):
        raise TypeError(
            f"instrument(registry=...): {target!r} is no registry: it has neither {_SELECT} nor register"
            if not isinstance(target, type)
            else f"instrument(registry=...): {target.__qualname__} is a class: give the registry object itself"
        )
    watched = _watch(target)
    watched.refresh()
    if getattr(target, "traces_itself", False) is True:
        return
    for name, around in ((_SELECT, _around_select(watched)), ("register", _around_register(watched))):
        method = getattr(target, name, None)
        if callable(method) and not isinstance(method, Wrapped):
            try:
                restore = _wrapping.replace_attribute(target, name, _wrapping.wrap(method, around))
            except (AttributeError, TypeError) as error:
                raise TypeError(
                    f"instrument(registry=...): cannot replace {type(target).__qualname__}.{name}: {error}"
                ) from None
            watched.restores.append(restore)


def uninstrument() -> None:
    """Puts every registry and every handler back."""
    while _watched:
        watched = _watched.pop()
        while watched.restores:
            watched.restores.pop()()


@guarded("registry")
def called_tools(registry: Any, names: Collection[str]) -> Mapping[str, ToolInfo] | None:
    """Those of the tools named that `registry` holds now, their handlers traced; None where it has another shape."""
    watched = _watch(registry)
    found = watched.refresh(names)
    return found if watched.has_tools else None


def _watch(registry: Any) -> _Registry:
    for each in _watched:
        if each.registry is registry:
            return each
    watched = _Registry(registry)
    _watched.append(watched)
    return watched


def _held(registry: Any) -> list[Any]:
    """Whatever `registry` holds where tools are held, unexamined."""
    if isinstance(registry, Mapping):
        return list(registry.values())
    for name in _CONTAINERS:
        held = getattr(registry, name, None)
        if held and isinstance(held, _CONTAINER_TYPES):
            members = list(held.values() if isinstance(held, Mapping) else held)
            if _is_tool(members[0]):
                return members
    for name in _LISTINGS:
        listing = getattr(registry, name, None)
        if callable(listing) and not inspect.iscoroutinefunction(listing) and not _has_required_parameters(listing):
            listed = listing()
            return list(listed) if isinstance(listed, list | tuple) else []
    return []


def _is_tool(thing: Any) -> bool:
    # Exactly a dict first: asking whether an object is a Mapping takes longer than the rest of this together.
    name = thing.get("name") if type(thing) is dict else getattr(thing, "name", None)
    return type(name) is str or isinstance(_tools.read(thing, "name"), str)


def _has_required_parameters(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return True
    return any(each.default is each.empty and each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
               for each in parameters)  # fmt: skip


def _around_handler(info: ToolInfo) -> _wrapping.Around:
    def around(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if _provider.provider() is None:
            return wrapped(*args, **kwargs)
        if inspect.iscoroutinefunction(wrapped):
            return _calls.run_async(info, wrapped, args, kwargs)
        return _calls.run(info, wrapped, args, kwargs)

    return around


def _around_register(watched: _Registry) -> _wrapping.Around:
    def around(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = wrapped(*args, **kwargs)
        if _provider.provider() is not None:
            with guarded("registry"):
                watched.refresh()
        return result

    return around


def _around_select(watched: _Registry) -> _wrapping.Around:
    def around(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if _provider.provider() is None:
            return wrapped(*args, **kwargs)
        if inspect.iscoroutinefunction(wrapped):
            return _select_async(watched, wrapped, args, kwargs)
        return _select(watched, wrapped, args, kwargs)

    return around


def traced_selection(registry: Any, select: Callable[..., R], *args: Any) -> R:
    """`select(*args)`, the task type first, with its span: for a registry that traces itself."""
    return _select(_watch(registry), select, args, {})


def _select(watched: _Registry, wrapped: Callable[..., R], args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
    span = _start(args, kwargs)
    try:
        selected = wrapped(*args, **kwargs)
    except BaseException as error:
        _end(watched, span, None, error)
        raise
    _end(watched, span, selected, None)
    return selected


async def _select_async(
    watched: _Registry, wrapped: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    span = _start(args, kwargs)
    try:
        selected = await wrapped(*args, **kwargs)
    except BaseException as error:
        _end(watched, span, None, error)
        raise
    _end(watched, span, selected, None)
    return selected


@guarded("registry")
def _start(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Span:
    values: dict[str, Any] = {at.OPERATION: at.OPERATION_SELECT}
    task_type = kwargs.get("task_type", args[0] if args else None)
    if task_type is not None:
        values[at.SELECTION_TASK_TYPE] = str(getattr(task_type, "value", task_type))
    return _provider.tracer().start_span(at.SPAN_SELECT_TOOLS, attributes=values)


@guarded("registry")
def _end(watched: _Registry, span: Span | None, selected: object, error: BaseException | None) -> None:
    if span is None:
        return
    if error is not None:
        span.set_attribute(at.ERROR_TYPE, error_type(error))
        span.set_status(Status(StatusCode.ERROR))
    else:
        offered = (
            [watched.info(tool) for tool in selected if _is_tool(tool)] if isinstance(selected, list | tuple) else []
        )
        watched.refresh([info.name for info in offered])
        candidates = watched.described()
        offered_chars = sum(info.definition_chars or 0 for info in offered)
        names = {info.name for info in offered}
        span.set_attributes(
            {
                at.SELECTION_CANDIDATES: len(candidates.keys() | names),
                at.SELECTION_SELECTED: len(offered),
                at.SELECTION_TOOLS: [info.name for info in offered],
                at.SELECTION_OFFERED_CHARS: offered_chars,
                at.SELECTION_AVOIDED_CHARS: sum(
                    info.definition_chars or 0 for name, info in candidates.items() if name not in names
                ),
            }
        )
        is_unsure = getattr(selected, "is_unsure", None)
        if isinstance(is_unsure, bool):
            span.set_attribute(at.SELECTION_IS_UNSURE, is_unsure)
    span.end()
