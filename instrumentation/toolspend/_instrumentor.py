"""What `opentelemetry-instrument` finds under the entry point `toolspend`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]

from . import _instrument


class ToolspendInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """`toolspend.instrument()` in the shape of OpenTelemetry's instrumentors."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """None: each library is traced when it is there."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        # `opentelemetry-instrument` finds the instrumentation of httpx by itself.
        _instrument.instrument(httpx=False, tracer_provider=kwargs.get("tracer_provider"))

    def _uninstrument(self, **kwargs: Any) -> None:
        _instrument.uninstrument()
