"""The true owner of every token that the stand-in billed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

from simulator.pricing import Price, cost_nano, prices_at
from standin import Piece, Record, Split
from toolspend_ingest.prices import bundled, price_model


class TruthRow(NamedTuple):
    """Tokens of one owner at one rate within one response; `cost_nano` is in nano-dollars."""

    response_id: str
    kind: str
    tool: str | None
    rate: str
    tokens: int
    cost_nano: int


Owned = tuple[str, str | None, str, int]
"""Kind, tool, rate and tokens."""

_OUTPUT_KINDS = {"text": "assistant", "thinking": "thinking", "tool_use": "tool_use", "server_tool_use": "tool_use"}


def truth_of(
    records: Sequence[Record], at: datetime, compressions: Mapping[int, str] = MappingProxyType({})
) -> list[TruthRow]:
    """The rows of every billed request, at the prices that held `at`.

    `compressions` are the places of requests made to compress a tool's result: all that they cost is the tool's.
    """
    rows = []
    for place, record in enumerate(records):
        if record.bill is None or record.response is None:
            continue
        owned: Counter[tuple[str, str | None, str]] = Counter()
        for kind, tool, rate, tokens in _owned(record):
            owner = ("compression", compressions[place]) if place in compressions else (kind, tool)
            owned[*owner, rate] += tokens
        prompt = sum(tokens for (_, _, rate), tokens in owned.items() if rate not in ("output", "fee"))
        prices = _prices(str(record.body["model"]), at, prompt)
        rows += [
            TruthRow(str(record.response["id"]), kind, tool, rate, tokens, cost_nano(tokens, prices[rate]))
            for (kind, tool, rate), tokens in owned.items()
            if tokens
        ]
    return rows


def _owned(record: Record) -> Iterator[Owned]:
    bill, output, prompt = record.bill, record.output, record.prompt
    assert bill is not None and output is not None and prompt is not None
    yield from _placed(record.pieces, prompt)
    # Each tool that the provider ran made one more pass: it reads what the first one left in the cache, and pays in
    # full for the rest and for what the tools added.
    again = Split(prompt.read + prompt.write, 0, 0, prompt.uncached)
    for _ in range(output.passes):
        yield from _placed(record.pieces, again)
    if output.passes:
        billed = output.server_tokens // output.passes * output.passes
        yield from _placed(output.server_pieces, Split(0, 0, 0, billed))
    if bill.compaction is not None:
        # Whose tokens were summed up does not matter any more: the whole iteration is the compaction's.
        for _, _, rate, tokens in _placed(record.compacted, bill.compaction.prompt):
            yield "compaction", None, rate, tokens
        yield "compaction", None, "output", bill.compaction.output_tokens
    for block, tokens in zip(output.blocks, output.tokens, strict=True):
        if tokens:
            yield _OUTPUT_KINDS[block["type"]], block.get("name"), "output", tokens
    yield "overhead", None, "output", output.end_tokens
    yield "fee", "web_search", "fee", bill.web_searches


def _placed(pieces: Iterable[Piece], split: Split) -> Iterator[Owned]:
    """The pieces at the rates of the places where they lie."""
    rooms = [
        ("cache_read", split.read),
        ("cache_write_1h", split.write_1h),
        ("cache_write_5m", split.write_5m),
        ("input", split.uncached),
    ]
    for piece in pieces:
        tokens = piece.tokens
        while tokens and rooms:
            rate, room = rooms.pop(0)
            taken = min(tokens, room)
            if taken:
                yield piece.owner, piece.tool, rate, taken
            tokens -= taken
            if room > taken:
                rooms.insert(0, (rate, room - taken))


@cache
def _prices_of(model: str) -> tuple[Price, ...]:
    found = price_model("anthropic", model)
    return tuple(
        Price(row.rate, row.usd_per_mtok, row.tier_start_tokens, row.valid_from, row.valid_to)
        for row in bundled()
        if (row.provider, row.model) == found
    )


def _prices(model: str, at: datetime, prompt_tokens: int) -> dict[str, Decimal]:
    return prices_at(_prices_of(model), at, prompt_tokens)
