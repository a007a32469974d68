"""The agent's executor: one span per call, however it ends."""

from __future__ import annotations

import asyncio
import copy
import inspect
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry import trace

import seed_agent
import seed_tools
import toolspend
from seed_tools import Tool, ToolRegistry
from toolspend.evidence.guidance import error_words
from toolspend.testing import Captured

SCHEMA = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}


def registry_of(**handlers: Any) -> ToolRegistry:
    registry = ToolRegistry()
    for name, handler in handlers.items():
        registry.register(Tool(name, f"Does {name}.", SCHEMA, handler, "research"))
    return registry


def ask(*calls: tuple[str, str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"type": "tool_use", "id": id, "name": name, "input": input} for id, name, input in calls]


def by_id(captured: Captured) -> dict[str, dict[str, Any]]:
    found = {}
    for span in captured.spans():
        if span["name"].startswith("execute_tool "):
            id = span["attributes"].get("gen_ai.tool.call.id")
            assert id not in found, f"two spans for {id}"
            found[id] = span
    return found


def errors(captured: Captured) -> dict[str, str | None]:
    return {id: span["attributes"].get("error.type") for id, span in by_id(captured).items()}


def test_a_batch_and_its_call_are_these_spans(captured: Captured) -> None:
    """The whole spans of a batch of one call, with fixed clock and ids."""
    registry = registry_of(search=lambda query: "found " + query)
    toolspend.instrument(registry=registry, executor=seed_tools.execute_tool_calls, export=None)
    calls = ask(("toolu_1", "search", {"query": "cats"}))
    assert seed_agent.run_sync(calls, registry) == [
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": "found cats"}
    ]
    version = captured.spans()[0]["attributes"]["toolspend.tool.version"]
    assert len(version) == 12
    assert captured.spans() == [
        {
            "name": "execute_tool search",
            "kind": "INTERNAL",
            "scope": "toolspend",
            "trace_id": f"{1:032x}",
            "span_id": f"{2:016x}",
            "parent_id": f"{1:016x}",
            "start_ms": 1.0,
            "end_ms": 2.0,
            "status": "UNSET",
            "status_message": None,
            "attributes": {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "search",
                "gen_ai.tool.type": "function",
                "gen_ai.tool.call.id": "toolu_1",
                "toolspend.tool.version": version,
                "toolspend.tool.argument_chars": 16,
                "toolspend.tool.raw_result_chars": 10,
                "toolspend.tool.result_chars": 10,
                "toolspend.tool.attempt": 1,
                "toolspend.batch.id": f"{1:016x}",
            },
            "events": [],
        },
        {
            "name": "execute_tools",
            "kind": "INTERNAL",
            "scope": "toolspend",
            "trace_id": f"{1:032x}",
            "span_id": f"{1:016x}",
            "parent_id": None,
            "start_ms": 0.0,
            "end_ms": 3.0,
            "status": "UNSET",
            "status_message": None,
            "attributes": {
                "gen_ai.operation.name": "execute_tools",
                "toolspend.batch.id": f"{1:016x}",
                "toolspend.batch.calls": 1,
                "toolspend.batch.failed": 0,
                "toolspend.batch.wall_ms": 3.0,
            },
            "events": [],
        },
    ]


def test_every_way_to_fail_is_one_span_under_the_batch(captured: Captured) -> None:
    """A call that works, raises, is unknown or fails validation has exactly one span, a child of the batch."""

    def broken(query: str) -> str:
        raise ValueError("secret " + query)

    registry = registry_of(search=lambda query: query, broken=broken)
    toolspend.instrument(registry=registry, executor=seed_tools.execute_tool_calls, export=None)
    calls = ask(
        ("a", "search", {"query": "x"}),
        ("b", "broken", {"query": "x"}),
        ("c", "nothing", {"query": "x"}),
        ("d", "search", {}),
    )
    blocks = seed_agent.run_sync(calls, registry)
    assert [block.get("is_error", False) for block in blocks] == [False, True, True, True]
    assert errors(captured) == {"a": None, "b": "ValueError", "c": "unknown_tool", "d": "tool_error"}
    [batch] = captured.named("execute_tools")
    assert batch["attributes"]["toolspend.batch.calls"] == 4
    assert batch["attributes"]["toolspend.batch.failed"] == 3
    for span in by_id(captured).values():
        assert span["parent_id"] == batch["span_id"]
        assert span["attributes"]["toolspend.batch.id"] == batch["attributes"]["toolspend.batch.id"]
    assert by_id(captured)["c"]["attributes"]["toolspend.tool.is_known"] is False
    said = {block["tool_use_id"]: error_words(block["content"]) for block in blocks if "is_error" in block}
    told = {id: span["attributes"].get("toolspend.tool.error_words") for id, span in by_id(captured).items()}
    assert told == {"a": None, **said}
    assert "secret" not in str(captured.spans())


