"""Conversations as chains of requests, so that each request sends only what is new in its prompt.

A conversation of n turns re-sends n growing prompts. A `Chain` is the message segments of one line of it, append-only;
a `Tip` is one request's place on a chain. A new request is found a base by its content: the longest prefix of its
messages that ends where an earlier request ended, with or without that request's answer. So branches, resumed
conversations and parallel work need no help from the application. Where messages were edited or dropped, the base is
the latest request that began with the same message, and what both have is copied piece by piece.

Everything is bounded: where requests or their segments are too many, the older half of the requests is forgotten, with
every chain on which no other stands. A request that finds no base is a keyframe.
"""

from __future__ import annotations

import json
import os
import threading
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final

from .. import attributes as at
from .definitions import definition_log
from .delta import head_delta, message_delta, restate
from .head import Head
from .line import Chain, Tip
from .prompt import Prompt, continued, numbered
from .segments import Said, Segment, mark, marks_of, say
from .wire import MIN_BYTES, Wires

MAX_KEYS: Final = 8_192
"""A request has three."""
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
        self._tips: dict[int | str, Tip] = {}
        """Requests by the numbers that stand for their messages, without and with the answer; the latest one that began
        with a message, by that message's number inverted; where the provider holds the history, by the answer's id."""
        self._segments = 0
        """How many their chains have."""
        self._calls: OrderedDict[str, str] = OrderedDict()
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
        scoped, is_held = hash(scope), "thread" in body
        previous = _continued(body) if is_held else None
        with self._lock:
            wire, is_partial = None, False
            if previous is None:
                if sent is not None and len(sent) >= MIN_BYTES:
                    wire = self._wires.read(body, sent, scoped)
                prompt = numbered(body, scoped, wire)
                base, shared = self._find_base(prompt)
                head = None if wire is None else wire.head
            else:
                # The provider holds the history: the prompt is all of it, though the body has only what is new.
                base = self._tips.get(previous)
                is_partial = base is None or base.is_partial
                shared, prompt = _after(base, body, scoped)
                inherits_head = not body.get("tools") and not body.get("system")
                head = base.head if base is not None and inherits_head else None
            if head is None:
                tools, system = body.get("tools") or [], body.get("system")
                # Comparing is 15 us for 40 definitions, hashing them 250 us. What is compared with is our own copy.
                for head in self._heads:
                    if head.tools == tools and head.system == system:
                        break
                else:
                    head = Head(tools, system)
            if not self._heads or self._heads[0] is not head:
                self._use(head)
            # A first prompt sent once more begins a new conversation; anything that builds on an earlier one goes on.
            if base is None:
                if prompt.size > 1:
                    conversation_id = self._conversation_in(prompt.messages) or conversation_id
            elif not (prompt.size == base.count == shared and _is_opening(prompt.messages)):
                conversation_id = base.conversation_id
            copied = 0 if base is None else min(shared, base.count)
            chain = self._extend(base, copied, prompt, scoped)
            tip = Tip(chain, prompt.size, chain.reached[-1][0], head, span_id, conversation_id, is_held, is_partial)
            if prompt.size:
                self._tips[tip.key] = self._tips[~chain.reached[1][0]] = tip
                if wire is not None:
                    self._wires.remember(tip, body, wire, prompt.marked)
            attributes = {} if is_partial else {at.CONTEXT_EVIDENCE: _evidence(tip, base, copied, prompt, body)}
            if head.sent_generation != definition_log.generation and has_definitions:
                head.add_unsent(attributes)
            if len(self._tips) > MAX_KEYS or self._segments > MAX_SEGMENTS:
                self._forget_old()
        return attributes, tip

    def answered(
        self, tip: Tip, message_print: int, answer: Said, calls: Mapping[str, str], message_id: str | None
    ) -> None:
        """Learns the answer to the request at `tip`: its fingerprint as a message, its segments, its calls' tools.

        The next request of this branch sends the answer back, and is recognised by it; or it names the answer's
        `message_id` and leaves the history to the provider.
        """
        with self._lock:
            tip.answer = (message_print, answer)
            self._tips[hash((tip.key, message_print))] = tip
            if tip.is_held and message_id is not None:
                self._tips[message_id] = tip
            if calls:
                tip.chain.tools_by_call.update(calls)
                for call_id, tool in calls.items():
                    self._calls[call_id] = tip.conversation_id
                    self._unclaimed.setdefault(tool, deque(maxlen=_MAX_UNCLAIMED)).append(call_id)
                while len(self._calls) > _MAX_CALLS:
                    self._calls.popitem(last=False)

    def _use(self, head: Head) -> None:
        """Puts `head` before all others."""
        heads = self._heads
        if head in heads:
            heads.remove(head)
        heads.insert(0, head)
        del heads[_MAX_HEADS:]

    def _find_base(self, prompt: Prompt) -> tuple[Tip | None, int]:
        """The request to build on, and how many leading messages both have (more than its own with its answer)."""
        tips, base, shared = self._tips, None, prompt.size
        for place in reversed(prompt.places):
            if (base := tips.get(place)) is not None:
                break
            shared -= 1
        else:
            shared = 0
            if prompt.chain is not None:
                base, shared = self._find_earlier(prompt.chain, prompt.known)
        if prompt.size - shared > _MANY_NEW and (latest := tips.get(~prompt.first())) is not None:
            theirs, ours = latest.prints(), prompt.all_prints()
            if len(set(ours).intersection(theirs)) > shared:
                base, shared = latest, 0
                while shared < min(len(ours), len(theirs)) and theirs[shared] == ours[shared]:
                    shared += 1
        return base, shared

    def _find_earlier(self, chain: Chain, known: int) -> tuple[Tip | None, int]:
        """The same among the messages that are only looked up: fewer than the first `known` of `chain`."""
        for count in range(known - 1, 0, -1):
            if (base := self._tips.get(chain.reached[count][0])) is not None:
                return base, count
        return None, 0

    def _conversation_in(self, messages: Sequence[Mapping[str, Any]]) -> str | None:
        """The conversation that made a tool call which `messages` carry: one resumed without its beginning."""
        for message in reversed(messages):
            content = message.get("content")
            for block in () if type(content) is str else content or ():
                if type(block) is dict and block.get("type") == "tool_use":
                    return self._calls.get(str(block.get("id")))
        return None

    def _extend(self, base: Tip | None, copied: int, prompt: Prompt, scope: int) -> Chain:
        """The chain that has the prompt, of which the first `copied` messages are the base's."""
        known: dict[int, Segment] | None = None
        answer = None
        if base is None:
            chain = Chain(scope)
        else:
            chain = base.chain
            if copied == base.count:
                answer = base.answer
            if not copied == base.count == len(chain.reached) - 1:  # the common case: it goes on where it ended
                chain = base.chain.branch(copied)
                known = base.chain.segments(copied, base.count)
        if copied < prompt.known:
            prompt = Prompt(prompt.messages, scope)
        before = len(chain.texts)
        index = copied - prompt.known
        for print_ in prompt.prints[index:]:
            if answer is not None and print_ == answer[0]:
                said = answer[1]  # described when it came
            else:
                message = prompt.messages[prompt.known + index]
                role, content = message.get("role"), message.get("content")
                said = say(role, content, prompt.pieces[index], chain.tools_by_call, known)
            answer = None
            index += 1
            chain.append(print_, prompt.places[index], said)
        self._segments += len(chain.texts) - (before if base is not None and chain is base.chain else 0)
        return chain

    def _forget_old(self) -> None:
        """Forgets the half of the requests that came first, or all where a single conversation is too long."""
        recent = set(islice(self._tips.values(), len(self._tips) // 2, None))
        self._tips = {key: tip for key, tip in self._tips.items() if tip in recent}
        self._segments = sum(len(chain.texts) for chain in {tip.chain for tip in recent})
        if self._segments > MAX_SEGMENTS:
            self._tips, self._segments = {}, 0


def _after(base: Tip | None, body: Mapping[str, Any], scope: int) -> tuple[int, Prompt]:
    """How many messages a `body` shares with the request whose answer it goes on from, that answer included."""
    if base is None or base.answer is None:
        return 0, numbered(body, scope, None)
    return base.count, continued(body, base.chain, base.count, base.answer[0])


def _evidence(tip: Tip, base: Tip | None, copied: int, prompt: Prompt, body: Mapping[str, Any]) -> str:
    head, chain = tip.head, tip.chain
    offset = len(head.texts)
    _, length, chars, _, _ = chain.reached[-1]
    total = offset + length
    if base is None:
        delta, restated, based = head.texts + chain.texts, None, ""
    else:
        delta = head_delta(head, base.head) + message_delta(tip, base, copied)
        restated, based = restate(tip, copied), f',"base":"{base.span_id}"'
    said = f'"delta":[{",".join(delta)}],"segments":{total},"chars":{head.chars + chars}{based}'
    if restated is not None:
        said += f',"restated":{restated}'
    if head.marks or prompt.marked or "cache_control" in body:
        marks = list(head.marks)
        for index in prompt.marked:
            first = offset + chain.reached[index][1]
            marks.extend((first + place, ttl) for place, ttl in marks_of(prompt.messages[index]))
        if "cache_control" in body:
            mark(marks, total - 1, body)  # at the top level it caches the whole prompt
        if marks:
            said += f',"cache_marks":{json.dumps(marks, separators=(",", ":"))}'
    return f"{{{said}}}"


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
