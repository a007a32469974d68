"""The shapes of sessions: each runs an agent loop of its kind in a world whose dice decide the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

import standin
import toolspend
from simulator import texts
from simulator import words as w
from simulator.agent import MODELS, Agent, World, new_agent
from simulator.tokenizer import vocabulary
from simulator.tools import Tool, sized

Shape = Callable[[World], None]

_shapes: dict[str, Shape] = {}
SHAPES: Final[Mapping[str, Shape]] = MappingProxyType(_shapes)


def _shape(run: Shape) -> Shape:
    """Lists a shape under its name; it runs within a session of the world's name."""

    def within_session(world: World) -> None:
        with toolspend.session(world.name):
            run(world)

    _shapes[run.__name__] = within_session
    return run


def _length(world: World) -> int:
    return world.dice.randint(20, 40)


def _cached(world: World, tools: int | None = None) -> Agent:
    agent = new_agent(world, tools)
    agent.caching = world.dice.choice(("5m", "5m", "automatic", "mixed"))
    agent.breakpoints = world.dice.choice((1, 2))
    return agent


@_shape
def uncached(world: World) -> None:
    """Every request pays for its whole prompt."""
    new_agent(world).converse(_length(world))


@_shape
def cached(world: World) -> None:
    """Breakpoints move on with each turn, as agents move them."""
    _cached(world).converse(_length(world))


@_shape
def cached_1h(world: World) -> None:
    """All is written for an hour; the user takes a quarter of one now and then."""
    agent = new_agent(world)
    agent.caching = "1h"
    for _ in range(world.dice.randint(3, 5)):
        agent.converse(world.dice.randint(5, 9))
        world.wait(world.dice.uniform(200, 1_200))


@_shape
def expiring(world: World) -> None:
    """The user pauses for longer than the cache lives."""
    agent = _cached(world)
    for _ in range(world.dice.randint(4, 7)):
        agent.converse(world.dice.randint(3, 7))
        world.wait(world.dice.uniform(310, 2_000))


@_shape
def short(world: World) -> None:
    """Two or three requests."""
    agent = world.dice.choice((new_agent, _cached))(world)
    agent.converse(world.dice.randint(2, 3))


@_shape
def one_request(world: World) -> None:
    """One question, one answer, tools that nobody called."""
    new_agent(world).converse(1)


@_shape
def forty_tools(world: World) -> None:
    """Forty definitions, of which a few are used, read from the cache."""
    _cached(world, 40).converse(_length(world))


@_shape
def forty_tools_uncached(world: World) -> None:
    """Forty definitions, paid in full with every request."""
    new_agent(world, 40).converse(_length(world))


@_shape
def wide_batches(world: World) -> None:
    """Eight to twenty calls at once."""
    agent = world.dice.choice((new_agent, _cached))(world)
    agent.batch, agent.factor = range(8, 21), 0.4
    agent.converse(world.dice.randint(12, 18))


@_shape
def long(world: World) -> None:
    """More than 150 requests on one list of messages."""
    agent = _cached(world)
    agent.factor, agent.batch = 0.3, (1, 1, 1, 1, 2)
    agent.converse(world.dice.randint(150, 180))


@_shape
def compacted(world: World) -> None:
    """The client sums up and starts a new list, several times."""
    agent = world.dice.choice((new_agent, _cached))(world)
    agent.converse(world.dice.randint(8, 12))
    for _ in range(world.dice.randint(2, 3)):
        agent.summarise()
        for _ in range(world.dice.randint(2, 4)):
            agent.work()
        agent.say()
        agent.converse(world.dice.randint(4, 8))


@_shape
def server_compaction(world: World) -> None:
    """The provider sums up when the prompt has become long, and bills that apart."""
    agent = world.dice.choice((new_agent, _cached))(world)
    agent.compacts_at = world.dice.randint(12_000, 30_000)
    trigger = {"type": "input_tokens", "value": 50_000}
    agent.more = {
        "betas": ["compact-2026-01-12"],
        "context_management": {"edits": [{"type": "compact_20260112", "trigger": trigger}]},
    }
    agent.converse(_length(world))


@_shape
def edited(world: World) -> None:
    """The client drops old messages, or replaces old results in place."""
    agent = world.dice.choice((new_agent, _cached))(world)
    for _ in range(world.dice.randint(5, 8)):
        agent.converse(world.dice.randint(3, 6))
        if world.dice.random() < 0.6:
            agent.forget_results(world.dice.randint(1, 3))
        else:
            agent.drop_oldest()


@_shape
def context_edits(world: World) -> None:
    """The provider clears old results from what it bills, while the client keeps sending them."""
    agent = world.dice.choice((new_agent, _cached))(world)
    edit: dict[str, Any] = {
        "type": "clear_tool_uses_20250919",
        "trigger": {"type": "input_tokens", "value": world.dice.randint(8_000, 25_000)},
        "keep": {"type": "tool_uses", "value": world.dice.randint(2, 6)},
    }
    if world.dice.random() < 0.5:
        edit["clear_at_least"] = {"type": "input_tokens", "value": world.dice.randint(1_000, 5_000)}
    agent.more = {"betas": ["context-management-2025-06-27"], "context_management": {"edits": [edit]}}
    agent.converse(_length(world))


@_shape
def forked(world: World) -> None:
    """Two branches go on from one prefix, turn and turn about."""
    agent = world.dice.choice((new_agent, _cached))(world)
    agent.converse(world.dice.randint(5, 9))
    branches = [agent, agent.branch()]
    for branch in branches:
        branch.hear()
    for _ in range(world.dice.randint(14, 22)):
        world.dice.choice(branches).work()
    for branch in branches:
        branch.say()


