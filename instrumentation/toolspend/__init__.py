"""Which tools drive the context and the cost of an LLM agent: one call, and its spans say so.

import toolspend

toolspend.instrument()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._session import session
from ._stats import stats
from ._version import __version__
from .targets.function import tool

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.trace import TracerProvider

__all__ = ["__version__", "instrument", "session", "stats", "tool", "uninstrument"]


def instrument(
    *,
    registry: Any = None,
    executor: Any = None,
    compressor: Any = None,
    export: str | None = "auto",
    capture_content: bool = False,
    capture_definitions: bool = True,
    redact: Callable[[str], str] | None = None,
    tracer_provider: TracerProvider | None = None,
    anthropic: bool | None = None,
    mcp: bool | None = None,
    httpx: bool | None = None,
) -> None:
    """Traces the agent: anthropic, mcp and httpx where installed, and its own tool layer where given.

    `registry`, `executor` and `compressor` are objects, functions or "module:name"; a function is replaced wherever
    something refers to it but local variables and tuples. `export` is "spool", "otlp" or None; "auto" is OTLP where
    `OTEL_EXPORTER_OTLP_ENDPOINT` is set and the tracer provider is ours, else the spool. `redact` takes each captured
    text and returns what may leave of it. `anthropic`, `mcp`, `httpx`: False leaves it alone, True insists that it is
    installed. Called again, it adds what is new. What was found automatically fails quietly; what is given here raises
    ValueError, TypeError or ModuleNotFoundError with one line.
    """
    from . import _instrument

    _instrument.instrument(
        registry=registry,
        executor=executor,
        compressor=compressor,
        export=export,
        capture_content=capture_content,
        capture_definitions=capture_definitions,
        redact=redact,
        tracer_provider=tracer_provider,
        anthropic=anthropic,
        mcp=mcp,
        httpx=httpx,
    )


def uninstrument() -> None:
    """Exports what is waiting and restores every object exactly."""
    from . import _instrument

    _instrument.uninstrument()
