"""Vercel's AI SDK has a span around its requests that says their tokens again: it counts where none of them came."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otlp_requests import Made, protobuf
from sessions_that_go_on import assert_whole, derived, empty_stores
from toolspend import attributes as at
from toolspend_ingest import Store, ingest
from toolspend_ingest.decode import decode
from toolspend_ingest.spans import SpanBatch

Fresh = Callable[[str], Store]
Rows = Callable[[str], list[dict[str, Any]]]
USAGE = "select request_id, input_tokens, output_tokens, is_usage_known from llm_requests order by started_at"
PAGE = 999
"""The span that all are below; it is in another process, and never comes."""
stores = pytest.fixture(scope="module")(empty_stores)


def load(store: Store, *spans: Made) -> None:
    store.append(decode(protobuf(spans), "protobuf").spans, "test", "test", None)


def ai(span: int, operation: str, at_s: float = 0, parent: int = PAGE, trace: int = 1, **said: Any) -> Made:
    """A span of the SDK; tokens are of OpenAI, which counts the whole prompt."""
    attributes = {
        "ai.operationId": operation,
        "ai.model.provider": "openai.responses",
        "ai.model.id": "gpt-4o-mini",
        "ai.telemetry.metadata.sessionId": "s",
        **{key.replace("__", "."): value for key, value in said.items()},
    }
    return Made(trace, span, operation, attributes, parent, at_s, scope="ai", kind="client")


def tokens(read: int, written: int) -> dict[str, Any]:
    return {"ai.usage.inputTokens": read, "ai.usage.outputTokens": written, "ai.usage.cachedInputTokens": 0}


def usage(store: Store) -> list[tuple[Any, ...]]:
    return store.cursor().execute(USAGE).fetchall()


@pytest.mark.parametrize("name", ["generateText", "generateObject", "streamText"])
def test_a_recorded_span_alone_is_billed_as_its_request(recordings: Path, fresh: Fresh, name: str) -> None:
    """What the request's own span says is what the one around it says."""
    folder = recordings / "otlp_traces" / "openinference-vercel-v6"
    inner = "doStream" if name == "streamText" else "doGenerate"
    found = []
    for file in (f"ai-{name}.json", f"ai-{name}-{inner}.json"):
        spans = decode((folder / file).read_bytes(), "json").spans
        with fresh(file) as store:
            below = SpanBatch(row._replace(parent_span_id=f"{PAGE:016x}") for row in spans)
            store.append(below, "test", "test", None)
            columns = "provider, input_tokens, output_tokens, is_priced, cost_usd"
            found.append(store.cursor().execute(f"select {columns} from llm_requests order by all").fetchall())
    around, requests = found
    assert around == requests
    assert around[0][3:] != (False, None)


def test_without_a_context_nothing_is_billed_twice(recordings: Path, store: Store) -> None:
    """There each span is a trace of its own: none tells whether the one around a request is alone."""
    folder = recordings / "otlp_traces" / "openinference-vercel-v6"
    ingest(store, [folder / "ai-generateText.json"])
    assert usage(store) == []
    ingest(store, [folder / "all-spans.json"])
    assert len(usage(store)) == 5


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_it_is_billed_only_while_none_is_there(store: Store, order: Sequence[int]) -> None:
    """Two steps and the span around them, in any order: two requests, with the tokens of each."""
    spans = [
        ai(1, "ai.generateText", 0, **tokens(50, 5)),
        ai(2, "ai.generateText.doGenerate", 0, 1, **tokens(30, 9)),
        ai(3, "ai.generateText.doGenerate", 2, 1, **tokens(50, 5)),
    ]
    for place in order:
        load(store, spans[place])
        if place == 0 and order[0] == 0:
            assert usage(store) == [(spans[0].span_id, 50, 5, True)]
    assert usage(store) == [(spans[1].span_id, 30, 9, True), (spans[2].span_id, 50, 5, True)]


def test_a_request_that_a_tool_made_is_its_own(store: Store) -> None:
    """Whether the outer generation lost its requests is not told by one inside a tool."""
    outer, inner = ai(1, "ai.generateText", **tokens(50, 5)), ai(3, "ai.generateText", 0.2, 2, **tokens(9, 1))
    run = ai(2, "ai.toolCall", 0.1, 1, ai__toolCall__name="ask")
    load(store, outer, run, inner, ai(4, "ai.generateText.doGenerate", 0.3, 3, **tokens(9, 1)))
    assert [row[0][-1] for row in usage(store)] == ["1", "4"]


def test_figures_of_one_request_are_not_those_of_all(store: Store, rows: Rows) -> None:
    """A stream of several steps adds up their tokens and has the provider's usage of the last: its cache is unknown."""
    last = {"input_tokens": 20, "output_tokens": 5, "cache_read_input_tokens": 900, "cache_creation_input_tokens": 40}
    said = {
        "ai.model.provider": "anthropic.messages",
        "ai.response.providerMetadata": json.dumps({"anthropic": {"usage": last}}),
        at.INPUT_TOKENS: 60,
    }
    of_one, of_more = ({**said, "ai.usage.outputTokens": count} for count in (5, 17))
    load(store, ai(1, "ai.streamText", **of_one), ai(2, "ai.streamText", 2, trace=2, **of_more))
    known, unknown = rows("select input_tokens, output_tokens, is_usage_known from llm_requests order by started_at")
    assert tuple(known.values()) == (960, 5, True)
    assert tuple(unknown.values()) == (None, 17, False)


def test_without_tokens_it_is_no_request(store: Store) -> None:
    """A generation that failed before it was sent says none."""
    load(store, ai(1, "ai.generateText"), ai(2, "ai.embed", trace=2))
    assert usage(store) == []


@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(dice=st.integers(0, 2**32).map(random.Random))
def test_no_order_matters(dice: random.Random, stores: Callable[[], Store]) -> None:
    """A long session of which some requests are lost, some late: as if all were computed at once."""
    spans: list[Made] = []
    for turn in range(12):
        first, at_s, trace = turn * 10 + 1, turn * 20.0, turn % 3 + 1
        run = {"ai.toolCall.name": "look", "ai.toolCall.id": f"call_{turn}"}
        said = tokens(100 + turn, 9)
        spans.append(ai(first + 1, "ai.generateText.doGenerate", at_s, first, trace=trace, **said))
        spans.append(ai(first + 2, "ai.toolCall", at_s + 1, first, trace=trace, **run))
        spans.append(ai(first, "ai.generateText", at_s, trace=trace, **said))
    lost = [place for place in range(0, len(spans), 3) if dice.random() < 0.3]
    kept = [place for place in range(len(spans)) if place not in lost]
    kept.sort(key=lambda place: place + dice.choice((0, 0, 0, 12)) * dice.random())
    store = stores()
    load(store, *(spans[place] for place in kept))
    expected = derived(store)
    store = stores()
    begin = 0
    while begin < len(kept):
        end = begin + dice.choice((1, 2, 6)) if begin else len(kept) // 2
        load(store, *(spans[place] for place in kept[begin:end]))
        begin = end
    assert derived(store) == expected
    assert len(usage(store)) == 12
    assert_whole(store)