@_shape
def subagents(world: World) -> None:
    """One tool is an agent of its own, with other tools and perhaps another model."""
    agent = world.dice.choice((new_agent, _cached))(world)

    def delegate(call: Any) -> str:
        helper = world.dice.choice((new_agent, _cached))(world, world.dice.randint(2, 6))
        helper.hear(" ".join(str(value) for value in call.input.values()) or "Look into it.")
        for _ in range(world.dice.randint(1, 5)):
            helper.work()
        return str(helper.say(1_500).content[-1].text)

    agent.delegate = delegate
    agent.converse(world.dice.randint(12, 18))


@_shape
def resumed(world: World) -> None:
    """The second half runs in a process that knows nothing of the first."""
    agent = world.dice.choice((new_agent, _cached))(world)
    agent.converse(world.dice.randint(10, 18))
    world.start()
    agent.read_back()
    world.wait(world.dice.uniform(20, 900))
    agent.converse(world.dice.randint(10, 18))


@_shape
def multi_model(world: World) -> None:
    """Another model takes over in the middle, and perhaps the first again."""
    agent = world.dice.choice((new_agent, _cached))(world)
    first = world.dice.choice(MODELS)
    models = [first, world.dice.choice([each for each in MODELS if vocabulary(each) != vocabulary(first)])]
    for turn in range(world.dice.randint(3, 5)):
        agent.model = models[turn % 2]
        agent.converse(world.dice.randint(4, 9))


@_shape
def non_english(world: World) -> None:
    """People and tools speak Chinese, Russian, Arabic and languages with accents."""
    kinds = (*texts.FOREIGN_KINDS, texts.json_rows, texts.logs, texts.code)
    agent = new_agent(world, kinds=kinds)
    agent.language = world.dice.choice(texts.FOREIGN_KINDS)
    agent.system = agent.language(world.dice, sized(world.dice, 1_500, 0.5))
    agent.caching = world.dice.choice((None, "5m"))
    agent.converse(_length(world))


@_shape
def images(world: World) -> None:
    """Results and questions with pictures and documents in them."""
    agent = world.dice.choice((new_agent, _cached))(world)
    agent.media = 0.3
    agent.converse(_length(world))


@_shape
def thinking(world: World) -> None:
    """The model thinks before each answer; most models' thinking leaves when the user speaks again."""
    agent = world.dice.choice((new_agent, _cached))(world)
    agent.thinks = True
    agent.converse(_length(world))


@_shape
def web_search(world: World) -> None:
    """The provider searches within the request: another pass over the prompt, and a fee."""
    agent = world.dice.choice((new_agent, _cached))(world)
    agent.extra_tools = [{"type": "web_search_20250305", "name": "web_search"}]
    for _ in range(world.dice.randint(6, 9)):
        agent.hear()
        for _ in range(world.dice.randint(0, 3)):
            agent.work()
        pages = [
            (texts.sentence(world.dice), texts.url(world.dice), world.dice.randint(800, 6_000))
            for _ in range(world.dice.randint(2, 8))
        ]
        answer = standin.Text(texts.markdown(world.dice, sized(world.dice, 900, 0.5)))
        agent.ask(standin.WebSearch(texts.sentence(world.dice), pages), answer)


@_shape
def deferred_tools(world: World) -> None:
    """Definitions that a tool search brings into the messages, a few of many."""
    agent = world.dice.choice((new_agent, _cached))(world, 30)
    always, deferred = agent.tools[:3], [_deferred(tool) for tool in agent.tools[3:]]
    search = {"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"}
    agent.tools, agent.extra_tools = always, [search, *(tool.definition for tool in deferred)]
    for _ in range(world.dice.randint(4, 6)):
        agent.hear()
        found = [deferred.pop() for _ in range(world.dice.randint(1, 4))]
        said: list[standin.script.Block] = []
        if world.dice.random() < 0.5:
            said.append(standin.Text(texts.sentence(world.dice)))
        said.append(standin.ToolSearch(world.dice.choice(w.NOUNS), [tool.name for tool in found]))
        called = world.dice.choices(found, k=world.dice.randint(1, 3))
        said += [standin.ToolUse(tool.name, tool.arguments(world.dice)) for tool in called]
        agent.callable = [*agent.callable, *found]
        agent.run(agent.ask(*said))
        for _ in range(world.dice.randint(1, 6)):
            agent.work()
        agent.say()


def _deferred(tool: Tool) -> Tool:
    return replace(tool, definition={**tool.definition, "defer_loading": True})


@_shape
def streamed(world: World) -> None:
    """Every answer is streamed."""
    agent = _cached(world)
    agent.is_streamed = True
    agent.converse(_length(world))


@_shape
def changing_tools(world: World) -> None:
    """The tools on offer change as the task does: another one in front, one fewer, another description."""
    agent = _cached(world, 12)
    everything = agent.tools
    for _ in range(world.dice.randint(4, 6)):
        agent.converse(world.dice.randint(4, 7))
        kept = world.dice.sample(everything, world.dice.randint(7, 11))
        agent.tools = sorted(kept, key=everything.index) if world.dice.random() < 0.7 else kept


@_shape
def compressed(world: World) -> None:
    """Long results are shortened by a small model before the agent's model sees them."""
    agent = world.dice.choice((new_agent, _cached))(world)
    agent.compresses_from = 2_500
    agent.converse(_length(world))


@_shape
def flaky(world: World) -> None:
    """Attempts fail before anything is generated; the agent tries again."""
    world.flakiness = 0.15
    _cached(world).converse(_length(world))
