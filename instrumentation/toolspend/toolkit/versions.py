"""Several versions of one tool side by side: named, defaulted, deprecated, retired, and served over MCP."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, Final, TypeVar

from .. import attributes as at
from ..targets._errors import ToolError
from ..targets._wrapping import Wrapped
from ._content import Content, ToolResult, content_of, text_of
from ._failures import failed
from ._schema_changes import Change, changes
from ._shapes import is_async
from .executor import Options, Runner, Work
from .tool import DEPRECATED_META, VERSION_META, Tool

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server

__all__ = ["BreakingChange", "Change", "ToolVersions", "VersionedTools", "changes", "mcp_server"]

F = TypeVar("F", bound=Callable[..., Any])

_INSTALL: Final = "pip install 'mcp>=2'"
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9]+")


class BreakingChange(ValueError):
    """Callers of a name would get another contract than the one they know."""

    def __init__(self, said: str, found: list[Change]) -> None:
        super().__init__(f"{said}: " + "; ".join(f"{each.path or 'arguments'}: {each.what}" for each in found))
        self.changes = found


class ToolVersions:
    """The versions of one tool. Each is a tool of its own, `NAME_vVERSION`; the bare name means the default one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._versions: dict[str, Tool] = {}
        self._default: str | None = None
        self._aliases: dict[str, tuple[str, date | None]] = {}

    def add(self, tool: Tool, version: str | None = None, *, is_default: bool = False) -> Tool:
        """Adds a version (default: what the tool declares). The first, and one with `is_default`, is the default.

        Raises BreakingChange where callers of the bare name would have to change: then nothing is added.
        """
        version = version or tool.version
        if version is None:
            raise ValueError(f"{self.name}: give the version, here or as Tool(version=...)")
        if version in self._versions:
            raise ValueError(f"{self.name}: there is a version {version} already")
        name = self.name_of(version)
        other = next((each.version for each in self if each.name == name), None)
        if other is not None or not _UNSAFE.sub("", version):
            why = f"version {other} is" if other is not None else "no letter or digit of it is left"
            raise ValueError(f"{self.name}: version {version!r} would be offered as {name}, as {why}: give another")
        made = dataclasses.replace(_untraced(tool), name=name, version=version)
        if is_default:
            self._refuse_breaking(made)
        self._versions[version] = made
        if is_default or self._default is None:
            self._default = version
        return made

    def version(self, version: str, *, is_default: bool = False, **fields: Any) -> Callable[[F], F]:
        """Adds the function below it as a version: `@searches.version("2", is_default=True, category="x")`."""

        def decorate(function: F) -> F:
            self.add(Tool.from_function(function, name=self.name, **fields), version, is_default=is_default)
            return function

        return decorate

    def set_default(self, version: str, *, accept_breaking: bool = False) -> None:
        """Makes the bare name mean `version`. Raises BreakingChange where its callers would have to change."""
        tool = self[version]
        if not accept_breaking:
            self._refuse_breaking(tool)
        self._default = version

    def _refuse_breaking(self, tool: Tool) -> None:
        if self._default is None:
            return
        found = [each for each in changes(self.default.schema, tool.schema) if each.is_breaking]
        if found:
            said = f"{self.name}: version {tool.version} breaks callers of {self.default.version}"
            raise BreakingChange(said, found)

    def deprecate(self, version: str, *, until: date | None = None) -> Tool:
        """Says to whoever reads its description that another is to be used; after `until` it answers no call."""
        tool = self[version]
        if version == self._default:
            raise ValueError(f"{self.name}: {version} is the default version: make another the default first")
        limit = f" It works until {until.isoformat()}." if until else ""
        said = f"Deprecated: use {self.name_of(self._default or '')} instead.{limit} "
        made = dataclasses.replace(
            _untraced(tool), description=said + _without_notice(tool.description), is_deprecated=True
        )
        if until is not None:
            made.handler = _until(until, made, self.name_of(self._default or ""))
        self._versions[version] = made
        return made

    def alias(self, name: str, version: str, *, until: date | None = None) -> None:
        """Answers calls of an earlier `name` by `version`, without offering it: for the time of a transition."""
        self[version]
        self._aliases[name] = (version, until)

    def get(self, name: str) -> Tool | None:
        """The tool that a call of `name` means: a version's own name, an alias, or the bare name. None otherwise."""
        if name == self.name and self._default is not None:
            return self.default
        if name in self._aliases:
            version, until = self._aliases[name]
            tool = self[version]
            if until is not None and date.today() > until:
                return dataclasses.replace(tool, name=name, handler=_until(until, tool, tool.name))
            return tool
        return next((tool for tool in self._versions.values() if tool.name == name), None)

    def compare(self, old: str, new: str) -> list[Change]:
        """What changed in the arguments from one version to another."""
        return changes(self[old].schema, self[new].schema)

    def name_of(self, version: str) -> str:
        """The name that a version is offered under."""
        return f"{self.name}_v{_UNSAFE.sub('_', version).strip('_')}"

    @property
    def default(self) -> Tool:
        """The version that the bare name means."""
        if self._default is None:
            raise LookupError(f"{self.name} has no version yet")
        return self._versions[self._default]

    def __getitem__(self, version: str) -> Tool:
        try:
            return self._versions[version]
        except KeyError:
            known = ", ".join(self._versions) or "none"
            raise LookupError(f"{self.name} has no version {version}; there are: {known}") from None

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._versions.values())


