"""The ledger of a store beside the truth: how many dollars went to the wrong owner."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar

from simulator.simulation import Simulated
from simulator.truth import TruthRow
from toolspend_ingest import Store
from toolspend_ingest.decode import decode

K = TypeVar("K")

COUNTED_SHARE: Final = 0.02
"""Tools with at least this share of the bill are judged one by one."""

_LEDGER: Final = Path(__file__).with_name("ledger.sql").read_text(encoding="utf-8")


class Row(Protocol):
    """What a row of either side has."""

    @property
    def kind(self) -> str: ...
    @property
    def tool(self) -> str | None: ...
    @property
    def cost_nano(self) -> int: ...


@dataclass(frozen=True)
class Difference:
    """One owner's dollars on both sides."""

    true_usd: float
    ledger_usd: float


@dataclass(frozen=True)
class Comparison:
    """Shares are of the true bill; an error is relative to the tool's true dollars."""

    total_usd: float
    misattributed_share: float
    worst_tool: str | None
    worst_tool_error: float
    by_owner: Mapping[str, Difference]
    """By tool, all its parts together, and by kind for what is no tool's."""
    misattributed_share_by_kind: float
    by_kind: Mapping[tuple[str, str | None], Difference]


def load(simulated: Simulated, store: Store) -> None:
    """Puts the session's spans into the store."""
    for number, payload in enumerate(simulated.payloads):
        decoded = decode(payload, "protobuf")
        assert not decoded.refused, decoded.refused
        store.append(decoded.spans, f"{simulated.session_id}/{number}", "simulated", None)


def ledger_rows(store: Store, session_id: str) -> list[TruthRow]:
    """The ledger of a session in the form of the truth. What has no price counts as free."""
    rows = store.cursor().execute(_LEDGER, {"session": session_id}).fetchall()
    return [TruthRow(*row) for row in rows]


def compare(truth_rows: Iterable[Row], ledger_rows: Iterable[Row]) -> Comparison:
    """How far the ledger is from the truth, over all requests together."""
    truth, ledger = list(truth_rows), list(ledger_rows)
    by_owner = _by(lambda row: row.tool or row.kind, truth, ledger)
    by_kind = _by(lambda row: (row.kind, row.tool), truth, ledger)
    total = sum(each.true_usd for each in by_owner.values())
    tools = {row.tool for row in truth if row.tool}
    errors = {
        owner: abs(each.ledger_usd - each.true_usd) / each.true_usd
        for owner, each in by_owner.items()
        if owner in tools and each.true_usd > COUNTED_SHARE * total
    }
    worst = max(errors, key=lambda owner: errors[owner], default=None)
    return Comparison(
        total,
        _misattributed(by_owner.values(), total),
        worst,
        errors[worst] if worst is not None else 0.0,
        by_owner,
        _misattributed(by_kind.values(), total),
        by_kind,
    )


def _by(owner: Callable[[Row], K], truth: Iterable[Row], ledger: Iterable[Row]) -> dict[K, Difference]:
    sums: dict[K, list[int]] = defaultdict(lambda: [0, 0])
    for side, rows in enumerate((truth, ledger)):
        for row in rows:
            sums[owner(row)][side] += row.cost_nano
    return {key: Difference(true / 1e9, booked / 1e9) for key, (true, booked) in sums.items()}


def _misattributed(differences: Iterable[Difference], total: float) -> float:
    return sum(abs(each.true_usd - each.ledger_usd) for each in differences) / 2 / total if total else 0.0
