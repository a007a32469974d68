"""An agent loop on the real SDK, and the world that it runs in: what the model says is drawn as it goes."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from anthropic import APIStatusError

import standin
import toolspend
from simulator import texts
from simulator.tokenizer import HIDDEN_PROMPT_TOKENS, rules
from simulator.tools import Tool, document, image, make, sized
from toolspend.testing import FixedClock

Json = dict[str, Any]
Caching = Literal["5m", "1h", "mixed", "automatic"] | None

MODELS = tuple(HIDDEN_PROMPT_TOKENS)
MAX_TOKENS = 8_000
_FULL = 100_000
"""Prompts beyond this many tokens get short results, so that they stay below the long-context price."""


class World:
    """One simulated session: its dice and clock, the provider, and a client of it."""

    def __init__(self, name: str, clock: FixedClock) -> None:
        self.name = name
        self.dice = random.Random(name)
        self.clock = clock
        self.rules = rules(self.dice)
        self.api = standin.Api(self._answer, clock=self.seconds, seed=name, rules=self.rules)
        self.client = standin.client(self.api, max_retries=0)
        self.compressions: dict[int, str] = {}
        """Requests that were made to compress a result, by their place in `api.requests`, and the result's tool."""
        self.flakiness = 0.0
        """How often an attempt fails before the model is asked."""
        self._turn = standin.say("")

    def seconds(self) -> float:
        """The time, without a reading of the clock that would move it."""
        return self.clock.now_ns / 1e9

    def start(self) -> None:
        """A process begins that knows nothing of what was before."""
        toolspend.uninstrument()
        toolspend.instrument(executor=execute_tool_calls, compressor=compress_tool_result, export=None, httpx=False)

    def wait(self, seconds: float) -> None:
        """Lets time pass."""
        self.clock.advance(seconds * 1_000)

    def send(self, turn: standin.Turn, body: Json) -> Any:
        """One request, which the model answers with `turn`; a beta's parameters go to the beta resource."""
        while True:
            try:
                return self._attempt(turn, dict(body))
            except APIStatusError:
                self.wait(self.dice.uniform(0.5, 20.0))

    def _attempt(self, turn: standin.Turn, body: Json) -> Any:
        self._turn = turn
        is_beta = "betas" in body or "context_management" in body
        messages = self.client.beta.messages if is_beta else self.client.messages
        if not body.pop("is_streamed", False):
            response = messages.create(**body)
        else:
            with messages.stream(**body) as stream:
                response = stream.get_final_message()
        self.wait(self.dice.uniform(0.8, 9.0))
        return response

    def _answer(self, _request: Json) -> standin.Reply:
        if self.flakiness and self.dice.random() < self.flakiness:
            failures = (standin.rate_limited(0.0), standin.overloaded(), standin.internal_error())
            return self.dice.choice(failures)
        return self._turn


