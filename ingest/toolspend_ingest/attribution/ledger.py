"""The ledger of a batch of sessions: whose tokens each request was billed for, by owner and rate.

All requests of a batch lie end to end in flat arrays; nothing here loops over pieces. An *entry* is one owner's tokens
within one request and rate, at one place of the prompt; rows are sums of entries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from . import model as m
from .contexts import Contexts, read_contexts
from .costs import costs_nano, is_priced, price_table
from .model import Call, Ints, RequestBill, Session
from .output import share_output
from .rates import by_rate
from .shares import Estimate, estimate, whole_tokens

_NO_CALL = -1


class Owner(NamedTuple):
    """To whom tokens belong: a kind, and for the kinds of tools the tool and its version."""

    kind: int
    tool: str | None = None
    version: str | None = None


class Entries(NamedTuple):
    """Columns of entries; `call` is a place in `Batch.calls` or -1, `chars` the length of the piece."""

    request: Ints
    owner: Ints
    is_first: npt.NDArray[np.bool_]
    basis: Ints
    rate: Ints
    tokens: Ints
    cost: Ints
    call: Ints
    chars: Ints


class Rows(NamedTuple):
    """Columns of ledger rows; `request` and `owner` are places in the batch's lists, `cost` is in nano-dollars."""

    request: Ints
    owner: Ints
    is_first: npt.NDArray[np.bool_]
    basis: Ints
    rate: Ints
    tokens: Ints
    cost: Ints


@dataclass(slots=True)
class Batch:
    """The ledger of some sessions; `calls` are (place of the session, tool call id)."""

    sessions: list[Session]
    bills: list[RequestBill]
    session_of: Ints
    owners: list[Owner]
    calls: dict[tuple[int, str], int]
    entries: Entries
    rows: Rows
    is_priced: npt.NDArray[np.bool_]
    sent: Ints
    """How many billed prompts held the use or the result of each call."""
    described: set[str]
    """The requests whose prompts evidence describes."""

    def words(self) -> list[m.LedgerRow]:
        """The rows in words."""
        result = []
        for request, owner, is_first, basis, rate, tokens, cost in zip(
            *(each.tolist() for each in self.rows), strict=True
        ):
            kind, tool, version = self.owners[owner]
            bill = self.bills[request]
            result.append(
                m.LedgerRow(
                    bill.request_id,
                    m.KINDS[kind],
                    tool,
                    version,
                    is_first,
                    m.RATES[rate],
                    tokens,
                    cost if self.is_priced[request] else None,
                    m.BASES[basis],
                )
            )
        return result


@dataclass(slots=True)
class _Loose:
    """Entries that are no piece of a prompt, as columns of Python numbers."""

    request: list[int] = field(default_factory=list)
    owner: list[int] = field(default_factory=list)
    basis: list[int] = field(default_factory=list)
    rate: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    call: list[int] = field(default_factory=list)

    def add(self, request: int, owner: int, basis: int, rate: int, tokens: int, call: int = _NO_CALL) -> None:
        if tokens == 0:
            return
        self.request.append(request)
        self.owner.append(owner)
        self.basis.append(basis)
        self.rate.append(rate)
        self.tokens.append(tokens)
        self.call.append(call)


@dataclass(slots=True)
class _Flat:
    """The pieces of all prompts of a batch, end to end."""

    requests: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    billed: list[list[int]] = field(default_factory=list)
    sizes: list[Ints] = field(default_factory=list)
    owners: list[Ints] = field(default_factory=list)
    bases: list[npt.NDArray[np.int8]] = field(default_factory=list)
    firsts: list[npt.NDArray[np.bool_]] = field(default_factory=list)
    calls: list[Ints] = field(default_factory=list)
    chars: list[Ints] = field(default_factory=list)


