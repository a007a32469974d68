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
from typing import Any, Final, NamedTuple

from .. import attributes as at
from .definitions import definition_log
from .delta import head_delta, message_delta, restate
from .head import Head
from .line import Chain, Row, Tip
from .segments import Described, describe, fingerprints, mark, marks_of, piece_print, pieces

MAX_CHAINS: Final = 256
MAX_SEGMENTS: Final = 400_000
_MAX_CALLS: Final = 20_000
_MAX_HEADS: Final = 8
_MAX_UNCLAIMED: Final = 64
_MANY_NEW: Final = 8
"""More new segments than a turn usually adds: worth a look whether an edited conversation has most of them."""


class _Spot(NamedTuple):
    head: Head
    span_id: str
    conversation_id: str
    is_partial: bool


class _Answer(NamedTuple):
    tip: Tip
    message_print: int
    rows: Sequence[Row]


class Chains:
    """All conversations that this process remembers. Safe for threads; every method takes the lock briefly."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tips: dict[int, Tip] = {}
        self._roots: dict[int, Tip] = {}
        self._used: OrderedDict[int, Chain] = OrderedDict()
        self._segments = 0
        self._calls: OrderedDict[str, str] = OrderedDict()
        self._answers: OrderedDict[str, _Answer] = OrderedDict()
        self._heads: list[Head] = []
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
        self, body: Mapping[str, Any], *, scope: str | None, span_id: str, conversation_id: str, has_definitions: bool
    ) -> tuple[dict[str, Any], Tip]:
        """The evidence of a request `body` as span attributes, and the request's tip.

        `scope` keeps conversations of different sessions apart. `conversation_id` is for a conversation that begins
        here: one that goes on keeps the id that it began with (`tip.conversation_id`).
        """
        messages = [each for each in body.get("messages") or () if type(each) is dict]
        prints, marked = fingerprints(messages)
        with self._lock:
            answer = self._answers.get(previous) if (previous := _continued(body)) is not None else None
            is_partial = previous is not None and (answer is None or answer.tip.is_partial)
            if answer is not None:
                # The provider holds the history: the prompt is all of it, though the body has only what is new.
                history = answer.tip.chain.messages[: answer.tip.count]
                prints = [*history, answer.message_print, *prints]
                messages = [*({},) * (len(history) + 1), *messages]
                marked = [len(history) + 1 + index for index in marked]
            keys = _keys(scope, prints)
            base, shared = self._find_base(keys, prints) if answer is None else (answer.tip, answer.tip.count)
            inherits_head = answer is not None and not body.get("tools") and not body.get("system")
            head = base.head if base is not None and inherits_head else self._head_of(body)
            # A first prompt sent once more begins a new conversation; anything that builds on an earlier one goes on.
            if base is not None and not (len(prints) == base.count == shared and _is_opening(messages)):
                conversation_id = base.conversation_id
            elif base is None:
                conversation_id = self._conversation_in(messages) or conversation_id
            spot = _Spot(head, span_id, conversation_id, is_partial)
            tip, copied = self._extend(base, shared, prints, messages, answer, spot, keys)
            attributes = (
                {}
                if is_partial
                else self._evidence(tip, base, copied, [(index, messages[index]) for index in marked], body)
            )
            if has_definitions and (unsent := definition_log.unsent(head.definitions)) is not None:
                attributes[at.TOOL_DEFINITIONS] = unsent
            self._forget_old()
        return attributes, tip

    def answered(
        self, tip: Tip, message_print: int, rows: Sequence[Row], calls: Mapping[str, str], message_id: str | None
    ) -> None:
        """Learns the answer to the request at `tip`: its fingerprint as a message, its segments, its calls' tools.

        The next request of this branch sends the answer back, and is recognised by it; or it names the answer's
        `message_id` and leaves the history to the provider.
        """
        with self._lock:
            key = hash((tip.key, message_print))
            self._tips[key] = tip
            tip.chain.keys.append(key)
            tip.chain.tools_by_call.update(calls)
            for call_id, tool in calls.items():
                self._calls[call_id] = tip.conversation_id
                self._unclaimed.setdefault(tool, deque(maxlen=_MAX_UNCLAIMED)).append(call_id)
            if message_id is not None:
                self._answers[message_id] = _Answer(tip, message_print, rows)
            for index, limit in ((self._calls, _MAX_CALLS), (self._answers, MAX_CHAINS)):
                while len(index) > limit:
                    index.popitem(last=False)

    def _head_of(self, body: Mapping[str, Any]) -> Head:
        tools, system = body.get("tools") or [], body.get("system")
        # Comparing is 15 us for 40 definitions, hashing them 250 us. What is compared with is our own copy.
        for index, head in enumerate(self._heads):
            if head.is_of(tools, system):
                if index:
                    self._heads.insert(0, self._heads.pop(index))
                return head
        head = Head(tools, system)
        self._heads.insert(0, head)
        del self._heads[_MAX_HEADS:]
        return head

    def _find_base(self, keys: list[int], prints: list[int]) -> tuple[Tip | None, int]:
        """The request to build on, and how many leading messages both have (more than its own with its answer)."""
        base, shared = None, 0
        for count in range(len(prints), 0, -1):
            if (tip := self._tips.get(keys[count])) is not None:
                base, shared = tip, count
                break
        if len(prints) - shared > _MANY_NEW and (latest := self._roots.get(keys[1])) is not None:
            theirs = latest.chain.messages[: latest.count]
            if len(set(prints).intersection(theirs)) > shared:
                base, shared = latest, 0
                while shared < min(len(prints), len(theirs)) and theirs[shared] == prints[shared]:
                    shared += 1
        return base, shared

    def _conversation_in(self, messages: Sequence[Mapping[str, Any]]) -> str | None:
        """The conversation that made a tool call which `messages` carry: one resumed without its beginning."""
        for message in reversed(messages):
            for _, block in pieces(message):
                if type(block) is dict and block.get("type") == "tool_use":
                    return self._calls.get(str(block.get("id")))
        return None

    def _extend(
        self,
        base: Tip | None,
        shared: int,
        prints: list[int],
        messages: Sequence[Mapping[str, Any]],
        answer: _Answer | None,
        spot: _Spot,
        keys: list[int],
    ) -> tuple[Tip, int]:
        """The new request's tip, and how many of its message segments it copies from the base's beginning."""
        copied = 0 if base is None else min(shared, base.count)
        known: dict[int, Described] = {}
        if base is not None and base.count == len(base.chain.messages) == copied:
            chain = base.chain  # the common case: the conversation goes on where it ended
        else:
            chain = Chain()
            self._used[id(chain)] = chain
            if base is not None:
                chain.tools_by_call.update(base.chain.tools_by_call)
                for index in range(copied):
                    chain.append(prints[index], base.chain.rows(index))
                first, last = base.chain.bounds[copied], base.length
                known = dict(zip(base.chain.prints[first:last], base.chain.segments[first:last], strict=True))
        before = 0 if base is None or chain is not base.chain else len(chain.segments)
        for index in range(copied, len(prints)):
            if answer is not None and index == copied:
                chain.append(prints[index], answer.rows)
                continue
            rows = []
            for block in pieces(messages[index]):
                print_ = piece_print(block)
                rows.append((print_, known.get(print_) or describe(*block, chain.tools_by_call)))
            chain.append(prints[index], rows)
        self._segments += len(chain.segments) - before
        tip = Tip(chain, len(prints), keys[-1], *spot)
        for key in {keys[-1], keys[1]} if prints else ():
            chain.keys.append(key)
        if prints:
            self._tips[keys[-1]] = tip
            self._roots[keys[1]] = tip
        self._used.move_to_end(id(chain))
        return tip, chain.bounds[copied]

    def _evidence(
        self,
        tip: Tip,
        base: Tip | None,
        copied: int,
        marked: Sequence[tuple[int, Mapping[str, Any]]],
        body: Mapping[str, Any],
    ) -> dict[str, Any]:
        head, chain = tip.head, tip.chain
        offset = len(head.segments)
        total = offset + tip.length
        new = chain.segments[copied : tip.length]
        if base is None:
            delta = [segment.text for segment in (*head.segments, *new)]
        else:
            delta = head_delta(head, base.head) + message_delta(tip, base, copied)
        attributes: dict[str, Any] = {
            at.CONTEXT_DELTA: "[" + ",".join(delta) + "]",
            at.CONTEXT_SEGMENTS: total,
            at.CONTEXT_CHARS: head.chars + chain.totals[tip.length],
        }
        if base is not None:
            attributes[at.CONTEXT_BASE] = base.span_id
            if restated := restate(tip, copied):
                attributes[at.CONTEXT_RESTATED] = restated
        marks = list(head.marks)
        for index, message in marked:
            first = offset + chain.bounds[index]
            marks.extend((first + place, ttl) for place, ttl in marks_of(message))
        mark(marks, total - 1, body)  # top-level cache_control caches the whole prompt
        if marks:
            attributes[at.CONTEXT_CACHE_MARKS] = json.dumps(marks, separators=(",", ":"))
        return attributes

    def _forget_old(self) -> None:
        while self._used and (len(self._used) > MAX_CHAINS or self._segments > MAX_SEGMENTS):
            _, chain = self._used.popitem(last=False)
            self._segments -= len(chain.segments)
            for key in chain.keys:
                for index in (self._tips, self._roots):
                    if (tip := index.get(key)) is not None and tip.chain is chain:
                        del index[key]


def _keys(scope: str | None, prints: list[int]) -> list[int]:
    """`keys[k]` stands for the first k message segments within `scope`."""
    key = hash(scope)
    keys = [key]
    for print_ in prints:
        key = hash((key, print_))
        keys.append(key)
    return keys


def _continued(body: Mapping[str, Any]) -> str | None:
    """The id of the message that `body` continues a provider-held thread from, or None."""
    thread = body.get("thread")
    if isinstance(thread, Mapping) and thread.get("type") == "continue":
        return str(thread.get("previous_message_id"))
    return None


def _is_opening(messages: Sequence[Mapping[str, Any]]) -> bool:
    return all(message.get("role") != "assistant" for message in messages)


conversations: Final = Chains()

if hasattr(os, "register_at_fork"):
    # A child inherits what is known, but must not inherit a lock that another thread of the parent held.
    os.register_at_fork(after_in_child=conversations.renew_lock)
