"""Conversations as chains of requests, so that each request sends only what is new in its prompt.

A conversation of n turns re-sends n growing prompts. A `Chain` is the message segments of one line of it, append-only;
a `Tip` is one request's place on a chain. A new request is found a base by its content: the longest prefix of its
messages that ends where an earlier request ended, with or without that request's answer. So branches, resumed
conversations and parallel work need no help from the application. Where messages were edited or dropped, the base is
the latest request that began with the same message, and what both have is copied piece by piece.

Everything is bounded: chains are forgotten least recently used first, and the next request is then a keyframe.
"""

from __future__ import annotations

import json
import os
import threading
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

from .. import attributes as at
from .definitions import definition_log
from .delta import head_delta, message_delta, restate
from .head import Head
from .line import Chain, Tip
from .prompt import Prompt, continued, numbered
from .segments import Row, Segment, mark, marks_of, rows
from .wire import MIN_BYTES, Body, Wires

MAX_CHAINS: Final = 256
MAX_SEGMENTS: Final = 400_000
_MAX_CALLS: Final = 20_000
_MAX_HEADS: Final = 8
_MAX_UNCLAIMED: Final = 64
_MANY_NEW: Final = 8
"""More new segments than a turn usually adds: worth a look whether an edited conversation has most of them."""


