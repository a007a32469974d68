"""The command line and the server as a user runs them: processes of their own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import otlp_requests

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = os.pathsep.join(str(ROOT / folder) for folder in ("instrumentation", "ingest", "dashboard"))
START = "import sys; sys.argv[0] = 'toolspend'; from toolspend._command import main; sys.exit(main())"
READY_S = 60
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Answer:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def environment(home: Path, **more: str) -> dict[str, str]:
    """The environment of a command whose home is `home`; nothing of OpenTelemetry's or Streamlit's own settings."""
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "STREAMLIT_", "TOOLSPEND_"))
    }
    return {**kept, "PYTHONPATH": PACKAGES, "TOOLSPEND_HOME": str(home), "COLUMNS": "200", "NO_COLOR": "1", **more}


def command(*arguments: str | Path) -> list[str]:
    """The command line that runs `toolspend` with the arguments."""
    return [sys.executable, "-c", START, *map(str, arguments)]


def bound_by_permissions() -> list[str]:
    """What a command line begins with so that files' permissions bind it, also where the tests are root's."""
    if os.geteuid():
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root is bound by no permissions, and there is no setpriv")
    capabilities = "-dac_override,-dac_read_search"
    return ["setpriv", "--bounding-set", capabilities, "--inh-caps", capabilities]


def run(
    home: Path, *arguments: str | Path, before: Sequence[str] = (), **more: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with `before` in front of it."""
    return subprocess.run(
        [*before, *command(*arguments)],
        env=environment(home, **more),
        capture_output=True,
        text=True,
        timeout=60,
        cwd=home.parent,
    )


def run_here(home: Path, *arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command in this process: no import again, for what does not hang on how a process starts or ends."""
    from toolspend._command import main

    out, err = io.StringIO(), io.StringIO()
    typed = ["toolspend", *map(str, arguments)]
    with (
        mock.patch.dict(os.environ, environment(home, **more), clear=True),
        mock.patch.object(sys, "argv", typed),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            code = main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 0
    return subprocess.CompletedProcess(typed, code, out.getvalue(), err.getvalue())


@dataclass
class Server:
    """A running `toolspend up`."""

    process: subprocess.Popen[str]
    home: Path
    url: str
    otlp_url: str
    grpc_address: str

    def get(self, path: str, **headers: str) -> Answer:
        return request(f"{self.url}{path}", None, headers)

    def post(self, body: bytes, content_type: str = "application/x-protobuf", **headers: str) -> Answer:
        return request(self.otlp_url, body, {"content-type": content_type, **headers})

    def send(self, spans: Sequence[otlp_requests.Made]) -> Answer:
        return self.post(otlp_requests.protobuf(spans))

    def stop(self) -> str:
        """End it as `kill` does; what it said since it was ready."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=20)[0]


def request(url: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
    """One request; header names may have underscores for hyphens."""
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    asked = urllib.request.Request(url, body, named)
    try:
        with _DIRECT.open(asked, timeout=30) as answer:
            return Answer(answer.status, dict(answer.headers.items()), answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, dict(error.headers.items()), error.read())


@contextlib.contextmanager
def up(
    home: Path, *arguments: str | Path, command_name: str = "up", before: Sequence[str] = (), **more: str
) -> Iterator[Server]:
    """`toolspend up`, or `demo`, on free ports; killed at the end where it still runs."""
    process = subprocess.Popen(
        [*before, *command(command_name, "--port", "0", "--otlp-port", "0", "--grpc-port", "0", *arguments)],
        env=environment(home, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=home.parent,
    )
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        assert lines[3].startswith("store"), "".join(lines)
        yield Server(process, home, *(line.split()[1] for line in lines[:3]))
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def until(is_so: Callable[[], bool], *, within_s: float = 15) -> bool:
    """Whether it comes true in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if is_so():
            return True
        time.sleep(0.05)
    return False
