"""Session files of simulated agents whose true owners are known: what the files leave out is not given to the tools."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

from simulator import Simulated, TruthRow, ledger_rows, simulate
from toolspend_ingest import Store, ingest
from transcript_lines import of_records

CONSERVED = (Path(__file__).parents[2] / "conservation.sql").read_text(encoding="utf-8")
OF_TOOLS = ("tool_use", "tool_result")
HIDDEN = ("tool_definition", "system", "overhead")
SEED = 101


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], tuple[Simulated, Store]]]:
    """A simulated session, and a store that only its session file was loaded into."""
    stores: list[Store] = []

    @cache
    def load(shape: str) -> tuple[Simulated, Store]:
        folder = tmp_path_factory.mktemp(shape)
        session = simulate(shape, SEED, folder)
        path = folder / f"{session.session_id}.jsonl"
        path.write_bytes(of_records(session.session_id, session.records).data())
        store = Store.open(folder / "toolspend.duckdb")
        stores.append(store)
        assert not ingest(store, [path]).has_refused
        return session, store

    yield load
    for store in stores:
        store.close()


def dollars(rows: Iterable[TruthRow], kinds: tuple[str, ...]) -> Counter[tuple[str, str | None]]:
    found: Counter[tuple[str, str | None]] = Counter()
    for row in rows:
        if row.kind in kinds:
            found[row.kind, row.tool] += row.cost_nano
    return found


@pytest.mark.parametrize("shape", ["cached", "uncached", "subagents", "compacted"])
def test_tools_are_billed_what_they_cost_though_the_head_is_unknown(
    shape: str, loaded: Callable[[str], tuple[Simulated, Store]]
) -> None:
    """Calls and results of each tool together are within 2 % of the truth, and all results within 1 %.

    System prompt, definitions and hidden prompt are unattributed, within 3 %.
    """
    session, store = loaded(shape)
    found = ledger_rows(store, session.session_id)
    assert store.cursor().execute(CONSERVED).fetchall() == []
    truth, booked = dollars(session.truth, OF_TOOLS), dollars(found, OF_TOOLS)
    off = sum(abs(truth[owner] - booked[owner]) for owner in truth | booked)
    assert off < 0.02 * truth.total()
    results, booked_results = dollars(session.truth, ("tool_result",)), dollars(found, ("tool_result",))
    assert abs(booked_results.total() - results.total()) < 0.01 * results.total()
    hidden = dollars(session.truth, HIDDEN).total()
    unknown = dollars(found, ("unattributed", "overhead")).total()
    assert abs(unknown - hidden) < 0.03 * hidden