class Chains:
    """All conversations that this process remembers. Safe for threads; every method takes the lock briefly."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tips: dict[int, Tip] = {}
        self._roots: dict[int, Tip] = {}
        self._used: OrderedDict[int, Chain] = OrderedDict()
        self._segments = 0
        self._calls: OrderedDict[str, str] = OrderedDict()
        self._answers: OrderedDict[str, tuple[Tip, int]] = OrderedDict()
        """Whose answer the message of an id is, and its fingerprint."""
        self._heads: list[Head] = []
        self._wires = Wires()
        self._unclaimed: dict[str, deque[str]] = {}

    def clear(self) -> None:
        """Forgets every conversation."""
        self.__init__()  # type: ignore[misc]

    def renew_lock(self) -> None:
        """Takes a new lock, in a process that was just forked."""
        self._lock = threading.Lock()

    def conversation_of_call(self, tool_call_id: str) -> str | None:
        """The conversation whose model made the tool call `tool_call_id`, or None when it was not seen here."""
        return self._calls.get(tool_call_id)

    def claim_call(self, tool: str) -> str | None:
        """The oldest call of `tool` that a model made here and nobody has claimed yet, for runs that do not say."""
        with self._lock:
            waiting = self._unclaimed.get(tool)
            return waiting.popleft() if waiting else None

    def version_of_tool(self, tool: str) -> str | None:
        """The version of the definition of `tool` that was offered last, or None."""
        for head in self._heads:
            for definition in head.definitions:
                if definition.name == tool:
                    return definition.version
        return None

    def describe(
        self,
        body: Mapping[str, Any],
        *,
        scope: str | None,
        span_id: str,
        conversation_id: str,
        has_definitions: bool,
        sent: bytes | None = None,
    ) -> tuple[dict[str, Any], Tip]:
        """The evidence of a request `body` as span attributes, and the request's tip.

        `scope` keeps conversations of different sessions apart. `conversation_id` is for a conversation that begins
        here: one that goes on keeps the id that it began with (`tip.conversation_id`). `sent` is the JSON of `body`,
        where it is at hand: what it shows to be known is not looked at again.
        """
        previous, scoped = _continued(body) if "thread" in body else None, hash(scope)
        with self._lock:
            answer = None if previous is None else self._answers.get(previous)
            is_partial = previous is not None and (answer is None or answer[0].is_partial)
            wire = None
            if sent is not None and len(sent) >= MIN_BYTES and previous is None:
                wire = self._read(body, sent, scoped)
            if answer is None:
                prompt = numbered(body, scoped, wire)
                base, shared = self._find_base(prompt)
            else:
                # The provider holds the history: the prompt is all of it, though the body has only what is new.
                base, shared = answer[0], answer[0].count
                prompt = continued(body, scoped, base.chain.messages[:shared], answer[1])
            inherits_head = answer is not None and not body.get("tools") and not body.get("system")
            known_head = base.head if base is not None and inherits_head else None if wire is None else wire.head
            head = known_head or self._head_of(body)
            if self._heads[:1] != [head]:
                self._use(head)
            # A first prompt sent once more begins a new conversation; anything that builds on an earlier one goes on.
            if base is None:
                if prompt.size > 1:
                    conversation_id = self._conversation_in(prompt.messages) or conversation_id
            elif not (prompt.size == base.count == shared and _is_opening(prompt.messages)):
                conversation_id = base.conversation_id
            chain, copied = self._extend(base, shared, prompt)
            tip = Tip(chain, prompt.size, prompt.last, head, span_id, conversation_id, is_partial)
            if prompt.size:
                chain.keys.append(prompt.last)
                self._tips[prompt.last] = self._roots[chain.places[1]] = tip
            if wire is not None and prompt.size:
                self._wires.remember(tip, body, wire, prompt.marked)
            attributes = {} if is_partial else _evidence(tip, base, copied, prompt, body)
            is_new = head.sent_generation != definition_log.generation
            if has_definitions and is_new and (unsent := head.unsent_definitions()) is not None:
                attributes[at.TOOL_DEFINITIONS] = unsent
            if len(self._used) > MAX_CHAINS or self._segments > MAX_SEGMENTS:
                self._forget_old()
        return attributes, tip

    def answered(
        self, tip: Tip, message_print: int, answer: Sequence[Row], calls: Mapping[str, str], message_id: str | None
    ) -> None:
        """Learns the answer to the request at `tip`: its fingerprint as a message, its segments, its calls' tools.

        The next request of this branch sends the answer back, and is recognised by it; or it names the answer's
        `message_id` and leaves the history to the provider.
        """
        with self._lock:
            key = hash((tip.key, message_print))
            self._tips[key] = tip
            tip.answer = (message_print, answer)
            tip.chain.keys.append(key)
            if calls:
                tip.chain.tools_by_call.update(calls)
                for call_id, tool in calls.items():
                    self._calls[call_id] = tip.conversation_id
                    self._unclaimed.setdefault(tool, deque(maxlen=_MAX_UNCLAIMED)).append(call_id)
                while len(self._calls) > _MAX_CALLS:
                    self._calls.popitem(last=False)
            if message_id is not None:
                self._answers[message_id] = (tip, message_print)
                if len(self._answers) > MAX_CHAINS:
                    self._answers.popitem(last=False)

    def _read(self, body: Mapping[str, Any], sent: bytes, scope: int) -> Body | None:
        """What the bytes of `body` show to be known, or None where they are of no use."""
        wire = self._wires.read(body, sent)
        if wire is None:
            return None
        messages = body["messages"]
        self._wires.recognise(scope, wire, messages)
        for index in range(wire.count, len(messages)):
            if type(messages[index]) is not dict:
                return None
        return wire

    def _head_of(self, body: Mapping[str, Any]) -> Head:
        tools, system = body.get("tools") or [], body.get("system")
        # Comparing is 15 us for 40 definitions, hashing them 250 us. What is compared with is our own copy.
        for head in self._heads:
            if head.is_of(tools, system):
                return head
        return Head(tools, system)

    def _use(self, head: Head) -> None:
        """Puts `head` before all others."""
        heads = self._heads
        if head in heads:
            heads.remove(head)
        heads.insert(0, head)
        del heads[_MAX_HEADS:]

    def _find_base(self, prompt: Prompt) -> tuple[Tip | None, int]:
        """The request to build on, and how many leading messages both have (more than its own with its answer)."""
        base, shared = None, 0
        tips = self._tips
        count = prompt.size
        for place in prompt.places():
            if (tip := tips.get(place)) is not None and count:
                base, shared = tip, count
                break
            count -= 1
        if prompt.size - shared > _MANY_NEW and (latest := self._roots.get(prompt.place(1))) is not None:
            theirs, ours = latest.chain.messages[: latest.count], prompt.prints()
            if len(set(ours).intersection(theirs)) > shared:
                base, shared = latest, 0
                while shared < min(len(ours), len(theirs)) and theirs[shared] == ours[shared]:
                    shared += 1
        return base, shared

    def _conversation_in(self, messages: Sequence[Mapping[str, Any]]) -> str | None:
        """The conversation that made a tool call which `messages` carry: one resumed without its beginning."""
        for message in reversed(messages):
            content = message.get("content")
            for block in () if type(content) is str else content or ():
                if type(block) is dict and block.get("type") == "tool_use":
                    return self._calls.get(str(block.get("id")))
        return None

    def _extend(self, base: Tip | None, shared: int, prompt: Prompt) -> tuple[Chain, int]:
        """The chain that has the prompt, and how many of its segments are copied from the base's beginning."""
        copied = 0 if base is None else min(shared, base.count)
        known: dict[int, Segment] = {}
        if base is not None and base.count == len(base.chain.messages) == copied:
            chain = base.chain  # the common case: the conversation goes on where it ended
        else:
            chain = Chain(prompt.place(0))
            self._used[id(chain)] = chain
            if base is not None:
                chain.tools_by_call.update(base.chain.tools_by_call)
                for index in range(copied):
                    chain.append(prompt.print(index), prompt.place(index + 1), base.chain.rows(index))
                known = base.chain.segments_by_print(base.chain.bounds[copied], base.length)
        before = 0 if base is None or chain is not base.chain else len(chain.texts)
        answer = None if base is None or copied < base.count else base.answer
        for message, print_, place in prompt.since(copied):
            if answer is not None and print_ == answer[0]:
                said = answer[1]  # described when it came
            else:
                said = rows(message, print_, chain.tools_by_call, known)
            answer = None
            chain.append(print_, place, said)
        self._segments += len(chain.texts) - before
        self._used.move_to_end(id(chain))
        return chain, chain.bounds[copied]

    def _forget_old(self) -> None:
        while self._used and (len(self._used) > MAX_CHAINS or self._segments > MAX_SEGMENTS):
            _, chain = self._used.popitem(last=False)
            self._segments -= len(chain.texts)
            self._wires.forget(chain)
            for key in chain.keys:
                if (tip := self._tips.get(key)) is not None and tip.chain is chain:
                    del self._tips[key]
            root = chain.places[1] if chain.messages else 0
            if (tip := self._roots.get(root)) is not None and tip.chain is chain:
                del self._roots[root]


