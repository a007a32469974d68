"""One tool, whatever it was made from: a function, a dict, or an MCP server's list."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Final

from .. import attributes as at
from ..evidence.definitions import canonical
from ..evidence.weight import weigh
from ..targets import _tools
from ..targets._errors import ToolError

SELECTED_BY: Final = ("name", "description", "category", "server", "requires", "is_pinned", "is_deprecated")
"""The fields that a selection reads, beside the schema."""
VERSION_META: Final = "toolspend/version"
DEPRECATED_META: Final = "toolspend/deprecated"
"""In `_meta` of a tool that an MCP server lists."""
_WATCHED: Final = frozenset({*SELECTED_BY, "schema"})
_edits: Final = itertools.count(1)
_SCHEMAS: Final = ("schema", "input_schema", "inputSchema", "parameters")


@dataclass(eq=False)
class Tool:
    """A tool as the model sees it, and what the tool layer must know to select, run and bill it. None is unknown.

    `schema` is the JSON Schema of the arguments. `handler` is called with them by keyword, and may be async.
    `estimated_tokens` is about how many tokens one result has. `requires` names tools that are of no use apart: they
    are offered together. `max_concurrency` bounds how many calls of this tool run at once.
    `is_interruptible` says that a handler which is not async may be ended by an exception at any of its lines, once it
    is late or cancelled: what has to be whole is done in `with` and `finally`, and nothing is held by hand.

    Any field may be set anew at any time: registries notice.
    """

    last_edit: ClassVar[int] = 0
    """Moves whenever what a selection reads of any tool is set: comparing a thousand tools would take 0.2 ms."""

    name: str
    description: str
    schema: dict[str, Any]
    handler: Callable[..., Any] | None = field(default=None, repr=False)
    category: str = "general"
    estimated_tokens: int = 100
    version: str | None = None
    has_side_effects: bool | None = None
    is_idempotent: bool | None = None
    timeout_s: float | None = None
    max_concurrency: int | None = None
    is_interruptible: bool = False
    requires: tuple[str, ...] = ()
    is_pinned: bool = False
    is_deprecated: bool = False
    server: str | None = None
    output_schema: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"Tool(name={self.name!r}): a tool needs a name")
        if not isinstance(self.description, str):
            raise TypeError(f"Tool {self.name}: description is no text but {type(self.description).__qualname__}")
        if not isinstance(self.schema, Mapping):
            raise TypeError(f"Tool {self.name}: schema is no mapping but {type(self.schema).__qualname__}")
        self.requires = (self.requires,) if isinstance(self.requires, str) else tuple(self.requires)

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)
        if name in _WATCHED:
            Tool.last_edit = next(_edits)

    @classmethod
    def from_function(cls, function: Callable[..., Any], **fields: Any) -> Tool:
        """A tool from a function's signature and docstring; `fields` (`category=...`) say the rest, or otherwise.

        Types become JSON Schema, the docstring's text the description, its parameters' texts theirs. Where a type is
        not JSON's own (a date, an enum, a model), the function is given one, made from the JSON. What
        `@toolspend.tool` declared holds here too.
        """
        from ._signatures import description_of, handler_of, name_of, schema_of

        name = fields.pop("name", None) or name_of(function)
        declared = _tools.declared(name)
        if declared is not None:
            fields.setdefault("version", declared.declared_version)
            fields.setdefault("has_side_effects", declared.has_side_effects)
        description = fields.pop("description", None)
        schema = fields.pop("schema", None)
        return cls(
            name,
            description_of(function) if description is None else description,
            schema_of(function, name) if schema is None else schema,
            handler_of(function, name),
            **fields,
        )

    @classmethod
    def from_dict(cls, tool: Mapping[str, Any], handler: Callable[..., Any] | None = None, **fields: Any) -> Tool:
        """A tool from a dict: the fields of this class, or a definition as Anthropic, OpenAI or MCP write it.

        Of what it holds beside these nothing is kept; `fields` go before what it says.
        """
        nested = tool.get("function")
        said = nested if isinstance(nested, Mapping) else tool
        if not isinstance(said.get("name"), str):
            raise ValueError(f"Tool.from_dict: no name in a dict with {', '.join(map(str, tool)) or 'nothing'}")
        known: dict[str, Any] = {key: said[key] for key in _FIELDS if said.get(key) is not None}
        known["schema"] = next((said[key] for key in _SCHEMAS if isinstance(said.get(key), Mapping)), None)
        if known["schema"] is None:
            known["schema"] = _schema_of_arguments(said.get("arguments"))
        known["schema"] = copy.deepcopy(dict(known["schema"]))
        known.setdefault("description", "")
        known.update(
            _hints(said.get("annotations")) | {key: value for key, value in known.items() if value is not None}
        )
        meta = said.get("_meta")
        if isinstance(meta, Mapping):
            # What `mcp_server` says of a version.
            if isinstance(meta.get(VERSION_META), str):
                known.setdefault("version", meta[VERSION_META])
            if isinstance(meta.get(DEPRECATED_META), bool):
                known.setdefault("is_deprecated", meta[DEPRECATED_META])
        if isinstance(said.get("outputSchema"), Mapping):
            known.setdefault("output_schema", copy.deepcopy(dict(said["outputSchema"])))
        if handler is not None:
            known["handler"] = handler
        return cls(**(known | fields))

    @classmethod
    def from_mcp(
        cls,
        tool: Any,
        session: Any = None,
        *,
        handler: Callable[..., Any] | None = None,
        server: str | None = None,
        **fields: Any,
    ) -> Tool:
        """A tool from an MCP server's list: an `mcp.types.Tool` or its JSON.

        With `session`, an `mcp.ClientSession`, calls go there. `server` is also the category unless one is given.
        """
        said = tool if isinstance(tool, Mapping) else tool.model_dump(by_alias=True, exclude_none=True)
        if session is not None and handler is None:
            handler = _remote(session, str(said.get("name")))
        if server is not None:
            fields.setdefault("category", server)
        return cls.from_dict(said, handler, server=server, **fields)

    def definition(self) -> dict[str, Any]:
        """What a request offers the model."""
        return {"name": self.name, "description": self.description, "input_schema": self.schema}

    @property
    def definition_tokens(self) -> int:
        """About how many tokens the definition has, as the evidence of a request weighs it."""
        return weigh(self.name + self.description + canonical(self.schema)).tokens


_FIELDS: Final = tuple(each.name for each in fields(Tool))


def _schema_of_arguments(arguments: object) -> dict[str, Any]:
    """The JSON Schema of a catalogue's list of arguments, `{name, type, desc, optional}` each."""
    rows = [row for row in arguments if isinstance(row, Mapping)] if isinstance(arguments, list) else []
    properties: dict[str, Any] = {}
    for row in rows:
        said = {"type": row.get("type"), "description": row.get("desc") or row.get("description")}
        properties[str(row.get("name"))] = {key: value for key, value in said.items() if value}
        if isinstance(row.get("items"), Mapping):
            properties[str(row.get("name"))]["items"] = dict(row["items"])
    required = [str(row.get("name")) for row in rows if not row.get("optional")]
    return {"type": "object", "properties": properties} | ({"required": required} if required else {})


