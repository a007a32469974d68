"""Where a running server is: a small file beside its store, readable by its owner only."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from toolspend._home import store_path


@dataclass(frozen=True, slots=True)
class Address:
    """A running server: its process, its URL, the store it has open, and the secret for calls from this machine."""

    pid: int
    url: str
    store: str
    secret: str


def address_file(store: Path) -> Path:
    """Where the server of this store says how to reach it; `server.json` in TOOLSPEND_HOME for the default store."""
    store = store.absolute()
    return store.with_name("server.json" if store == store_path().absolute() else f"{store.stem}.server.json")


def publish(address: Address) -> Path:
    """Write the file, for its owner only, in one step."""
    path = address_file(Path(address.store))
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(asdict(address), file)
    partial.replace(path)
    return path


def withdraw(address: Address) -> None:
    """Remove the file, unless another server has written its own since."""
    path = address_file(Path(address.store))
    if _read(path) == address:
        path.unlink(missing_ok=True)


def find(store: Path) -> Address | None:
    """The server that has this store open; None where none runs, also when one has died without cleaning up."""
    address = _read(address_file(store))
    return address if address is not None and _is_alive(address.pid) else None


def _read(path: Path) -> Address | None:
    with contextlib.suppress(OSError, ValueError, TypeError):
        return Address(**json.loads(path.read_text(encoding="utf-8")))
    return None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it lives, and belongs to somebody else
        return True
    return True
