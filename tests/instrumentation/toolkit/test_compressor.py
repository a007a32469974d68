"""Results made to fit."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import standin
import toolspend
from tool_layer import ask
from toolspend.evidence.weight import weigh
from toolspend.testing import Captured
from toolspend.toolkit import ResultStore, ToolRegistry, compress_tool_result, execute_tool_calls, fetch_result_tool
from toolspend.toolkit.compressor import Compression, _model, compress, counter

PROSE = " ".join(f"On day {n} the station counted {n * 37 % 911} birds of kind K{n}X." for n in range(200))
ROWS = json.dumps([{"id": f"ord-{n}", "city": "Porto", "amount": n + 0.5, "status": "ok"} for n in range(300)])


def made(result: Any, max_tokens: int = 300, **options: Any) -> Compression:
    return asyncio.run(compress(result, "tool", max_tokens, **options))


def test_what_fits_passes_through() -> None:
    """Not a character is changed, whatever it is."""
    for text in ("", "short", '{"a": 1}', "<p>x</p>"):
        assert asyncio.run(compress_tool_result(text, "tool")) == text
        assert made(text).strategy == "none"


def test_planted_facts_survive_five_times_compression() -> None:
    """At least 95 % of planted ids and of numbers, all errors and all ids that the task names, at a fifth or less.

    In function bodies as anywhere.
    """
    pytest.importorskip("duckdb", reason="the documents are made with the simulator, which needs the store's libraries")
    from compression.run import KINDS, folder, outcomes

    sums = {place: (Counter[str](), Counter[str]()) for place in ("anywhere", "in bodies")}
    for outcome in outcomes(folder(), range(1)):
        assert outcome.ratio >= 5, outcome
        kept, planted = sums["in bodies" if outcome.is_in_bodies else "anywhere"]
        kept += outcome.kept
        planted += outcome.planted
    for kept, planted in sums.values():
        assert set(planted) == set(KINDS)
        assert kept["named"] == planted["named"]
        assert kept["error"] == planted["error"]
        assert kept["id"] >= 0.95 * planted["id"]
        assert kept["number"] >= 0.95 * planted["number"]


def test_rows_keep_their_shape_sums_outliers_and_what_the_task_named() -> None:
    """A table with the header once, constants once, aggregates, the failed row, the outlier and the named row."""
    rows = json.loads(ROWS)
    rows[77]["status"] = "failed: card declined"
    rows[150]["amount"] = 99_999.5
    found = made(json.dumps({"page": 3, "items": rows}), 400, task="What of ord-123?")
    assert found.strategy == "json"
    assert '"page":3' in found.text and "300 rows" in found.text and "city=Porto" in found.text
    assert "card declined" in found.text and "99999.5" in found.text and "ord-123," in found.text
    total = sum(row["amount"] for row in rows)
    assert f"amount: sum {total:.10g}" in found.text
    assert found.tokens_after <= 400


@pytest.mark.parametrize(
    ("text", "strategy", "kept", "gone"),
    [
        (
            "<html><head><style>a{}</style></head><body><nav><a>Home</a></nav>"
            + "<h1>Rain</h1>" + "".join(f"<p>In {n} it rained {n * 7.5} mm.</p>" for n in range(300)) + "</body>",
            "html", "# Rain", "Home",
        ),
        (
            "\n".join(f"2026-11-02T10:00:{n % 60:02d}Z INFO worker {n} done in {n * 3} ms" for n in range(300))
            + "\n2026-11-02T10:09:00Z ERROR disk sdb1 failed",
            "log", "ERROR disk sdb1 failed", "worker 250",
        ),
        ("id,city,amount\n" + "\n".join(f"r{n},Porto,{n}.5" for n in range(400)), "table", "400 rows", "r201,"),
        (
            "import os\n\nLIMIT = 4711\n\n\n"
            + "\n\n".join(f"def f{n}(a):\n    b = a + {n}\n    c = b * b\n    return c" for n in range(90)),
            "code", "LIMIT = 4711", "c = b * b",
        ),
        (PROSE, "text", "On day 0", "On day 150"),
    ],
)  # fmt: skip
def test_each_kind_of_content_has_its_strategy(text: str, strategy: str, kept: str, gone: str) -> None:
    """What is dropped is said, with a handle for the whole."""
    store = ResultStore()
    found = made(text, 250, store=store)
    assert found.strategy == strategy
    assert kept in found.text and gone not in found.text
    assert "left out: " in found.text and f"fetch_result(handle='{found.handle}')" in found.text
    assert found.handle is not None and store.get(found.handle) == text


def test_all_errors_stay_even_beyond_the_budget() -> None:
    """Three hundred errors of one form are said once with what differs; errors of other forms each."""
    lines = [f"2026-11-02T10:00:00Z ERROR order {n} failed" for n in range(20)]
    lines += [f"2026-11-02T10:00:00Z INFO order {n} done" for n in range(500)]
    lines += ["2026-11-02T10:00:01Z FATAL disk is full", "2026-11-02T10:00:02Z WARN could not reach the bank"]
    found = made("\n".join(lines), 60)
    for text in ("\u00d720", "also 1, 2, 3", "19", "FATAL disk is full", "could not reach the bank"):
        assert text in found.text


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(
        st.text(max_size=3_000),
        st.recursive(
            st.none() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40),
            lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=8), inner, max_size=8),
            max_leaves=60,
        ),
    ),
    st.integers(1, 400),
)
def test_it_is_never_larger_than_its_input_and_never_fails(result: Any, max_tokens: int) -> None:
    """Whatever comes in."""
    found = made(result, max_tokens, store=ResultStore())
    whole = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, separators=(",", ":"))
    if result is not None:
        assert len(found.text) <= len(whole)
        assert weigh(found.text).tokens <= max(weigh(whole).tokens, 1)


def test_the_model_is_asked_where_sentences_would_lose_facts_and_its_cost_lies_under_the_span(
    captured: Captured,
) -> None:
    """Its request is a child of `compress_result NAME`, which says so; errors and named ids that it drops come back."""
    api = standin.Api([standin.say("Counts rose and fell. Between 0 and 910 birds.")])
    toolspend.instrument(export=None)
    text = PROSE + " The sensor failed with E4711."
    found = made(text, 200, model="claude-haiku-4-5", client=standin.async_client(api), task="What of K7X?")
    toolspend.uninstrument()
    assert found.strategy == "model"
    assert found.text.startswith("Counts rose and fell.")
    assert "E4711" in found.text and "K7X" in found.text
    [span] = captured.named("compress_result tool")
    assert span["attributes"]["toolspend.compression.strategy"] == "model"
    assert span["attributes"]["toolspend.compression.has_model_call"] is True
    assert span["attributes"]["toolspend.compression.chars_after"] == len(found.text)
    [request] = [each for each in captured.spans() if each["attributes"].get("gen_ai.operation.name") == "chat"]
    assert request["parent_id"] == span["span_id"]
    assert "word for word" in str(api.requests[0].body["system"])


@pytest.mark.parametrize(
    "reply", [standin.internal_error(), standin.say("cut", stop_reason="max_tokens"), standin.say(" ")]
)
def test_a_model_that_fails_is_fallen_back_from(reply: Any) -> None:
    """An error, an answer that was cut off, an empty one: the sentences are taken instead."""
    client = standin.async_client(standin.Api([reply]), max_retries=0)
    found = made(PROSE, 200, model="claude-haiku-4-5", client=client)
    assert found.strategy == "text"
    assert "left out" in found.text


def test_a_model_that_hangs_is_fallen_back_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its client may try again and again: all of that has one limit."""
    monkeypatch.setattr(_model, "TIMEOUT_S", 0.02)

    async def hang(**request: Any) -> Any:
        await asyncio.sleep(3_600)

    client = SimpleNamespace(messages=SimpleNamespace(create=hang))
    assert made(PROSE, 200, model="claude-haiku-4-5", client=client).strategy == "text"


