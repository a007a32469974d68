"""The bill by tool, live."""

from __future__ import annotations

import asyncio
import functools
import math
import sys
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import standin
from tool_layer import ask, registry_of
from toolspend.evidence.weight import weigh
from toolspend.toolkit import Budget, Tracker, _bill, compress_tool_result, execute_tool_calls

PRICES = {"input": 3.0, "output": 15.0, "cache_read": 0.3, "cache_write_5m": 3.75}
TOOLS = [
    {"name": "search", "description": "Finds pages. " * 20, "input_schema": {"type": "object"}},
    {"name": "idle", "description": "Does nothing.", "input_schema": {"type": "object"}},
]


async def same(n: int) -> str:
    return "x " * 5_000 if n == 7 else str(n)


def talk(tracker: Tracker, replies: Iterable[Any], *, model: str = "claude-sonnet-5") -> list[Any]:
    """A loop of requests against the stand-in, each observed. Returns the responses."""
    client = standin.client(standin.Api(list(replies)))
    messages: list[Any] = [{"role": "user", "content": "Which page is it?"}]
    found = []
    while True:
        request = {"model": model, "max_tokens": 500, "tools": TOOLS, "messages": messages}
        response = client.messages.create(**request)
        tracker.observe(request, response)
        found.append(response)
        calls = [block for block in response.content if block.type == "tool_use"]
        if not calls:
            return found
        messages = [
            *messages,
            {"role": "assistant", "content": response.content},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": call.id, "content": "page " * 300} for call in calls
            ]},
        ]  # fmt: skip


SCRIPT = (standin.say(standin.ToolUse("search", {"q": "rain"})), standin.say("It is page 12."))


def test_the_breakdown_sums_to_the_bill() -> None:
    """Tools and all else are every billed token and dollar; the dearest is first, one never called is there too."""
    tracker = Tracker(prices=PRICES, context_limit=100_000)
    responses = talk(tracker, SCRIPT)
    spent = tracker.cost_breakdown()
    billed = sum(r.usage.input_tokens + r.usage.output_tokens for r in responses)
    dollars = sum(r.usage.input_tokens * 3.0 + r.usage.output_tokens * 15.0 for r in responses) / 1e6
    assert list(spent) == ["search", "idle"]
    assert sum(cost.tokens for cost in spent.values()) + tracker.other.tokens == billed == tracker.total.tokens
    assert tracker.total.cost_usd == pytest.approx(dollars)
    assert sum(cost.cost_usd or 0 for cost in (*spent.values(), tracker.other)) == pytest.approx(dollars)
    assert spent["search"].tokens > 300 and 0 < spent["idle"].tokens < 100
    assert spent["search"].output_tokens > 0
    last = responses[-1].usage
    assert tracker.context.used_tokens == last.input_tokens + last.output_tokens
    assert tracker.context.left_tokens == 100_000 - tracker.context.used_tokens


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.integers(0, 500)), max_size=20),
    st.lists(st.integers(0, 5_000), min_size=4, max_size=4),
)
def test_every_billed_token_is_shared_out_at_its_rate(pieces: list[Any], counts: list[int]) -> None:
    """Whatever the pieces weigh, each rate's tokens sum to what was billed at it."""
    billed = list(zip(_bill.RATES, counts, strict=True))
    found = dict.fromkeys(_bill.RATES, 0)
    for _, rate, tokens in _bill.shares(pieces, billed):
        found[rate] += tokens
    assert found == dict(billed)


def test_rates_follow_position() -> None:
    """A cached prefix is the definitions': they are billed as read, what came last as input."""
    tracker = Tracker(prices={"input": 10.0, "output": 0.0, "cache_read": 1.0})
    usage = SimpleNamespace(
        input_tokens=500, output_tokens=1, cache_read_input_tokens=500, cache_creation_input_tokens=0
    )
    text = "word " * 400
    tool = {"name": "t", "description": text, "input_schema": {}}
    message = {"role": "user", "content": text}
    tracker.observe({"tools": [tool], "messages": [message]}, SimpleNamespace(usage=usage, content=[], model="m"))
    cost = tracker.cost_breakdown()["t"]
    assert cost.cost_usd is not None
    assert cost.cost_usd / cost.tokens * 1e6 == pytest.approx(1.0, rel=0.1)
    assert tracker.other.cost_usd == pytest.approx(0.005, rel=0.1)


