"""Whole spans with a fixed clock and fixed ids, for our tests and for yours.

    from toolspend import testing

    with testing.capture() as captured:
        toolspend.instrument(export=None)
        agent.run()
        toolspend.uninstrument()
    assert captured.spans() == [...]

The process keeps one tracer provider, so one is made and set globally at the first `capture`, and each `capture`
starts its ids and its clock anew. Where the application has set an SDK provider already, its spans are captured, with
its own ids.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import opentelemetry.sdk.trace as sdk_trace
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator

from . import _clock

START_NS: Final = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z in nanoseconds."""


class FixedClock:
    """A clock that starts at `start_ns` and moves on by `step_ns` at each reading; `advance` moves it further."""

    def __init__(self, start_ns: int = START_NS, step_ns: int = 1_000_000) -> None:
        self.start_ns = start_ns
        self.step_ns = step_ns
        self.now_ns = start_ns

    def __call__(self) -> int:
        """The time in nanoseconds since the epoch."""
        now = self.now_ns
        self.now_ns += self.step_ns
        return now

    def advance(self, ms: float) -> None:
        """Moves the clock on by `ms` milliseconds."""
        self.now_ns += round(ms * 1e6)


class FixedIds(IdGenerator):
    """Ids that count from 1, for traces and for spans, each from `seed` on."""

    def __init__(self, seed: int = 0) -> None:
        self.restart(seed)

    def restart(self, seed: int = 0) -> None:
        """Counts from `seed` again."""
        self._trace_id = seed
        self._span_id = seed

    def generate_trace_id(self) -> int:
        """The next trace id."""
        self._trace_id += 1
        return self._trace_id

    def generate_span_id(self) -> int:
        """The next span id."""
        self._span_id += 1
        return self._span_id


class Captured:
    """The spans that have ended, in the order of their ends."""

    def __init__(self, clock: FixedClock, provider: TracerProvider) -> None:
        self.clock = clock
        self.provider = provider
        self.ended: list[ReadableSpan] = []

    def spans(self) -> list[dict[str, Any]]:
        """Each span as a plain dict: name, kind, scope, ids in hex, times in ms since the clock's start, the rest."""
        return [as_dict(span, self.clock.start_ns) for span in self.ended]

    def named(self, name: str) -> list[dict[str, Any]]:
        """The spans of that name."""
        return [span for span in self.spans() if span["name"] == name]

    def clear(self) -> None:
        """Forgets the spans so far."""
        self.ended.clear()


def as_dict(span: ReadableSpan, start_ns: int = START_NS) -> dict[str, Any]:
    """`span` as a plain dict; `start_ms` and `end_ms` count from `start_ns`."""
    context = span.get_span_context()
    scope = span.instrumentation_scope
    return {
        "name": span.name,
        "kind": span.kind.name,
        "scope": scope.name if scope is not None else None,
        "trace_id": trace.format_trace_id(context.trace_id) if context is not None else None,
        "span_id": trace.format_span_id(context.span_id) if context is not None else None,
        "parent_id": trace.format_span_id(span.parent.span_id) if span.parent is not None else None,
        "start_ms": ((span.start_time or 0) - start_ns) / 1e6,
        "end_ms": ((span.end_time or 0) - start_ns) / 1e6,
        "status": span.status.status_code.name,
        "status_message": span.status.description,
        "attributes": dict(span.attributes or {}),
        "events": [event.name for event in span.events],
    }


@contextmanager
def capture(clock: FixedClock | None = None) -> Iterator[Captured]:
    """Every span that ends meanwhile, in `clock`'s time, with ids that count from 1."""
    clock = FixedClock() if clock is None else clock
    provider = _provider()
    captured = Captured(clock, provider)
    _ids.restart()
    _tap.captured = captured
    try:
        with fixed_clock(clock):
            yield captured
    finally:
        _tap.captured = None


@contextmanager
def fixed_clock(clock: FixedClock) -> Iterator[FixedClock]:
    """Spans take their times from `clock` meanwhile, and so does our own code."""
    before = vars(sdk_trace)["time_ns"], _clock._read
    setattr(sdk_trace, "time_ns", clock)  # noqa: B010 (no public name of that module)
    _clock._read = clock
    try:
        yield clock
    finally:
        setattr(sdk_trace, "time_ns", before[0])  # noqa: B010
        _clock._read = before[1]


class _Tap(SpanProcessor):
    captured: Captured | None = None
    added_to: TracerProvider | None = None

    def on_end(self, span: ReadableSpan) -> None:
        if self.captured is not None:
            self.captured.ended.append(span)


_tap: Final = _Tap()
_ids: Final = FixedIds()


def _provider() -> TracerProvider:
    found = trace.get_tracer_provider()
    if isinstance(found, trace.ProxyTracerProvider):
        found = TracerProvider(
            resource=Resource({"service.name": "testing"}), id_generator=_ids, shutdown_on_exit=False
        )
        trace.set_tracer_provider(found)
    if not isinstance(found, TracerProvider):
        raise TypeError(f"capture() needs an SDK tracer provider; the global one is a {type(found).__qualname__}")
    if _tap.added_to is not found:
        _tap.added_to = found
        found.add_span_processor(_tap)
    return found
