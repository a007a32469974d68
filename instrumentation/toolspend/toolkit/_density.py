"""Billed tokens for each that is estimated: learned, of each model and tool, from what prompts grew by.

What a prompt grew by is known to the token, whatever the provider adds around all of it. A growth that is mostly one
tool's teaches that tool's density, any growth its model's.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Final

_PRIOR_TOKENS: Final = 2_000
"""How many tokens the estimate is believed for, before bills count as much."""
_PLAUSIBLE: Final = (0.4, 2.5)
"""Growth of a prompt beyond these ratios to what is estimated has another cause: an edited context, a document."""
_MOSTLY: Final = 0.5
_MOST_KNOWN: Final = 1_000

divided_by: Final[ContextVar[float | None]] = ContextVar("toolspend_divided_by", default=None)
"""The density by which the `max_tokens` that a compressor is given was divided already, where it was."""


class Densities:
    """What bills have shown so far. Safe in threads."""

    def __init__(self) -> None:
        self._sums: OrderedDict[tuple[str, str | None], tuple[float, float]] = OrderedDict()
        self._models: dict[str | None, str] = {}
        self._lock = threading.Lock()

    def learn(self, model: str, grown: Mapping[str | None, int], tokens: int) -> None:
        """A prompt grew by `tokens` that were billed, and by what is estimated as `grown`, by tool (None: nobody's)."""
        estimate = sum(grown.values())
        if not _is_plausible(tokens, estimate):
            return
        with self._lock:
            self._add(model, None, estimate, tokens)
            for tool, own in grown.items():
                billed = tokens - (estimate - own) * self._of_model(model)
                if tool is not None and own >= _MOSTLY * estimate and _is_plausible(billed, own):
                    self._add(model, tool, own, billed)

    def of(self, tool: str | None = None) -> float:
        """Of `tool` with the model that was last billed for it, else of the model that was last billed; 1 at first."""
        with self._lock:
            model = self._models.get(tool) or self._models.get(None, "")
            of_model = self._of_model(model)
            return of_model if tool is None else self._ratio((model, tool), of_model)

    def clear(self) -> None:
        """Forgets all of it."""
        with self._lock:
            self._sums.clear()
            self._models.clear()

    def _of_model(self, model: str) -> float:
        return self._ratio((model, None), 1.0)

    def _ratio(self, key: tuple[str, str | None], prior: float) -> float:
        tokens, estimate = self._sums.get(key, (0.0, 0.0))
        return (tokens + _PRIOR_TOKENS * prior) / (estimate + _PRIOR_TOKENS)

    def _add(self, model: str, tool: str | None, estimate: float, tokens: float) -> None:
        before = self._sums.get((model, tool), (0.0, 0.0))
        self._sums[model, tool] = (before[0] + tokens, before[1] + estimate)
        self._sums.move_to_end((model, tool))
        self._models[tool] = model
        if len(self._sums) > _MOST_KNOWN:
            (model, tool), _ = self._sums.popitem(last=False)
            if self._models.get(tool) == model:
                del self._models[tool]


def _is_plausible(tokens: float, estimate: float) -> bool:
    return estimate > 0 and _PLAUSIBLE[0] <= tokens / estimate <= _PLAUSIBLE[1]


learned: Final = Densities()
"""What the bills of this process have shown: those of every `Tracker`, and those that `instrument()` sees."""
