"""The spool: spans into files that survive anything."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import spooled
import toolspend
from toolspend import spool
from toolspend._frames import Frame


def spans(*names: str, **attributes: Any) -> list[ReadableSpan]:
    memory = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    for name in names:
        provider.get_tracer("test").start_span(name, attributes=attributes).end()
    return list(memory.get_finished_spans())


@pytest.fixture
def exporter(tmp_path: Path) -> Iterator[spool.SpoolExporter]:
    exporter = spool.SpoolExporter(tmp_path / "home" / "spool")
    yield exporter
    exporter.shutdown()


def test_spans_are_in_the_file_when_export_returns(exporter: spool.SpoolExporter, tmp_path: Path) -> None:
    """A frame a batch, whole in the file at once; files and folders are this user's alone."""
    folder = tmp_path / "home" / "spool"
    assert exporter.export(spans("a", "b")) is SpanExportResult.SUCCESS
    assert exporter.export(spans("c")) is SpanExportResult.SUCCESS
    assert spooled.names(folder) == ["a", "b", "c"]
    assert len(spooled.requests(folder)) == 2
    [file] = spooled.files(folder)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    assert toolspend.stats()["exported"] == 3


def test_the_lock_says_whether_the_writer_lives(exporter: spool.SpoolExporter, tmp_path: Path) -> None:
    """A reader gets the lock only once the writer has let go of the file."""
    exporter.export(spans("a"))
    [file] = spooled.files(tmp_path / "home" / "spool")
    with file.open("rb") as reader:
        with pytest.raises(BlockingIOError):
            fcntl.flock(reader, fcntl.LOCK_EX | fcntl.LOCK_NB)
        exporter.shutdown()
        fcntl.flock(reader, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_full_file_is_followed_by_another(tmp_path: Path) -> None:
    """A file that has reached its size is left, and released, for the next."""
    exporter = spool.SpoolExporter(tmp_path, max_file_bytes=1000)
    for n in range(10):
        exporter.export(spans(f"s{n}", text="x" * 300))
    exporter.export(spans("huge", text="x" * 5000))
    exporter.shutdown()
    assert len(spooled.files(tmp_path)) > 4
    assert spooled.names(tmp_path) == sorted(["huge", *[f"s{n}" for n in range(10)]])


def test_a_poisonous_span_costs_only_itself(
    exporter: spool.SpoolExporter, tmp_path: Path, swallow: pytest.LogCaptureFixture
) -> None:
    """A span that cannot be encoded is dropped and counted; its batch is written."""
    batch = spans("a", "b", "c", "\ud800", "e")
    assert exporter.export(batch) is SpanExportResult.FAILURE
    exporter.export(spans("f"))
    folder = tmp_path / "home" / "spool"
    assert spooled.names(folder) == ["a", "b", "c", "e", "f"]
    assert sum(item.dropped for item in spooled.items(folder) if isinstance(item, Frame)) == 1
    assert toolspend.stats()["dropped"] == 1
    assert len(swallow.records) == 1


def test_the_folder_is_bounded(tmp_path: Path, swallow: pytest.LogCaptureFixture) -> None:
    """Beyond the limit new spans are dropped and counted, logged once, until a reader has made room."""
    exporter = spool.SpoolExporter(tmp_path, max_bytes=3000, max_file_bytes=1000)
    for n in range(20):
        exporter.export(spans(f"s{n:02}", text="x" * 300))
    assert spool.spooled_bytes(tmp_path) <= 3000
    kept = len(spooled.names(tmp_path))
    assert 0 < kept < 20
    assert toolspend.stats() == {"exported": kept, "dropped": 20 - kept, "failures": {}}
    assert len(swallow.records) == 1
    for file in spooled.files(tmp_path):
        file.unlink()
    exporter._looked_at = float("-inf")
    exporter.export(spans("after"))
    assert spooled.names(tmp_path) == ["after"]
    assert [item.dropped for item in spooled.items(tmp_path) if isinstance(item, Frame)] == [20 - kept]


def test_a_removed_folder_is_made_again(exporter: spool.SpoolExporter, tmp_path: Path) -> None:
    """Files removed under the writer cost what they held, and nothing after."""
    exporter.export(spans("a"))
    folder = tmp_path / "home" / "spool"
    for file in spooled.files(folder):
        file.unlink()
    folder.rmdir()
    exporter.export(spans("b"))
    assert spooled.names(folder) == ["b"]


def test_a_torn_write_is_taken_back(
    exporter: spool.SpoolExporter, tmp_path: Path, swallow: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills up in the middle of a frame, at any byte: no later frame is lost, the loss is told."""
    folder = tmp_path / "home" / "spool"
    write = os.write
    length = len(spool._payloads(spans("lost"))[0][0] or b"") + 16
    for cut in (0, 1, 7, 16, length // 2, length - 1):

        def short(fd: int, data: bytes, cut: int = cut) -> int:
            if cut == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return write(fd, data[:cut])

        assert exporter.export(spans("before")) is SpanExportResult.SUCCESS
        monkeypatch.setattr(os, "write", short)
        assert exporter.export(spans("lost")) is SpanExportResult.FAILURE
        monkeypatch.setattr(os, "write", write)
        assert exporter.export(spans("after")) is SpanExportResult.SUCCESS
    assert spooled.names(folder) == ["after"] * 6 + ["before"] * 6
    assert sum(item.dropped for item in spooled.items(folder) if isinstance(item, Frame)) == 6
    assert not list(folder.glob(".*"))


def test_a_limit_on_file_size_is_met_with_more_files(tmp_path: Path) -> None:
    """Where no file may grow beyond a few kilobytes, the spool goes on in new files and loses nothing that fits."""
    done = spooled.run(
        tmp_path,
        """
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        import toolspend
        from opentelemetry import trace
        toolspend.instrument()
        for n in range(40):
            trace.get_tracer("t").start_span(f"s{n:02}", attributes={"text": "x" * 500}).end()
            toolspend._provider.flush()
        trace.get_tracer("t").start_span("huge", attributes={"text": "x" * 5000}).end()
        toolspend._provider.flush()
        trace.get_tracer("t").start_span("last").end()
        toolspend._provider.flush()
        print(toolspend.stats())
        """,
    )
    assert done.returncode == 0, done.stderr
    assert "'exported': 41, 'dropped': 1" in done.stdout
    assert spooled.names(tmp_path / "spool") == [*["last"], *[f"s{n:02}" for n in range(40)]]
    assert done.stderr.count("dropped and counted") == 1


def test_a_full_disk_disturbs_nobody(tmp_path: Path) -> None:
    """On a file system of 64 KB: the agent runs on, spans are counted, and space that comes back is used."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no right to mount a small file system")
    try:
        exporter = spool.SpoolExporter(disk / "spool", max_file_bytes=16_384)
        for n in range(200):
            exporter.export(spans(f"s{n:03}", text="x" * 1000))
        lost = toolspend.stats()["dropped"]
        assert lost > 100
        kept = spooled.names(disk / "spool")
        assert len(kept) == 200 - lost
        spooled.files(disk / "spool")[0].unlink()
        assert exporter.export(spans("zz")) is SpanExportResult.SUCCESS
        exporter.shutdown()
        assert spooled.names(disk / "spool")[-1] == "zz"
        told = sum(item.dropped for item in spooled.items(disk / "spool") if isinstance(item, Frame))
        assert told == lost
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_short_script_leaves_everything_behind(tmp_path: Path) -> None:
    """A script of three lines: its spans are flushed at exit, its service is called by its name."""
    done = spooled.run(
        tmp_path,
        """
        import toolspend
        from opentelemetry import trace
        toolspend.instrument()
        with toolspend.session("s"), trace.get_tracer("t").start_as_current_span("only"):
            pass
        """,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert spooled.names(tmp_path / "spool") == ["only"]
    assert spooled.services(tmp_path / "spool") == {"agent"}


def test_killed_at_any_moment_every_whole_frame_is_there(tmp_path: Path) -> None:
    """kill -9 of a process that writes as fast as it can: what it said was written is read."""
    script = """
        import sys
        from toolspend.spool import SpoolExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(SpoolExporter()))
        for n in range(1_000_000):
            provider.get_tracer("t").start_span(f"s{n:07}").end()
            print(n, flush=True)
        """
    for round_ in range(3):
        home = tmp_path / str(round_)
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script)],
            env=spooled.environment(home),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        written = -1
        for line in process.stdout:
            written = int(line)
            if written == 100 * (round_ + 1):
                process.send_signal(signal.SIGKILL)
                break
        process.communicate()
        found = spooled.names(home / "spool", whole=False)
        assert found[: written + 1] == [f"s{n:07}" for n in range(written + 1)]
        [file] = spooled.files(home / "spool")
        with file.open("rb") as reader:
            fcntl.flock(reader, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_forked_children_have_files_of_their_own(tmp_path: Path) -> None:
    """A fork in the middle: parent and child each write their own file, no span is lost or doubled."""
    done = spooled.run(
        tmp_path,
        """
        import os, sys, threading
        import toolspend
        from opentelemetry import trace
        toolspend.instrument()
        tracer = trace.get_tracer("t")
        tracer.start_span("waiting in the parent").end()
        toolspend._provider.flush()
        tracer.start_span("still waiting").end()
        child = os.fork()
        if child == 0:
            tracer.start_span("in the child").end()
            sys.exit(0)
        os.waitpid(child, 0)
        tracer.start_span("after the fork").end()
        """,
    )
    assert done.returncode == 0, done.stderr
    names = ["after the fork", "in the child", "still waiting", "waiting in the parent"]
    assert spooled.names(tmp_path / "spool") == names
    assert len(spooled.files(tmp_path / "spool")) == 2


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing_children_flush(tmp_path: Path, method: str) -> None:
    """Children of multiprocessing leave without atexit; their spans are written all the same."""
    done = spooled.run(
        tmp_path,
        f"""
        import multiprocessing
        import toolspend
        from opentelemetry import trace

        toolspend.instrument()

        def work(n):
            trace.get_tracer("t").start_span(f"child {{n}}").end()

        if __name__ == "__main__":
            context = multiprocessing.get_context({method!r})
            children = [context.Process(target=work, args=(n,)) for n in range(3)]
            [child.start() for child in children]
            [child.join() for child in children]
        """,
    )
    assert done.returncode == 0, done.stderr
    assert spooled.names(tmp_path / "spool") == ["child 0", "child 1", "child 2"]


def test_several_processes_at_once(tmp_path: Path) -> None:
    """Processes that write at once do not meet: one file each, every span there once."""
    script = """
        import sys, toolspend
        from opentelemetry import trace
        toolspend.instrument()
        for n in range(500):
            trace.get_tracer("t").start_span(f"{sys.argv[1]}-{n:03}").end()
        """
    children = [
        subprocess.Popen([sys.executable, "-c", textwrap.dedent(script), name], env=spooled.environment(tmp_path))
        for name in "abc"
    ]
    assert [child.wait(60) for child in children] == [0, 0, 0]
    assert spooled.names(tmp_path / "spool") == [f"{name}-{n:03}" for name in "abc" for n in range(500)]
    assert len(spooled.files(tmp_path / "spool")) == 3


def test_a_home_that_cannot_be_written_disturbs_nobody(tmp_path: Path) -> None:
    """A file where the folder should be: the script runs, one line is logged."""
    (tmp_path / "spool").write_text("")
    done = spooled.run(
        tmp_path,
        """
        import toolspend
        from opentelemetry import trace
        toolspend.instrument()
        trace.get_tracer("t").start_span("a").end()
        toolspend.uninstrument()
        print(toolspend.stats())
        """,
    )
    assert done.stdout == "{'exported': 0, 'dropped': 1, 'failures': {}}\n"
    assert len(done.stderr.splitlines()) == 1, done.stderr


@pytest.mark.parametrize("given", ["~no_such_user/data", None])
def test_a_home_that_nobody_knows_disturbs_nobody(tmp_path: Path, given: str | None) -> None:
    """A home folder that the system does not know, or a user without one: the script runs, spans are counted, one line
    is logged.
    """
    done = spooled.run(
        tmp_path,
        f"""
        import os, pwd
        import toolspend
        from opentelemetry import trace

        def nobody(uid):
            raise KeyError(uid)

        if {given is None}:
            pwd.getpwuid = nobody
            os.environ.pop("HOME", None)
        toolspend.instrument()
        for name in "ab":
            trace.get_tracer("t").start_span(name).end()
            toolspend._provider.flush()
        toolspend.uninstrument()
        print(toolspend.stats())
        """,
        TOOLSPEND_HOME=given or "",
        XDG_DATA_HOME="",
    )
    assert done.stdout == "{'exported': 0, 'dropped': 2, 'failures': {}}\n", done.stderr
    [line] = done.stderr.splitlines()
    assert "TOOLSPEND_HOME" in line
    assert not list(tmp_path.glob("**/*.spool"))
