"""Tool calls at once, each answered, whatever happens."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import toolspend
from tool_layer import ask, numbered, others, registry_of, run
from toolspend.evidence.weight import weigh
from toolspend.testing import Captured
from toolspend.toolkit import Retries, Tool, ToolError, _threads, execute_tool_calls, is_cancelled
from toolspend.toolkit import executor as module

QUICK = Retries(max_attempts=3, base_s=0.001)


async def twice(n: int) -> int:
    return 2 * n


def test_results_come_in_the_order_of_the_calls() -> None:
    """The last call ends first; its block is still the last."""

    async def slow(n: int) -> str:
        await asyncio.sleep(0.02 / (n + 1))
        return f"got {n}"

    blocks = run(ask(*[("slow", {"n": n}) for n in range(5)]), registry_of(slow=slow))
    assert [block["content"] for block in blocks] == [f"got {n}" for n in range(5)]
    assert [block["tool_use_id"] for block in blocks] == [f"toolu_{n}" for n in range(5)]
    assert not any("is_error" in block for block in blocks)


def test_independent_calls_overlap(captured: Captured) -> None:
    """Each of five calls is running while the others are: all wait for all to have begun."""
    barrier = asyncio.Barrier(5)

    async def together(n: int) -> int:
        await barrier.wait()
        return n

    registry = registry_of(together=together)
    toolspend.instrument(export=None)
    run(ask(*[("together", {"n": n}) for n in range(5)]), registry)
    spans = captured.named("execute_tool together")
    assert len(spans) == 5
    assert max(span["start_ms"] for span in spans) < min(span["end_ms"] for span in spans)


def test_one_batch_and_one_span_a_call_however_it_ends(captured: Captured) -> None:
    """Traced from birth, and naming the parts to instrument() as well adds no second span."""

    async def broken(n: int) -> int:
        raise ValueError("boom")

    registry = registry_of(twice=twice, broken=broken)
    toolspend.instrument(registry=registry, executor=execute_tool_calls, export=None)
    blocks = run(ask(("twice", {"n": 1}), ("broken", {"n": 1}), ("twice", {}), ("missing", {})), registry)
    [batch] = captured.named("execute_tools")
    spans = [span for span in captured.spans() if span["name"].startswith("execute_tool ")]
    found = dict(
        sorted((span["attributes"]["gen_ai.tool.call.id"], span["attributes"].get("error.type")) for span in spans)
    )
    assert len(spans) == 4
    assert found == {
        "toolu_0": None,
        "toolu_1": "ValueError",
        "toolu_2": "invalid_arguments",
        "toolu_3": "unknown_tool",
    }
    assert {block["tool_use_id"]: block.error_type for block in blocks} == found
    assert all(span["parent_id"] == batch["span_id"] for span in spans)
    assert batch["attributes"]["toolspend.batch.failed"] == 3
    assert batch["attributes"]["toolspend.batch.concurrency_limit"] == 8


def test_nothing_is_traced_that_was_not_instrumented(captured: Captured) -> None:
    """Without instrument() there are results and no spans."""
    [block] = run(ask(("twice", {"n": 4})), registry_of(twice=twice))
    assert block["content"] == "8"
    assert captured.spans() == []


def test_two_hundred_calls_of_which_a_fifth_fail_are_all_answered() -> None:
    """Failing in four ways, sync and async: every block is in its place, and neither tasks nor threads are left."""

    async def sometimes(n: int) -> int:
        await asyncio.sleep(0.001)
        if n % 20 == 0:
            raise ConnectionError("reset")
        if n % 20 == 5:
            await asyncio.sleep(60)
        return n

    def in_thread(n: int) -> int:
        if n % 20 == 10:
            raise SystemExit(3)
        return n

    tools = (numbered("sometimes", sometimes, timeout_s=1.0), numbered("in_thread", in_thread))
    calls = ask(
        *[
            ("lost", {"n": n}) if n % 20 == 15 else ("in_thread" if n % 2 == 0 and n % 20 else "sometimes", {"n": n})
            for n in range(200)
        ]
    )
    blocks = run(calls, registry_of(*tools))
    failed = [n for n, block in enumerate(blocks) if block.get("is_error")]
    assert failed == [n for n in range(200) if n % 5 == 0]
    assert all(block["content"] == str(n) for n, block in enumerate(blocks) if n % 5)
    assert [block["tool_use_id"] for block in blocks] == [call["id"] for call in calls]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("tool ")]


def test_a_late_call_is_cancelled_and_says_what_to_do(captured: Captured) -> None:
    """The handler is really cancelled, the others keep their results, and the span is a timeout."""
    cancelled = []

    async def slow(n: int) -> int:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(n)
            raise
        return n

    registry = registry_of(slow=slow, twice=twice)
    toolspend.instrument(export=None)
    late, good = run(ask(("slow", {"n": 1}), ("twice", {"n": 2})), registry, timeout_s=0.05)
    assert cancelled == [1]
    assert late["is_error"] is True
    assert "no result within 0.05 s" in late["content"] and "stopped" in late["content"]
    assert good["content"] == "4"
    [span] = captured.named("execute_tool slow")
    assert span["attributes"]["error.type"] == "timeout"


def test_a_handler_that_ignores_its_cancellation_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is answered after the grace time, its slot is given on, and the block warns that it may still take effect."""
    monkeypatch.setattr(module, "GRACE_S", 0.05)
    stop = asyncio.Event()

    async def stubborn(n: int) -> int:
        while not stop.is_set():
            try:
                await asyncio.wait_for(stop.wait(), 5)
            except asyncio.CancelledError:
                continue
        return n

    async def main() -> None:
        calls = ask(("stubborn", {"n": 1}), ("twice", {"n": 2}))
        blocks = await execute_tool_calls(
            calls, registry_of(stubborn=stubborn, twice=twice), timeout_s=0.02, max_concurrency=1
        )
        assert "ignores that it was cancelled" in blocks[0]["content"]
        assert blocks[1]["content"] == "4"
        stop.set()
        await asyncio.wait(others(), timeout=2)
        assert not others()

    asyncio.run(main())


