"""The SDK's spans, on the provider that `instrument` was given.

A client without a provider of its own takes OpenTelemetry's global one. Where that was never set its spans go nowhere,
so they go to the provider in use. Where the application set another, they are the application's, and stay.
"""

from __future__ import annotations

from typing import Any

from opentelemetry import trace
from opentelemetry.trace import ProxyTracer, ProxyTracerProvider

from ..._guard import failed, logger
from ..._provider import provider
from ._patches import Patches


def patch(patches: Patches, base: Any) -> None:
    """Gives clients the tracer of the provider in use, where that is not the global one and there is none."""
    given, general = provider(), trace.get_tracer_provider()
    if given is None or given is general:
        return
    if not isinstance(general, ProxyTracerProvider):
        logger.warning(
            "toolspend: the anthropic SDK's spans go to the global tracer provider, not to the one that instrument() "
            "was given. Give it the global one, or the clients yours: open_telemetry={'tracer_provider': ...}."
        )
        return
    owner = base.BaseClient
    theirs = owner._tracer.fget

    def tracer(client: Any) -> Any:
        found = theirs(client)
        try:
            if isinstance(found, ProxyTracer) and isinstance(trace.get_tracer_provider(), ProxyTracerProvider):
                return given.get_tracer(client._otel.instrumentation_scope, client._version)
        except Exception as error:
            failed("anthropic.tracer", error)
        return found

    patches.put(owner, "_tracer", property(tracer))
