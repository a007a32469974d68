"""What can go wrong around the server; every message is one line that says what to do.

ToolspendError                 (toolspend_ingest.errors)
├── ToolsUnavailable           `toolspend audit` was given something that no tools come from
└── ServerError                the server or the command that starts it
    ├── AlreadyRunning         a server has this store open
    ├── PortInUse              another program listens there
    ├── HostUnusable           not an address of this machine
    ├── TokenMissing           listening beyond this machine without TOOLSPEND_TOKEN
    ├── NotServing             a page asked for the store outside `toolspend up`
    ├── Busy                   more is waiting than will be queued, or the store cannot be written just now
    └── SampleTracesMissing    nothing for `toolspend demo` to show
"""

from __future__ import annotations

from pathlib import Path

from toolspend_ingest.errors import ToolspendError


class ToolsUnavailable(ToolspendError):
    """The file, registry or MCP server given to the audit has no tools to give."""


class ServerError(ToolspendError):
    """The server, or the command that starts it, cannot do what was asked."""


class AlreadyRunning(ServerError):
    """A server has this store open; `url` is where."""

    def __init__(self, path: Path, url: str, pid: int) -> None:
        super().__init__(f"toolspend already serves {path} at {url} (process {pid}): open that, or stop it first")
        self.url = url
        self.pid = pid


class PortInUse(ServerError):
    """Another program listens on the port."""

    def __init__(self, host: str, port: int, option: str) -> None:
        super().__init__(f"port {port} on {host} is in use: stop what listens there, or give another {option} PORT")


class HostUnusable(ServerError):
    """The address given is not one of this machine, or the port needs more rights."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(f"cannot listen on {host}:{port} ({reason}): give another --host or --port")


class TokenMissing(ServerError):
    """The server would be reachable from other machines without a token."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"--host {host} can be reached from other machines: set TOOLSPEND_TOKEN to a secret of your choice first"
        )


class NotServing(ServerError):
    """There is no store in this process; pages are shown by `toolspend up`."""

    def __init__(self) -> None:
        super().__init__("no store is open in this process: start the dashboard with `toolspend up`")


class Busy(ServerError):
    """Nothing more is taken now; the sender should try again after `retry_after_s`."""

    def __init__(self, reason: str, retry_after_s: int = 1) -> None:
        super().__init__(f"{reason}: send this again in a moment")
        self.retry_after_s = retry_after_s


class SampleTracesMissing(ServerError):
    """There is nothing for the demo to show."""

    def __init__(self) -> None:
        super().__init__(
            "no sample traces in this installation: run `make demo` in a clone, or give a folder with --traces DIR"
        )
