"""Results are held to what bills show of their length, whoever saw the bills."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import standin
import toolspend
from tool_layer import ask, registry_of
from toolspend import _provider
from toolspend.evidence.weight import weigh
from toolspend.toolkit import ResultStore, Tracker, compress_tool_result, execute_tool_calls
from toolspend.toolkit._density import Densities, learned
from toolspend.toolkit.compressor import Compression, compress

MODEL = "claude-sonnet-5"
TOOLS = [{"name": name, "description": "Reads.", "input_schema": {"type": "object"}} for name in ("dense", "plain")]
DENSITY = 1.8
WORDS = " ".join(f"On day {n} the station counted {n * 37 % 911} birds of kind K{n}X." for n in range(120))


def tokens_of_text(text: str, model: str) -> int:
    """A tokenizer that takes more tokens than are estimated for texts with birds in them."""
    return round(weigh(text).tokens * (DENSITY if "birds" in text else 1.0))


def talk(tool: str, text: str, observe: Callable[[Any, Any], None] | None = None, calls: int = 6) -> None:
    """An agent that calls one tool again and again."""
    replies = [standin.say(standin.ToolUse(tool, {"day": n})) for n in range(calls)] + [standin.say("Done.")]
    client = standin.client(standin.Api(replies, seed=tool, rules=standin.Rules(tokens_of_text)))
    messages: list[Any] = [{"role": "user", "content": f"What does {tool} say?"}]
    for n in range(calls + 1):
        request = {"model": MODEL, "max_tokens": 300, "tools": TOOLS, "messages": messages}
        response = client.messages.create(**request)
        if observe is not None:
            observe(request, response)
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": f"{n}. {text}"}
            for block in response.content if block.type == "tool_use"
        ]  # fmt: skip
        messages = [
            *messages,
            {"role": "assistant", "content": response.content},
            {"role": "user", "content": results},
        ]


def made(tool: str = "dense", max_tokens: int = 500, **options: Any) -> Compression:
    return asyncio.run(compress(WORDS, tool, max_tokens, store=ResultStore(), **options))


def test_what_a_tracker_saw_holds_for_every_result() -> None:
    """At first a text takes more tokens than asked for; after some bills it does not, and says how many it takes."""
    assert tokens_of_text(made().text, MODEL) > 700
    talk("dense", WORDS, Tracker().observe)
    found = made()
    assert 350 < tokens_of_text(found.text, MODEL) <= 500
    assert found.tokens_after == pytest.approx(tokens_of_text(found.text, MODEL), rel=0.1)
    assert found.tokens_before == pytest.approx(tokens_of_text(WORDS, MODEL), rel=0.1)


def test_what_instrument_saw_holds_for_every_result(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a tracker: from the spans of model requests, as they are exported."""
    monkeypatch.setenv("TOOLSPEND_HOME", str(tmp_path))
    toolspend.instrument(export="spool")
    talk("dense", WORDS)
    _provider.flush()
    assert 350 < tokens_of_text(made().text, MODEL) <= 500
    assert learned.of("dense") == pytest.approx(DENSITY, abs=0.15)


def test_each_tool_has_a_density_of_its_own() -> None:
    """One whose results are as estimated is not held to what another's cost."""
    tracker = Tracker()
    talk("dense", WORDS, tracker.observe)
    talk("plain", WORDS.replace("birds", "trees"), tracker.observe)
    for densities in (tracker.density_of, learned.of):
        assert densities("dense") == pytest.approx(DENSITY, abs=0.15)
        assert densities("plain") == pytest.approx(1.0, abs=0.15)
        assert 1.1 < densities("unknown") < 1.7
    assert tracker.density == tracker.density_of("unknown")


