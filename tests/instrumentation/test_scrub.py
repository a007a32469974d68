"""Content stays in the process unless it was asked for, also where it is not ours."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace

import spooled
import standin
import toolspend
from toolspend import _stats

SECRET = "the launch code is 0000"
is_native = hasattr(import_module("anthropic._base_client"), "finish_api_call_span")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A spool of the test's own."""
    monkeypatch.setenv("TOOLSPEND_HOME", str(tmp_path))
    return tmp_path


def written(home: Path) -> str:
    """Everything in the spool, as text."""
    toolspend.uninstrument()
    return "\n".join(map(str, spooled.requests(home / "spool")))


def ask(**options: Any) -> None:
    client = standin.client(standin.Api([standin.say(f"Really, {SECRET}?")]), **options)
    client.messages.create(
        model="claude-opus-4-8", max_tokens=50, system=SECRET, messages=[{"role": "user", "content": SECRET}]
    )


@pytest.mark.skipif(not is_native, reason="this version of the SDK has no content mode")
def test_content_that_the_sdk_records_stays_out_of_the_spool(home: Path) -> None:
    """The application may have turned the SDK's content mode on for exporters of its own."""
    toolspend.instrument()
    ask(open_telemetry={"traces": {"content_mode": "content"}})
    text = written(home)
    assert "anthropic.messages.create" in text
    assert SECRET not in text


@pytest.mark.skipif(not is_native, reason="this version of the SDK has no content mode")
def test_content_that_the_sdk_records_is_redacted_too(home: Path) -> None:
    """With content asked for, `redact` sees what the SDK recorded, and nothing twice."""
    toolspend.instrument(capture_content=True, redact=lambda text: f"<{json.dumps(text).count('launch')}>")
    ask(open_telemetry={"traces": {"content_mode": "content"}})
    text = written(home)
    assert SECRET not in text
    assert "<1>" in text
    assert "<0>" not in text, "redacted twice"


def test_the_message_of_an_exception_stays_out_of_the_spool(home: Path) -> None:
    """A span of the application's own keeps its error and loses the words of it."""
    toolspend.instrument()
    tracer = trace.get_tracer("application")
    with pytest.raises(RuntimeError), tracer.start_as_current_span("work"):
        raise RuntimeError(SECRET)
    text = written(home)
    assert "RuntimeError" in text
    assert SECRET not in text


def test_a_span_that_cannot_be_cleaned_costs_only_itself(home: Path) -> None:
    """An application's own processor may leave anything on a span; its neighbours reach the spool."""

    class Spoiled(dict[str, Any]):
        def __iter__(self) -> Any:
            raise RuntimeError("not to be read")

        copy = __iter__

    toolspend.instrument()
    tracer = trace.get_tracer("application")
    for name in ("before", "spoiled", "after"):
        span: Any = tracer.start_span(name)
        if name == "spoiled":
            span._attributes = Spoiled(key="value")
        span.end()
    text = written(home)
    assert "before" in text and "after" in text
    assert "spoiled" not in text
    assert toolspend.stats()["dropped"] == 1
    assert toolspend.stats()["failures"] == {"scrubbing a span": 1}
    _stats.reset()


def test_otlp_without_its_exporter_goes_to_the_spool(tmp_path: Path) -> None:
    """What the environment asks for and is not installed costs a line in the log, not the agent."""
    script = """
        import logging

        import toolspend
        from toolspend import _provider

        logging.basicConfig()
        toolspend.instrument()
        print(_provider.destinations())
        toolspend.uninstrument()
        try:
            toolspend.instrument(export="otlp")
        except ModuleNotFoundError as error:
            print(error)
    """
    asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    done = spooled.run(tmp_path / "agent", script, **asked)
    line = "OTEL_EXPORTER_OTLP_PROTOCOL is grpc: pip install opentelemetry-exporter-otlp-proto-grpc"
    assert done.stdout.splitlines() == ["['spool']", line], done.stderr
    assert line in done.stderr
