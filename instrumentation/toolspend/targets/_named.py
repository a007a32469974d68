"""Functions that the user named: found, replaced wherever they are referred to, and put back."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from .._guard import guarded, logger
from . import _wrapping
from ._referrers import References
from ._wrapping import Around, Restore, Wrapped


def resolve(given: Any, parameter: str) -> Any:
    """What "module:name" means, or `given` itself. Raises ValueError or ImportError in one line that says what."""
    if not isinstance(given, str):
        return given
    module_name, separator, path = given.partition(":")
    if not separator or not module_name or not path:
        raise ValueError(f'instrument({parameter}={given!r}): write it as "module:name"')
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"instrument({parameter}={given!r}): no module named {error.name!r}", name=error.name
        ) from None
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise ValueError(f"instrument({parameter}={given!r}): module {module_name!r} has no {path!r}") from None
    return found


class Replaced:
    """What stands in for the functions of one kind. `methods` are looked for on an object that is not callable."""

    def __init__(self, parameter: str, methods: tuple[str, ...]) -> None:
        self._parameter = parameter
        self._methods = methods
        self._wrapped: list[tuple[Any, Wrapped]] = []
        self._references: list[References] = []
        self._restores: list[Restore] = []

    def add(self, given: Any, around: Around) -> None:
        """Puts `around` about `given`, unless it is there already. Raises TypeError where that cannot be done."""
        target = resolve(given, self._parameter)
        if isinstance(target, Wrapped) or self._is_wrapped(target):
            return
        if inspect.ismethod(target):
            self._replace_method(target.__self__, target.__name__, around)
        elif inspect.isroutine(target) or (callable(target) and not isinstance(target, type) and not self._has(target)):
            new = _wrapping.wrap(target, around)
            _wrapping.replace_everywhere(target, new)
            with guarded("references"):
                self._replace_references(target, new)
            # Only now: a pair of them is another place that refers to both.
            self._wrapped.append((target, new))
        else:
            name = self._has(target)
            if name is None:
                raise TypeError(
                    f"instrument({self._parameter}=...): {type(target).__qualname__} is no function and has no method "
                    f"named {' or '.join(self._methods)}"
                )
            self._replace_method(target, name, around)

    def restore(self) -> None:
        """Puts every function back wherever its replacement is referred to."""
        while self._references:
            with guarded("references"):
                self._references.pop().restore()
        while self._wrapped:
            old, new = self._wrapped.pop()
            _wrapping.replace_everywhere(new, old)
        while self._restores:
            self._restores.pop()()

    def _replace_references(self, old: Any, new: Wrapped) -> None:
        references = References()
        self._references.append(references)
        references.replace(old, new)
        if missed := references.missed:
            logger.warning(
                "toolspend: instrument(%s=...): %d place%s that hold%s %s cannot be changed (local variables, tuples); "
                "calls from there are traced only in part: call instrument() before they take it.",
                self._parameter,
                missed,
                "" if missed == 1 else "s",
                "s" if missed == 1 else "",
                getattr(old, "__qualname__", type(old).__qualname__),
            )

    def _is_wrapped(self, target: Any) -> bool:
        return any(target is old for old, _ in self._wrapped)

    def _has(self, target: Any) -> str | None:
        return next((name for name in self._methods if callable(getattr(target, name, None))), None)

    def _replace_method(self, owner: Any, name: str, around: Around) -> None:
        method = getattr(owner, name)
        if isinstance(method, Wrapped) or _is_wrapped(method):
            return
        try:
            restore = _wrapping.replace_attribute(owner, name, _wrapping.wrap(method, around))
        except (AttributeError, TypeError) as error:
            raise TypeError(
                f"instrument({self._parameter}=...): cannot replace {type(owner).__qualname__}.{name}: {error}"
            ) from None
        self._restores.append(restore)


def _is_wrapped(method: Any) -> bool:
    return isinstance(getattr(method, "__func__", None), Wrapped)
