"""The whole path on real input: recorded conversations in, the relations that users query out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

import cassettes
import toolspend
from toolspend_ingest import Store, ingest

CONSERVED = (Path(__file__).parent / "conservation.sql").read_text(encoding="utf-8")
LINKS: Final = {
    "anthropic-sdk-python": 7,
    "langchain-anthropic": 6,
    "openllmetry-anthropic": 1,
    "pydantic-ai-anthropic-other": 12,
    "pydantic-ai-toolchoice-multimodal": 6,
}
"""How many links from one turn to the next say what was appended, by set."""


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
    found: list[tuple[Any, ...]] = cursor.execute(query, list(values)).fetchall()
    return found


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


def trusted_links(cassette: cassettes.Cassette) -> list[dict[str, Any]]:
    """Links whose growth is the size of what was appended: the provider ran no tools and compacted nothing."""
    said = cassette.expected["requests"]
    compacted = {each["i"] for each in cassette.expected.get("usage_iterations", [])}
    return [
        link
        for link in cassette.expected["turn_links"]
        if link["same_tools"]
        and link["same_system"]
        and min(link["prompt_prev"], link["delta_prompt"]) > 0
        and not {link["prev"], link["next"]} & compacted
        and not said[link["prev"]].get("server_tool_calls")
        and not said[link["next"]].get("server_tool_calls")
    ]


def owners(cursor: Any, request_id: str, where: str = "true") -> Counter[tuple[Any, ...]]:
    """Tokens of a request's prompt by owner."""
    query = (
        "select kind, tool, tool_version, sum(tokens)::bigint from context_ledger where request_id = ?"
        f" and rate not in ('output', 'fee') and {where} group by all"
    )
    return Counter({row[:3]: row[3] for row in rows(cursor, query, request_id)})


def test_what_was_appended_has_the_growth_of_the_bill(played: Any, request: pytest.FixtureRequest) -> None:
    """What a turn carried over keeps its tokens; what it appended has exactly the rest: the growth of the prompt."""
    found, cursor = played
    checked = 0
    for cassette in found:
        requests = rows(cursor, "select request_id from llm_requests where session_id = ? order by started_at",
                        cassette.name)  # fmt: skip
        place = {call[-1]: index for index, call in enumerate(cassette.calls())}
        for link in trusted_links(cassette):
            before = owners(cursor, requests[place[link["prev"]]][0])
            after = owners(cursor, requests[place[link["next"]]][0])
            assert after.total() - before.total() == link["delta_prompt"]
            first = owners(cursor, requests[place[link["next"]]][0], "is_first_send and kind <> 'overhead'")
            # What the model wrote was first sent as output; of it, and of the framing, what is new is the growth.
            carried = after - first
            for owner, tokens in before.items():
                if owner[0] in ("tool_use", "assistant", "thinking", "overhead"):
                    assert carried[owner] >= tokens - 1, (cassette.name, owner)
                    first[owner] = carried[owner] - tokens
                else:
                    assert abs(carried[owner] - tokens) <= 1, (cassette.name, owner)  # places are rounded
            first.update({owner: tokens for owner, tokens in carried.items() if owner not in before})
            assert abs(first.total() - link["delta_prompt"]) <= len(before), cassette.name
            checked += 1
    assert checked == LINKS.get(request.node.callspec.params["played"], 0)
