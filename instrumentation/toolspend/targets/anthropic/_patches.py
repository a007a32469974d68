"""What of the SDK we wrapped, so that all of it can be put back."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from .._wrapping import Around, Restore, replace_attribute, wrap


class Patches:
    """Wraps attributes and restores them exactly. False while nothing is wrapped."""

    def __init__(self) -> None:
        self._restores: list[Restore] = []

    def __bool__(self) -> bool:
        return bool(self._restores)

    def wrap(self, owner: Any, name: str, around: Around) -> None:
        """Puts `around` around `owner.name`, where there is one."""
        if (original := getattr(owner, name, None)) is not None:
            self.put(owner, name, wrap(original, around))

    def replace(self, owner: Any, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        """Puts `make(original)`, a plain function, in the place of the function `owner.name`.

        For what every request passes: behind the SDK's own work, a wrapper object takes 3 us more.
        """
        original = getattr(owner, name)
        self.put(owner, name, functools.wraps(original)(make(original)))

    def put(self, owner: Any, name: str, value: object) -> None:
        """Puts `value` in the place of `owner.name`."""
        self._restores.append(replace_attribute(owner, name, value))

    def restore(self) -> None:
        """Puts every original back, the last wrapped first."""
        while self._restores:
            self._restores.pop()()
