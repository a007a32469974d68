"""What each tool costs, while the agent runs: in this process, live, without a database."""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from .._guard import logger
from . import _bill
from ._density import Densities, learned

Action: TypeAlias = Literal["go", "warn", "compress", "refuse"]

_SEVERITY: Final[dict[Action, int]] = {"go": 0, "warn": 1, "compress": 2, "refuse": 3}
_OUTPUT: Final = "output"
_INSTALL: Final = "pip install genai-prices"


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit, of the whole session or of one `tool`, and what happens to calls beyond it.

    `then` is "warn" (logged once, and told to `Tracker(on_warning=...)`), "compress" (results beyond
    `compress_to_tokens` are shortened) or "refuse". A tool's tokens are those of its definition, calls and results,
    each time they were billed; the session's are everything.
    """

    then: Action = "warn"
    tool: str | None = None
    max_tokens: int | None = None
    max_cost_usd: float | None = None
    max_calls: int | None = None
    compress_to_tokens: int = 200

    def __post_init__(self) -> None:
        if self.then not in _SEVERITY or self.then == "go":
            raise ValueError(f'Budget(then={self.then!r}): give "warn", "compress" or "refuse"')
        if self.max_tokens is None and self.max_cost_usd is None and self.max_calls is None:
            raise ValueError("Budget: give max_tokens, max_cost_usd or max_calls")
        for name in ("max_tokens", "max_cost_usd", "max_calls", "compress_to_tokens"):
            limit = getattr(self, name)
            if limit is not None and not (math.isfinite(limit) and limit >= 0):
                raise ValueError(f"Budget({name}={limit!r}): give a number from 0 on")


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a call, and why in words for the model."""

    action: Action
    reason: str = ""
    compress_to_tokens: int | None = None

    def max_result_tokens(self, given: int | None) -> int | None:
        """The smaller of what the executor was given and what the budget says."""
        limits = [each for each in (given, self.compress_to_tokens) if each is not None]
        return min(limits) if limits else None


@dataclass(slots=True)
class ToolCost:
    """One tool so far. `cost_usd` is None while nothing of it has a known price; `unpriced_tokens` have none.

    `compression_tokens` and `compression_cost_usd` are the part for requests to the model that shortened its results.
    """

    calls: int = 0
    errors: int = 0
    tokens: int = 0
    output_tokens: int = 0
    unpriced_tokens: int = 0
    cost_usd: float | None = None
    total_ms: float = 0.0
    longest_ms: float = 0.0
    compression_tokens: int = 0
    compression_cost_usd: float | None = None

    @property
    def mean_ms(self) -> float | None:
        """Mean time of a call; None before the first."""
        return self.total_ms / self.calls if self.calls else None

    def bill(self, rate: str, tokens: int, usd_per_mtok: float | None, *, is_compression: bool = False) -> None:
        """Adds tokens at a rate."""
        if is_compression:
            self.compression_tokens += tokens
            if usd_per_mtok is not None:
                self.compression_cost_usd = (self.compression_cost_usd or 0.0) + tokens * usd_per_mtok / 1e6
        self.tokens += tokens
        if rate == _OUTPUT:
            self.output_tokens += tokens
        if usd_per_mtok is None:
            self.unpriced_tokens += tokens
        else:
            self.cost_usd = (self.cost_usd or 0.0) + tokens * usd_per_mtok / 1e6


@dataclass(frozen=True, slots=True)
class Context:
    """How full the context is: the last prompt with its answer, and what is left of `limit` (None: no limit given)."""

    used_tokens: int
    limit_tokens: int | None

    @property
    def left_tokens(self) -> int | None:
        """Tokens that still fit."""
        return None if self.limit_tokens is None else max(self.limit_tokens - self.used_tokens, 0)


@dataclass(slots=True)
class _Sums:
    total: ToolCost = field(default_factory=ToolCost)
    other: ToolCost = field(default_factory=ToolCost)
    requests: int = 0
    unknown_requests: int = 0