def test_an_unknown_price_is_none_and_never_zero() -> None:
    """Of a model that no list knows, tokens are counted and dollars are not."""
    tracker = Tracker()
    talk(tracker, SCRIPT, model="claude-of-tomorrow-9")
    cost = tracker.cost_breakdown()["search"]
    assert cost.cost_usd is None and tracker.total.cost_usd is None
    assert cost.unpriced_tokens == cost.tokens > 0


def test_listed_prices_are_used_where_they_are_installed() -> None:
    """genai-prices knows the model: the bill has dollars."""
    pytest.importorskip("genai_prices")
    tracker = Tracker()
    [*_, last] = talk(tracker, SCRIPT)
    assert last.usage.output_tokens
    assert tracker.total.cost_usd is not None and tracker.total.unpriced_tokens == 0


def test_a_response_without_usage_is_counted_as_unknown() -> None:
    """It bills nothing, and says so."""
    tracker = Tracker(prices=PRICES)
    tracker.observe({"messages": []}, SimpleNamespace(content=[], usage=None))
    assert (tracker.requests, tracker.unknown_requests) == (1, 1)
    assert tracker.total.tokens == 0 and tracker.total.cost_usd is None


def execute(tracker: Tracker, *calls: tuple[str, Any], **options: Any) -> list[dict[str, Any]]:
    return asyncio.run(execute_tool_calls(ask(*calls), registry_of(same=same), tracker=tracker, **options))


def test_calls_errors_and_latency_come_from_the_executor() -> None:
    """What ran is counted, with its time; what was refused before it ran is not."""
    tracker = Tracker()
    execute(tracker, ("same", {"n": 1}), ("same", {"n": 2}), ("same", {}), ("none", {}))
    cost = tracker.cost_breakdown()["same"]
    assert (cost.calls, cost.errors) == (2, 0)
    assert cost.mean_ms is not None and 0 < cost.mean_ms <= cost.longest_ms
    assert "none" not in tracker.cost_breakdown()


@pytest.mark.parametrize("is_in_handler", [False, True])
def test_a_compressing_model_is_billed_to_the_tool_whose_result_it_shortened(is_in_handler: bool) -> None:
    """Usable or not, in the executor's hands or the handler's; a budget counts it, and the context is left alone."""
    api = standin.Api([standin.say("Rain fell in Porto."), standin.say("cut", stop_reason="max_tokens")])
    shorten = functools.partial(compress_tool_result, model="claude-haiku-4-5", client=standin.async_client(api))
    prose = " ".join(f"On day {n} it rained {n * 37 % 911} mm in town K{n}X." for n in range(200))

    async def read(n: int) -> str:
        return await shorten(prose, "read", 200) if is_in_handler else prose

    tracker = Tracker(prices=PRICES, budgets=[Budget("refuse", tool="read", max_cost_usd=1e-3)])
    options: dict[str, Any] = {} if is_in_handler else {"max_result_tokens": 200, "compressor": shorten}

    def run() -> Any:
        [block] = asyncio.run(
            execute_tool_calls(ask(("read", {"n": 1})), registry_of(read=read), tracker=tracker, **options)
        )
        return block

    assert "Rain fell in Porto." in run()["content"]
    first = tracker.cost_breakdown()["read"]
    assert first.tokens == first.compression_tokens == tracker.total.tokens > first.output_tokens > 0
    cost_usd = ((first.tokens - first.output_tokens) * 3.0 + first.output_tokens * 15.0) / 1e6
    assert first.cost_usd == pytest.approx(cost_usd)
    assert first.cost_usd == first.compression_cost_usd == tracker.total.cost_usd
    assert first.cost_usd is not None and first.cost_usd > 1e-3
    assert (tracker.requests, tracker.context.used_tokens) == (1, 0)
    assert run().error_type == "budget_exceeded"
    # One whose answer is of no use was billed all the same.
    tracker.budgets = ()
    assert "left out" in run()["content"]
    assert tracker.total.compression_tokens > first.compression_tokens and tracker.total.calls == 2


def test_a_budget_refuses_in_words_for_the_model() -> None:
    """The handler does not run, and the reason names the budget."""
    tracker = Tracker(budgets=[Budget("refuse", tool="same", max_calls=1)])
    [first] = execute(tracker, ("same", {"n": 1}))
    [second] = execute(tracker, ("same", {"n": 2}))
    assert first["content"] == "1"
    assert second["is_error"]
    assert "The budget of same is used up: 1 of 1 calls" in second["content"] and "was not run" in second["content"]
    assert tracker.cost_breakdown()["same"].calls == 1


