"""Which tools a request offers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, TypeVar

from .. import _provider
from ..targets import registry as target
from ._ranking import Embed, Ranked, Ranking
from .selection import FIND_TOOLS, Selection
from .tool import SELECTED_BY, Tool, parameters_of

if TYPE_CHECKING:
    from .versions import ToolVersions

F = TypeVar("F", bound=Callable[..., Any])

_GENERAL: Final = "general"
_selected: ContextVar[tuple[ToolRegistry, Selection] | None] = ContextVar("toolspend_selected", default=None)
_REMEMBERED_TASKS: Final = 1_000
_MOST_OBSERVED: Final = 20
"""An estimate is the mean of this many results, or fewer; beyond, later ones count more."""


class ToolRegistry:
    """The tools of an agent, by name.

    `embed`, texts to vectors, lets a selection find what shares no word with the task. The same task gives the same
    list for as long as the registry holds the same tools and these say the same, whatever was observed since, so that
    prompt caches survive.
    """

    traces_itself: Final = True

    def __init__(self, tools: Iterable[Tool] = (), *, embed: Embed | None = None) -> None:
        self._tools: dict[str, Tool] = {}
        self._families: dict[str, ToolVersions] = {}
        self._versions: dict[str, Tool] = {}
        self._embed = embed
        self._indexed: list[Tool] = []
        self._said: list[tuple[object, ...]] = []
        self._seen_edit = 0
        self._parameters: list[str] = []
        self._ranking: Ranking | None = None
        self._known: OrderedDict[tuple[str | None, int, str | None], Selection] = OrderedDict()
        self._last: Selection | None = None
        self._most_found = 5
        self._calls: dict[str, int] = {}
        self._failures: dict[str, int] = {}
        self._sizes: dict[str, int] = {}
        for tool in tools:
            self.register(tool)

    @property
    def tools(self) -> dict[str, Tool]:
        """The tools by name, those of versions as they are now: also what was added or deprecated since."""
        for family in self._families.values():
            for tool in list(family):
                known = self._versions.get(tool.name)
                # What was taken out, or replaced by another of its name, stays so.
                if tool is not known and self._tools.get(tool.name) is known:
                    self._tools[tool.name] = tool
                self._versions[tool.name] = tool
        return self._tools

    def __len__(self) -> int:
        return len(self.tools)

    def __iter__(self) -> Iterator[Tool]:
        return iter(self.tools.values())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def get(self, name: str) -> Tool | None:
        """The tool that a call of `name` means, or None: of versioned ones, the bare name and aliases count too."""
        found = self.tools.get(name)
        if found is None and self._families:
            return next((tool for each in self._families.values() if (tool := each.get(name)) is not None), None)
        return found

    def register(self, tool: Tool) -> Tool:
        """Adds a tool, in place of the one that had its name."""
        self.tools[tool.name] = tool
        return tool

    def tool(self, **fields: Any) -> Callable[[F], F]:
        """Registers the function below it, with `fields` as `Tool.from_function` takes them: `@registry.tool(...)`."""

        def decorate(function: F) -> F:
            self.register(Tool.from_function(function, **fields))
            return function

        return decorate

    def register_versions(self, versions: ToolVersions) -> None:
        """Adds every version of a tool, also those that are yet to come.

        Deprecated ones, aliases and the bare name answer calls and are not offered.
        """
        self._families[versions.name] = versions
        for tool in versions:
            self._versions[tool.name] = self.register(tool)

    def unregister(self, name: str) -> None:
        """Takes a tool out; what is not there is no error."""
        self.tools.pop(name, None)

    def observe(self, name: str, result_tokens: int | None = None, *, is_error: bool = False) -> None:
        """Learns from one call of tool `name`: how large its result was, and whether it failed."""
        tool = self.get(name)
        if tool is None:
            return
        name = tool.name
        self._calls[name] = self._calls.get(name, 0) + 1
        self._failures[name] = self._failures.get(name, 0) + is_error
        if result_tokens is not None and not is_error:
            seen = self._sizes[name] = self._sizes.get(name, 0) + 1
            step = 1 / min(seen, _MOST_OBSERVED)
            tool.estimated_tokens = round(tool.estimated_tokens + step * (result_tokens - tool.estimated_tokens))

    def get_tools_for_task(
        self, task_type: str | None = None, max_tools: int = 15, *, query: str | None = None
    ) -> Selection:
        """The tools to offer for a task, at most `max_tools`: pinned ones, then by relevance to `query`.

        With `task_type`, only tools of that category and of "general". A tool brings what it requires, or stays out.
        """
        if max_tools < 0:
            raise ValueError(f"get_tools_for_task(max_tools={max_tools}): give 0 or more")
        if _provider.provider() is None:
            return self._select(task_type, max_tools, query)
        return target.traced_selection(self, self._select, task_type, max_tools, query)

    def get_tool_definitions(self, tools: Iterable[Tool]) -> list[dict[str, Any]]:
        """The definitions of `tools` as a request states them."""
        return [tool.definition() for tool in tools]

    def find_tools(self, query: str, max_tools: int = 5, *, beyond: Iterable[Tool] = ()) -> list[Tool]:
        """Those of all tools that fit `query` best, the best first, without those in `beyond`."""
        tools, known = self._current(), {FIND_TOOLS, *(tool.name for tool in beyond)}
        found = (tools[place] for place in self._ranked(query, tools).order)
        return [tool for tool in found if tool.name not in known and not tool.is_deprecated][:max_tools]

    def search_tool(self, max_tools: int = 5) -> Tool:
        """A tool, to be registered, with which the model itself searches those that it was not offered.

        They are those beyond the last selection: the last in this context, where any was made in it. What it found can
        be called once `Selection.add_found` has been given the calls.
        """
        self._most_found = max_tools

        def search(query: str) -> str:
            found = self._find_beyond(query, self._offered())
            lines = [f"- {tool.name}: {' '.join(tool.description.split())}" for tool in found]
            return "\n".join(["You can call these from your next turn on:", *lines]) if found else "No tool fits."

        schema = {
            "type": "object",
            "properties": {"query": {"type": "string", "description": "What the tool should do, in a few words"}},
            "required": ["query"],
        }
        return Tool(
            FIND_TOOLS,
            "Searches for further tools, beyond those offered here, by what they do. Use it when none of yours fits.",
            schema,
            search,
            category=_GENERAL,
            has_side_effects=False,
            is_idempotent=True,
            is_pinned=True,
        )

    def _select(self, task_type: str | None, max_tools: int, query: str | None) -> Selection:
        category = None if task_type is None else str(getattr(task_type, "value", task_type))
        asked = (category, max_tools, query)
        tools = self._current()
        known = self._known.get(asked)
        if known is None:
            known = self._known[asked] = self._chosen(tools, category, max_tools, query)
            if len(self._known) > _REMEMBERED_TASKS:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(asked)
        made = Selection(known, left_out=known.left_out, is_unsure=known.is_unsure, find=self._find_beyond)
        self._last = made
        _selected.set((self, made))
        return made

    def _offered(self) -> Iterable[Tool]:
        """The last selection of this context, as one registry may serve several; else the last of all."""
        mine = _selected.get()
        return (mine[1] if mine is not None and mine[0] is self else self._last) or ()

    def _find_beyond(self, query: str, offered: Iterable[Tool]) -> list[Tool]:
        pinned = (tool for tool in self.tools.values() if tool.is_pinned)
        return self.find_tools(query, self._most_found, beyond=chain(offered, pinned))

    def _chosen(self, tools: Sequence[Tool], category: str | None, max_tools: int, query: str | None) -> Selection:
        ranked = self._ranked(query, tools) if query else Ranked(list(range(len(tools))), (), 1)
        pinned = [tool for tool in tools if tool.is_pinned]
        chosen: dict[str, Tool] = {}
        has_category = category is None
        for tool in chain(pinned, map(tools.__getitem__, ranked.order)):
            if len(chosen) == max_tools:
                break
            fits = category is None or tool.category in (category, _GENERAL)
            has_category |= fits
            if tool.is_deprecated or tool.name in chosen or not (fits or tool.is_pinned):
                continue
            wanted = {each.name: each for each in self._with_required(tool) if each.name not in chosen}
            if len(chosen) + len(wanted) <= max_tools:
                chosen.update(wanted)
        left_out = [tool for tool in tools if tool.name not in chosen]
        return Selection(chosen.values(), left_out=left_out, is_unsure=ranked.is_unsure(max_tools) or not has_category)

    def _with_required(self, tool: Tool) -> list[Tool]:
        """`tool`, and after it what it requires, and what that requires."""
        if not tool.requires:
            return [tool]
        found = {tool.name: tool}
        waiting = list(tool.requires)
        while waiting:
            required = self.tools.get(waiting.pop(0))
            if required is not None and required.name not in found:
                found[required.name] = required
                waiting += required.requires
        return list(found.values())

    def _current(self) -> Sequence[Tool]:
        """The tools that the registry holds; forgets what was made for others, or for what these said before.

        What is set anew is noticed, and which parameters a schema has that was edited in place: 0.2 ms for a thousand
        tools.
        """
        tools, edit, parameters = list(self.tools.values()), Tool.last_edit, _parameters(self.tools.values())
        if tools != self._indexed or edit != self._seen_edit or parameters != self._parameters:
            said = list(map(_said_by, tools))
            if tools != self._indexed or said != self._said:
                self._indexed, self._said, self._ranking = tools, said, None
                self._known.clear()
            self._seen_edit, self._parameters = edit, parameters
        return self._indexed

    def _ranked(self, query: str, tools: Sequence[Tool]) -> Ranked:
        if not tools:
            return Ranked([], (), None)
        if self._ranking is None:
            self._ranking = Ranking(tools, self._embed)
        # One more success and one more failure than were seen, so that few calls say little.
        successes = {
            place: (self._calls[tool.name] - self._failures[tool.name] + 1) / (self._calls[tool.name] + 2)
            for place, tool in enumerate(tools)
            if self._calls and tool.name in self._calls
        }
        return self._ranking.rank(query, successes)


def _parameters(tools: Iterable[Tool]) -> list[str]:
    """The names of all their parameters."""
    found = [tool.schema.get("properties") for tool in tools]
    return list(chain.from_iterable(each for each in found if type(each) is dict or isinstance(each, Mapping)))


def _said_by(tool: Tool) -> tuple[object, ...]:
    """What a selection reads of a tool."""
    return *(getattr(tool, name) for name in SELECTED_BY), *parameters_of(tool.schema)
