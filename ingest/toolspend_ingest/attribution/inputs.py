"""Rows of the store -> columns that the attribution works on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from .arrays import mixed
from .model import PROMPT_RATES, RATES, Flags, Ints

MAX_CHARS: Final = 2**25
SEARCH: Final = "web_search"
"""The server tool that has a fee of its own."""


@dataclass(slots=True)
class Prompts:
    """One element a prompt, by session and time. Codes are -1 where there is none, numbers where nothing is known."""

    session: Ints
    row_id: Ints
    base: Ints
    stream: Ints
    model: Ints
    compressed_tool: Ints
    """The tool that a whole request is of: whose result it compressed, or for which the provider made it."""
    is_advice: Flags
    started_us: Ints
    segments: Ints
    chars: Ints
    has_evidence: Flags
    has_delta: Flags
    has_output: Flags
    is_base_stated: Flags
    is_billed: Flags
    """Whether any of its usage is known."""
    is_usage_known: Flags
    """Whether all of it is."""
    is_prompt_known: Flags
    """Whether it is known at each rate of the prompt: else `billed` has a part of it, from its beginning on."""
    is_finished: Flags
    billed: Ints
    """Tokens by `PROMPT_RATES`, a row a prompt."""
    output: Ints
    thinking: Ints
    compaction: Ints
    """Tokens of hidden compaction iterations by `PROMPT_RATES` and of the output, within those billed."""
    web_searches: Ints
    tools_offered: Ints
    cleared_uses: Ints
    """How many calls the provider took the results of out of the prompt."""
    cleared: Ints
    """Tokens that it took out: of results, and of thinking."""
    prices: Ints
    """By `RATES`; -1 where there is none."""

    def __len__(self) -> int:
        return len(self.session)


@dataclass(slots=True)
class Items:
    """One element an item of the evidence: a copy of a run of the base, or a segment; by prompt and place."""

    p: Ints
    n: Ints
    is_copy: Flags
    copied_from: Ints
    copied: Ints
    kind: Ints
    chars: Ints
    tool: Ints
    id: Ints
    is_image: Flags
    is_document: Flags
    is_server: Flags
    is_deferred: Flags
    extra_bytes: Ints
    weight: Ints
    digits: Ints
    code: Ints

    def __len__(self) -> int:
        return len(self.p)

    def take(self, places: Any) -> Items:
        """Some of the items."""
        return Items(*(getattr(self, name)[places] for name in self.__slots__))

    @staticmethod
    def concatenate(parts: Sequence[Items]) -> Items:
        """Items end to end."""
        return Items(*(np.concatenate([getattr(part, name) for part in parts]) for name in Items.__slots__))


@dataclass(slots=True)
class Calls:
    """One element a row of `tool_calls`, by session and time."""

    session: Ints
    row_id: Ints
    id: Ints
    tool: Ints
    version: Ints
    p: Ints
    started_us: Ints
    argument_chars: Ints
    result_chars: Ints
    raw_result_chars: Ints
    is_described: Flags
    """Whether the prompt whose answer asked for it has evidence."""

    def __len__(self) -> int:
        return len(self.session)


class Inputs(NamedTuple):
    """Everything that is known of some sessions; `tools`, `ids` and `models` are the texts that codes stand for."""

    prompts: Prompts
    delta: Items
    restated: Items
    output: Items
    calls: Calls
    tools: list[str]
    ids: list[str]
    models: list[str | None]
    names: pa.Table
    """What the ledger says of each prompt."""
    price_models: pa.ChunkedArray
    """What each prompt is priced as."""


def read(con: duckdb.DuckDBPyConnection, query: Callable[[str], str], sessions: Sequence[str]) -> Inputs:
    """The columns of the prompts that `attributed_prompts` lists; `query` gives a statement by name."""
    table = con.sql(query("prompts")).to_arrow_table()
    prompts = _prompts(table)
    broken = np.unique(prompts.session[is_broken(prompts)]).tolist()
    items = con.sql(query("items"), params={"broken": broken}).to_arrow_table()
    calls = con.sql(query("calls"), params={"sessions": list(sessions)}).to_arrow_table()
    tools, (item_tools, call_tools, compressed) = _codes(
        items["tool"], calls["tool"], table["compressed_tool"], always=[SEARCH]
    )
    ids, (item_ids, call_ids, versions) = _codes(items["id"], calls["id"], calls["version"])
    prompts.compressed_tool = compressed
    part, asked = _ints(items["part"]), _ints(calls["p"])
    every = coded(
        _ints(items["p"]), _ints(items["n"]), _flags(items["is_copy"]), _ints(items["copied_from"]),
        _ints(items["copied"]), _ints(items["kind"]), _ints(items["chars"]), item_tools, item_ids,
        _flags(items["is_image"]), _flags(items["is_document"]), _flags(items["is_server"]),
        _flags(items["is_deferred"]), _flags(items["is_error"]),
        _ints(items["extra_bytes"]), _ints(items["weight"]), _ints(items["digits"]),
    )  # fmt: skip
    return Inputs(
        prompts,
        every.take(part == 0),
        every.take(part == 1),
        every.take(part == 2),
        Calls(
            _ints(calls["session"]), _ints(calls["row_id"]), call_ids, call_tools, versions, asked,
            _ints(calls["started_us"]), _ints(calls["argument_chars"]), _ints(calls["result_chars"]),
            _ints(calls["raw_result_chars"]),
            (asked >= 0) & prompts.has_evidence[asked] if len(asked) else asked > 0,
        ),
        tools,
        ids,
        con.sql(query("models")).to_arrow_table()["model"].to_pylist(),
        con.sql(query("names")).to_arrow_table(),
        table["price_model"],
    )  # fmt: skip


def coded(
    p: Ints, n: Ints, is_copy: Flags, copied_from: Ints, copied: Ints, kind: Ints, chars: Ints, tool: Ints, id_: Ints,
    is_image: Flags, is_document: Flags, is_server: Flags, is_deferred: Flags, is_error: Flags, extra_bytes: Ints,
    weight: Ints, digits: Ints,
) -> Items:  # fmt: skip
    """Items, with a code for all that makes two of them the same segment."""
    flags = is_image + 2 * is_document + 4 * is_server + 8 * is_deferred + 16 * is_error
    code = mixed(kind, chars, tool, id_, flags, extra_bytes, weight, digits)
    return Items(
        p, n, is_copy, copied_from, copied, kind, chars, tool, id_, is_image, is_document, is_server, is_deferred,
        extra_bytes, weight, digits, code,
    )  # fmt: skip


def is_broken(prompts: Prompts) -> Flags:
    """Where evidence was lost: a base that is not there, a delta that cannot be read."""
    return prompts.has_evidence & ((prompts.is_base_stated & (prompts.base < 0)) | ~prompts.has_delta)


def _prompts(table: pa.Table) -> Prompts:
    def numbers(*names: str) -> Ints:
        return np.stack([_ints(table[name]) for name in names], axis=1)

    def ints(name: str) -> Ints:
        return _ints(table[name])

    return Prompts(
        session=ints("session"),
        row_id=ints("row_id"),
        base=ints("base"),
        stream=table["stream"].to_numpy().view(np.int64),
        model=ints("model"),
        compressed_tool=np.full(len(table), -1, dtype=np.int64),
        is_advice=_flags(table["is_advice"]),
        started_us=ints("started_us"),
        segments=ints("segments"),
        chars=ints("chars"),
        has_evidence=_flags(table["has_evidence"]),
        has_delta=_flags(table["has_delta"]),
        has_output=_flags(table["has_output"]),
        is_base_stated=_flags(table["is_base_stated"]),
        is_billed=_flags(table["is_billed"]),
        is_usage_known=_flags(table["is_usage_known"]),
        is_prompt_known=_flags(table["is_prompt_known"]),
        is_finished=_flags(table["is_finished"]),
        billed=numbers(*PROMPT_RATES),
        output=ints("output"),
        thinking=ints("thinking"),
        compaction=numbers(*(f"compaction_{rate}" for rate in (*PROMPT_RATES, "output"))),
        web_searches=ints("web_searches"),
        tools_offered=ints("tools_offered"),
        cleared_uses=ints("cleared_uses"),
        cleared=numbers("cleared_result_tokens", "cleared_thinking_tokens"),
        prices=numbers(*(f"price_{rate}" for rate in RATES)),
    )


def _ints(column: pa.ChunkedArray) -> Ints:
    return column.cast(pa.int64()).fill_null(-1).to_numpy()  # type: ignore[no-any-return]


def _flags(column: pa.ChunkedArray) -> Flags:
    return column.fill_null(False).to_numpy()  # type: ignore[no-any-return]


def _codes(*columns: pa.ChunkedArray, always: Sequence[str] = ()) -> tuple[list[str], list[Ints]]:
    """Numbers for the texts of several columns, alike for like, and for some more texts; -1 for null."""
    chunks = [chunk for column in columns for chunk in column.cast(pa.string()).chunks]
    encoded = pa.chunked_array([*chunks, pa.array(always, pa.string())]).combine_chunks().dictionary_encode()
    codes = encoded.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    # In the order of the texts, so that numbers compare alike whatever else was read with them.
    texts = encoded.dictionary.to_pylist()
    order = sorted(range(len(texts)), key=texts.__getitem__)
    place = np.full(len(texts) + 1, -1, dtype=np.int64)
    place[order] = np.arange(len(texts))
    ends = np.cumsum([len(column) for column in columns])
    return [texts[each] for each in order], [np.ascontiguousarray(part) for part in np.split(place[codes], ends)[:-1]]