class VersionedTools:
    """Versioned tools of several names. An executor takes it for a registry; `register_in` fills one of yours."""

    def __init__(self, *families: ToolVersions) -> None:
        self.families = {family.name: family for family in families}

    @property
    def tools(self) -> dict[str, Tool]:
        """Every version that can be called, by its own name."""
        return {tool.name: tool for family in self.families.values() for tool in family}

    def get(self, name: str) -> Tool | None:
        """The tool that a call of `name` means."""
        return next((tool for family in self.families.values() if (tool := family.get(name)) is not None), None)

    def register_in(self, registry: Any, *, deprecated: bool = False) -> list[Tool]:
        """Registers every version, the deprecated ones only where asked: each definition is paid for."""
        found = [tool for tool in self.tools.values() if deprecated or not tool.is_deprecated]
        for tool in found:
            registry.register(tool)
        return found


def mcp_server(tools: VersionedTools, name: str, *, timeout_s: float | None = 30.0, **options: Any) -> Server[Any]:
    """An MCP server (mcp 2.x) that lists every version under its name and answers aliases too.

    A version's `_meta` says `toolspend/version` and `toolspend/deprecated`. `options` go to mcp's low-level `Server`.
    """
    try:
        import mcp_types as types
        from mcp.server.lowlevel import Server
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"mcp_server: {error.name} is not installed: {_INSTALL}", name=error.name) from None

    async def list_tools(context: Any, params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_listed(types, tool) for tool in tools.tools.values()])

    async def call_tool(context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        # Not through `execute_tool_calls`: the server's own span is the call's.
        work = Work("", params.name, dict(params.arguments or {}))
        await Runner(tools, Options(timeout_s=timeout_s)).run([work])
        block = work.block or ToolResult()
        tool = tools.get(params.name)
        structured: dict[str, Any] = {}
        if tool is not None and tool.output_schema is not None and not work.is_error:
            try:
                structured["structured_content"] = _structured(block["content"], tool.output_schema)
            except ValueError as error:
                said = f"{params.name} declares an output schema, and what it returned is {error}. Use another tool."
                block = failed(work, said, at.ERROR_TOOL)
        told: Mapping[str, Any] = {at.MCP_ERROR_TYPE: block.error_type} if block.error_type is not None else {}
        return types.CallToolResult(
            content=_as_mcp(types, block.get("content", "")),
            is_error=block.is_error,
            _meta=dict(told) or None,
            **structured,
        )

    return Server(name, on_list_tools=list_tools, on_call_tool=call_tool, **options)


def _structured(content: Content, schema: Mapping[str, Any]) -> Any:
    """The JSON value of a content. Raises ValueError, which says what it is not."""
    try:
        value = json.loads(text_of(content) or "")
    except ValueError:
        raise ValueError("no JSON") from None
    if schema.get("type") == "object" and not isinstance(value, dict):
        raise ValueError("no JSON object")  # to clients of before 2026 it could not even be sent
    return value


def _as_mcp(types: Any, content: Content) -> list[Any]:
    """Texts and images as they are; MCP has no form for the other blocks, which are told as JSON."""
    if isinstance(content, str):
        return [types.TextContent(type="text", text=content)]
    return [_block_as_mcp(types, block) for block in content]


def _block_as_mcp(types: Any, block: dict[str, Any]) -> Any:
    if block.get("type") == "text":
        return types.TextContent(type="text", text=str(block.get("text", "")))
    if block.get("type") == "image":
        # From an MCP server the image lies in the block itself.
        source = block.get("source") or block
        data, mime = source.get("data"), source.get("media_type") or source.get("mimeType")
        if isinstance(data, str) and isinstance(mime, str):
            return types.ImageContent(type="image", data=data, mime_type=mime)
    return types.TextContent(type="text", text=str(content_of(block)))


def _listed(types: Any, tool: Tool) -> Any:
    hints = {"read_only_hint": None if tool.has_side_effects is None else not tool.has_side_effects}
    hints["idempotent_hint"] = tool.is_idempotent
    meta: Mapping[str, Any] = {VERSION_META: tool.version, DEPRECATED_META: tool.is_deprecated}
    return types.Tool(
        name=tool.name,
        description=tool.description,
        input_schema=tool.schema,
        output_schema=tool.output_schema,
        annotations=types.ToolAnnotations(**hints),
        _meta=dict(meta),
    )


def _until(until: date, tool: Tool, successor: str) -> Any:
    """The tool's handler, until that day."""
    handler = tool.handler

    def check() -> None:
        if date.today() > until:
            raise ToolError(f"This version was retired on {until.isoformat()}. Call {successor} instead.")

    if handler is not None and is_async(handler):

        async def call_async(**arguments: Any) -> Any:
            check()
            return await handler(**arguments)

        return call_async

    def call(**arguments: Any) -> Any:
        check()
        return None if handler is None else handler(**arguments)

    return call


def _untraced(tool: Tool) -> Tool:
    """A copy of `tool` whose calls have no span of its own: what is made of it is another tool, and gets its own."""
    handler = tool.handler
    if isinstance(handler, Wrapped) and handler._self_is_handler:
        handler = handler.__wrapped__
    return dataclasses.replace(tool, handler=handler)


def _without_notice(description: str) -> str:
    return re.sub(r"^Deprecated: use \S+ instead\.(?: It works until [\d-]+\.)? ", "", description)