def test_cancelling_the_batch_ends_every_handler(captured: Captured) -> None:
    """Running and waiting calls are cancelled, none is left, the cancellation goes on, and each call has its span."""
    ended = []

    async def slow(n: int) -> int:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(n)
        return n

    async def main() -> None:
        toolspend.instrument(export=None)
        calls = ask(*[("slow", {"n": n}) for n in range(10)])
        batch = asyncio.create_task(execute_tool_calls(calls, registry_of(slow=slow), max_concurrency=4))
        await asyncio.sleep(0.05)
        batch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await batch
        assert not others()

    asyncio.run(main())
    assert sorted(ended) == [0, 1, 2, 3]
    assert len(captured.named("execute_tool slow")) == 10


def test_a_thread_that_is_given_up_is_told_and_keeps_nothing_waiting() -> None:
    """The block says that it could not be stopped; the handler sees is_cancelled(), and is counted until it ends."""
    told = threading.Event()

    def slow(n: int) -> int:
        while not is_cancelled():
            time.sleep(0.005)
        told.set()
        return n

    started = time.monotonic()
    [block] = run(ask(("slow", {"n": 1})), registry_of(slow=slow), timeout_s=0.05)
    assert time.monotonic() - started < 30
    assert "could not be stopped" in block["content"]
    assert told.wait(5)
    for _ in range(1_000):
        if not _threads.abandoned("slow"):
            break
        time.sleep(0.005)
    assert _threads.abandoned("slow") == 0


