"""An agent on a preview model that no price list knows: its tokens are counted, its cost is unknown, not zero."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anthropic import Anthropic

import toolspend
from stories import world
from stories.case import Case, script_of
from stories.plots.unknown_model import CASES as CASES
from stories.toolbox import text

MODEL = "lighthouse-preview-1120"

script = script_of(CASES)


@toolspend.tool(version="3")
def find_clause(contract: str, topic: str) -> str:
    """The clauses of a contract that deal with a topic, in full."""
    return "\n\n".join(f"§ {number}. {world.prose(700, contract, topic, number)}" for number in range(3, 6))


@toolspend.tool(version="1")
def compare_with_template(contract: str, clause: str) -> str:
    """How a clause deviates from the house template."""
    return world.prose(1_200, contract, clause)


TOOLS: dict[str, Callable[..., str]] = {"find_clause": find_clause, "compare_with_template": compare_with_template}
CONTRACT = text("Contract number.")
DEFINITIONS: Any = [
    {
        "name": "find_clause",
        "description": "Find the clauses of a contract that deal with a topic. Returns them in full.",
        "input_schema": {"type": "object", "properties": {"contract": CONTRACT, "topic": text("Topic.")}},
    },
    {
        "name": "compare_with_template",
        "description": "Compare a clause with the house template and list deviations that need a lawyer.",
        "input_schema": {"type": "object", "properties": {"contract": CONTRACT, "clause": text("Number.")}},
    },
]

toolspend.instrument()


def handle(client: Anthropic, case: Case) -> str:
    """Reviews one contract. No registry and no executor: the tools are decorated functions in a dict."""
    with toolspend.session(case.session, user=case.user):
        messages: list[Any] = [{"role": "user", "content": case.messages[0]}]
        while True:
            response = client.messages.create(model=MODEL, max_tokens=4_000, tools=DEFINITIONS, messages=messages)
            messages.append({"role": "assistant", "content": response.content})
            results: list[Any] = [
                {"type": "tool_result", "tool_use_id": block.id, "content": TOOLS[block.name](**block.input)}
                for block in response.content
                if block.type == "tool_use"
            ]
            if not results:
                return "".join(block.text for block in response.content if block.type == "text")
            messages.append({"role": "user", "content": results})