def test_threads_without_context_lie_in_the_batch_and_a_late_one_is_a_timeout(captured: Captured) -> None:
    """In a pool that the context does not follow into, each call is claimed; one that is still running timed out."""
    release = threading.Event()

    def slow(query: str) -> str:
        release.wait(5)
        return query

    registry = registry_of(search=lambda query: query * 3, slow=slow)
    toolspend.instrument(registry=registry, executor="seed_tools:execute_tool_calls_in_threads", export=None)
    calls = ask(*[(f"s{n}", "search", {"query": f"q{n}"}) for n in range(3)], ("late", "slow", {"query": "x"}))
    seed_agent.run_threads(calls, registry, timeout_s=0.2)
    [batch] = captured.named("execute_tools")
    assert batch["attributes"]["toolspend.batch.concurrency_limit"] == 4
    assert errors(captured) == {"s0": None, "s1": None, "s2": None, "late": "timeout"}
    assert {span["parent_id"] for span in by_id(captured).values()} == {batch["span_id"]}
    assert by_id(captured)["late"]["end_ms"] == batch["end_ms"]
    count = len(captured.ended)
    release.set()
    time.sleep(0.05)
    assert len(captured.ended) == count


def test_gather_and_wait_for(captured: Captured) -> None:
    """Async and sync handlers under gather: a cancelled one is a timeout, a synchronous one in the pool is claimed."""

    async def search(query: str) -> str:
        await asyncio.sleep(0.01)
        return query * 40

    async def slow(query: str) -> str:
        await asyncio.sleep(30)
        return query

    registry = registry_of(search=search, slow=slow, blocking=lambda query: query)
    toolspend.instrument(
        registry=registry,
        executor=seed_tools.execute_tool_calls_parallel,
        compressor=seed_tools.compress_tool_result,
        export=None,
    )
    calls = ask(
        ("a", "search", {"query": "x"}), ("b", "slow", {"query": "x"}), ("c", "blocking", {"query": "x"}),
        ("d", "search", {"query": "y"}), ("e", "nothing", {}),
    )  # fmt: skip
    blocks = asyncio.run(seed_agent.run_async(calls, registry, timeout_s=0.2))
    assert [block["tool_use_id"] for block in blocks] == list("abcde")
    assert errors(captured) == {"a": None, "b": "timeout", "c": None, "d": None, "e": "unknown_tool"}
    first = by_id(captured)["a"]["attributes"]
    assert first["toolspend.tool.raw_result_chars"] == 40
    assert first["toolspend.tool.result_chars"] == 23
    compressions = {
        span["attributes"]["gen_ai.tool.call.id"]: span["attributes"]
        for span in captured.spans()
        if span["name"].startswith("compress_result ")
    }
    assert compressions.keys() == {"a", "c", "d"}
    assert compressions["a"]["toolspend.compression.chars_before"] == 40
    assert compressions["a"]["toolspend.compression.chars_after"] == 23
    assert compressions["a"]["toolspend.compression.has_model_call"] is False


def test_one_tool_twice_with_the_same_input_is_two_calls(captured: Captured) -> None:
    """Two identical calls in one batch are two spans."""
    registry = registry_of(search=lambda query: query)
    toolspend.instrument(registry=registry, executor=seed_tools.execute_tool_calls_in_threads, export=None)
    seed_agent.run_threads(ask(("a", "search", {"query": "x"}), ("b", "search", {"query": "x"})), registry)
    assert errors(captured) == {"a": None, "b": None}
    assert [span["attributes"]["toolspend.tool.attempt"] for span in by_id(captured).values()] == [1, 1]