def test_a_budget_compresses_harder() -> None:
    """Before it is used up results stay whole; beyond it they are shortened, below what the executor was told too."""
    tracker = Tracker(prices=PRICES, budgets=[Budget("compress", max_tokens=10, compress_to_tokens=100)])
    [whole] = execute(tracker, ("same", {"n": 7}), max_result_tokens=50_000)
    talk(tracker, SCRIPT)
    [less] = execute(tracker, ("same", {"n": 7}), max_result_tokens=50_000)
    assert len(whole["content"]) == 10_000
    assert len(less["content"]) < 1_500 and "left out" in less["content"]


def test_results_are_shortened_by_the_density_that_bills_show() -> None:
    """Where prompts grow by half more than is estimated, a third less of a result fits; odd growth teaches nothing."""
    tracker, message = Tracker(prices=PRICES), {"role": "user", "content": "many words of rain " * 500}

    def observe(messages: int, tokens: int, model: str = "m") -> None:
        usage = SimpleNamespace(input_tokens=tokens, output_tokens=1)
        tracker.observe({"messages": [message] * messages}, SimpleNamespace(usage=usage, content=[], model=model))

    assert tracker.density == 1.0
    estimate = weigh(message["content"]).tokens + 3
    observe(1, 400 + round(1.5 * estimate))
    observe(2, 9)
    observe(1, 400 + round(1.5 * estimate), "other")
    assert tracker.density == 1.0
    for messages in range(1, 20):
        observe(messages, 400 + round(1.5 * estimate * messages))
    assert tracker.density == pytest.approx(1.5, abs=0.1)
    asked: list[int] = []

    def compressor(text: str, name: str, max_tokens: int) -> str:
        asked.append(max_tokens)
        return text[:max_tokens]

    for known in (None, tracker):
        asyncio.run(
            execute_tool_calls(
                ask(("same", {"n": 7})),
                registry_of(same=same),
                tracker=known,
                max_result_tokens=300,
                compressor=compressor,
            )
        )
    assert asked == [300, round(300 / tracker.density)]


def test_a_budget_warns_once() -> None:
    """Calls go on; the callback hears of it one time."""
    heard: list[str] = []
    tracker = Tracker(prices=PRICES, budgets=[Budget("warn", max_cost_usd=1e-6)], on_warning=heard.append)
    talk(tracker, SCRIPT)
    blocks = execute(tracker, ("same", {"n": 1}), ("same", {"n": 2}))
    assert [block["content"] for block in blocks] == ["1", "2"]
    assert len(heard) == 1 and "budget of this session is used up: $" in heard[0]


def test_a_money_budget_says_when_it_cannot_be_judged() -> None:
    """Without the model's price it refuses nothing, and warns that it does not count everything."""
    pytest.importorskip("genai_prices")
    heard: list[str] = []
    tracker = Tracker(budgets=[Budget("refuse", max_cost_usd=0.0)], on_warning=heard.append)
    talk(tracker, SCRIPT, model="claude-of-tomorrow-9")
    assert tracker.decide("same").action == "go"
    assert len(heard) == 1 and "no known price" in heard[0]


def test_a_money_budget_says_at_once_that_there_are_no_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, one time; with prices of one's own, or without a limit in money, there is nothing to say."""
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    heard: list[str] = []
    budget = Budget("refuse", max_cost_usd=0.0)
    Tracker(prices=PRICES, budgets=[budget], on_warning=heard.append)
    Tracker(budgets=[Budget("refuse", max_calls=1)], on_warning=heard.append)
    assert heard == []
    tracker = Tracker(budgets=[budget, Budget("refuse", max_cost_usd=1.0)], on_warning=heard.append)
    talk(tracker, SCRIPT)
    assert tracker.decide("same").action == "go" and tracker.total.cost_usd is None
    assert len(heard) == 1 and "pip install genai-prices" in heard[0] and "\n" not in heard[0]


def test_the_strictest_budget_holds() -> None:
    """Of several that are used up."""
    budgets = [Budget(then, max_calls=1) for then in ("refuse", "warn", "compress")]
    tracker = Tracker(budgets=budgets)
    execute(tracker, ("same", {"n": 1}))
    assert tracker.decide("same").action == "refuse"


def test_a_budget_without_a_limit_is_refused() -> None:
    """At once, in words."""
    with pytest.raises(ValueError, match="give max_tokens"):
        Budget("warn")
    with pytest.raises(ValueError, match='give "warn"'):
        Budget("explode", max_calls=1)  # type: ignore[arg-type]
    for wrong in (math.nan, math.inf, -1.0):
        with pytest.raises(ValueError, match=r"max_cost_usd=.*give a number from 0 on"):
            Budget("warn", max_cost_usd=wrong)