def test_a_density_is_that_of_the_model_that_reads_the_tool() -> None:
    """The model that was last billed for its results; of an unknown tool, the model that was last billed at all."""
    densities = Densities()
    for _ in range(20):
        densities.learn("old", {"read": 900, None: 100}, 600)
        densities.learn("new", {"find": 1_000}, 1_500)
    assert densities.of("read") == pytest.approx(0.6, abs=0.05)
    assert densities.of() == pytest.approx(1.5, abs=0.06) and densities.of("find") == pytest.approx(1.5, abs=0.06)
    densities.learn("new", {"read": 1_000}, 1_500)
    assert densities.of("read") > 1.2
    densities.learn("new", {"find": 1_000}, 9_000)  # a document, or an edited context
    assert densities.of("find") < 1.6


def test_an_executor_with_a_tracker_divides_once() -> None:
    """What the tracker knows and what the process knows are the same bills."""
    tracker = Tracker()
    talk("dense", WORDS, tracker.observe)

    async def dense(n: int) -> str:
        return WORDS

    shorten = functools.partial(compress_tool_result, store=ResultStore())
    for known in (tracker, None):
        [block] = asyncio.run(
            execute_tool_calls(
                ask(("dense", {"n": 1})),
                registry_of(dense=dense),
                tracker=known,
                max_result_tokens=500,
                compressor=shorten,
            )
        )
        assert 350 < tokens_of_text(block["content"], MODEL) <= 500


def turns(*texts: Any) -> list[dict[str, Any]]:
    return [{"role": "assistant" if n % 2 else "user", "content": text} for n, text in enumerate(texts)]


PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}


@pytest.mark.parametrize(
    "prompts",
    [
        (turns("Is it?"), turns("Is it?", "Yes.", [PICTURE, {"type": "text", "text": WORDS}])),
        (turns(*"abcde", WORDS, "f"), turns(*"abcde", *(f"{n}. {WORDS}" for n in range(3)), *"ghijklm")),
    ],
    ids=["an image", "an edited end"],
)
def test_a_prompt_that_does_more_than_grow_by_texts_teaches_nothing(
    prompts: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What it is longer by is not what is new in it."""
    monkeypatch.setenv("TOOLSPEND_HOME", str(tmp_path))
    toolspend.instrument(export="spool")
    client = standin.client(standin.Api(lambda body: standin.say("Yes."), rules=standin.Rules(tokens_of_text)))
    for messages in prompts:
        client.messages.create(model=MODEL, max_tokens=300, messages=messages)
    _provider.flush()
    assert made().tokens_before == weigh(WORDS).tokens
    assert learned.of("dense") == 1.0


async def refuses(text: str) -> int:
    raise ConnectionError("no route")


async def hangs(text: str) -> int:
    await asyncio.sleep(60)
    return 1


@pytest.mark.parametrize("count", [refuses, hangs, json.loads, lambda text: None, lambda text: 0, lambda text: -1])
def test_a_counter_that_fails_is_fallen_back_from(
    count: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line in the log, and the estimate in its place."""
    monkeypatch.setattr("toolspend.toolkit.compressor._compress._COUNT_S", 0.05)
    with caplog.at_level(logging.WARNING, logger="toolspend"):
        found = made(count_tokens=count)
    assert found == made()
    assert len(caplog.records) == 1 and "count_tokens failed" in caplog.text


def test_a_counter_that_fails_later_leaves_what_it_counted() -> None:
    """The scale of the first count holds."""
    counts = iter([weigh(WORDS).tokens * 2])
    found = made(count_tokens=lambda text: next(counts))
    assert found.tokens_before == weigh(WORDS).tokens * 2
    assert 350 < 2 * weigh(found.text).tokens <= 500


def test_what_is_counted_fits_though_what_is_left_is_denser_than_the_whole() -> None:
    """Blanks that make up most of a text have few tokens, and are what goes first."""
    text = "\n".join([*(" " * 4_000 for _ in range(20)), *(f"Sentence {n} has {n * 7} words." for n in range(400))])

    def count(text: str) -> int:
        return len(text.split()) * 3

    found = asyncio.run(compress(text, "read", 600, count_tokens=count, store=ResultStore()))
    assert 400 < found.tokens_after == count(found.text) <= 600