def test_a_retry_is_another_attempt_of_the_same_span(captured: Captured) -> None:
    """A handler that fails twice and then works is one span, with three attempts and no error."""
    failures = iter([True, True, False])

    async def flaky(query: str) -> str:
        if next(failures):
            raise ConnectionError(query)
        return query

    registry = registry_of(flaky=flaky)
    toolspend.instrument(registry=registry, executor=seed_tools.execute_with_retries, export=None)
    asyncio.run(seed_agent.run_with_retries(ask(("a", "flaky", {"query": "x"})), registry))
    [span] = by_id(captured).values()
    assert span["attributes"]["toolspend.tool.attempt"] == 3
    assert "error.type" not in span["attributes"]
    assert span["status"] == "UNSET"


def test_calls_as_objects_and_an_executor_as_a_method(captured: Captured) -> None:
    """Tool use blocks with attributes, and an executor that is an object with a known method."""

    class Runner:
        def execute_tool_calls(self, tool_calls: list[Any], registry: Any) -> list[dict[str, Any]]:
            return [
                {
                    "type": "tool_result",
                    "tool_use_id": call.id,
                    "content": registry.tools[call.name].handler(**call.input),
                }
                for call in tool_calls
            ]

    runner, registry = Runner(), registry_of(search=lambda query: query)
    toolspend.instrument(executor=runner, export=None)
    call = SimpleNamespace(type="tool_use", id="a", name="search", input={"query": "x"})
    runner.execute_tool_calls([call], registry)
    assert errors(captured) == {"a": None}
    assert by_id(captured)["a"]["attributes"]["toolspend.tool.raw_result_chars"] == 1
    toolspend.uninstrument()
    assert vars(runner) == {}


def test_the_executors_own_exception_passes_and_ends_every_span(captured: Captured) -> None:
    """An executor that raises: the same exception object arrives, and each call has its span."""
    failure = RuntimeError("secret")

    def execute(tool_calls: list[Any], registry: Any) -> list[Any]:
        registry.tools["search"].handler(query="x")
        raise failure

    registry = registry_of(search=lambda query: query)
    seed_tools.temporary = execute  # type: ignore[attr-defined]
    try:
        toolspend.instrument(registry=registry, executor="seed_tools:temporary", export=None)
        with pytest.raises(RuntimeError) as caught:
            seed_tools.temporary(  # type: ignore[attr-defined]
                ask(("a", "search", {"query": "x"}), ("b", "search", {"query": "y"})), registry
            )
        assert caught.value is failure
        toolspend.uninstrument()
        assert seed_tools.temporary is execute  # type: ignore[attr-defined]
    finally:
        del seed_tools.temporary  # type: ignore[attr-defined]
    assert errors(captured) == {"a": None, "b": "RuntimeError"}
    [batch] = captured.named("execute_tools")
    assert batch["status"] == "ERROR"
    assert batch["status_message"] is None
    assert "secret" not in str(captured.spans())


def test_cancelling_the_agent_cancels_its_calls(captured: Captured) -> None:
    """A cancellation of the executor arrives as such, and every span ends as cancelled."""

    async def slow(query: str) -> str:
        await asyncio.sleep(30)
        return query

    registry = registry_of(slow=slow)
    toolspend.instrument(registry=registry, executor=seed_tools.execute_tool_calls_parallel, export=None)

    async def main() -> None:
        task = asyncio.create_task(seed_agent.run_async(ask(("a", "slow", {"query": "x"})), registry))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert errors(captured) == {"a": "cancelled"}
    assert captured.named("execute_tools")[0]["attributes"]["error.type"] == "cancelled"


def test_what_stands_in_keeps_signature_nature_and_identity(captured: Captured) -> None:
    """Wrapped functions keep their signature, pickle and copy like functions, and hand back the very same object."""
    marker = object()
    registry = registry_of(search=lambda query: marker)
    before = {
        name: (inspect.signature(getattr(seed_tools, name)), inspect.iscoroutinefunction(getattr(seed_tools, name)))
        for name in ("execute_tool_calls", "execute_tool_calls_parallel", "compress_tool_result")
    }
    for name in before:
        parameter = "compressor" if name.startswith("compress") else "executor"
        toolspend.instrument(**{parameter: getattr(seed_tools, name)}, registry=registry, export=None)
    for name, (signature, is_async) in before.items():
        wrapped = getattr(seed_tools, name)
        assert inspect.signature(wrapped) == signature
        assert inspect.iscoroutinefunction(wrapped) == asyncio.iscoroutinefunction(wrapped) == is_async
        assert pickle.loads(pickle.dumps(wrapped)) is wrapped
        assert copy.deepcopy(wrapped) is wrapped
    assert registry.tools["search"].handler(query="x") is marker
    assert copy.deepcopy(registry.tools["search"]).handler(query="x") is marker


