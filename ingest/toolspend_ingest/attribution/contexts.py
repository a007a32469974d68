"""Evidence -> the pieces of each prompt.

A delta copies runs of its base and says the rest; a copied piece keeps its identity. Where the base is lost, the
latest known prompt that may have been its beginning stands in for it, the rest is blanks, and `restated` segments of
this and of later prompts fill the blanks in: as a blank has an identity too, what a later prompt says of it holds for
every prompt that copied it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from .evidence import MAX_CHARS, Copy, read_delta, read_restated, read_segments
from .model import Call, Evidence, Ints, RequestBill, Segment
from .pieces import Pieces

MAX_PIECES: Final = 100_000
"""Longer prompts are cut: a million tokens are some thousand blocks."""
_STAND_INS: Final = 8


class Run(NamedTuple):
    """`length` pieces of the base, from its position `start`, that lie in the prompt from `at` on."""

    at: int
    start: int
    length: int


@dataclass(slots=True, eq=False)
class Prompt:
    """The pieces of one prompt in its order; position 0 is the hidden tool prompt.

    The last `tail` pieces are what server tools added while the request ran: billed with it, and no client sent them.
    `is_whole` says that no loss of evidence has touched it, `has_stand_in` that its own base was lost. `chars` is the
    length that the evidence states.
    """

    ids: Ints
    base: Prompt | None
    copies: list[Run]
    tail: int = 0
    is_whole: bool = True
    is_inferred: bool = False
    has_stand_in: bool = False
    chars: int | None = None
    versions: dict[str, str | None] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """How many pieces the client sent, the hidden tool prompt counted."""
        return len(self.ids) - self.tail

    @property
    def has_tools(self) -> bool:
        """Whether it offers any tool."""
        return bool(self.versions)


@dataclass(slots=True)
class Contexts:
    """The prompts and outputs of a session by request; `order` has the prompts with every base before its users."""

    pieces: Pieces
    prompts: dict[str, Prompt]
    outputs: dict[str, list[Segment]]
    order: list[str]


def read_contexts(requests: Sequence[RequestBill], evidence: Sequence[Evidence], calls: Sequence[Call]) -> Contexts:
    """The prompts of a session; everything given is in the order of time."""
    pieces = Pieces({call.tool_call_id: call.tool for call in calls if call.tool_call_id is not None})
    contexts = Contexts(pieces, {}, {}, [])
    reader = _Reader(contexts, evidence)
    for each in evidence:
        reader.read(each.request_id)
    _add_usage_only(contexts, requests, calls)
    return contexts


class _Reader:
    def __init__(self, contexts: Contexts, evidence: Sequence[Evidence]) -> None:
        self._contexts = contexts
        self._pieces = contexts.pieces
        self._evidence = {each.request_id: each for each in evidence}
        self._recent: list[Prompt] = []

    def read(self, request_id: str) -> None:
        """Reads a prompt, and those that it builds on before it."""
        prompts = self._contexts.prompts
        waiting = [request_id]
        begun = set()
        while waiting:
            current = waiting[-1]
            if current in prompts:
                waiting.pop()
                continue
            evidence = self._evidence[current]
            base = evidence.base
            if base in self._evidence and base not in prompts and base not in begun and base != current:
                begun.add(current)
                waiting.append(str(base))
                continue
            waiting.pop()
            prompt = self._assemble(evidence, prompts.get(base) if base is not None else None)
            prompts[current] = prompt
            self._contexts.order.append(current)
            self._recent.append(prompt)
            del self._recent[:-_STAND_INS]

    def _assemble(self, evidence: Evidence, base: Prompt | None) -> Prompt:
        items = read_delta(evidence.delta)
        stated = min(max(evidence.segments or 0, 0), MAX_PIECES)
        is_keyframe = evidence.base is None and items is not None
        is_stand_in = False
        is_whole = is_keyframe or (base is not None and base.is_whole)
        if items is None:  # nothing can be read: as if the base were all of it
            items, base = [Copy(0, stated)], None
            is_whole = False
        if base is None and not is_keyframe:
            is_whole, is_stand_in = False, True
            base = self._stand_in(items, evidence)
        prompt = _Assembly(self._pieces, base, stated, is_keyframe).build(items)
        prompt.is_whole = is_whole and prompt.is_whole
        prompt.has_stand_in = is_stand_in
        prompt.chars = None if evidence.chars is None else min(max(evidence.chars, 0), MAX_CHARS)
        if is_keyframe:
            self._align(prompt)
        if not prompt.is_whole:
            self._restate(prompt, evidence)
        self._answer(prompt, evidence)
        return prompt

    def _stand_in(self, items: Sequence[Copy | Segment], evidence: Evidence) -> Prompt | None:
        """The latest prompt that may have been the beginning of the lost base."""
        copied = max((item.start + item.length for item in items if isinstance(item, Copy)), default=0)
        if evidence.chars is None:
            room = None
        else:
            room = evidence.chars - sum(item.chars for item in items if isinstance(item, Segment))
        for prompt in reversed(self._recent):
            if prompt.length - 1 <= copied and (room is None or prompt.chars is None or prompt.chars <= room):
                return prompt
        return None

    def _align(self, prompt: Prompt) -> None:
        """Finds a keyframe that goes on with a known conversation the prompt that it goes on from."""
        best = 1
        for other in reversed(self._recent):
            length = min(prompt.length, other.length)
            same = prompt.ids[:length] == other.ids[:length]
            shared = length if same.all() else int(same.argmin())
            if shared > best:
                best = shared
                prompt.base, prompt.copies = other, [Run(0, 0, shared)]

    def _restate(self, prompt: Prompt, evidence: Evidence) -> None:
        is_changed = False
        for index, segment in read_restated(evidence.restated):
            if index + 1 >= prompt.length:
                continue
            piece = int(prompt.ids[index + 1])
            if self._pieces.segments[piece] == segment:
                continue
            if self._pieces.is_blank(piece):
                self._pieces.resolve(piece, segment, prompt.versions)
                continue
            # What stood in for the base was not it.
            others = [known for known in self._pieces.known(segment) if not (prompt.ids == known).any()]
            prompt.ids[index + 1] = others[0] if others else self._pieces.add(segment, prompt.versions)
            is_changed = True
        if is_changed:
            _recut(prompt)

    def _answer(self, prompt: Prompt, evidence: Evidence) -> None:
        """Keeps the output; what server tools returned in it was read by the model within the same request."""
        output = read_segments(evidence.output)
        if output is None:
            return
        self._contexts.outputs[evidence.request_id] = output
        tail = [
            self._pieces.add(segment, prompt.versions)
            for segment in output
            if segment.kind == "r" and "s" in segment.flags
        ]
        if tail:
            prompt.ids = np.concatenate([prompt.ids, np.array(tail, dtype=np.int64)])
            prompt.tail = len(tail)


class _Assembly:
    """Puts one prompt together from the items of its delta."""

    def __init__(self, pieces: Pieces, base: Prompt | None, stated: int, is_keyframe: bool) -> None:
        self._pieces = pieces
        self._base = base
        self._stated = stated
        self._is_keyframe = is_keyframe
        self._parts: list[Ints] = []
        self._new: list[int] = [0]
        self._used: set[int] = set()
        self._copies: list[Run] = []
        self._length = 1
        self._has_blanks = False
        self._versions = base.versions if base is not None else {}

    def build(self, items: Sequence[Copy | Segment]) -> Prompt:
        offered = {item.tool: item.id for item in items if type(item) is Segment and item.kind == "d" and item.tool}
        if offered:
            self._versions = {**self._versions, **offered}
        for item in items:
            if self._length >= MAX_PIECES:
                break
            if isinstance(item, Copy):
                self._copy(item)
            else:
                self._say(item)
        self._flush()
        ids = self._parts[0] if len(self._parts) == 1 else np.concatenate(self._parts)
        return Prompt(ids, self._base, self._copies, is_whole=not self._has_blanks, versions=self._versions)

    def _copy(self, item: Copy) -> None:
        wanted = min(item.length, MAX_PIECES - self._length)
        taken = 0
        if self._base is not None:
            start = min(item.start + 1, self._base.length)
            taken = min(wanted, self._base.length - start)
            if taken > 0:
                self._flush()
                self._parts.append(self._base.ids[start : start + taken])
                self._note(Run(self._length, start, taken))
                self._length += taken
        for _ in range(min(wanted - taken, self._stated + 1 - self._length)):
            self._put(self._pieces.add_blank())
            self._has_blanks = True

    def _note(self, run: Run) -> None:
        if run.at == 1 == run.start:
            run = Run(0, 0, run.length + 1)  # the same beginning: the same hidden tool prompt
        if self._copies:
            last = self._copies[-1]
            if last.at + last.length == run.at and last.start + last.length == run.start:
                self._copies[-1] = Run(last.at, last.start, last.length + run.length)
                return
        self._copies.append(run)

    def _say(self, segment: Segment) -> None:
        # Text is new when the base did not have it; calls, results and definitions say by their id who they are.
        if segment.id is not None or self._is_keyframe:
            for known in self._pieces.known(segment):
                if known not in self._used and not any((part == known).any() for part in self._parts):
                    self._put(known)
                    return
        self._put(self._pieces.add(segment, self._versions))

    def _put(self, piece: int) -> None:
        self._used.add(piece)
        self._new.append(piece)
        self._length += 1

    def _flush(self) -> None:
        if self._new:
            self._parts.append(np.array(self._new, dtype=np.int64))
            self._new = []


def _recut(prompt: Prompt) -> None:
    """Leaves out of the copies what is no longer as in the base."""
    if prompt.base is None:
        return
    kept: list[Run] = []
    for run in prompt.copies:
        same = prompt.ids[run.at : run.at + run.length] == prompt.base.ids[run.start : run.start + run.length]
        edges = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]]).astype(np.int8)))
        kept.extend(
            Run(run.at + int(first), run.start + int(first), int(last - first))
            for first, last in zip(edges[::2], edges[1::2], strict=True)
        )
    prompt.copies = kept


def _add_usage_only(contexts: Contexts, requests: Sequence[RequestBill], calls: Sequence[Call]) -> None:
    """Prompts of requests without evidence: that of the request before, and the calls between the two."""
    if all(bill.request_id in contexts.prompts for bill in requests):
        return
    pieces = contexts.pieces
    times = [call.started_at for call in calls]
    latest: dict[tuple[str | None, str | None, str | None], RequestBill] = {}
    for bill in requests:
        key = (bill.service, bill.agent, bill.model)
        before = latest.get(key)
        if bill.is_usage_known and bill.compressed_tool is None:
            latest[key] = bill
        if bill.request_id in contexts.prompts:
            continue
        new: list[int] = []
        prompt = Prompt(np.zeros(1, dtype=np.int64), None, [], is_inferred=True)
        if before is not None and bill.is_usage_known and bill.prompt_tokens >= before.prompt_tokens:
            prompt.base = contexts.prompts[before.request_id]
            prompt.copies = [Run(0, 0, prompt.base.length)]
            prompt.versions = prompt.base.versions
            between = calls[bisect_left(times, before.started_at) : bisect_left(times, bill.started_at)]
            for call in between:
                for kind, chars in (("c", call.argument_chars), ("r", call.result_chars)):
                    segment = Segment(kind, min(max(chars or 0, 0), MAX_CHARS), call.tool, call.tool_call_id)
                    new.append(pieces.add(segment, prompt.versions))
            old = prompt.base.ids[: prompt.base.length]
            prompt.ids = np.concatenate([old, np.array(new or [pieces.add(Segment("o", 1), {})], dtype=np.int64)])
        else:
            prompt.ids = np.array([0, pieces.add(Segment("o", 1), {})], dtype=np.int64)
        contexts.prompts[bill.request_id] = prompt
        contexts.order.append(bill.request_id)
