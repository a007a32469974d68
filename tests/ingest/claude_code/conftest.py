"""A folder of session files, and what the store has of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toolspend_ingest import Store, Summary, ingest
from transcript_lines import Transcript

CONSERVED = (Path(__file__).parents[2] / "conservation.sql").read_text(encoding="utf-8")
Load = Callable[..., Summary]


@pytest.fixture
def load(store: Store, tmp_path: Path) -> Load:
    """Loads session files, each written under its session's name or the one given; the ledger sums to the bill."""

    def run(*written: Transcript, **named: Transcript) -> Summary:
        files = {each.session: each for each in written} | named
        paths = []
        for name, transcript in files.items():
            path = tmp_path / f"{name}.jsonl"
            path.write_bytes(transcript.data())
            paths.append(path)
        summary = ingest(store, paths)
        assert store.cursor().execute(CONSERVED).fetchall() == []
        return summary

    return run


def ledger(store: Store, where: str = "true") -> dict[tuple[Any, ...], int]:
    """Tokens of prompts by kind and tool."""
    found = store.cursor().execute(
        "select kind, tool, sum(tokens)::bigint from context_ledger"
        f" where rate not in ('output', 'fee') and {where} group by all"
    )
    return {row[:2]: row[2] for row in found.fetchall()}