def test_every_reference_is_replaced_and_put_back(captured: Captured) -> None:
    """Names imported before the call, also on classes, are replaced, and restored to the identical objects."""
    original = seed_tools.execute_tool_calls
    in_class = vars(seed_agent.Agent)["execute"]
    registry = registry_of(search=lambda query: query)
    handler, methods = registry.tools["search"].handler, dict(vars(registry))
    toolspend.instrument(registry=registry, executor=original, export=None)
    toolspend.instrument(registry=registry, executor=original, export=None)
    assert seed_agent.execute_tool_calls is seed_tools.execute_tool_calls is not original
    assert seed_agent.Agent.execute is seed_tools.execute_tool_calls
    seed_agent.Agent().execute(ask(("a", "search", {"query": "x"})), registry)
    assert len(captured.ended) == 2
    toolspend.uninstrument()
    assert seed_agent.execute_tool_calls is seed_tools.execute_tool_calls is original
    assert vars(seed_agent.Agent)["execute"].__func__ is original
    assert type(vars(seed_agent.Agent)["execute"]) is type(in_class)
    assert registry.tools["search"].handler is handler
    assert vars(registry) == methods


def test_content_is_sent_only_when_asked(captured: Captured) -> None:
    """Arguments and results are on the span with `capture_content=True`, and nowhere without."""
    registry = registry_of(search=lambda query: "found " + query)
    toolspend.instrument(registry=registry, executor=seed_tools.execute_tool_calls, export=None)
    seed_agent.run_sync(ask(("a", "search", {"query": "secret"})), registry)
    assert "secret" not in str(captured.spans())
    captured.clear()
    toolspend.instrument(capture_content=True, redact=lambda text: text.replace("secret", "***"), export=None)
    seed_agent.run_sync(ask(("b", "search", {"query": "secret"})), registry)
    found = by_id(captured)["b"]["attributes"]
    assert found["gen_ai.tool.call.arguments"] == '{"query":"***"}'
    assert found["gen_ai.tool.call.result"] == "found ***"


def test_content_that_is_no_text_is_sent_as_far_as_it_is(captured: Captured) -> None:
    """A lone surrogate in a result is replaced; without that the whole attribute would be lost."""
    registry = registry_of(search=lambda query: "bad \ud800 end")
    toolspend.instrument(registry=registry, executor=seed_tools.execute_tool_calls, capture_content=True, export=None)
    seed_agent.run_sync(ask(("a", "search", {"query": "x"})), registry)
    assert by_id(captured)["a"]["attributes"]["gen_ai.tool.call.result"] == "bad ? end"


def test_a_span_of_the_applications_own_in_a_thread_does_not_hide_the_call(captured: Captured) -> None:
    """A pool thread in which the application has a span open: the call is still claimed, and has one span."""
    tracer = trace.get_tracer("application")

    def execute(tool_calls: list[Any], registry: Any) -> list[Any]:
        def one(call: dict[str, Any]) -> dict[str, Any]:
            with tracer.start_as_current_span("application's own"):
                return seed_tools.run_one(call, registry)

        with ThreadPoolExecutor() as pool:
            return list(pool.map(one, tool_calls))

    class Runner:
        def __init__(self) -> None:
            self.execute_tool_calls = execute

    runner, registry = Runner(), registry_of(search=lambda query: query)
    toolspend.instrument(registry=registry, executor=runner, export=None)
    runner.execute_tool_calls(ask(*[(f"{n}", "search", {"query": f"{n}"}) for n in range(3)]), registry)
    assert errors(captured) == {"0": None, "1": None, "2": None}
    toolspend.uninstrument()
    assert runner.execute_tool_calls is execute


