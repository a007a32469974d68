"""Reading back what a spool holds, and running scripts of an application's own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from toolspend._frames import Damage, Frame, frames

INSTRUMENTATION = Path(__file__).resolve().parents[1] / "instrumentation"


def files(folder: Path) -> list[Path]:
    """The spool's files, oldest first."""
    return sorted(folder.glob("*.spool"))


def requests(folder: Path, *, whole: bool = True) -> list[ExportTraceServiceRequest]:
    """Every payload, in order. Damage is an error where `whole`."""
    found = []
    for item in items(folder):
        if isinstance(item, Frame):
            found.append(ExportTraceServiceRequest.FromString(item.payload))
        else:
            assert not whole, item
    return found


def items(folder: Path) -> list[Frame | Damage]:
    """Every frame and damage of every file."""
    return [item for path in files(folder) for item in frames(path.read_bytes())]


def names(folder: Path, *, whole: bool = True) -> list[str]:
    """The names of all spans, sorted."""
    return sorted(
        span.name
        for request in requests(folder, whole=whole)
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    )


def services(folder: Path) -> set[str]:
    """The service names of all spans."""
    return {
        attribute.value.string_value
        for request in requests(folder)
        for resource in request.resource_spans
        for attribute in resource.resource.attributes
        if attribute.key == "service.name"
    }


def environment(home: Path, **more: str) -> dict[str, str]:
    """The environment of a script that spools under `home`, free of OpenTelemetry settings."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "TOOLSPEND_", "PYTEST_"))}
    paths = os.pathsep.join(filter(None, (str(INSTRUMENTATION), kept.get("PYTHONPATH"))))
    return {**kept, "PYTHONPATH": paths, "TOOLSPEND_HOME": str(home), **more}


def run(home: Path, script: str, *, command: tuple[str, ...] = (), **more: str) -> subprocess.CompletedProcess[str]:
    """Runs `script` as a file `agent.py` in a process of its own."""
    home.mkdir(exist_ok=True)
    path = home / "agent.py"
    path.write_text(textwrap.dedent(script))
    return subprocess.run(
        [*(command or (sys.executable,)), str(path)],
        env=environment(home, **more), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
