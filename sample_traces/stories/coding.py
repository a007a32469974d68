"""A coding agent: forty and more turns on one conversation, whose results are carried along, read from the cache."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from anthropic import Anthropic

import toolspend
from stories import world
from stories.case import Case, script_of
from stories.plots.coding import CASES as CASES
from stories.telemetry import agent_run
from stories.toolbox import Json, ToolRegistry, number, text

MODEL = "claude-opus-4-8"
SYSTEM = f"""You are a software engineer working in the repository of a billing service. Read before you write. \
Change as little as possible. Run the tests that cover a change after every change, and all tests at the end. Never \
edit generated files. Explain in one sentence what you do before each call.

Conventions of this repository:
{world.prose(19_000, "conventions")}"""

registry = ToolRegistry()
script = script_of(CASES)


@registry.tool(
    "Read a file of the repository with line numbers. Reads at most 400 lines; pass `offset` to read on.",
    path=text("Path relative to the repository."),
    offset=number("First line.", default=0),
    limit=number("How many lines.", default=400),
)
def read_file(path: str, offset: int = 0, limit: int = 400) -> str:
    time.sleep(world.duration_s(0.02, "read", path))
    return world.code(min(limit, world.rng("lines", path).randint(60, 330)), path)


@registry.tool(
    "Search the repository with a regular expression. Returns matching lines with path and line number, at most 200.",
    pattern=text("Regular expression, Rust syntax."),
    glob=text("Only files that match, such as src/**/*.py.", default=""),
)
def grep(pattern: str, glob: str = "") -> str:
    time.sleep(world.duration_s(0.15, "grep", pattern))
    return world.matches(world.rng("matches", pattern).randint(4, 60), pattern, glob)


@registry.tool("List the files below a directory.", path=text("Directory."))
def list_files(path: str) -> str:
    time.sleep(world.duration_s(0.03, "list", path))
    return "\n".join(row["path"] for row in world.records(40, {"path": path + "/module_{n}.py"}, path))


@registry.tool(
    "Replace one exact, unique passage of a file. Fails when the passage is not found or occurs more than once.",
    path=text("Path relative to the repository."),
    old=text("The passage as it is, with its indentation."),
    new=text("What takes its place."),
)
def edit_file(path: str, old: str, new: str) -> str:
    time.sleep(world.duration_s(0.03, "edit", path, old))
    if world.rng("edit", path, old).random() < 0.08:
        raise ValueError(f"the passage occurs more than once in {path}; include more lines around it")
    return f"edited {path}: {new.count(chr(10)) + 1} lines"


@registry.tool(
    "Run the tests. Returns the failures with their context and the summary line.",
    selection=text("Path or -k expression; everything when empty.", default=""),
)
def run_tests(selection: str = "") -> str:
    dice = world.rng("tests", selection)
    median_s = 340.0 if "integration" in selection else 9.0 if selection else 41.0
    time.sleep(world.duration_s(median_s, "tests", selection))
    failures = [f"test_{selection.rpartition('/')[2][:12] or 'all'}_{n}" for n in range(dice.choice((0, 1, 2, 4)))]
    return world.pytest_output(dice.randint(12, 480), failures, selection)


@registry.tool("Show the uncommitted changes as a unified diff.")
def git_diff() -> str:
    time.sleep(0.05)
    return world.code(70, "diff")


@registry.tool("Show the last commits that touched a path.", path=text("File or directory."))
def git_log(path: str) -> str:
    time.sleep(0.06)
    return world.as_json(world.records(12, {"commit": "{hex}", "subject": "Change {n} in " + path}, path))


@registry.tool(
    "Run a shell command in the sandbox. Ask before anything that writes outside it.", command=text("Command.")
)
def bash(command: str) -> str:
    raise PermissionError("the sandbox is not available in this environment")


def execute_tool_calls(tool_calls: Sequence[Any], registry: ToolRegistry) -> list[Json]:
    """Runs the calls of one turn one after the other: they read and write the same files."""
    results: list[Json] = []
    for call in tool_calls:
        block: Json = {"type": "tool_result", "tool_use_id": call.id}
        try:
            block["content"] = str(registry.tools[call.name].handler(**call.input))
        except Exception as error:
            block |= {"content": f"{type(error).__name__}: {error}", "is_error": True}
        results.append(block)
    return results


toolspend.instrument(registry=registry, executor=execute_tool_calls)


def handle(client: Anthropic, case: Case) -> str:
    """Works on one issue until the model has nothing more to do; tools, system and messages are cached."""
    with toolspend.session(case.session, user=case.user, tags=list(case.tags)), agent_run("coder"):
        tools: Any = registry.get_tool_definitions(registry.get_tools_for_task())
        system: Any = [{"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
        messages: list[Any] = [{"role": "user", "content": case.messages[0]}]
        while True:
            with client.messages.stream(
                model=MODEL,
                max_tokens=16_000,
                system=system,
                tools=tools,
                messages=_with_breakpoint(messages),
                thinking={"type": "adaptive"},
            ) as stream:
                response = stream.get_final_message()
            messages.append({"role": "assistant", "content": response.content})
            calls = [block for block in response.content if block.type == "tool_use"]
            if not calls:
                return "".join(block.text for block in response.content if block.type == "text")
            messages.append({"role": "user", "content": execute_tool_calls(calls, registry)})


def _with_breakpoint(messages: list[Any]) -> list[Any]:
    """The messages with a cache breakpoint on the last block, so that the next turn reads everything up to here."""
    last = messages[-1]
    blocks = [{"type": "text", "text": last["content"]}] if isinstance(last["content"], str) else last["content"]
    marked = [*blocks[:-1], blocks[-1] | {"cache_control": {"type": "ephemeral"}}]
    return [*messages[:-1], last | {"content": marked}]
