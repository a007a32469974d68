"""Files in the spool that this user may not read, as those of an agent that ran under sudo."""

from __future__ import annotations

from pathlib import Path

import pytest

import otlp_requests
import served
from otlp_requests import Made
from toolspend._frames import encode


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with two agents' files, of which one may be read."""
    spool = tmp_path / "home" / "spool"
    spool.mkdir(parents=True)
    for number, name in enumerate(("agent-1", "agent-2"), 1):
        (spool / f"{name}.spool").write_bytes(encode(otlp_requests.protobuf([Made(number, 1, name)])))
    (spool / "agent-1.spool").chmod(0)
    return tmp_path / "home"


def test_commands_load_the_others_and_name_it(home: Path) -> None:
    """Questions are answered; the doctor counts what waits; it is loaded once it may be read."""
    before = served.bound_by_permissions()
    file = home / "spool" / "agent-1.spool"
    asked = served.run(home, "sql", "select name from spans order by name", "-f", "csv", before=before)
    assert (asked.returncode, asked.stdout.split()) == (0, ["name", "agent-2"])
    assert asked.stderr == f"cannot read {file}: Permission denied\n"
    loaded = served.run(home, "ingest", before=before)
    assert (loaded.returncode, loaded.stderr) == (1, asked.stderr)
    told = served.run(home, "doctor", before=before).stdout
    size = file.stat().st_size
    assert f"not loaded yet: {size:,} bytes of the spool in files that cannot be read: agent-1.spool\n" in told
    file.chmod(0o600)
    assert served.run(home, "ingest", before=before).returncode == 0
    asked = served.run(home, "sql", "select name from spans order by name", "-f", "csv", before=before)
    assert (asked.stdout.split(), asked.stderr) == (["name", "agent-1", "agent-2"], "")


def test_a_server_loads_the_others_and_says_so(home: Path) -> None:
    """What commands ask it is answered, and its health counts what waits."""
    before = served.bound_by_permissions()
    file = home / "spool" / "agent-1.spool"
    with served.up(home, before=before) as server:
        asked = served.run(home, "sql", "select name from spans", "-f", "csv", before=before)
        assert (asked.returncode, asked.stdout.split()) == (0, ["name", "agent-2"]), asked.stderr
        told = server.get("/healthz").json
        assert (told["status"], told["spool_waiting_bytes"]) == ("degraded", file.stat().st_size)
        assert told["spool_failure"] == f"cannot read {file}: Permission denied"
        assert server.stop() == f"not all of the spool could be loaded: {told['spool_failure']}\n"
