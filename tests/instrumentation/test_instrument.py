"""`instrument` and `uninstrument`: whose provider, which exporter, and what is refused."""

from __future__ import annotations

import gc
import sys
import tomllib
import weakref
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import seed_tools
import spooled
import toolspend
from seed_tools import Tool, ToolRegistry
from toolspend import _provider
from toolspend.testing import Captured

ROOT = Path(__file__).resolve().parents[2]


def test_the_public_names_are_these() -> None:
    """`__all__` is exactly what the contract names."""
    assert sorted(toolspend.__all__) == ["__version__", "instrument", "session", "stats", "tool", "uninstrument"]
    assert all(hasattr(toolspend, name) for name in toolspend.__all__)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == toolspend.__version__


def test_importing_it_is_light(tmp_path: Path) -> None:
    """`import toolspend` loads neither the SDK and its exporters nor the libraries that it can trace."""
    done = spooled.run(
        tmp_path,
        """
        import sys, toolspend
        heavy = {"opentelemetry.sdk", "opentelemetry.exporter", "wrapt", "httpx", "anthropic", "mcp", "google.protobuf",
                 "requests", "duckdb", "pandas", "streamlit", "asyncio"}
        print(sorted(heavy & sys.modules.keys()))
        """,
    )
    assert done.stdout == "[]\n", done.stderr


def test_an_unused_library_is_not_imported_for_us(tmp_path: Path) -> None:
    """`instrument` imports no library that the agent has not imported, and traces it once the agent does."""
    done = spooled.run(
        tmp_path,
        """
        import sys, toolspend
        toolspend.instrument()
        print(sorted({"httpx", "anthropic", "mcp"} & sys.modules.keys()))
        import httpx
        print('httpx' in toolspend._instrument.instrumented())
        """,
    )
    assert done.stdout == "[]\nTrue\n", done.stderr


def test_the_applications_provider_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To a provider of the application's own come the enrichment and the spool, and no second OTLP export."""
    monkeypatch.setenv("TOOLSPEND_HOME", str(tmp_path))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    theirs, memory = TracerProvider(shutdown_on_exit=False), InMemorySpanExporter()
    theirs.add_span_processor(SimpleSpanProcessor(memory))
    toolspend.instrument(tracer_provider=theirs)
    assert _provider.destinations() == ["spool"]
    with toolspend.session("s"):
        theirs.get_tracer("application").start_span("work").end()
    toolspend.uninstrument()
    assert [span.attributes for span in memory.get_finished_spans()] == [{"toolspend.session.id": "s"}]
    assert spooled.names(tmp_path / "spool") == ["work"]
    theirs.get_tracer("application").start_span("after").end()
    assert spooled.names(tmp_path / "spool") == ["work"]
    toolspend.instrument(tracer_provider=theirs)
    theirs.get_tracer("application").start_span("again").end()
    toolspend.uninstrument()
    assert spooled.names(tmp_path / "spool") == ["again", "work"]
    assert toolspend.stats() == {"exported": 2, "dropped": 0, "failures": {}}


@pytest.mark.parametrize("is_set", [False, True], ids=["no global provider", "another is global"])
def test_a_given_provider_gets_the_spans_of_the_sdk(tmp_path: Path, is_set: bool) -> None:
    """They would go nowhere where none is global; where the application set one they stay with it, which is said."""
    pytest.importorskip("anthropic.lib._tracing", reason="this version of the SDK emits no spans")
    done = spooled.run(
        tmp_path,
        f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parents[2] / "sample_traces")!r})
        import standin, toolspend
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        if {is_set}:
            trace.set_tracer_provider(TracerProvider())
        client = standin.client(standin.Api([standin.Turn((standin.Text("Done."),))] * 2))
        ask = dict(model="claude-opus-4-8", max_tokens=9, messages=[{{"role": "user", "content": "Hello."}}])
        client.messages.create(**ask)
        toolspend.instrument(tracer_provider=TracerProvider(), httpx=False)
        client.messages.create(**ask)
        toolspend.uninstrument()
        print(toolspend.stats()["exported"])
        """,
    )
    assert done.stdout == f"{0 if is_set else 1}\n", done.stderr
    assert ("open_telemetry={'tracer_provider': ...}" in done.stderr) is is_set


@pytest.mark.parametrize(
    ("variables", "argument", "expected"),
    [
        ({}, "", ["spool"]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, "", ["otlp"]),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1/v1/traces"}, "", ["otlp"]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, "export='spool'", ["spool"]),
        ({}, "export='otlp'", ["otlp"]),
        ({}, "export=None", []),
        ({"OTEL_SDK_DISABLED": "true"}, "", []),
    ],
)
def test_where_spans_go(tmp_path: Path, variables: dict[str, str], argument: str, expected: list[str]) -> None:
    """Without a provider one is made: OTLP where the standard variables name an endpoint, else the spool."""
    done = spooled.run(
        tmp_path,
        f"""
        import toolspend
        from opentelemetry import trace
        toolspend.instrument({argument})
        print(toolspend._provider.destinations(), type(trace.get_tracer_provider()).__name__)
        """,
        **variables,
    )
    assert done.stdout == f"{expected} TracerProvider\n", done.stderr


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "agent"),
        ({"OTEL_SERVICE_NAME": "helpdesk"}, "helpdesk"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=desk"}, "desk"),
    ],
)
def test_the_service_has_a_name(tmp_path: Path, variables: dict[str, str], expected: str) -> None:
    """The service is called as the standard variables say, else by the script's name, never `unknown_service`."""
    spooled.run(
        tmp_path,
        """
        import toolspend
        from opentelemetry import trace
        toolspend.instrument()
        trace.get_tracer("t").start_span("x").end()
        """,
        **variables,
    )
    assert spooled.services(tmp_path / "spool") == {expected}