def test_a_handler_that_is_interruptible_is_ended() -> None:
    """Late or cancelled, a loop in a thread ends, cleans up behind it, and the block says so; its batch goes on."""
    cleaned: list[int] = []

    def spin(n: int) -> int:
        try:
            while True:
                n += 1
        finally:
            cleaned.append(1)

    registry = registry_of(numbered("spin", spin, is_interruptible=True), twice=twice)
    late, good = run(ask(("spin", {"n": 1}), ("twice", {"n": 2})), registry, timeout_s=0.05)
    assert "no result within 0.05 s; it was stopped" in late["content"]
    assert (good["content"], cleaned, _threads.abandoned("spin")) == ("4", [1], 0)

    async def cancelled() -> None:
        batch = asyncio.create_task(execute_tool_calls(ask(*[("spin", {"n": 1})] * 4), registry))
        await asyncio.sleep(0.05)
        batch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await batch
        assert not others()

    asyncio.run(cancelled())
    assert (len(cleaned), _threads.abandoned("spin")) == (5, 0)


def test_an_interruption_after_the_last_line_of_a_handler_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread ends as ever: it does not die of it, and is not counted for ever."""
    died: list[object] = []
    monkeypatch.setattr(threading, "excepthook", died.append)

    class Late(_threads.Run):
        is_interrupted = False

        def _end(self) -> None:
            if not self.is_interrupted:
                self.is_interrupted = True
                self._give_up()
            super()._end()

    work = Late("late", is_interruptible=True).of(lambda n: n, {"n": 3})
    result = asyncio.run(asyncio.wait_for(work, 10))
    assert (result, died, _threads.abandoned("late")) == (3, [], 0)


def test_a_tool_whose_threads_all_hang_is_not_started_again() -> None:
    """Hung threads do not pile up without bound."""
    release = threading.Event()

    def hang(n: int) -> int:
        release.wait(30)
        return n

    registry = registry_of(hang=hang)
    run(ask(*[("hang", {"n": n}) for n in range(2)]), registry, timeout_s=0.02, max_concurrency=2)
    [block] = run(ask(("hang", {"n": 3})), registry, timeout_s=0.02, max_concurrency=2)
    release.set()
    assert "2 earlier runs of hang still hang" in block["content"]
    assert block.error_type == "unresponsive"


def test_a_thread_runs_in_the_callers_context() -> None:
    """Context variables reach synchronous handlers."""
    where = contextvars.ContextVar("where", default="nowhere")

    def look(n: int) -> str:
        return f"{where.get()} {threading.current_thread().name}"

    where.set("here")
    [block] = run(ask(("look", {"n": 1})), registry_of(look=look))
    assert block["content"] == "here tool look"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, 1),
        ({"is_idempotent": True}, 3),
        ({"has_side_effects": False}, 3),
        ({"has_side_effects": False, "is_idempotent": False}, 1),
        ({"has_side_effects": True}, 1),
    ],
)
def test_only_what_may_be_repeated_is(fields: dict[str, Any], expected: int, captured: Captured) -> None:
    """A call is tried again only where its tool is idempotent or has no side effects; its span says how often."""
    tries = 0

    async def flaky(n: int) -> int:
        nonlocal tries
        tries += 1
        raise ConnectionError("reset by peer")

    toolspend.instrument(export=None)
    [block] = run(ask(("flaky", {"n": 1})), registry_of(numbered("flaky", flaky, **fields)), retries=QUICK)
    assert tries == expected
    assert "ConnectionError: reset by peer" in block["content"]
    assert ("3 times in a row" in block["content"]) is (expected == 3)
    assert ("may have taken effect" in block["content"]) is (expected == 1)
    [span] = captured.named("execute_tool flaky")
    assert span["attributes"]["toolspend.tool.attempt"] == expected


def test_waits_between_attempts_double_up_to_a_limit_and_heed_the_server() -> None:
    """With jitter of up to a half; what the error asks for goes before."""

    class Busy(Exception):
        retry_after = 42.0

    retries = Retries(base_s=0.1, max_s=0.4)
    for attempt, longest in ((1, 0.1), (2, 0.2), (3, 0.4), (9, 0.4)):
        found = [retries.delay_s(attempt, OSError()) for _ in range(50)]
        assert longest / 2 <= min(found) <= max(found) <= longest
        assert len(set(found)) > 1
    assert retries.delay_s(1, Busy()) == 42.0


def test_a_retry_that_works_is_a_success(captured: Captured) -> None:
    """Two equal calls, each failing at first: both succeed, each under its own span with two attempts."""
    tries: dict[int, int] = {}

    async def flaky(n: int) -> int:
        key = id(asyncio.current_task())
        tries[key] = tries.get(key, 0) + 1
        await asyncio.sleep(0)
        if tries[key] == 1:
            raise ConnectionError("reset")
        return n

    toolspend.instrument(export=None)
    registry = registry_of(numbered("flaky", flaky, is_idempotent=True))
    blocks = run(ask(("flaky", {"n": 1}), ("flaky", {"n": 1})), registry, retries=QUICK)
    assert [block["content"] for block in blocks] == ["1", "1"]
    spans = captured.named("execute_tool flaky")
    assert [span["attributes"]["toolspend.tool.attempt"] for span in spans] == [2, 2]
    assert not any("error.type" in span["attributes"] for span in spans)


@pytest.mark.parametrize("error", [ValueError("bad"), KeyError("x"), ToolError("No such city. Give its country too.")])
def test_an_error_that_would_repeat_is_not_tried_again(error: Exception) -> None:
    """The same arguments would fail the same way. A ToolError's text is the model's, word for word."""
    tries = 0

    async def wrong(n: int) -> int:
        nonlocal tries
        tries += 1
        raise error

    [block] = run(ask(("wrong", {"n": 1})), registry_of(numbered("wrong", wrong, is_idempotent=True)), retries=QUICK)
    assert tries == 1
    if isinstance(error, ToolError):
        assert block["content"] == "No such city. Give its country too."


def test_wrong_arguments_are_answered_before_anything_runs() -> None:
    """What is wrong, and what the tool takes; the handler never runs."""
    ran = []

    async def note(n: int) -> None:
        ran.append(n)

    cases: list[Any] = [{}, {"n": "x"}, {"n": -1}, {"n": 1, "q": 2}, [1], "{n:", '{"n": "x"}']
    blocks = run(ask(*[("note", case) for case in cases]), registry_of(note=note))
    assert all(block["is_error"] for block in blocks)
    assert not ran
    said = [block["content"] for block in blocks]
    assert '"n" is a required property' in said[0] and "It takes n (required)." in said[0]
    assert "n: " in said[1] and "integer" in said[1]
    assert "minimum" in said[2]
    assert "'q' was unexpected" in said[3]
    assert "must be a JSON object, not an array" in said[4]
    assert "no JSON" in said[5]
    assert all("was not run: correct the arguments" in text for text in said)


def test_arguments_as_json_text_are_read() -> None:
    """Some clients hand them over unparsed."""
    [block] = run(ask(("twice", '{"n": 4}')), registry_of(twice=twice))
    assert block["content"] == "8"


def test_arguments_are_held_against_the_schema_as_it_is_now() -> None:
    """Also where somebody edited it in place since the last call."""
    schema: dict[str, Any] = {"type": "object", "properties": {"n": {"type": "integer"}}}
    registry = registry_of(Tool("twice", "Doubles.", schema, twice))
    assert run(ask(("twice", {"n": "a"})), registry)[0].is_error
    schema["properties"]["n"] = {"type": "string"}
    assert run(ask(("twice", {"n": "a"})), registry)[0]["content"] == "aa"


def test_a_schema_cannot_make_the_process_fetch() -> None:
    """A reference to elsewhere is refused without a look, and the call says whose mistake it is."""
    tool = Tool("far", "Far.", {"$ref": "http://127.0.0.1:9/schema.json"}, twice)
    [block] = run(ask(("far", {"n": 1})), registry_of(tool))
    assert block["is_error"] and "only its author can mend" in block["content"]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("serch_docs", "Did you mean search_docs?"),
        ("docs_lookup", "Did you mean search_docs?"),
        ("zzz", "There are: search_docs, send_mail."),
    ],
)
def test_an_unknown_tool_is_answered_with_the_nearest_names(asked: str, expected: str) -> None:
    """By spelling, by a word in common, else the whole list."""
    [block] = run(ask((asked, {})), registry_of(search_docs=twice, send_mail=twice))
    assert block["is_error"]
    assert expected in block["content"]


def test_every_kind_of_result_becomes_content() -> None:
    """Text as it is, content blocks as they are, the rest as JSON."""
    results: list[Any] = ["text", None, {"a": [1, None]}, b"bytes", [{"type": "text", "text": "x"}], {3}, (1, 2)]

    async def give(n: int) -> Any:
        return results[n]

    blocks = run(ask(*[("give", {"n": n}) for n in range(len(results))]), registry_of(give=give))
    assert [block["content"] for block in blocks] == [
        "text", "", '{"a":[1,null]}', "bytes", [{"type": "text", "text": "x"}], "[3]", "[1,2]",
    ]  # fmt: skip


def test_what_a_generator_yields_is_its_result() -> None:
    """Of a synchronous one in its thread, of an asynchronous one too; what fails on the way fails the call."""

    def rows(n: int) -> Iterator[int]:
        yield from range(n)

    async def rows_async(n: int) -> AsyncIterator[str]:
        for number in range(n):
            yield f"row {number}"

    def broken(n: int) -> Iterator[int]:
        yield n
        raise ValueError("no more")

    def endless(n: int) -> Iterator[int]:
        return itertools.repeat(n)

    registry = registry_of(rows=rows, rows_async=rows_async, broken=broken, endless=endless)
    blocks = run(ask(*((name, {"n": 2}) for name in registry.tools)), registry, timeout_s=0.2)
    assert [block["content"] for block in blocks[:2]] == ["[0,1]", '["row 0","row 1"]']
    assert [block.error_type for block in blocks] == [None, None, "ValueError", "timeout"]
    deadline = time.monotonic() + 5
    while _threads.abandoned("endless") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _threads.abandoned("endless")


def test_a_registry_of_another_shape_works() -> None:
    """An application's own tools and registry: a mapping of dicts is enough."""
    tools = {"twice": {"name": "twice", "input_schema": {"type": "object"}, "function": twice}}
    good, bad = run(ask(("twice", {"n": 3}), ("twic", {})), tools)
    assert good["content"] == "6"
    assert "Did you mean twice?" in bad["content"]


