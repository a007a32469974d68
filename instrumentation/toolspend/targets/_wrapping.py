"""Replacing functions and attributes so that every one of them can be put back exactly."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import wrapt

Restore: TypeAlias = Callable[[], None]
Around: TypeAlias = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]

_MISSING: Final = object()
_namespace: Final[Callable[[ModuleType], dict[str, Any]]] = vars(ModuleType)["__dict__"].__get__


if TYPE_CHECKING:
    _FunctionWrapper = wrapt.FunctionWrapper[..., Any]
else:
    _FunctionWrapper = wrapt.FunctionWrapper


class Wrapped(_FunctionWrapper):
    """A function with something around its calls: same signature, name and nature. It pickles and copies like it."""

    _self_is_handler = False

    def __reduce_ex__(self, protocol: Any) -> Any:
        inner = self.__wrapped__
        module = sys.modules.get(getattr(inner, "__module__", None) or "")
        name = getattr(inner, "__qualname__", "")
        if name and _attribute(module, name) is self:
            return name
        return _itself, (inner,)

    def __copy__(self) -> Wrapped:
        return self

    def __deepcopy__(self, memo: Any) -> Wrapped:
        return self


def wrap(function: Callable[..., Any], around: Around) -> Wrapped:
    """`function` with `around(function, instance, args, kwargs)` in its place."""
    return Wrapped(function, around)


def replace_everywhere(old: object, new: object) -> int:
    """Puts `new` wherever a loaded module, or a class defined in one, names `old`. Returns how many places."""
    places = 0
    for module in list(sys.modules.values()):
        # By `type` and through the slot, never `isinstance` or `getattr`: looking at a lazy module, or at a proxy in
        # one, must not make it load.
        if not issubclass(type(module), ModuleType):
            continue
        names = _namespace(module)
        for name, value in list(names.items()):
            if value is old:
                names[name] = new
                places += 1
            elif issubclass(type(value), type) and getattr(value, "__module__", None) == names.get("__name__"):
                places += _replace_in_class(value, old, new)
    return places


def _replace_in_class(owner: type, old: object, new: object) -> int:
    places = 0
    for name, value in list(vars(owner).items()):
        if value is old:
            setattr(owner, name, new)
            places += 1
        elif isinstance(value, staticmethod) and value.__func__ is old:
            setattr(owner, name, staticmethod(new))  # type: ignore[arg-type]
            places += 1
    return places


def replace_attribute(owner: Any, name: str, new: object) -> Restore:
    """Sets attribute (or key, of a dict) `name` of `owner`; what it returns puts the former state back.

    Raises AttributeError or TypeError where `owner` cannot be changed.
    """
    if isinstance(owner, dict):
        old = owner[name]
        owner[name] = new

        def restore_key() -> None:
            if owner.get(name) is new:
                owner[name] = old

        return restore_key
    own = getattr(owner, "__dict__", {})
    old = own.get(name, _MISSING)
    if old is _MISSING and _is_slot(owner, name):
        old = getattr(owner, name)
    _set(owner, name, new)

    def restore() -> None:
        # A class hands out a bound wrapper, which is never the one that was set.
        now = vars(owner).get(name) if isinstance(owner, type) else getattr(owner, name, None)
        if now is not new:
            return
        if old is _MISSING:
            delattr(owner, name) if isinstance(owner, type) else object.__delattr__(owner, name)
        else:
            _set(owner, name, old)

    return restore


def _set(owner: Any, name: str, value: object) -> None:
    if isinstance(owner, type):
        setattr(owner, name, value)
        return
    try:
        setattr(owner, name, value)
    except (AttributeError, TypeError, ValueError):
        # A frozen dataclass or model: its own `__setattr__` refuses, but the attribute is an ordinary one.
        object.__setattr__(owner, name, value)


def _is_slot(owner: object, name: str) -> bool:
    return any(name in _slots(kind) for kind in type(owner).__mro__)


def _slots(kind: type) -> tuple[str, ...]:
    slots = vars(kind).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _attribute(module: object, path: str) -> object:
    found = module
    for name in path.split("."):
        found = getattr(found, name, None)
    return found


def _itself(function: Any) -> Any:
    return function