def test_no_model_is_called_where_structure_is_enough() -> None:
    """Rows, logs and code never cost a request."""
    api = standin.Api([])
    assert made(ROWS, 300, model="claude-haiku-4-5", client=standin.async_client(api)).strategy == "json"
    assert api.requests == []


def test_one_span_though_the_compressor_is_named_too(captured: Captured) -> None:
    """It is traced from birth; naming it to instrument() adds nothing."""
    toolspend.instrument(compressor=compress_tool_result, export=None)
    asyncio.run(compress_tool_result(ROWS, "orders", 200))
    [span] = captured.named("compress_result orders")
    assert span["attributes"]["toolspend.compression.strategy"] == "json"
    assert span["attributes"]["toolspend.compression.chars_before"] == len(ROWS)


def test_tokens_are_counted_when_asked() -> None:
    """The provider's count decides, not the estimate."""
    api = standin.Api([])
    if not hasattr(standin.async_client(api).messages, "count_tokens"):
        pytest.skip("this SDK does not count tokens")
    found = made(PROSE, 300, count_tokens=counter(standin.async_client(api), "claude-haiku-4-5"))
    counts = [record.response for record in api.requests]
    assert [found.tokens_before, found.tokens_after] == [count["input_tokens"] for count in counts if count]
    passed = made(PROSE, 300, count_tokens=lambda text: len(text) // 100)
    assert passed.strategy == "none" and passed.tokens_before == len(PROSE) // 100


def test_the_agent_fetches_what_was_left_out() -> None:
    """By handle: pages in order, or the places that hold a text; an unknown handle says what to do instead."""
    store = ResultStore()
    handle = made(PROSE, 200, store=store).handle
    registry = ToolRegistry([fetch_result_tool(store)])

    def fetch(**arguments: Any) -> dict[str, Any]:
        [block] = asyncio.run(execute_tool_calls(ask(("fetch_result", arguments)), registry, max_result_tokens=50))
        return block

    assert fetch(handle=handle)["content"].startswith(PROSE[:6_000])
    assert fetch(handle=handle, start=6_000)["content"].startswith(PROSE[6_000:6_100])
    assert "kind K150X" in fetch(handle=handle, search="k150x")["content"]
    missing, absent = fetch(handle="r_0"), fetch(handle=handle, search="nowhere")
    assert missing["is_error"] and "Call its tool again" in missing["content"]
    assert absent["is_error"] and "is not in this result" in absent["content"]


def test_the_store_is_bounded() -> None:
    """The longest unused go first, and what is larger than all of it is not kept."""
    store = ResultStore(max_chars=100)
    first, second = store.put("a" * 40), store.put("b" * 40)
    assert first and second and store.get(first)
    third = store.put("c" * 40)
    assert third and store.get(first) and store.get(second) is None
    assert store.put("d" * 101) is None
    assert store.put("a" * 40) == first and len(store) == 2


def test_repeated_compression_gives_the_same_text() -> None:
    """The prompt cache survives: nothing in it depends on time or chance."""
    dice = random.Random(1)
    rows = json.dumps([{"id": n, "value": dice.random()} for n in range(500)])
    assert made(rows).text == made(rows).text


def test_images_are_refused_in_words() -> None:
    """They are no text."""
    block = {"type": "image", "source": {"type": "base64", "data": "aaaa"}}
    with pytest.raises(TypeError, match="cannot be compressed"):
        made([block])