def test_the_registry_learns_sizes_and_failures() -> None:
    """What was run is observed, by name; what was refused before is not."""
    seen: list[tuple[str, int | None, bool]] = []

    async def broken(n: int) -> int:
        raise ValueError

    registry = registry_of(twice=twice, broken=broken)
    registry.observe = lambda name, tokens=None, *, is_error=False: seen.append((name, tokens, is_error))  # type: ignore[method-assign]
    run(ask(("twice", {"n": 3}), ("broken", {"n": 1}), ("twice", {})), registry)
    assert seen == [("twice", weigh("6").tokens, False), ("broken", None, True)]


def test_a_long_result_is_compressed_under_the_calls_span(captured: Captured) -> None:
    """Beyond max_result_tokens the compressor runs, for the call by its id; a compressor that fails leaves it whole."""

    async def rows(n: int) -> list[dict[str, Any]]:
        return [{"id": i, "city": "Porto", "value": i * 1.5} for i in range(n)]

    toolspend.instrument(export=None)
    registry = registry_of(rows=rows)
    calls = ask(("rows", {"n": 400}), ("rows", {"n": 400}), ("rows", {"n": 2}))
    blocks = run(calls, registry, max_result_tokens=200)
    assert "400 rows" in blocks[0]["content"] and "fetch_result" in blocks[0]["content"]
    assert type(blocks[0]["content"]) is str
    assert blocks[2]["content"].startswith('[{"id":0')
    spans = captured.named("compress_result rows")
    assert {span["attributes"]["gen_ai.tool.call.id"] for span in spans} == {"toolu_0", "toolu_1", "toolu_2"}

    def broken(result: Any, tool_name: str, max_tokens: int) -> str:
        raise RuntimeError

    [whole] = run(ask(("rows", {"n": 400})), registry, max_result_tokens=200, compressor=broken)
    assert len(whole["content"]) > 10_000
