"""Rows that a session got -> columns of its last prompts and of those that follow, without asking the database.

Only what no rule of `create_prompts.sql`, `items.sql` and `calls.sql` changes is read here: figures within bounds, well
formed evidence, prices between two changes. Everything else is `NotAlone`, and its session is read there, whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from ..rows import Evidence, LlmRequest, ToolCall, ToolSelection
from . import model as m
from .inputs import MAX_CHARS, Calls, Inputs, Items, Prompts, coded
from .lineage import MAX_PIECES
from .model import Ints, K, NotAlone

_MOST_TOKENS: Final = 10**12
_MOST_RAW_CHARS: Final = 10**12
_FINISHED: Final = ("end_turn", "stop", "stop_sequence")
_FLAGS: Final = "ipsle"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)


@dataclass(slots=True)
class Growth:
    """What a session got: requests in the order of time, and calls that are new or in place of others of their id."""

    requests: list[LlmRequest] = field(default_factory=list)
    evidence: dict[str, Evidence] = field(default_factory=dict)
    calls: list[ToolCall] = field(default_factory=list)
    selections: list[ToolSelection] = field(default_factory=list)

    @property
    def has_any(self) -> bool:
        """Whether there is anything to attribute."""
        return bool(self.requests or self.calls or self.selections)


class Price(NamedTuple):
    """Prices by `RATES` as they were for a request, with its time and the tokens of its prompt."""

    by_rate: Ints
    started_us: int
    tokens: int


class Edges(NamedTuple):
    """Where prices of a model change: times, and tokens of a prompt."""

    times_us: list[int]
    tokens: list[int]

    def are_between(self, one: Price, started_us: int, tokens: int) -> bool:
        """Whether a request may have other prices than the one before it."""
        return any((edge <= one.started_us) != (edge <= started_us) for edge in self.times_us) or any(
            (one.tokens > edge) != (tokens > edge) for edge in self.tokens
        )


class Texts:
    """Numbers for texts; those that have one keep it."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = list(texts)
        self._codes = {text: code for code, text in enumerate(texts)}

    def code(self, text: str | None) -> int:
        """The number of a text; -1 for none."""
        if not text:
            return -1
        found = self._codes.setdefault(text, len(self.texts))
        if found == len(self.texts):
            self.texts.append(text)
        return found


def micros(at: datetime) -> int:
    """Microseconds since 1970, as `epoch_us` gives them."""
    past = at - _EPOCH
    return (past.days * 86_400 + past.seconds) * 1_000_000 + past.microseconds


def read_prompts(
    growth: Growth,
    known: Prompts,
    place_of: Mapping[str, int],
    models: Mapping[str | None, int],
    prices: Mapping[str | None, Price],
    edges: Mapping[str, Edges],
) -> Prompts:
    """The columns of the requests, like those of the prompts that they may build on; `place_of` has their places."""
    places = dict(place_of)
    columns: dict[str, list[Any]] = {name: [] for name in Prompts.__slots__}
    for request in growth.requests:
        evidence = growth.evidence.get(request.request_id)
        if evidence is None:
            raise NotAlone("a request has no evidence")
        if request.model not in models:
            raise NotAlone("a model is new")
        said = {
            **_bill(request, prices, edges),
            **_context(request, evidence, places),
            "session": 0,
            "row_id": 0,
            "stream": 0,
            "model": models[request.model],
        }
        for name, value in said.items():
            columns[name].append(value)
        places[request.request_id] = len(places)
    like = ((columns[name], getattr(known, name)) for name in Prompts.__slots__)
    return Prompts(*(np.array(said, dtype=held.dtype).reshape(len(said), *held.shape[1:]) for said, held in like))


def _context(request: LlmRequest, evidence: Evidence, places: Mapping[str, int]) -> dict[str, Any]:
    if evidence.delta is None or evidence.applied_edits is not None:
        raise NotAlone("evidence has no delta, or the provider took something out of a prompt")
    if evidence.trace_id != request.trace_id or request.compressed_tool is not None:
        raise NotAlone("a request belongs to a compression")
    if '"k"' in (evidence.output or ""):
        raise NotAlone("the provider summed up a prompt")
    base = -1 if evidence.base_request_id is None else places.get(evidence.base_request_id, -1)
    if evidence.base_request_id is not None and base < 0:
        raise NotAlone("a request builds on one that is not among the last")
    return {
        "base": base,
        "segments": _within(evidence.segments, MAX_PIECES),
        "chars": _within(evidence.chars, MAX_CHARS),
        "has_evidence": True,
        "has_delta": True,
        "has_output": evidence.output is not None,
        "is_base_stated": evidence.base_request_id is not None,
        "compressed_tool": -1,
        "is_advice": False,
        "cleared_uses": 0,
        "cleared": (0, 0),
        "compaction": (0,) * 5,
    }


def _bill(request: LlmRequest, prices: Mapping[str | None, Price], edges: Mapping[str, Edges]) -> dict[str, Any]:
    parts = (request.cache_read_tokens, request.cache_write_1h_tokens, request.cache_write_5m_tokens)
    read, write_1h, write_5m = (_count(value) or 0 for value in parts)
    known = (request.uncached_tokens, *parts, request.output_tokens)
    is_billed = request.is_usage_known or any(value is not None for value in known)
    _count(request.input_tokens)  # raises where it is out of bounds
    rest = _count(request.uncached_tokens) or 0
    output, searches = _count(request.output_tokens) or 0, _count(request.web_searches) or 0
    thinking = _count(request.thinking_tokens)
    billed = (read, write_1h, write_5m, rest) if is_billed else (0,) * 4
    started_us = micros(request.started_at)
    return {
        "started_us": started_us,
        "is_billed": is_billed,
        "is_usage_known": request.is_usage_known,
        "is_prompt_known": request.is_usage_known or request.uncached_tokens is not None,
        "is_finished": request.stop_reason in _FINISHED,
        "billed": billed,
        "output": output if is_billed else 0,
        "thinking": -1 if thinking is None else thinking,
        "web_searches": searches if is_billed else 0,
        "tools_offered": -1 if request.tools_offered is None else request.tools_offered,
        "prices": _prices(request.price_model if is_billed else None, prices, edges, started_us, sum(billed)),
    }


