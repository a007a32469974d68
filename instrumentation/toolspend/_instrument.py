"""Find what is there, wrap it, restore it."""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import wrapt
from opentelemetry.trace import TracerProvider

from . import _config, _provider
from ._config import Config, Redact
from ._guard import record_failure


@dataclass(frozen=True, slots=True)
class Library:
    """A library that is traced as soon as it is imported. `module` is the one whose import shows that."""

    name: str
    module: str
    instrument: Callable[[], None]
    uninstrument: Callable[[], None]
    extra: str


def _target(name: str) -> Any:
    return importlib.import_module(f"toolspend.targets.{name}")


_LIBRARIES: Final = (
    Library(
        "anthropic",
        "anthropic",
        lambda: _target("anthropic").instrument(),
        lambda: _target("anthropic").uninstrument(),
        "toolspend[anthropic]",
    ),
    Library("mcp", "mcp.client.session", lambda: _target("mcp").instrument(), lambda: _target("mcp").uninstrument(),
            "toolspend[mcp]"),
    Library("httpx", "httpx", lambda: _target("httpx").instrument("httpx"), lambda: _target("httpx").uninstrument(),
            "httpx"),
    Library("httpx", "httpx2", lambda: _target("httpx").instrument("httpx2"), lambda: _target("httpx").uninstrument(),
            "httpx2"),
)  # fmt: skip
_NAMED: Final = ("registry", "executor", "compressor")
_EXPORTS: Final = ("auto", "spool", "otlp", None)

_lock = threading.RLock()
_wanted: set[str] = set()
_done: list[Library] = []
_awaited: set[str] = set()


def instrument(
    *,
    registry: Any = None,
    executor: Any = None,
    compressor: Any = None,
    export: str | None = "auto",
    capture_content: bool = False,
    capture_definitions: bool = True,
    redact: Redact | None = None,
    tracer_provider: TracerProvider | None = None,
    anthropic: bool | None = None,
    mcp: bool | None = None,
    httpx: bool | None = None,
) -> None:
    """See `toolspend.instrument`."""
    if export not in _EXPORTS:
        raise ValueError(f'instrument(export={export!r}): give "spool", "otlp" or None')
    if redact is not None and not callable(redact):
        raise TypeError("instrument(redact=...): give a function that takes a text and returns what may leave of it")
    switches = {"anthropic": anthropic, "mcp": mcp, "httpx": httpx}
    for name, switch in switches.items():
        if switch:
            _require(name)
    with _lock:
        before = _config.config() if _provider.provider() is not None else Config()
        settings = Config(
            capture_content=capture_content or before.capture_content,
            capture_definitions=capture_definitions and before.capture_definitions,
            redact=redact or before.redact,
            export=before.export if export == "auto" else export,
        )
        _config.set_config(settings)
        _provider.use_provider(settings, tracer_provider)
        _target("_tools").declare_again()
        for library in _LIBRARIES:
            if switches[library.name] is not False:
                _wanted.add(library.module)
                _when_imported(library)
        # One after the other: a tuple of them would be another place that refers to each.
        if registry is not None:
            _target("registry").instrument(registry)
        if executor is not None:
            _target("executor").instrument(executor)
        if compressor is not None:
            _target("compressor").instrument(compressor)


def uninstrument() -> None:
    """See `toolspend.uninstrument`."""
    with _lock:
        _wanted.clear()
        for name in reversed(_NAMED):
            if f"toolspend.targets.{name}" in sys.modules:
                _target(name).uninstrument()
        while _done:
            _quietly(_done.pop(), "uninstrument")
        _provider.release_provider()
        _config.set_config(Config())


def instrumented() -> list[str]:
    """The modules of libraries that are traced now."""
    return [library.module for library in _done]


def _require(name: str) -> None:
    libraries = [library for library in _LIBRARIES if library.name == name]
    if not any(importlib.util.find_spec(library.module.partition(".")[0]) for library in libraries):
        raise ModuleNotFoundError(
            f"instrument({name}=True): {name} is not installed: pip install '{libraries[0].extra}'", name=name
        )


def _when_imported(library: Library) -> None:
    # Importing a library that the agent does not use would cost it a second: wait until it does.
    if library.module in sys.modules:
        _instrument_library(library)
    elif library.module not in _awaited:
        _awaited.add(library.module)
        wrapt.register_post_import_hook(lambda module: _instrument_library(library), library.module)


def _instrument_library(library: Library) -> None:
    with _lock:
        if library.module in _wanted and library not in _done:
            _done.append(library)
            _quietly(library, "instrument")


def _quietly(library: Library, action: str) -> None:
    """Found automatically, so it fails quietly: logged once and counted."""
    try:
        (library.instrument if action == "instrument" else library.uninstrument)()
    except Exception as error:
        record_failure(f"{library.module} ({action})", error)