def test_a_handler_in_another_process_has_the_time_of_its_batch(captured: Captured) -> None:
    """A handler that is pickled into a process pool runs there as the original; its call has a span all the same."""

    class Runner:
        def execute_tool_calls(self, tool_calls: list[Any], registry: Any) -> list[Any]:
            handler = pickle.loads(pickle.dumps(registry.tools["block"].handler))
            assert handler is seed_tools.block
            return [{"type": "tool_result", "tool_use_id": call["id"], "content": "X"} for call in tool_calls]

    registry, runner = registry_of(block=seed_tools.block), Runner()
    toolspend.instrument(registry=registry, executor=runner, export=None)
    runner.execute_tool_calls(ask(("a", "block", {"query": "x"})), registry)
    [batch] = captured.named("execute_tools")
    span = by_id(captured)["a"]
    assert (span["start_ms"], span["end_ms"]) == (batch["start_ms"], batch["end_ms"])
    assert "error.type" not in span["attributes"]
    assert "toolspend.tool.attempt" not in span["attributes"]


def test_content_is_dropped_where_redact_fails(captured: Captured, swallow: pytest.LogCaptureFixture) -> None:
    """A redact that raises or returns no string: no content is sent, and the call is not affected."""

    def redact(text: str) -> str:
        raise KeyError(text)

    registry = registry_of(search=lambda query: "found " + query)
    toolspend.instrument(
        registry=registry, executor=seed_tools.execute_tool_calls, capture_content=True, redact=redact, export=None
    )
    blocks = seed_agent.run_sync(ask(("a", "search", {"query": "secret"})), registry)
    assert blocks[0]["content"] == "found secret"
    assert "secret" not in str(captured.spans())
    assert toolspend.stats()["failures"] == {"redact": 2}
    assert [record.getMessage().count("redact") for record in swallow.records] == [1]
    assert "secret" not in swallow.text
    toolspend._stats.reset()


def test_two_agents_at_once_keep_their_calls_apart(captured: Captured) -> None:
    """Two batches of one tool running at once, in pools without context: each call lies in its own batch."""
    barrier = threading.Barrier(4, timeout=5)

    def search(query: str) -> str:
        barrier.wait()
        return query

    registry = registry_of(search=search)
    toolspend.instrument(registry=registry, executor=seed_tools.execute_tool_calls_in_threads, export=None)

    def agent(name: str) -> None:
        with toolspend.session(name):
            calls = ask(*[(f"{name}{n}", "search", {"query": f"{name}{n}"}) for n in range(2)])
            seed_agent.run_threads(calls, registry)

    threads = [threading.Thread(target=agent, args=(name,)) for name in ("x", "y")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    batches = {span["span_id"]: span for span in captured.named("execute_tools")}
    assert len(batches) == 2
    for id, span in by_id(captured).items():
        assert span["attributes"]["toolspend.session.id"] == id[0]
        assert batches[span["parent_id"]]["attributes"]["toolspend.session.id"] == id[0]


def test_a_handler_outside_any_batch_is_a_span_of_its_own(captured: Captured) -> None:
    """A handler called directly ends its span when it returns."""
    registry = registry_of(search=lambda query: query)
    toolspend.instrument(registry=registry, export=None)
    assert registry.tools["search"].handler(query="x") == "x"
    [span] = captured.spans()
    assert span["name"] == "execute_tool search"
    assert span["parent_id"] is None
    assert "toolspend.batch.id" not in span["attributes"]


def test_a_failure_of_ours_changes_nothing(
    captured: Captured, swallow: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where our own code raises at every step, the agent gets what it got without us."""
    registry = registry_of(search=lambda query: "found " + query)
    toolspend.instrument(registry=registry, executor=seed_tools.execute_tool_calls, export=None)

    def fail(*args: object, **kwargs: object) -> None:
        raise OSError("ours")

    monkeypatch.setattr("toolspend._provider.tracer", fail)
    blocks = seed_agent.run_sync(ask(("a", "search", {"query": "x"})), registry)
    assert blocks == [{"type": "tool_result", "tool_use_id": "a", "content": "found x"}]
    assert toolspend.stats()["failures"] == {"executor": 1, "tool call": 1}
    assert len(swallow.records) == 2
    toolspend._stats.reset()