def _prices(
    model: str | None, prices: Mapping[str | None, Price], edges: Mapping[str, Edges], started_us: int, tokens: int
) -> Sequence[int]:
    if model is None:
        return (-1,) * len(m.RATES)
    known = prices.get(model)
    if known is None or edges[model].are_between(known, started_us, tokens):
        raise NotAlone("a price is not known from an earlier request")
    found: list[int] = known.by_rate.tolist()
    return found


def _count(value: int | None) -> int | None:
    if value is not None and not 0 <= value <= _MOST_TOKENS:
        raise NotAlone("a count is out of bounds")
    return value


def _within(value: int | None, most: int) -> int:
    if value is None:
        return -1
    if not 0 <= value <= most:
        raise NotAlone("a size is out of bounds")
    return value


def read_items(texts: Iterable[tuple[int, str | None]], tools: Texts, ids: Texts, *, may_copy: bool) -> Items:
    """The items of lists in JSON, each with the place of its prompt."""
    rows = [
        (p, n, *_item(item, tools, ids, may_copy))
        for p, text in texts
        if text is not None
        for n, item in enumerate(_list(text))
    ]
    columns = np.array(rows, dtype=np.int64).reshape(len(rows), 17).T
    flags = [columns[place].astype(np.bool_) for place in (2, 9, 10, 11, 12, 13)]
    return coded(columns[0], columns[1], flags[0], *columns[3:9], *flags[1:], *columns[14:])


def _list(text: str) -> list[Any]:
    found = json.loads(text)
    if not isinstance(found, list):
        raise NotAlone("evidence is not a list")
    return found


def _item(item: Any, tools: Texts, ids: Texts, may_copy: bool) -> tuple[int, ...]:
    if (
        not isinstance(item, list)
        or len(item) < 2
        or not all(value is None or type(value) in (int, str) for value in item)
    ):
        raise NotAlone("an item of evidence is none")
    if len(item) == 2 and may_copy and type(item[0]) is int:
        return (1, _size(item[0], 2**53), _size(item[1], 2**53), m.OTHER, 0, -1, -1, *(0,) * 8)
    letter, chars, tool, id_, flags, length, weight, digits = [*item, None, None, None, None, None, None][:8]
    kind = m.LETTERS.find(letter) if isinstance(letter, str) and len(letter) == 1 else -1
    if kind < 0 or kind == K or type(chars) is not int:
        raise NotAlone("a segment is of a kind of its own")
    if not all(value is None or isinstance(value, str) for value in (tool, id_, flags)):
        raise NotAlone("a segment is malformed")
    chars = _size(chars, MAX_CHARS)
    said = [each in (flags or "") for each in _FLAGS]
    more = max((_size(length, 2**27) or 0) - chars, 0)
    sizes = (_size(weight, MAX_CHARS), _size(digits, MAX_CHARS))
    return (0, 0, 0, kind, chars, tools.code(tool), ids.code(id_), *said, more, *sizes)


def _size(value: Any, most: int) -> int:
    if value is None:
        return 0
    if type(value) is not int or not 0 <= value <= most:
        raise NotAlone("a size is out of bounds")
    return value


def read_calls(
    calls: Sequence[ToolCall], place_of: Mapping[str, int], described: frozenset[str], tools: Texts, ids: Texts
) -> Calls:
    """The columns of calls."""
    rows = [
        (
            0, 0, ids.code(call.tool_call_id), tools.code(call.tool), ids.code(call.tool_version),
            place_of.get(call.request_id or "", -1), micros(call.started_at), _within(call.argument_chars, MAX_CHARS),
            _within(call.result_chars, MAX_CHARS), _within(call.raw_result_chars, _MOST_RAW_CHARS),
            call.request_id in described,
        )
        for call in calls
    ]  # fmt: skip
    columns = np.array(rows, dtype=np.int64).reshape(len(rows), 11).T
    every: list[Any] = [*columns[:10], columns[10].astype(np.bool_)]
    return Calls(*every)


def names_of(requests: Sequence[LlmRequest], schema: pa.Schema) -> pa.Table:
    """What the ledger says of the requests."""
    return pa.Table.from_arrays(
        [pa.array([getattr(request, each.name) for request in requests], each.type) for each in schema], schema=schema
    )


def together(
    known: Inputs,
    prompts: Prompts,
    items: tuple[Items, Items],
    calls: Calls,
    texts: tuple[Texts, Texts],
    names: pa.Table,
) -> Inputs:
    """What is known of a session's last prompts, and of those that follow: their deltas and outputs, and all calls."""
    delta, output = items
    columns = ((getattr(known.prompts, name), getattr(prompts, name)) for name in Prompts.__slots__)
    every = Prompts(*(np.concatenate(each) for each in columns))
    return known._replace(
        prompts=every,
        delta=delta,
        output=Items.concatenate([known.output, output]),
        calls=calls,
        tools=texts[0].texts,
        ids=texts[1].texts,
        names=names,
    )