class Tracker:
    """Follows one session: `observe` each response, and give it to `execute_tool_calls(..., tracker=tracker)`.

    `prices` are US dollars a million tokens, by model or for all of them, by rate: `input`, `output`, `cache_read`,
    `cache_write_5m`, `cache_write_1h`. Without them those of genai-prices hold, where it is installed. Safe in threads.
    """

    def __init__(
        self,
        *,
        context_limit: int | None = 200_000,
        prices: Mapping[str, Any] | None = None,
        budgets: Sequence[Budget] = (),
        on_warning: Callable[[str], None] | None = None,
    ) -> None:
        self.budgets = tuple(budgets)
        self._limit = context_limit
        self._prices = prices
        self._on_warning = on_warning
        self._tools: dict[str, ToolCost] = {}
        self._sums = _Sums()
        self._used = 0
        self._last: tuple[str, list[_bill.Piece], int] | None = None
        self._densities = Densities()
        self._weigher = _bill.Weigher()
        self._warned: set[tuple[Budget, str]] = set()
        self._running: Counter[str] = Counter()
        self._listed: dict[tuple[str, bool], dict[str, float] | None] = {}
        self._lock = threading.RLock()
        limited = next((budget for budget in self.budgets if budget.max_cost_usd is not None), None)
        self._has_prices = limited is None or prices is not None or _bill.has_listed_prices()
        if limited is not None and not self._has_prices:
            said = f"There are no prices, so max_cost_usd never takes effect: give Tracker(prices=...), or {_INSTALL}"
            self._warn(limited, "prices", said)

    def observe(self, request: Mapping[str, Any], response: Any) -> None:
        """Bills one model request: what was given to `messages.create`, and what it returned.

        A response that says no usage is counted as unknown, and bills nothing.
        """
        with self._lock:
            usage = self._usage(response)
            if usage is None:
                return
            billed, output = usage
            prompt = sum(tokens for _, tokens in billed)
            self._used = prompt + output
            model = str(getattr(response, "model", None) or request.get("model") or "")
            rates = self._rates(model, prompt)
            pieces = _bill.prompt_pieces(request, self._weigher)
            self._learn(model, pieces, prompt)
            for tool, rate, tokens in _bill.shares(pieces, billed):
                self._add(tool, rate, tokens, rates)
            written = _bill.output_pieces(response, self._weigher)
            for tool, rate, tokens in _bill.shares(written, [(_OUTPUT, output)]):
                self._add(tool, rate, tokens, rates)

    def compressed(self, tool: str, model: str, response: Any) -> None:
        """Bills a request to `model` that shortened a result of `tool`, all of it to the tool.

        `execute_tool_calls(..., tracker=...)` does it where `compress_tool_result` asks a model; a compressor of your
        own may. The conversation's context is not touched.
        """
        with self._lock:
            usage = self._usage(response)
            if usage is None:
                return
            billed, output = usage
            rates = self._rates(str(getattr(response, "model", None) or model), sum(tokens for _, tokens in billed))
            for rate, tokens in (*billed, (_OUTPUT, output)):
                if tokens:
                    self._add(tool, rate, tokens, rates, is_compression=True)

    def _usage(self, response: Any) -> tuple[list[tuple[str, int]], int] | None:
        """What a request was billed, which is counted; None where its response does not say."""
        self._sums.requests += 1
        usage = _bill.usage_of(response)
        self._sums.unknown_requests += usage is None
        return usage

    def called(self, tool: str, duration_ms: float, *, is_error: bool = False) -> None:
        """Counts one call; `execute_tool_calls(..., tracker=...)` does it."""
        with self._lock:
            for found in (self._of(tool), self._sums.total):
                found.calls += 1
                found.errors += is_error
                found.total_ms += duration_ms
                found.longest_ms = max(found.longest_ms, duration_ms)

    def cost_breakdown(self) -> dict[str, ToolCost]:
        """Every tool that was offered or called, the dearest first: where prices are unknown, that of most tokens."""
        with self._lock:
            found = {name: _copy(cost) for name, cost in self._tools.items()}
        return dict(sorted(found.items(), key=lambda item: (-(item[1].cost_usd or 0.0), -item[1].tokens, item[0])))

    @property
    def total(self) -> ToolCost:
        """Everything billed, tools and all else."""
        with self._lock:
            return _copy(self._sums.total)

    @property
    def other(self) -> ToolCost:
        """What belongs to no tool: system, user, the model's own text."""
        with self._lock:
            return _copy(self._sums.other)

    @property
    def requests(self) -> int:
        """Requests observed, those to a compressing model among them."""
        return self._sums.requests

    @property
    def unknown_requests(self) -> int:
        """Requests whose usage is not known: their tokens are in no sum."""
        return self._sums.unknown_requests

    @property
    def context(self) -> Context:
        """How full the context is."""
        return Context(self._used, self._limit)

    @property
    def density(self) -> float:
        """Billed tokens for each that is estimated from a text: 1 at first, then learned from how prompts grew."""
        return self._densities.of()

    def density_of(self, tool: str) -> float:
        """The same for the results of `tool`."""
        return self._densities.of(tool)

    def begin(self, tool: str) -> Decision:
        """Decides, and unless that is to refuse, counts the call as running, until `end`, for `max_calls`.

        So that calls at once are no more than one after the other would be.
        """
        with self._lock:
            decision = self.decide(tool)
            self._running[tool] += decision.action != "refuse"
        return decision

    def end(self, tool: str) -> None:
        """A call that `begin` let run runs no longer; `called` counts it for good."""
        with self._lock:
            self._running[tool] -= 1

    def decide(self, tool: str) -> Decision:
        """What the budgets say of a call of `tool` now: the strictest of those that are used up."""
        worst = Decision("go")
        with self._lock:
            for budget in self.budgets:
                if budget.tool not in (None, tool):
                    continue
                spent = self._spent(budget)
                if spent is None:
                    continue
                whose = "this session" if budget.tool is None else budget.tool
                said = f"The budget of {whose} is used up: {spent}."
                if budget.then == "warn":
                    self._warn(budget, "used up", said)
                elif budget.then == "refuse":
                    said += f" {tool} was not run. Finish with what is known, or say what is missing."
                if _SEVERITY[budget.then] >= _SEVERITY[worst.action]:
                    limit = budget.compress_to_tokens if budget.then == "compress" else None
                    worst = Decision(budget.then, said, limit)
        return worst

    def _learn(self, model: str, pieces: list[_bill.Piece], tokens: int) -> None:
        last, self._last = self._last, (model, pieces, tokens)
        if last is None or last[0] != model or pieces[: len(last[1])] != last[1]:
            return
        grown: dict[str | None, int] = {}
        for tool, weight in pieces[len(last[1]) :]:
            grown[tool] = grown.get(tool, 0) + weight
        for densities in (self._densities, learned):
            densities.learn(model, grown, tokens - last[2])

    def _spent(self, budget: Budget) -> str | None:
        cost = self._sums.total if budget.tool is None else self._tools.get(budget.tool, ToolCost())
        running = self._running.total() if budget.tool is None else self._running[budget.tool]
        if budget.max_calls is not None and cost.calls + running >= budget.max_calls:
            return f"{cost.calls + running} of {budget.max_calls} calls"
        if budget.max_tokens is not None and cost.tokens >= budget.max_tokens:
            return f"{cost.tokens:,} of {budget.max_tokens:,} tokens"
        if budget.max_cost_usd is not None:
            if cost.unpriced_tokens and self._has_prices:
                said = f"{cost.unpriced_tokens:,} tokens have no known price: max_cost_usd counts the rest."
                self._warn(budget, "unpriced", said)
            if cost.cost_usd is not None and cost.cost_usd >= budget.max_cost_usd:
                return f"${cost.cost_usd:.4f} of ${budget.max_cost_usd:.4f}"
        return None

    def _warn(self, budget: Budget, about: str, said: str) -> None:
        if (budget, about) in self._warned:
            return
        self._warned.add((budget, about))
        logger.warning("toolspend: %s", said)
        if self._on_warning is None:
            return
        try:
            self._on_warning(said)
        except Exception as error:  # a warning stops nothing
            logger.warning("toolspend: Tracker(on_warning=...) failed with %s", type(error).__qualname__)

    def _add(
        self, tool: str | None, rate: str, tokens: int, rates: Mapping[str, float], *, is_compression: bool = False
    ) -> None:
        price = rates.get(rate)
        for found in (self._of(tool) if tool else self._sums.other, self._sums.total):
            found.bill(rate, tokens, price, is_compression=is_compression)

    def _of(self, tool: str) -> ToolCost:
        return self._tools.setdefault(tool, ToolCost())

    def _rates(self, model: str, prompt_tokens: int) -> Mapping[str, float]:
        if self._prices is not None:
            own = self._prices.get(model, self._prices)
            return {rate: float(price) for rate, price in own.items() if isinstance(price, int | float)}
        key = (model, prompt_tokens > 200_000)
        if key not in self._listed:
            self._listed[key] = _bill.listed_prices(model, max(prompt_tokens, 1_000))
        return self._listed[key] or {}


def _copy(cost: ToolCost) -> ToolCost:
    return ToolCost(*(getattr(cost, name) for name in ToolCost.__dataclass_fields__))
