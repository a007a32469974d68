"""The anthropic SDK, from 0.40 to 2.x.

Where the SDK emits a span for each API call (from 1.17), that span gets the evidence; where it does not, or the client
has its tracing off, a `chat` span is emitted here. Both kinds hook below every public way to call the API: `create`,
`stream=True`, `messages.stream()`, beta, `tool_runner`, `with_raw_response`, sync and async, Bedrock and Vertex.
"""

from __future__ import annotations

from importlib import import_module

from ... import evidence
from ...evidence.definitions import definition_log
from . import emit, enrich, runner
from ._patches import Patches

__all__ = ["instrument", "uninstrument"]

_applied = Patches()


def instrument() -> None:
    """Wraps the SDK for every client, those that exist already included. Raises ImportError where it is missing."""
    if _applied:
        return
    base = import_module("anthropic._base_client")
    enrich.patch(_applied, base)
    emit.patch(_applied, base)
    runner.patch(_applied, has_native_spans=enrich.is_native(base))


def uninstrument() -> None:
    """Restores every object of the SDK and forgets every conversation."""
    _applied.restore()
    evidence.conversations.clear()
    definition_log.forget_sent()
