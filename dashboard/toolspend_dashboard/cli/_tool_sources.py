"""Where `toolspend audit` gets tools from: a registry, a file of definitions, an MCP server."""

from __future__ import annotations

import importlib
import json
import shlex
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from toolspend.toolkit.audit import handlers
from toolspend_dashboard.errors import ToolsUnavailable

SERVER_TIMEOUT_S: Final = 60.0
MAX_PAGES: Final = 1_000

Places = dict[str, tuple[str, int]]
"""The file and line where a tool is defined, by name, for those where that is known."""


def of_file(path: Path) -> tuple[list[Any], Places]:
    """The tools of a JSON file: a list of definitions, or one or more answers to tools/list."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # as some editors begin a file
        tools = list(_listed(json.loads(text)))
    except (ValueError, RecursionError) as error:
        raise ToolsUnavailable(f"{path} is not JSON: {error}") from None
    if not tools:
        raise ToolsUnavailable(f"{path} holds no tools: give a list of definitions, or an answer to tools/list")
    return tools, _lines(path, text)


def of_registry(name: str) -> tuple[list[Any], Places]:
    """The tools of `module:name`: a registry, a list, or a function that returns one of these."""
    module_name, _, path = name.partition(":")
    # A command's path holds where it is installed, not where it is run.
    sys.path.insert(0, str(Path.cwd()))
    try:
        found: Any = importlib.import_module(module_name)
        for part in path.split("."):
            found = getattr(found, part)
    except ModuleNotFoundError as error:
        raise ToolsUnavailable(f"{name}: no module named {error.name!r} from here") from None
    except AttributeError:
        raise ToolsUnavailable(f"{name}: module {module_name!r} has no {path!r}") from None
    except (Exception, SystemExit) as error:
        raise ToolsUnavailable(f"{name}: importing it failed with {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(Path.cwd()))
    try:
        tools = list(_of_object(found, name))
    except ToolsUnavailable:
        raise
    except (Exception, SystemExit) as error:
        raise ToolsUnavailable(f"{name}: it gave no tools: {type(error).__name__}: {error}") from error
    return tools, {tool.name: place for tool in tools if (place := _place(tool)) is not None}


def of_server(command: str) -> tuple[list[Any], Places]:
    """The tools that an MCP server lists, started by `command` and spoken to over its standard streams."""
    try:
        import anyio
        from mcp.client.stdio import StdioServerParameters, stdio_client
    except ModuleNotFoundError as error:
        raise ToolsUnavailable(f"--mcp needs {error.name}: pip install 'toolspend[mcp]'") from None
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ToolsUnavailable(f"--mcp {command!r}: {error}") from None
    if not words:
        raise ToolsUnavailable("--mcp: give the command that starts the server")
    parameters = StdioServerParameters(command=words[0], args=words[1:])

    async def ask(errors: Any) -> list[Any]:
        with anyio.fail_after(SERVER_TIMEOUT_S):
            async with _session(stdio_client(parameters, errlog=errors)) as session:
                return await _pages(session)

    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        try:
            return anyio.run(ask, errors), {}
        except Exception as error:
            errors.seek(0)
            said = [line.strip() for line in errors.read().splitlines() if line.strip()][-1:]
            reason = said[0] if said else _innermost(error)
            raise ToolsUnavailable(f"--mcp {command!r} listed no tools: {reason}") from error


def _listed(content: Any) -> Iterator[Any]:
    if isinstance(content, Mapping):
        if isinstance(content.get("result"), Mapping):
            yield from _listed(content["result"])
        elif isinstance(content.get("tools"), list):
            yield from _listed(content["tools"])
        elif "name" in content or "function" in content:
            yield content
    elif isinstance(content, list):
        for each in content:
            yield from _listed(each)


def _lines(path: Path, text: str) -> Places:
    shown = path.relative_to(Path.cwd()) if path.is_absolute() and path.is_relative_to(Path.cwd()) else path
    places: Places = {}
    for number, line in enumerate(text.splitlines(), start=1):
        before, key, rest = line.partition('"name":')
        if key and not before.strip(" \t{,["):
            name = rest.strip().rstrip(",}] ").strip('"')
            places.setdefault(name, (shown.as_posix(), number))
    return places


def _of_object(found: Any, name: str) -> Iterator[Any]:
    if isinstance(found, Mapping) and "name" not in found:
        found = found.values()
    if callable(found) and not hasattr(found, "tools"):
        found = found()
    tools = getattr(found, "tools", found)
    tools = tools.values() if isinstance(tools, Mapping) else tools
    if not isinstance(tools, Iterable):
        raise ToolsUnavailable(f"{name} holds no tools: give a registry, a list of tools, or a function")
    yield from tools


def _place(tool: Any) -> tuple[str, int] | None:
    handler = getattr(tool, "handler", None)
    place = handlers.source_of(handler) if callable(handler) else None
    if place is None:
        return None
    path = Path(place[0])
    return (path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path).as_posix(), place[1]


def _session(transport: Any) -> Any:
    try:
        from mcp import Client
    except ImportError:
        return _older(transport)
    return Client(transport)


def _older(transport: Any) -> Any:
    """A session as mcp before 2.0 has it."""
    from contextlib import asynccontextmanager

    from mcp.client.session import ClientSession

    @asynccontextmanager
    async def opened() -> AsyncIterator[Any]:
        async with transport as (read, write), ClientSession(read, write) as session:
            await session.initialize()
            yield session

    return opened()


async def _pages(session: Any) -> list[Any]:
    tools: list[Any] = []
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        page = await session.list_tools(cursor=cursor)
        tools += page.tools
        cursor = getattr(page, "next_cursor", None) or getattr(page, "nextCursor", None)
        if not cursor:
            break
    return tools


def _innermost(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, TimeoutError):
        return f"it did not answer within {SERVER_TIMEOUT_S:.0f} s"
    return str(error) or type(error).__name__