def _hints(annotations: object) -> dict[str, Any]:
    """Side effects and idempotence as an MCP server hints at them."""
    if not isinstance(annotations, Mapping):
        return {}
    read_only, idempotent = annotations.get("readOnlyHint"), annotations.get("idempotentHint")
    found: dict[str, Any] = {}
    if isinstance(read_only, bool):
        found["has_side_effects"] = not read_only
    if read_only is True or isinstance(idempotent, bool):
        found["is_idempotent"] = True if read_only is True else idempotent
    return found


def _remote(session: Any, name: str) -> Callable[..., Awaitable[Any]]:
    async def call(**arguments: Any) -> Any:
        result = await session.call_tool(name, arguments)
        blocks = [each.model_dump(by_alias=True, exclude_none=True) for each in result.content]
        is_text = all(block.get("type") == "text" for block in blocks)
        content = "\n".join(block["text"] for block in blocks) if is_text else blocks
        if getattr(result, "isError", None) or getattr(result, "is_error", None):
            told = (getattr(result, "meta", None) or {}).get(at.MCP_ERROR_TYPE)
            raise ToolError(
                content if isinstance(content, str) else canonical(content),
                error_type=told if told in at.CALL_ERRORS else at.ERROR_TOOL,
            )
        return content

    call.__name__ = call.__qualname__ = name
    return call


def parameters_of(schema: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The parameters that a schema names, each with its own schema."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return {}
    return {str(name): each if isinstance(each, Mapping) else {} for name, each in properties.items()}
