"""Whose tracer provider, and where its spans go."""

from __future__ import annotations

import atexit
import importlib.util
import os
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final, cast

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import TraceFlags

from . import _session, _stats, _version
from . import attributes as at
from ._config import Config
from ._guard import failed, logger, record_failure
from ._scrub import scrubbed

AUTO: Final = "auto"
_DELAYS_MS: Final = {"spool": 100, "otlp": 500}
"""How long spans wait for others: as long as a process that is killed may lose. Over the network, one request each."""
_MAX_WAITING: Final = 16_384
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_WATCH: Final = otel_context.create_key("toolspend.watch")


class Watch:
    """Notes whether a model request starts within its context."""

    is_used = False
    """Whether there ever was one in this process."""

    def __init__(self) -> None:
        Watch.is_used = True
        self.has_model_call = False

    def within(self, context: Context) -> Context:
        """`context`, watched."""
        return otel_context.set_value(_WATCH, self, context)


class SessionProcessor(SpanProcessor):
    """Puts the session of `toolspend.session()` on every span."""

    def __init__(self) -> None:
        self.is_active = True

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Runs as each span starts."""
        if not self.is_active or not (_session.is_used() or Watch.is_used):
            return
        try:
            context = otel_context.get_current() if parent_context is None else parent_context
            if (found := _session.current(context)) is not None:
                values: dict[str, Any] = {} if found.id is None else {at.SESSION_ID: found.id}
                if found.user is not None:
                    values[at.USER_ID] = found.user
                if found.tags:
                    values[at.SESSION_TAGS] = found.tags
                span.set_attributes(values)
            if _WATCH in context and _is_model_request(span):
                cast("Watch", context[_WATCH]).has_model_call = True
        except Exception as error:
            failed("session", error)


class Outlet(SpanProcessor):
    """Batches spans to one exporter until it is closed; it can be opened again. What does not fit is counted."""

    def __init__(self) -> None:
        self._batches: BatchSpanProcessor | None = None
        self._exporter: _Counting | None = None
        self._lock = threading.Lock()
        self._renew_count()
        reset = weakref.WeakMethod(self._after_fork)
        os.register_at_fork(after_in_child=lambda: (method := reset()) and method())

    @property
    def is_open(self) -> bool:
        """Whether spans are taken."""
        return self._batches is not None

    def open(self, exporter: SpanExporter, *, counts: bool, delay_ms: int) -> None:
        """Takes spans from now on, for `exporter`, each after `delay_ms` at most.

        `counts` where the exporter does not count them itself.
        """
        self._renew_count()
        self._exporter = _Counting(exporter, self, counts)
        self._batches = BatchSpanProcessor(
            self._exporter,
            max_queue_size=_MAX_WAITING,
            schedule_delay_millis=delay_ms,
            max_export_batch_size=512,
        )

    def close(self) -> None:
        """Exports what is waiting, then takes nothing more."""
        batches, self._batches = self._batches, None
        if batches is not None:
            batches.shutdown()  # type: ignore[no-untyped-call]

    def on_end(self, span: ReadableSpan) -> None:
        """Runs as each span ends."""
        batches, context = self._batches, span.context
        if batches is None or context is None or not context.trace_flags & TraceFlags.SAMPLED:
            return
        # Without a lock: the next number is taken at once.
        if next(self._offered) - self._dealt_with < _MAX_WAITING:
            batches.on_end(span)
        else:
            self.taken(1)
            _stats.count_dropped(1)

    def shutdown(self) -> None:
        """Exports what is waiting, then takes nothing more."""
        self.close()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Exports what is waiting."""
        batches = self._batches
        return True if batches is None else batches.force_flush(timeout_millis)

    def taken(self, spans: int) -> None:
        """Told by the exporter that `spans` of those offered are dealt with."""
        with self._lock:
            self._dealt_with += spans

    def _renew_count(self) -> None:
        self._offered = count()
        self._dealt_with = 0

    def _after_fork(self) -> None:
        self._lock = threading.Lock()
        self._renew_count()


exporting: Final[list[Callable[[Sequence[ReadableSpan]], object]]] = []
"""Each is shown what leaves of spans, in the thread that exports them. It must not raise."""


class _Counting(SpanExporter):
    def __init__(self, exporter: SpanExporter, outlet: Outlet, counts: bool) -> None:
        self._exporter = exporter
        self._outlet = outlet
        self._counts = counts

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE
        left = _scrubbed(spans)
        for show in exporting:
            show(left)
        try:
            result = self._exporter.export(left)
        finally:
            self._outlet.taken(len(spans))
            if self._counts and result is SpanExportResult.SUCCESS:
                _stats.count_exported(len(left))
            elif self._counts:
                _stats.count_dropped(len(left))
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def _scrubbed(spans: Sequence[ReadableSpan]) -> list[ReadableSpan]:
    """What may leave of `spans`. One that cannot be cleaned does not leave, and costs only itself."""
    left = []
    for span in spans:
        try:
            left.append(scrubbed(span))
        except Exception as error:
            record_failure("scrubbing a span", error)
            _stats.count_dropped(1)
    return left


class _Ours:
    """What we added to one provider. A processor cannot be removed again, so it is kept here and made inert."""

    def __init__(self, provider: trace.TracerProvider, is_own: bool) -> None:
        self.provider = provider
        self.is_own = is_own
        self.session = SessionProcessor()
        self.outlets: dict[str, Outlet] = {}


# A list, searched by identity: a provider need not be hashable.
_added: list[_Ours] = []
_in_use: trace.TracerProvider | None = None
_tracer: trace.Tracer | None = None


