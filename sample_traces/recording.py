"""Runs one story on a virtual clock and writes its spans."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Protocol

# Imported before the stories fork, which all need it.
import anthropic.resources.beta.messages  # noqa: F401
from opentelemetry import trace
from opentelemetry.exporter.otlp.json.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator

import standin
from stories.case import Case
from virtual_time import VirtualTime

SPANS_PER_LINE: Final = 64
PAUSE_NS: Final = 60_000_000_000


class Story(Protocol):
    """What a module of `stories` offers: its sessions, the model's part, and the agent."""

    CASES: list[Case]
    script: standin.Script

    def handle(self, client: Any, case: Case) -> Any:
        """Runs one session; a coroutine where the agent is asynchronous."""
        ...


class StoryIds(IdGenerator):
    """Ids that follow from the story's name and nothing else."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._count = 0

    def generate_span_id(self) -> int:
        return self._next(8)

    def generate_trace_id(self) -> int:
        return self._next(16)

    def _next(self, size: int) -> int:
        self._count += 1
        return int.from_bytes(hashlib.sha256(f"{self._seed}/{self._count}".encode()).digest()[:size], "big")


def record(name: str, service: str, clock: VirtualTime, folder: Path) -> None:
    """Runs the sessions of a story in the order of time, as `service`; writes its spans and its truth to `folder`."""
    # The SDK spreads its retries at random.
    random.seed(name)
    exporter = InMemorySpanExporter()
    ids = StoryIds(name)
    provider = TracerProvider(resource=Resource({"service.name": service}), id_generator=ids, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)

    story: Story = importlib.import_module(f"stories.{name}")
    api = standin.Api(story.script, seed=name, clock=time.time, is_timed=True)
    for case in sorted(story.CASES, key=lambda case: case.started_at):
        clock.set(case.start_ns)
        if inspect.iscoroutinefunction(story.handle):
            clock.run(story.handle(standin.async_client(api), case))
        else:
            story.handle(standin.client(api), case)
        clock.sleep(PAUSE_NS / 1e9)
    provider.force_flush()
    with (folder / f"{name}.jsonl").open("w", encoding="utf-8", newline="\n") as file:
        for spans in _batches(exporter.get_finished_spans()):
            request = json.loads(encode_spans(spans).to_json())
            file.write(json.dumps(request, ensure_ascii=False, separators=(",", ":")) + "\n")
    truth = {str(r.response["id"]): _truth(r) for r in api.requests if r.bill and r.response}
    (folder / f"{name}.truth.json").write_text(json.dumps(truth, indent=0), encoding="utf-8")


def _truth(record: standin.Record) -> dict[str, Any]:
    """Whose tokens a response was billed: (owner, tool, call id, tokens) along the prompt, then along the output."""
    assert record.output and record.bill
    output = [
        (block["type"], block.get("name"), block.get("id"), tokens)
        for block, tokens in zip(record.output.blocks, record.output.tokens, strict=True)
    ]
    prompt = [(piece.owner, piece.tool, piece.call_id, piece.tokens) for piece in record.pieces]
    if searches := record.output.web_searches:
        # Each search of the provider's makes one more pass over the prompt, with what was found at its end.
        found = record.output.server_tokens // searches * searches
        prompt = [*prompt * (1 + searches), ("tool_result", "web_search", None, found)]
    return {"model": record.body["model"], "usage": record.bill.usage(), "prompt": prompt, "output": output}


def _batches(spans: tuple[ReadableSpan, ...]) -> Iterator[tuple[ReadableSpan, ...]]:
    return (spans[start : start + SPANS_PER_LINE] for start in range(0, len(spans), SPANS_PER_LINE))
