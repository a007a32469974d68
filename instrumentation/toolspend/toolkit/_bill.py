"""Whose tokens a request was billed, live and roughly: by the weight of its pieces, at the rate of where they lie.

The dashboard learns densities from many bills (`toolspend_ingest.attribution`); this needs no history and no database,
and its sums are the billed sums all the same.
"""

from __future__ import annotations

import importlib.util
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from .. import attributes as at
from ..evidence.definitions import canonical
from ..evidence.image import tokens_of_image
from ..evidence.segments import result_text
from ..evidence.weight import weigh
from ..targets._tools import read

RATES: Final = ("cache_read", "cache_write_1h", "cache_write_5m", "input")
"""The rates of a prompt in the order of its tokens."""
_MOST_KNOWN: Final = 20_000
_FRAME: Final = 8
"""Tokens around a call or a result that no text shows."""
_LEAN_FRAME: Final = 3
"""Those around other blocks."""
FRAMES: Final[dict[str | None, int]] = {at.SEGMENT_CALL: _FRAME, at.SEGMENT_RESULT: _FRAME, None: _LEAN_FRAME}
"""Both by kind of segment; None is any other."""

Piece = tuple["str | None", int]
"""Tool (None: nobody's) and weight."""


class Weigher:
    """Weights of texts, each found once: a prompt is sent again and again."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[int, int], int] = OrderedDict()

    def __call__(self, text: str) -> int:
        """About how many tokens `text` has."""
        key = (hash(text), len(text))
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = weigh(text).tokens
            if len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
        return found


def prompt_pieces(request: Mapping[str, Any], weight: Weigher) -> list[Piece]:
    """The pieces of a request's prompt in its order: tools, system, messages."""
    found: list[Piece] = []
    for tool in request.get("tools") or ():
        name = str(read(tool, "name") or "")
        found.append(
            (name, weight(name + str(read(tool, "description") or "") + canonical(read(tool, "input_schema") or {})))
        )
    for block in _blocks(request.get("system")):
        found.append((None, weight(_text(block))))
    names: dict[str, str] = {}
    for message in request.get("messages") or ():
        for block in _blocks(read(message, "content")):
            found.append(_piece(block, names, weight))
    return found


def output_pieces(response: Any, weight: Weigher) -> list[Piece]:
    """The pieces of a response."""
    return [_piece(block, {}, weight) for block in _blocks(read(response, "content"))]


def shares(pieces: Sequence[Piece], billed: Sequence[tuple[str, int]]) -> Iterable[tuple[str | None, str, int]]:
    """(tool, rate, tokens) of every piece: `billed` in its order is laid over the pieces, stretched to their weight."""
    total = sum(tokens for _, tokens in billed)
    whole = sum(weight for _, weight in pieces)
    if not whole or not total:
        for rate, tokens in billed:
            yield None, rate, tokens
        return
    edges, end = [], 0
    for rate, tokens in billed:
        edges.append((rate, end, end + tokens))
        end += tokens
    before = 0
    for tool, weight in pieces:
        start, stop = round(before * total / whole), round((before + weight) * total / whole)
        before += weight
        for rate, first, last in edges:
            tokens = min(stop, last) - max(start, first)
            if tokens > 0:
                yield tool, rate, tokens


def usage_of(response: Any) -> tuple[list[tuple[str, int]], int] | None:
    """The billed prompt tokens by rate, in the order of the prompt, and the output; None where it is not known."""
    usage = read(response, "usage")
    uncached, output = read(usage, "input_tokens"), read(usage, "output_tokens")
    if not isinstance(uncached, int) or not isinstance(output, int):
        return None
    written = read(usage, "cache_creation_input_tokens") or 0
    split = read(usage, "cache_creation")
    hour = (read(split, "ephemeral_1h_input_tokens") or 0) if split is not None else 0
    counts = (read(usage, "cache_read_input_tokens") or 0, hour, written - hour, uncached)
    return list(zip(RATES, counts, strict=True)), output


def has_listed_prices() -> bool:
    """Whether genai-prices is installed; it is not loaded for that."""
    return importlib.util.find_spec("genai_prices") is not None


def listed_prices(model: str, prompt_tokens: int) -> dict[str, float] | None:
    """US dollars a million tokens by rate, from genai-prices where that is installed; None where they are not known."""
    try:
        # By name: it is no dependency of this package, and loading it takes 0.15 s.
        prices = importlib.import_module("genai_prices")
    except ModuleNotFoundError:
        return None
    parts = {
        "input": {"input_tokens": prompt_tokens},
        "output": {"input_tokens": prompt_tokens, "output_tokens": 1_000},
        "cache_read": {"input_tokens": prompt_tokens, "cache_read_tokens": prompt_tokens},
        "cache_write_5m": {"input_tokens": prompt_tokens, "cache_write_tokens": prompt_tokens},
        "cache_write_1h": {
            "input_tokens": prompt_tokens, "cache_write_tokens": prompt_tokens, "cache_write_1h_tokens": prompt_tokens,
        },
    }  # fmt: skip
    found: dict[str, float] = {}
    for rate, usage in parts.items():
        try:
            price = prices.calc_price(prices.Usage(**usage), model, provider_id="anthropic")
        except (LookupError, TypeError, ValueError):
            if rate in ("input", "output"):
                return None
            continue
        dollars = price.output_price if rate == "output" else price.input_price
        found[rate] = float(dollars) / (1_000 if rate == "output" else prompt_tokens) * 1e6
    return found


def _blocks(content: Any) -> Sequence[Any]:
    return (content,) if isinstance(content, str) else content or ()


def _piece(block: Any, names: dict[str, str], weight: Weigher) -> Piece:
    kind = None if isinstance(block, str) else read(block, "type")
    if kind in ("tool_use", "server_tool_use", "mcp_tool_use"):
        name = str(read(block, "name") or "")
        names[str(read(block, "id"))] = name
        return name, weight(name + canonical(read(block, "input") or {})) + _FRAME
    if isinstance(kind, str) and kind.endswith("tool_result"):
        name = names.get(str(read(block, "tool_use_id")), "")
        content = read(block, "content")
        if not isinstance(content, list):
            return name or None, weight(result_text(content)) + _FRAME
        return name or None, sum(_part(part, weight) for part in content) + _FRAME
    return None, _part(block, weight) + _LEAN_FRAME


def _part(block: Any, weight: Weigher) -> int:
    kind = None if isinstance(block, str) else read(block, "type")
    source = read(block, "source") if kind in ("image", "document") else None
    data = read(source, "data") if source is not None else None
    if kind == "image":
        return (tokens_of_image(data) if isinstance(data, str) else None) or 1_500
    return weight(_text(block))


def _text(block: Any) -> str:
    if isinstance(block, str):
        return block
    for key in ("text", "thinking", "data"):
        if isinstance(found := read(block, key), str):
            return found
    return canonical(block) if isinstance(block, Mapping) else str(block)