def tracer() -> trace.Tracer:
    """The tracer of this project's own spans, on the provider in use."""
    global _tracer
    if _tracer is None:
        _tracer = (_in_use or trace.get_tracer_provider()).get_tracer(at.SCOPE, _version.__version__)
    return _tracer


def provider() -> trace.TracerProvider | None:
    """The provider in use, or None while nothing is instrumented."""
    return _in_use


def use_provider(settings: Config, given: trace.TracerProvider | None) -> None:
    """Takes `given`, else the application's provider, else makes one, and adds to it what `settings` ask for."""
    global _in_use, _tracer
    chosen = given or _in_use or _global_provider()
    if _in_use is not None and chosen is not _in_use:
        release_provider()
    _in_use, _tracer = chosen, None
    add = getattr(chosen, "add_span_processor", None)
    if add is None:
        logger.warning(
            "toolspend: the application's tracer provider (%s) takes no span processors, so toolspend cannot see its "
            "spans. Pass an SDK provider: instrument(tracer_provider=...).",
            type(chosen).__qualname__,
        )
        return
    ours = _ours(chosen)
    if ours is None:
        ours = _Ours(chosen, is_own=False)
        _added.append(ours)
        add(ours.session)
    ours.session.is_active = True
    where = _destination(settings.export, ours.is_own)
    if where == "otlp" and settings.export == AUTO and (missing := _missing_exporter()) is not None:
        logger.warning("toolspend: %s; until then spans go to the spool.", missing)
        where = "spool"
    if where is None:
        return
    outlet = ours.outlets.get(where)
    if outlet is None:
        outlet = ours.outlets[where] = Outlet()
        add(outlet)
    if not outlet.is_open:
        outlet.open(_exporter(where), counts=where == "otlp", delay_ms=_DELAYS_MS[where])
        _flush_in_children()
        # A provider that does not shut down at exit would leave its last spans behind.
        atexit.register(outlet.close)


def release_provider() -> None:
    """Exports what is waiting and makes what we added to the provider inert."""
    global _in_use, _tracer
    chosen, _in_use, _tracer = _in_use, None, None
    ours = _ours(chosen)
    if ours is None:
        return
    ours.session.is_active = False
    for outlet in ours.outlets.values():
        outlet.close()
        atexit.unregister(outlet.close)


def destinations() -> list[str]:
    """Where spans go now: "spool", "otlp", both or neither."""
    ours = _ours(_in_use)
    return [] if ours is None else [name for name, outlet in ours.outlets.items() if outlet.is_open]


def flush() -> None:
    """Exports what is waiting."""
    ours = _ours(_in_use)
    for outlet in ours.outlets.values() if ours is not None else ():
        outlet.force_flush()


def _ours(provider: trace.TracerProvider | None) -> _Ours | None:
    return next((each for each in _added if each.provider is provider), None)


def _global_provider() -> trace.TracerProvider:
    found = trace.get_tracer_provider()
    if not isinstance(found, trace.ProxyTracerProvider):
        return found
    made = TracerProvider(resource=_resource())
    ours = _Ours(made, is_own=True)
    _added.append(ours)
    made.add_span_processor(ours.session)
    trace.set_tracer_provider(made)
    # Another thread may have set one in the meantime: then that one is the application's.
    return trace.get_tracer_provider()


def _resource() -> Resource:
    found = Resource.create()
    name = found.attributes.get(SERVICE_NAME)
    if isinstance(name, str) and name and not name.startswith("unknown_service"):
        return found
    return found.merge(Resource({SERVICE_NAME: _script_name()}))


def _script_name() -> str:
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name:
        return cast("str", spec.name).removesuffix(".__main__")
    script = Path(sys.argv[0] if sys.argv else "")
    return script.stem if script.stem not in ("", "-c", "-") else "python"


def _destination(export: str | None, is_own: bool) -> str | None:
    if export != AUTO:
        return export
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    if is_own and any(os.environ.get(name) for name in _ENDPOINTS):
        return "otlp"
    return "spool"


def _missing_exporter() -> str | None:
    """What to install for the OTLP protocol that the environment asks for, or None where it is there."""
    try:
        is_there = not _is_grpc() or importlib.util.find_spec("opentelemetry.exporter.otlp.proto.grpc") is not None
    except ModuleNotFoundError:
        is_there = False
    if is_there:
        return None
    return "OTEL_EXPORTER_OTLP_PROTOCOL is grpc: pip install opentelemetry-exporter-otlp-proto-grpc"


def _is_grpc() -> bool:
    return next((os.environ[name] for name in _PROTOCOLS if os.environ.get(name)), "") == "grpc"


def _exporter(where: str) -> SpanExporter:
    if where == "spool":
        from .spool import SpoolExporter

        return SpoolExporter()
    if (missing := _missing_exporter()) is not None:
        raise ModuleNotFoundError(missing)
    if _is_grpc():
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # type: ignore[import-not-found]
            OTLPSpanExporter as GrpcExporter,
        )

        return cast("SpanExporter", GrpcExporter())
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


def _flush_in_children() -> None:
    """A child of `multiprocessing` leaves without `atexit`: it flushes by a finalizer of multiprocessing's own."""
    from multiprocessing import util

    if not _finalizer.is_registered:
        _finalizer.is_registered = True
        util.register_after_fork(_finalizer, _Finalizer.register)
        _finalizer.register()


class _Finalizer:
    is_registered = False

    def register(self) -> None:
        from multiprocessing import util

        util.Finalize(None, flush, exitpriority=-100)


_finalizer: Final = _Finalizer()


def _is_model_request(span: Span) -> bool:
    return span.attributes is not None and span.attributes.get(at.OPERATION) == at.OPERATION_CHAT
