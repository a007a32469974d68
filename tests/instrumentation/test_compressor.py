"""The agent's compressor."""

from __future__ import annotations

import asyncio

import pytest
from opentelemetry import trace

import seed_agent
import seed_tools
import toolspend
from toolspend.testing import Captured


def test_a_compression_is_this_span(captured: Captured) -> None:
    """The whole span of a compression."""
    toolspend.instrument(compressor=seed_tools.compress_sync, export=None)
    assert seed_tools.compress_sync("x" * 100, "search", max_tokens=5) == "x" * 20
    assert captured.spans() == [
        {
            "name": "compress_result search",
            "kind": "INTERNAL",
            "scope": "toolspend",
            "trace_id": f"{1:032x}",
            "span_id": f"{1:016x}",
            "parent_id": None,
            "start_ms": 0.0,
            "end_ms": 1.0,
            "status": "UNSET",
            "status_message": None,
            "attributes": {
                "gen_ai.operation.name": "compress_result",
                "gen_ai.tool.name": "search",
                "toolspend.compression.chars_before": 100,
                "toolspend.compression.chars_after": 20,
                "toolspend.compression.has_model_call": False,
            },
            "events": [],
        }
    ]


def test_a_model_call_beneath_is_noted(captured: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compression in which a chat span starts says so; the one beside it does not."""

    async def compress(result: str, tool_name: str, max_tokens: int) -> str:
        if tool_name == "long":
            tracer = trace.get_tracer("sdk")
            with tracer.start_as_current_span("chat", attributes={"gen_ai.operation.name": "chat"}):
                await asyncio.sleep(0)
        return result[:max_tokens]

    monkeypatch.setattr(seed_tools, "compress_later", compress, raising=False)
    toolspend.instrument(compressor="seed_tools:compress_later", export=None)

    async def main() -> list[str]:
        work = seed_tools.compress_later  # type: ignore[attr-defined]
        return list(await asyncio.gather(work("abc", "long", 2), work("abc", "short", 1)))

    assert asyncio.run(main()) == ["ab", "a"]
    noted = {
        span["attributes"]["gen_ai.tool.name"]: span["attributes"]["toolspend.compression.has_model_call"]
        for span in captured.spans()
        if span["name"].startswith("compress_result")
    }
    assert noted == {"long": True, "short": False}
    [chat] = captured.named("chat")
    assert chat["parent_id"] == captured.named("compress_result long")[0]["span_id"]
    toolspend.uninstrument()


def test_its_exception_passes(captured: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compressor that fails: the same exception, its type on the span, its message nowhere."""
    failure = ValueError("secret")

    class Compressor:
        strategy = "truncate"

        def compress(self, result: str, tool_name: str, max_tokens: int) -> str:
            raise failure

    compressor = Compressor()
    toolspend.instrument(compressor=compressor, export=None)
    with pytest.raises(ValueError) as caught:
        compressor.compress("x", "search", 1)
    assert caught.value is failure
    [span] = captured.spans()
    assert span["attributes"]["error.type"] == "ValueError"
    assert "secret" not in str(span)


def test_names_imported_before_are_put_back(captured: Captured) -> None:
    """Every name of the compressor is replaced and restored."""
    original = seed_tools.compress_tool_result
    toolspend.instrument(compressor=original, export=None)
    assert seed_agent.compress_tool_result is seed_tools.compress_tool_result is not original
    toolspend.uninstrument()
    assert seed_agent.compress_tool_result is seed_tools.compress_tool_result is original
