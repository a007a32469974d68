"""What emitters leave unsaid of a prompt, made good as far as its session shows it.

Some send the messages without the system prompt and the definitions before them; some cut the oldest messages off;
where the provider holds the history, only what is new is sent. A prompt that goes on from an earlier answer, as it has
its calls or their results, is given as that request's prompt, its answer and what is new. Of everything else only the
bill tells how much was not said: one segment of no known kind, so that it is nobody's, and no message has to account
for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from toolspend import attributes as at
from toolspend.evidence.segments import encoded
from toolspend.evidence.weight import Weight

from . import json_text
from .rows import Evidence, LlmRequest
from .segments import Repeat, Segment

_TOKENS_PER_CHAR: Final = 0.25
_TOKENS_PER_DOCUMENT_CHAR: Final = 1 / 35
_PER_BLOCK: Final = {at.SEGMENT_CALL: 28, at.SEGMENT_RESULT: 13}
_PER_PROMPT: Final = 3
_PER_MESSAGE: Final = 4
"""What a request and each of its messages cost beyond their text."""
_MOST: Final = 2**25
_WRITTEN: Final = (at.SEGMENT_ASSISTANT, at.SEGMENT_THINKING, at.SEGMENT_CALL)
_HEAD: Final = (at.SEGMENT_DEFINITION, at.SEGMENT_SYSTEM, at.SEGMENT_OTHER)

Pieces = Sequence[Segment | Repeat | None]


def marked(delta: str, *, is_cut: bool) -> str:
    """The segments of a prompt of which the beginning was not said, with a mark that stands for it."""
    flags = at.FLAG_UNSAID + (at.FLAG_CUT if is_cut else "")
    said = delta.strip()[1:].lstrip()
    return f'[["{at.SEGMENT_OTHER}",0,null,null,"{flags}"]{"" if said == "]" else ","}{said}'


def head_of(billed: int | None, said: Iterable[Sequence[Any]]) -> str | None:
    """The segment for what a prompt was billed for beyond what is said of it; None where nothing is left, or known."""
    if billed is None:
        return None
    tokens, speaker = float(billed - _PER_PROMPT), None
    for item in said:
        is_written = item[0] in _WRITTEN
        if is_written is not speaker and item[0] not in _HEAD:
            speaker = is_written
            tokens -= _PER_MESSAGE
        tokens -= _tokens(item)
    left = round(tokens)
    return encoded(at.SEGMENT_OTHER, 0, weight=Weight(left, 0))[0] if left > 0 else None


def _tokens(item: Sequence[Any]) -> float:
    kind, chars, _, _, flags, _, weight = [*item, *[None] * 5][:7]
    is_document = isinstance(flags, str) and at.FLAG_DOCUMENT in flags
    text = min(max(chars, 0), _MOST) * (_TOKENS_PER_DOCUMENT_CHAR if is_document else _TOKENS_PER_CHAR)
    return (min(weight, _MOST) if type(weight) is int and weight > 0 else text) + _PER_BLOCK.get(kind, 0)


class _Base(NamedTuple):
    """An earlier request, and where in a prompt begins what came after its answer."""

    request_id: str
    place: int


class Unsaid:
    """What is known of the prompts of a session whose beginnings were not said; told in the order of time."""

    def __init__(self) -> None:
        self.is_uncertain = False
        """Whether a prompt goes on from one that is not known any more."""
        self.outputs: dict[str, str] = {}
        """What responses were made of, by request id."""
        self._heads: dict[str, str | None] = {}
        """What stands before messages, by those that they begin with."""

    def complete(
        self,
        request: LlmRequest,
        row: Evidence,
        prompt: Pieces,
        asked_by: Callable[[str], str | None],
        kinds: Mapping[str, str],
    ) -> bool:
        """Puts into the evidence of a request what was not said of its prompt; says whether it changed.

        `asked_by` gives the request that made a call, `kinds` the segments of the prompts that are known.
        """
        mark = prompt[0].flags if prompt and isinstance(prompt[0], Segment) and prompt[0].chars == 0 else ""
        is_unsaid, is_cut = at.FLAG_UNSAID in mark, at.FLAG_CUT in mark
        start = next((n for n, piece in enumerate(prompt) if not _is(piece, _HEAD)), len(prompt))
        orphan = _orphan(prompt, start)
        if row.delta is None or not (is_unsaid or orphan) or not all(isinstance(each, Segment) for each in prompt):
            return False
        items = json_text.read(row.delta)
        if (base := _base(prompt, start, orphan, asked_by, is_cut=is_cut)) is not None:
            if (known := kinds.get(base.request_id)) is not None:
                self._go_on(row, items, base, start, known)
                return True
            self.is_uncertain = True
        self._begin(request, row, items[1:] if is_unsaid else items, is_cut=is_cut)
        return True

    def _go_on(self, row: Evidence, items: list[Any], base: _Base, start: int, known: str) -> None:
        """The prompt as that of its base, the answer to it, and what is new."""
        if (output := self.outputs.get(base.request_id)) is not None:
            answer = json_text.read(output)
        else:  # a stream whose content was not said: what the model wrote last
            first = base.place
            while first > start and items[first - 1][0] in _WRITTEN:
                first -= 1
            answer = items[first : base.place]
        head = [item for item in items[:start] if item[0] != at.SEGMENT_OTHER]
        before = len(known) - len(known.lstrip("".join(_HEAD)))
        is_same = not head or [item[0] for item in head] == [kind for kind in known[:before] if kind not in "o"]
        copied = [[0, len(known)]] if is_same else [*head, [before, len(known) - before]]
        earlier = len(known) if is_same else len(head) + len(known) - before
        row.base_request_id = base.request_id
        row.delta = json_text.write([*copied, *answer, *items[base.place :]])
        if row.segments is not None:
            row.segments, row.chars = earlier + len(answer) + len(items) - base.place, None
        mark = int(bool(items) and items[0][0] == at.SEGMENT_OTHER)
        _shift(row, earlier + len(answer) - base.place + mark, base.place - mark)

    def _begin(self, request: LlmRequest, row: Evidence, items: list[Any], *, is_cut: bool) -> None:
        """The prompt with what its bill, or that of the first that began alike, has beyond it."""
        first = next((n for n, item in enumerate(items) if item[0] not in _HEAD), len(items))
        key = json_text.write([is_cut, *items[: first + 1]])
        if key in self._heads:
            head = self._heads[key]
        else:
            billed = _billed(request)
            head = head_of(billed, items)
            if billed is not None:
                self._heads[key] = head
        row.delta = json_text.write(items if head is None else [json_text.read(head), *items])
        if head is not None:
            _shift(row, 1, 0)
            if row.segments is not None:
                row.segments += 1


def _is(piece: Segment | Repeat | None, kinds: Sequence[str]) -> bool:
    return isinstance(piece, Segment) and piece.kind in kinds


def _orphan(prompt: Pieces, start: int) -> str | None:
    """The call of the result that a prompt begins with, where the prompt does not have that call."""
    first = prompt[start] if start < len(prompt) else None
    if not isinstance(first, Segment) or first.kind != at.SEGMENT_RESULT or first.is_server or not first.id:
        return None
    calls = {piece.id for piece in prompt if isinstance(piece, Segment) and piece.kind == at.SEGMENT_CALL}
    return first.id if first.id not in calls else None


def _base(
    prompt: Pieces, start: int, orphan: str | None, asked_by: Callable[[str], str | None], *, is_cut: bool
) -> _Base | None:
    """The request whose answer a prompt goes on from."""
    if is_cut:
        for place in range(len(prompt) - 1, -1, -1):
            piece = prompt[place]
            if not isinstance(piece, Segment) or piece.kind != at.SEGMENT_CALL or not piece.id:
                continue
            if (asked := asked_by(piece.id)) is not None:
                return _Base(asked, place + 1)
    asked = asked_by(orphan) if orphan is not None else None
    return _Base(asked, start) if asked is not None else None


def _billed(request: LlmRequest) -> int | None:
    """The tokens of a request's whole prompt, where they are known."""
    if request.input_tokens is not None:
        return request.input_tokens
    parts = (request.cache_read_tokens, request.cache_write_5m_tokens, request.cache_write_1h_tokens)
    return request.uncached_tokens + sum(part or 0 for part in parts) if request.uncached_tokens is not None else None


def _shift(row: Evidence, by: int, since: int) -> None:
    """Moves the cache marks of the segments from `since` on; those before it are gone."""
    if row.cache_marks is not None:
        marks = [mark for mark in json_text.read(row.cache_marks) if isinstance(mark, list) and len(mark) == 2]
        row.cache_marks = json_text.write([[n + by, ttl] for n, ttl in marks if type(n) is int and n >= since])
