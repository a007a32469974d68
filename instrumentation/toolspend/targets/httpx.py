"""httpx and httpx2, through opentelemetry-instrumentation-httpx, unless the application has done that itself."""

from __future__ import annotations

import sys
from typing import Any

from .. import _provider
from .._guard import guarded
from .._urls import HTTPX_SCOPE, URL_ATTRIBUTES, bare

instrumented: list[Any] = []
"""What makes HTTP spans because of us."""


def instrument(library: str) -> None:
    """Traces the requests of `library`, "httpx" or "httpx2"; of URLs the host is left, and content where captured."""
    if _is_being_imported():
        # The application is importing that instrumentation, which has imported httpx: it means to use it itself.
        return
    from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor, HTTPXClientInstrumentor

    instrumentor: Any = HTTPXClientInstrumentor() if library == "httpx" else HTTPX2ClientInstrumentor()
    if instrumentor.is_instrumented_by_opentelemetry:
        return
    instrumentor.instrument(
        tracer_provider=_provider.provider(), request_hook=_hook, async_request_hook=_hook_async, skip_dep_check=True
    )
    instrumented.append(instrumentor)


def uninstrument() -> None:
    """Takes back what `instrument` did, and only that."""
    while instrumented:
        instrumentor = instrumented.pop()
        if instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.uninstrument()


def _is_being_imported() -> bool:
    module = sys.modules.get(HTTPX_SCOPE)
    return module is not None and not hasattr(module, "HTTPX2ClientInstrumentor")


def _hook(span: Any, request: Any) -> None:
    with guarded("httpx"):
        attributes = getattr(span, "attributes", None) or {}
        for name in URL_ATTRIBUTES:
            url = attributes.get(name)
            if isinstance(url, str):
                span.set_attribute(name, bare(url))


async def _hook_async(span: Any, request: Any) -> None:
    _hook(span, request)