def test_opentelemetry_instrument_finds_it(tmp_path: Path) -> None:
    """Under `opentelemetry-instrument` nothing needs to be called: the entry point uses the provider made there."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    points = project["entry-points"]["opentelemetry_instrumentor"]
    made = tmp_path / "site" / "toolspend-0.dist-info"
    made.mkdir(parents=True)
    (made / "METADATA").write_text("Metadata-Version: 2.1\nName: toolspend\nVersion: 0\n")
    lines = [f"{name} = {value}" for name, value in points.items()]
    (made / "entry_points.txt").write_text("\n".join(["[opentelemetry_instrumentor]", *lines, ""]))
    done = spooled.run(
        tmp_path,
        """
        import httpx, toolspend
        from opentelemetry import trace
        assert type(trace.get_tracer_provider()).__module__.startswith("opentelemetry.sdk")
        assert toolspend._provider.provider() is trace.get_tracer_provider()
        with toolspend.session("s"):
            trace.get_tracer("t").start_span("x").end()
        try:
            httpx.get("http://user:secret@127.0.0.1:1/?api_key=secret")
        except httpx.ConnectError:
            pass
        """,
        command=(sys.executable, "-c", "from opentelemetry.instrumentation.auto_instrumentation import run; run()",
                 sys.executable),
        PYTHONPATH=f"{tmp_path / 'site'}:{spooled.INSTRUMENTATION}",
        OTEL_TRACES_EXPORTER="none", OTEL_METRICS_EXPORTER="none", OTEL_LOGS_EXPORTER="none",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert spooled.names(tmp_path / "spool") == ["GET", "x"]
    assert "secret" not in str(spooled.requests(tmp_path / "spool")[0].resource_spans[0].scope_spans)


def test_called_again_it_adds_what_is_new(captured: Captured) -> None:
    """A second call keeps what the first set, adds what it names, and doubles nothing."""
    registry = ToolRegistry()
    registry.register(Tool("search", "", {}, lambda: "done"))
    toolspend.instrument(export=None, capture_content=True)
    toolspend.instrument(registry=registry)
    toolspend.instrument(registry=registry, executor=seed_tools.execute_tool_calls)
    toolspend.instrument(registry=registry, executor="seed_tools:execute_tool_calls")
    seed_tools.execute_tool_calls([{"id": "a", "name": "search", "input": {}}], registry)
    assert [span["name"] for span in captured.spans()] == ["execute_tool search", "execute_tools"]
    assert captured.spans()[0]["attributes"]["gen_ai.tool.call.result"] == "done"
    assert _provider.destinations() == []


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"executor": "seed_tools"}, ValueError, 'write it as "module:name"'),
        ({"executor": "no_such_module:run"}, ModuleNotFoundError, "no module named 'no_such_module'"),
        ({"executor": "seed_tools:no_such_name"}, ValueError, "module 'seed_tools' has no 'no_such_name'"),
        ({"compressor": 5}, TypeError, "int is no function and has no method named"),
        ({"export": "file"}, ValueError, 'give "spool", "otlp" or None'),
        ({"redact": "yes"}, TypeError, "give a function"),
    ],
)
def test_what_the_user_named_fails_loudly(arguments: dict[str, Any], error: type[Exception], text: str) -> None:
    """What cannot be done as asked raises, in one line that says what to do."""
    with pytest.raises(error) as caught:
        toolspend.instrument(**{"export": None, **arguments})
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_library_that_was_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """`mcp=True` without mcp names the install line."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'toolspend\[mcp\]'"):
        toolspend.instrument(mcp=True)


def test_a_missing_dashboard_names_its_install_line(tmp_path: Path) -> None:
    """The command without the dashboard's extra: one line that says what to install, exit code 1."""
    done = spooled.run(
        tmp_path,
        """
        import sys
        sys.modules["streamlit"] = None
        import importlib.util
        find = importlib.util.find_spec
        importlib.util.find_spec = lambda name, *rest: None if name == "streamlit" else find(name, *rest)
        from toolspend._command import main
        sys.exit(main())
        """,
    )
    assert done.returncode == 1
    assert done.stderr == "toolspend: this command needs the dashboard: pip install 'toolspend[dashboard]'\n"


def test_results_are_not_kept_alive(captured: Captured) -> None:
    """Nothing of ours holds on to a result."""

    class Result:
        pass

    registry = ToolRegistry()
    registry.register(Tool("make", "", {}, lambda: Result()))
    toolspend.instrument(registry=registry, export=None)
    result = registry.tools["make"].handler()
    reference = weakref.ref(result)
    del result
    gc.collect()
    assert reference() is None


def test_more_spans_than_can_wait_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When spans end faster than they can be exported, what does not fit is dropped and counted, not waited for."""
    monkeypatch.setenv("TOOLSPEND_HOME", str(tmp_path))
    monkeypatch.setattr(_provider, "_MAX_WAITING", 512)
    monkeypatch.setitem(_provider._DELAYS_MS, "spool", 60_000)
    theirs = TracerProvider(shutdown_on_exit=False)
    toolspend.instrument(tracer_provider=theirs)
    batches = next(iter(_provider._added[-1].outlets.values()))._batches
    assert batches is not None
    with batches._batch_processor._export_lock:
        for n in range(700):
            theirs.get_tracer("t").start_span(f"s{n}").end()
    toolspend.uninstrument()
    stats = toolspend.stats()
    assert (stats["exported"], stats["dropped"]) == (512, 188)
    assert len(spooled.names(tmp_path / "spool")) == 512