@dataclass
class Agent:
    """One agent: its prompt, its tools, and its list of messages.

    `factor` makes all results longer or shorter. `language` is what people and model speak.
    """

    world: World
    tools: list[Tool]
    system: str
    model: str
    caching: Caching = None
    breakpoints: int = 1
    """How many of the latest messages of the user carry a breakpoint, where caching is not automatic."""
    batch: Sequence[int] = (1, 1, 1, 1, 2, 2, 3, 4, 6)
    factor: float = 1.0
    language: texts.Kind = texts.prose
    thinks: bool = False
    is_streamed: bool = False
    media: float = 0.0
    """How often a result or a message of the user holds an image or a document."""
    extra_tools: list[Json] = field(default_factory=list)
    more: Json = field(default_factory=dict)
    """Further parameters of every request."""
    compresses_from: int | None = None
    """Results of so many characters and more are compressed by a small model."""
    callable: list[Tool] = field(default_factory=list)
    """Tools that the model has found beyond `tools`."""
    compacts_at: int | None = None
    """Beyond this many tokens of the prompt the provider sums it up, within the next request or before it."""
    delegate: Callable[[Any], str] | None = None
    """Runs the calls of the first tool."""
    messages: list[Json] = field(default_factory=list)
    prompt_tokens: int = 0

    @property
    def dice(self) -> random.Random:
        return self.world.dice

    def converse(self, requests: int) -> None:
        """So many requests: the user speaks, the model calls tools and answers, the user speaks again."""
        done = 0
        while done < requests:
            self.hear()
            rounds = min(self.dice.choice((1, 2, 3, 5, 8, 12)), requests - done - 1)
            for _ in range(rounds):
                self.work()
            self.say()
            done += rounds + 1
            self.world.wait(self.dice.uniform(2, 60))

    def hear(self, text: str | None = None) -> None:
        """The user says something."""
        said = text or self.language(self.dice, sized(self.dice, 160, 1.0))
        content: Any = said
        if self.dice.random() < self.media:
            content = [self.dice.choice((image, image, document))(self.dice), {"type": "text", "text": said}]
        self.messages.append({"role": "user", "content": content})

    def work(self, calls: int | None = None) -> Any:
        """One round: the model calls some tools, and they are run."""
        count = calls or self.dice.choice(self.batch)
        tools = [*self.tools, *self.callable]
        chosen = self.dice.choices(tools, [tool.weight for tool in tools], k=count)
        said: list[standin.script.Block] = []
        if self.dice.random() < 0.5:
            said.append(standin.Text(self.language(self.dice, sized(self.dice, 110, 0.7))))
        said += [standin.ToolUse(tool.name, tool.arguments(self.dice)) for tool in chosen]
        response = self.ask(*said)
        self.run(response)
        return response

    def say(self, chars: float = 500) -> Any:
        """The model answers the user."""
        return self.ask(standin.Text(self.language(self.dice, sized(self.dice, chars, 0.8))))

    def ask(self, *blocks: standin.script.Block) -> Any:
        """One request that the model answers with these blocks; the answer joins the messages."""
        if self.thinks:
            thought = texts.prose(self.dice, sized(self.dice, 700, 1.0))
            blocks = (standin.Thinking(thought), *blocks)
        if self.compacts_at is not None and self.prompt_tokens > self.compacts_at:
            self.prompt_tokens = 0
            summary = standin.Compaction(texts.markdown(self.dice, sized(self.dice, 3_000, 0.4)))
            if self.dice.random() < 0.5:
                blocks = (summary, *blocks)
            else:
                self.ask(summary)
                self.hear("Please go on.")
        response = self.world.send(standin.Turn(blocks), self._body())
        usage = response.usage
        self.prompt_tokens = (
            usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
        )
        self.messages.append({"role": "assistant", "content": response.content})
        return response

    def run(self, response: Any) -> None:
        """Runs the calls of a response and adds their results."""
        calls = [block for block in response.content if block.type == "tool_use"]
        self.messages.append({"role": "user", "content": execute_tool_calls(calls, self)})

    def result(self, call: Any) -> Json:
        """What one call gives: now and then an error, or an image."""
        dice = self.dice
        self.world.wait(dice.uniform(0.01, 2.5))
        block: Json = {"type": "tool_result", "tool_use_id": call.id}
        if dice.random() < 0.06:
            error = dice.choice(("TimeoutError", "PermissionError", "HTTP 502 Bad Gateway", "ValueError"))
            return block | {"content": f"{error}: {texts.sentence(dice)}", "is_error": True}
        if self.delegate is not None and call.name == self.tools[0].name:
            return block | {"content": self.delegate(call)}
        tool = next((each for each in [*self.tools, *self.callable] if each.name == call.name), None)
        factor = self.factor if self.prompt_tokens < _FULL else 0.1
        text = tool.returns(dice, factor) if tool else texts.sentence(dice)
        if self.compresses_from is not None and len(text) >= self.compresses_from:
            text = compress_tool_result(text, call.name, 500, self.world)
        if dice.random() < self.media:
            shown = dice.choice((image, image, image, document))(dice)
            parts = [shown] if dice.random() < 0.5 else [{"type": "text", "text": text[:400]}, shown]
            return block | {"content": parts}
        if dice.random() < 0.2:
            return block | {"content": [{"type": "text", "text": text}]}
        return block | {"content": text}

    def branch(self) -> Agent:
        """Another agent that goes on from here on its own."""
        return replace(self, messages=list(self.messages))

    def summarise(self) -> None:
        """Has the model sum everything up, and starts a new list with that."""
        self.hear("Summarise our work so far for a colleague who takes over: facts, decisions, open questions.")
        summary = self.say(3_000).content[-1].text
        self.messages = []
        self.hear(f"Summary of the work so far:\n{summary}\n\n{self.language(self.dice, 120)}")

    def forget_results(self, kept: int) -> None:
        """Replaces all but the latest results by a note, in place."""
        places = [place for place, message in enumerate(self.messages) if _has_results(message)]
        for place in places[: max(len(places) - kept, 0)]:
            content = [
                block | {"content": "[removed to save space]"} if block["type"] == "tool_result" else block
                for block in self.messages[place]["content"]
            ]
            self.messages[place] = {"role": "user", "content": content}

    def drop_oldest(self) -> None:
        """Drops everything before the second thing that the user said."""
        spoken = [i for i, each in enumerate(self.messages) if each["role"] == "user" and not _has_results(each)]
        if len(spoken) > 2:
            self.messages = self.messages[spoken[1] :]

    def read_back(self) -> None:
        """The messages as they come back from a file: plain JSON."""
        for place, message in enumerate(self.messages):
            content = message["content"]
            if not isinstance(content, str):
                plain = [block if isinstance(block, dict) else block.to_dict() for block in content]
                self.messages[place] = message | {"content": json.loads(json.dumps(plain))}

    def _body(self) -> Json:
        one_hour: Json = {"type": "ephemeral", "ttl": "1h"}
        five_minutes: Json = {"type": "ephemeral"}
        definitions = [tool.definition for tool in self.tools] + self.extra_tools
        system: list[Json] = [{"type": "text", "text": self.system}]
        messages = self.messages
        body: Json = {"model": self.model, "max_tokens": MAX_TOKENS, **self.more}
        if self.caching == "automatic":
            body["cache_control"] = five_minutes
        elif self.caching is not None:
            system[0]["cache_control"] = five_minutes if self.caching == "5m" else one_hour
            messages = _marked(messages, one_hour if self.caching == "1h" else five_minutes, self.breakpoints)
        if self.thinks:
            body["thinking"] = {"type": "enabled", "budget_tokens": 4_000}
        if self.is_streamed:
            body["is_streamed"] = True
        if definitions:
            body["tools"] = definitions
        return body | {"system": system, "messages": list(messages)}


