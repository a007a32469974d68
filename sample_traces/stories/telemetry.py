"""The one span that these agents open themselves: an agent's run, which holds its requests and tool calls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace


@contextmanager
def agent_run(name: str) -> Iterator[None]:
    """A span for one run of the agent `name`, by the GenAI conventions."""
    attributes = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": name}
    with trace.get_tracer("stories").start_as_current_span(f"invoke_agent {name}", attributes=attributes):
        yield