class _Builder:
    def __init__(self, sessions: Sequence[Session]) -> None:
        self.sessions = list(sessions)
        self.bills = [bill for session in sessions for bill in session.requests]
        self.owners: dict[Owner, int] = {}
        self.calls: dict[tuple[int, str], int] = {}
        self.loose = _Loose()
        self.flat = _Flat()
        self.described: set[str] = set()
        self.sent: list[tuple[Ints, Ints]] = []

    def owner(self, kind: int, tool: str | None = None, version: str | None = None) -> int:
        key = Owner(kind, tool, version)
        return self.owners.setdefault(key, len(self.owners))

    def call(self, session: int, call: str | None) -> int:
        return _NO_CALL if call is None else self.calls.setdefault((session, call), len(self.calls))

    def add_session(self, place: int, session: Session, first_request: int) -> None:
        contexts = read_contexts(session.requests, session.evidence, session.calls)
        estimates = estimate(contexts, {bill.request_id: bill for bill in session.requests})
        self.described.update(each.request_id for each in session.evidence)
        pieces = contexts.pieces
        owners = np.array(
            [self.owner(*key) for key in zip(pieces.kinds, pieces.tools, pieces.versions, strict=True)], dtype=np.int64
        )
        calls = np.array([self.call(place, each) for each in pieces.calls], dtype=np.int64)
        columns = pieces.columns()
        asked: dict[str, list[Call]] = {}
        for call in session.calls:
            if call.request_id is not None:
                asked.setdefault(call.request_id, []).append(call)
        is_unsent = ~columns.is_carried
        local, call_of_piece = np.unique(calls, return_inverse=True)
        sent = np.zeros(len(local), dtype=np.int64)
        for request, bill in enumerate(session.requests, first_request):
            if not bill.is_usage_known:
                continue
            self._add_output(place, request, bill, contexts, asked)
            if bill.web_searches:
                fee = self.owner(m.FEE, bill.compressed_tool or "web_search")
                self.loose.add(request, fee, m.EXACT, m.FEE_RATE, bill.web_searches)
            billed = self._book_apart(request, bill)
            prompt, shares = contexts.prompts[bill.request_id], estimates[bill.request_id]
            if not any(billed) or not self._has_size(request, billed, shares):
                continue
            ids = prompt.ids
            flat = self.flat
            flat.requests.append(request)
            flat.counts.append(len(ids))
            flat.billed.append(billed)
            flat.sizes.append(shares.sizes)
            flat.bases.append(shares.bases)
            flat.owners.append(owners[ids])
            flat.firsts.append(is_unsent[ids])
            flat.calls.append(calls[ids])
            flat.chars.append(columns.chars[ids])
            is_unsent[ids] = False
            is_held = np.zeros(len(local), dtype=np.bool_)
            is_held[call_of_piece[ids]] = True
            sent += is_held
        self.sent.append((local, sent))

    def _add_output(
        self, place: int, request: int, bill: RequestBill, contexts: Contexts, asked: dict[str, list[Call]]
    ) -> None:
        if bill.compressed_tool is not None:
            self._compress(request, bill, m.OUTPUT_RATE, bill.output or 0)
            return
        self.loose.add(request, self.owner(m.COMPACTION), m.EXACT, m.OUTPUT_RATE, bill.compaction[4])
        segments = contexts.outputs.get(bill.request_id)
        versions = contexts.prompts[bill.request_id].versions
        for share in share_output(bill, segments, asked.get(bill.request_id, ()), versions):
            owner = self.owner(share.kind, share.tool, share.version)
            self.loose.add(request, owner, share.basis, m.OUTPUT_RATE, share.tokens, self.call(place, share.call))

    def _book_apart(self, request: int, bill: RequestBill) -> list[int]:
        """Books what no piece of the prompt is billed for; returns the rest by rate."""
        billed = list(bill.prompt)
        for rate, tokens in enumerate(billed):
            if bill.compressed_tool is not None:
                self._compress(request, bill, rate, tokens)
                billed[rate] = 0
            elif tokens < 0:  # a bill that contradicts itself is shown, not clamped away
                self.loose.add(request, self.owner(m.UNATTRIBUTED), m.UNKNOWN, rate, tokens)
                billed[rate] = 0
            elif bill.compaction[rate]:
                self.loose.add(request, self.owner(m.COMPACTION), m.EXACT, rate, bill.compaction[rate])
                billed[rate] -= bill.compaction[rate]
        return billed

    def _compress(self, request: int, bill: RequestBill, rate: int, tokens: int) -> None:
        self.loose.add(request, self.owner(m.COMPRESSION, bill.compressed_tool), m.EXACT, rate, tokens)

    def _has_size(self, request: int, billed: Sequence[int], shares: Estimate) -> bool:
        if shares.sizes.any():
            return True
        for rate, tokens in enumerate(billed):
            self.loose.add(request, self.owner(m.UNATTRIBUTED), m.UNKNOWN, rate, tokens)
        return False

    def build(self) -> Batch:
        prices = price_table(self.bills)
        priced = np.array([is_priced(bill) for bill in self.bills], dtype=np.bool_)
        prices[~priced] = 0
        parts = [self._loose_entries(prices)]
        if self.flat.requests:
            parts.extend(self._prompt_entries(prices))
        entries = Entries(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
        owners = sorted(self.owners, key=lambda each: (each.kind, each.tool or "", each.version or "", each))
        places = np.zeros(len(owners), dtype=np.int64)
        places[[self.owners[each] for each in owners]] = np.arange(len(owners))
        entries = entries._replace(owner=places[entries.owner] if len(owners) else entries.owner)
        session_of = np.repeat(np.arange(len(self.sessions)), [len(session.requests) for session in self.sessions])
        return Batch(
            self.sessions,
            self.bills,
            session_of,
            owners,
            self.calls,
            entries,
            _rows(entries, len(owners)),
            priced,
            self._sent(),
            self.described,
        )

    def _sent(self) -> Ints:
        sent = np.zeros(len(self.calls) + 1, dtype=np.int64)
        for calls, counts in self.sent:
            np.add.at(sent, calls, counts)
        return sent[:-1]

    def _loose_entries(self, prices: Ints) -> Entries:
        loose = self.loose
        request, owner, basis, rate, tokens, call = (
            np.array(column, dtype=np.int64)
            for column in (loose.request, loose.owner, loose.basis, loose.rate, loose.tokens, loose.call)
        )
        # Within a request and rate the entries follow one another, and those of the prompt come after them.
        order = np.lexsort((np.arange(len(request)), rate, request))
        request, owner, basis, rate, tokens, call = (
            column[order] for column in (request, owner, basis, rate, tokens, call)
        )
        ends = _ends_within(request * len(m.RATES) + rate, tokens)
        price = prices[request, rate]
        cost = costs_nano(ends, price) - costs_nano(ends - tokens, price)
        is_first = np.ones(len(request), dtype=np.bool_)
        return Entries(request, owner, is_first, basis, rate, tokens, cost, call, np.zeros_like(tokens))

    def _prompt_entries(self, prices: Ints) -> list[Entries]:
        flat = self.flat
        counts = np.array(flat.counts, dtype=np.int64)
        billed = np.array(flat.billed, dtype=np.int64)
        starts = np.concatenate([[0], np.cumsum(counts)])
        prompt = np.repeat(np.arange(len(counts)), counts)
        requests = np.array(flat.requests, dtype=np.int64)
        first, last = whole_tokens(np.concatenate(flat.sizes), starts, billed.sum(axis=1))
        owner, basis = np.concatenate(flat.owners), np.concatenate(flat.bases).astype(np.int64)
        is_first, call, chars = np.concatenate(flat.firsts), np.concatenate(flat.calls), np.concatenate(flat.chars)
        loose = np.zeros((len(self.bills), len(m.RATES)), dtype=np.int64)
        np.add.at(loose, (self.loose.request, self.loose.rate), self.loose.tokens)
        found = []
        for rate, pieces, tokens, ends in by_rate(first, last, counts, billed):
            request = requests[prompt[pieces]]
            price = prices[request, rate]
            places = ends + loose[request, rate]
            cost = costs_nano(places, price) - costs_nano(places - tokens, price)
            found.append(
                Entries(
                    request,
                    owner[pieces],
                    is_first[pieces],
                    basis[pieces],
                    np.full(len(pieces), rate, dtype=np.int64),
                    tokens,
                    cost,
                    call[pieces],
                    chars[pieces],
                )
            )
        return found


def attribute(sessions: Sequence[Session]) -> Batch:
    """The ledger of some sessions, each with its requests, evidence and calls in the order of time."""
    builder = _Builder(sessions)
    starts = accumulate((len(session.requests) for session in sessions), initial=0)
    for place, (session, start) in enumerate(zip(sessions, starts, strict=False)):
        builder.add_session(place, session, start)
    return builder.build()


def _ends_within(group: Ints, tokens: Ints) -> Ints:
    """Running sums of tokens that begin anew with each run of equal groups."""
    ends = np.cumsum(tokens)
    is_start = np.diff(group, prepend=-1) != 0
    before = (ends - tokens)[is_start]
    within: Ints = ends - np.repeat(before, np.diff(np.append(np.flatnonzero(is_start), len(group))))
    return within


def _rows(entries: Entries, owners: int) -> Rows:
    """Entries summed by request, rate, owner, first sending and basis, in this order."""
    key = (entries.request * len(m.RATES) + entries.rate) * max(owners, 1) + entries.owner
    key = (key * 2 + entries.is_first) * len(m.BASES) + entries.basis
    unique, place = np.unique(key, return_inverse=True)
    tokens, cost = np.zeros(len(unique), dtype=np.int64), np.zeros(len(unique), dtype=np.int64)
    np.add.at(tokens, place, entries.tokens)
    np.add.at(cost, place, entries.cost)
    rest, basis = np.divmod(unique, len(m.BASES))
    rest, is_first = np.divmod(rest, 2)
    rest, owner = np.divmod(rest, max(owners, 1))
    request, rate = np.divmod(rest, len(m.RATES))
    return Rows(request, owner, is_first.astype(np.bool_), basis, rate, tokens, cost)