def execute_tool_calls(tool_calls: Sequence[Any], agent: Agent) -> list[Json]:
    """Runs the calls of one turn, one after the other."""
    return [agent.result(call) for call in tool_calls]


def compress_tool_result(result: str, tool_name: str, max_tokens: int, world: World) -> str:
    """A small model's words for a long result."""
    world.compressions[len(world.api.requests)] = tool_name
    summary = texts.prose(world.dice, min(max_tokens * 3, len(result) // 3))
    asked = {"role": "user", "content": f"Shorten this result of {tool_name} to {max_tokens} tokens:\n\n{result}"}
    body = {"model": "claude-haiku-4-5", "max_tokens": max_tokens * 4, "messages": [asked]}
    return str(world.send(standin.say(summary), body).content[0].text)


def new_agent(world: World, tools: int | None = None, *, kinds: Sequence[texts.Kind] = texts.ENGLISH_KINDS) -> Agent:
    """An agent with so many tools, or a handful, a prompt of its own and one of the models."""
    dice = world.dice
    count = dice.randint(4, 14) if tools is None else tools
    system = dice.choice((texts.prose, texts.markdown))(dice, sized(dice, 4_500, 0.6))
    return Agent(world, make(dice, count, kinds), system, dice.choice(MODELS))


def _has_results(message: Json) -> bool:
    content = message["content"]
    return message["role"] == "user" and not isinstance(content, str) and content[0]["type"] == "tool_result"


def _marked(messages: Sequence[Json], cache_control: Json, count: int) -> list[Json]:
    """The messages with a breakpoint at the end of the latest ones of the user; the list itself stays as it is."""
    marked = list(messages)
    places = [place for place, message in enumerate(marked) if message["role"] == "user"]
    for place in places[-count:]:
        content = marked[place]["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        marked[place] = marked[place] | {"content": [*blocks[:-1], blocks[-1] | {"cache_control": cache_control}]}
    return marked
