"""The whole path on real input: recorded conversations in, the relations that users query out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cassettes
import toolspend
from toolspend_ingest import Store, ingest

CONSERVED = (Path(__file__).parent / "conservation.sql").read_text(encoding="utf-8")


@pytest.fixture(scope="module", params=cassettes.SETS)
def played(
    request: pytest.FixtureRequest, recordings: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[list[cassettes.Cassette], Any]]:
    """A set of recordings, each a session, and a cursor on the store that its spans were loaded into."""
    home = tmp_path_factory.mktemp("home")
    found = cassettes.load(recordings, request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOOLSPEND_HOME", str(home))
        toolspend.instrument(export="spool")
        for cassette in found:
            cassettes.play(cassette, toolspend.session(cassette.name))
        toolspend.uninstrument()
        store = Store.open(home / "toolspend.duckdb")
        summary = ingest(store, None)
        assert not summary.has_refused
    yield found, store.cursor()
    store.close()


def rows(cursor: Any, query: str, *values: Any) -> list[tuple[Any, ...]]:
    return cursor.execute(query, list(values)).fetchall()


def test_the_relations_say_what_the_recordings_were_billed(played: Any) -> None:
    """Per recording: requests, tool calls by name, parallel turns, tokens by cache class and errors."""
    found, cursor = played
    for cassette in found:
        session = cassette.name
        [totals] = rows(
            cursor,
            "select count(*), sum(uncached_tokens), sum(output_tokens),"
            " sum(cache_write_5m_tokens + cache_write_1h_tokens), sum(cache_read_tokens)"
            " from llm_requests where session_id = ?",
            session,
        )
        by_kind = [
            dict(rows(cursor, f"select tool, count(*) from tool_calls where session_id = ? and {where} group by tool",
                      session))
            for where in ("server is distinct from 'anthropic'", "server = 'anthropic'")
        ]  # fmt: skip
        [[parallel]] = rows(cursor, "select count(*) from tool_batches where session_id = ?", session)
        errors = rows(cursor, "select error_type from llm_requests where session_id = ? and status = 'error'", session)
        assert {
            "requests": totals[0],
            "tool_calls": by_kind[0],
            "server_tool_calls": by_kind[1],
            "parallel_turns": parallel,
            "uncached_tokens": totals[1] or 0,
            "output_tokens": totals[2] or 0,
            "cache_write_tokens": totals[3] or 0,
            "cache_read_tokens": totals[4] or 0,
            "errors": [row[0] for row in errors],
        } == cassette.facts(), session


def test_the_ledger_sums_to_the_bill_of_every_request(played: Any) -> None:
    """Tokens and dollars, rate by rate, to the last one."""
    _, cursor = played
    assert rows(cursor, CONSERVED) == []
    [[requests, ledger]] = rows(
        cursor, "select (select count(*) from llm_requests where is_usage_known), (select count(*) from context_ledger)"
    )
    assert requests > 0 < ledger