def _evidence(tip: Tip, base: Tip | None, copied: int, prompt: Prompt, body: Mapping[str, Any]) -> dict[str, Any]:
    head, chain = tip.head, tip.chain
    offset = len(head.texts)
    length = tip.length
    total = offset + length
    if base is None:
        delta = head.texts + chain.texts[copied:length]
    else:
        delta = head_delta(head, base.head) + message_delta(tip, base, copied)
    said = f'"delta":[{",".join(delta)}],"segments":{total},"chars":{head.chars + chain.totals[length]}'
    if base is not None:
        said += f',"base":"{base.span_id}"'
        if restated := restate(tip, copied):
            said += f',"restated":{restated}'
    marks = list(head.marks)
    for index in prompt.marked:
        first = offset + chain.bounds[index]
        marks.extend((first + place, ttl) for place, ttl in marks_of(prompt.messages[index]))
    if "cache_control" in body:
        mark(marks, total - 1, body)  # at the top level it caches the whole prompt
    if marks:
        said += f',"cache_marks":{json.dumps(marks, separators=(",", ":"))}'
    return {at.CONTEXT_EVIDENCE: f"{{{said}}}"}


def _continued(body: Mapping[str, Any]) -> str | None:
    """The id of the message that `body` continues a provider-held thread from, or None."""
    thread = body.get("thread")
    if thread is None:
        return None
    if isinstance(thread, Mapping) and thread.get("type") == "continue":
        return str(thread.get("previous_message_id"))
    return None


def _is_opening(messages: Sequence[Mapping[str, Any]]) -> bool:
    return all(message.get("role") != "assistant" for message in messages)


conversations: Final = Chains()

if hasattr(os, "register_at_fork"):
    # A child inherits what is known, but must not inherit a lock that another thread of the parent held.
    os.register_at_fork(after_in_child=conversations.renew_lock)
