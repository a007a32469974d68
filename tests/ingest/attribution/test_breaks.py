"""Cache breaks: who is to blame, how much was billed again, and what it cost; and when there is none."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from attributed import TableRow, emptied, put_rows, rows_of
from conversations import START, Piece, Session, bill, definition, result, use
from simulator import Simulated, load, simulate
from standin import Record
from toolspend_ingest import Store
from toolspend_ingest.attribution import run
from toolspend_ingest.attribution.causes import CAUSES

Marks = Sequence[tuple[int, str]]

MINUTE = 60
SEARCH, FETCH = definition("search", 3200), definition("fetch", 3200)
SYSTEM, QUESTION = ["s", 4800], ["u", 800]
HEAD = [SEARCH, FETCH, SYSTEM, QUESTION]
TURN = [use("fetch", "c1", 400), result("fetch", "c1", 4000)]
NEXT = [use("search", "c2", 400), result("search", "c2", 4000)]


class Break(NamedTuple):
    """A row of `cache_breaks`, without what it shares with its request; money in nano-dollars."""

    request_id: str
    base_request_id: str
    cause: str
    tool: str | None
    tool_version: str | None
    message_index: int | None
    gap_ms: float
    lost_tokens: int
    cost_nano: int | None


class Talk:
    """Requests whose prompts and bills are said whole; each says in its evidence what it has of its base."""

    def __init__(self) -> None:
        self.rows: list[TableRow] = []
        self.prompts: dict[str, list[Piece]] = {}

    def ask(
        self,
        name: str,
        prompt: Sequence[Piece],
        *,
        at: int,
        base: str | None = None,
        marks: Marks = (),
        answered_ms: float = 1_000.0,
        **billed: Any,
    ) -> None:
        """A request that starts so many seconds after `START`."""
        self.prompts[name] = list(prompt)
        request = bill(name, at, **billed)
        for table, row in rows_of(Session(requests=[request])):
            self.rows.append((table, {**row, "duration_ms": answered_ms}))
        evidence = {
            "request_id": name, "trace_id": "trace-s", "session_id": "s", "base_request_id": base,
            "started_at": START + timedelta(seconds=at), "segments": len(prompt),
            "chars": sum(piece[1] for piece in prompt),
            "delta": json.dumps(delta(prompt, self.prompts[base]) if base else list(prompt)),
            "cache_marks": json.dumps(marks) if marks else None,
        }  # fmt: skip
        self.rows.append(("context_evidence", evidence))

    def breaks(self) -> list[Break]:
        """The breaks that are found."""
        con = emptied()
        put_rows(con, self.rows)
        run.attribute_sessions(con, ["s"])
        found = con.execute(
            "select request_id, base_request_id, cause, tool, tool_version, message_index, gap_ms, lost_tokens, "
            "cast(cast(cost_usd as decimal(38, 9)) * 1000000000 as bigint) from cache_breaks order by rowid"
        )
        return [Break(*row) for row in found.fetchall()]


def delta(prompt: Sequence[Piece], base: Sequence[Piece]) -> list[Any]:
    """The prompt with the pieces of its base copied, one by one where they have moved."""
    return [[base.index(piece), 1] if piece in base else piece for piece in prompt]


def cached(head: Sequence[Piece] = HEAD, **second: Any) -> Talk:
    """Two requests that write all they send for five minutes: 4,000 tokens, and 1,100 more."""
    talk = Talk()
    talk.ask("a", head, at=0, marks=[(3, "5m")], write_5m=4_000)
    talk.ask("b", [*head, *TURN], at=10, base="a", marks=[(5, "5m")], **{"read": 4_000, "write_5m": 1_100, **second})
    return talk


def only(found: list[Break]) -> Break:
    """The one break there is."""
    assert len(found) == 1, found
    return found[0]


def again(
    prompt: Sequence[Piece], *, at: int = 20, base: str | None = "b", marks: Marks | None = None, **billed: Any
) -> Break:
    """The break of a third request, which by default sets a breakpoint at its end."""
    talk = cached()
    talk.ask("c", prompt, at=at, base=base, marks=[(len(prompt) - 1, "5m")] if marks is None else marks, **billed)
    return only(talk.breaks())


CHANGED = definition("search", 3200, "v2")
ADDED = definition("new", 3200)
WHOLE = {"write_5m": 6_200}


@pytest.mark.parametrize(
    ("tools", "tool", "version"),
    [
        ([CHANGED, FETCH], "search", "v2"),
        ([ADDED, SEARCH, FETCH], "new", "v1"),
        ([FETCH], "search", "v1"),
        ([FETCH, SEARCH], "fetch", "v1"),
    ],
    ids=["changed", "added", "removed", "moved"],
)
@pytest.mark.parametrize("base", ["b", None], ids=["delta", "whole"])
def test_a_changed_definition_is_charged_to_its_tool(
    tools: list[Piece], tool: str, version: str, base: str | None
) -> None:
    """All that followed is billed again, and the tool at the first difference is to blame.

    So it is where an emitter says every prompt whole, and the very first piece is another.
    """
    found = again([*tools, SYSTEM, QUESTION, *TURN, *NEXT], base=base, write_5m=6_200 + 800 * (len(tools) - 2))
    assert found.base_request_id == "b"
    assert (found.cause, found.tool, found.tool_version, found.message_index) == ("definitions", tool, version, None)
    # Of the 5,100 tokens all are sent again but the definition that was changed or removed, which had about 800.
    gone = 800 if tools[0] is CHANGED or len(tools) == 1 else 0
    assert found.lost_tokens == pytest.approx(5_100 - gone, rel=0.05)


def test_a_changed_system_prompt_is_to_blame_for_what_follows_it() -> None:
    """The tools before it were read."""
    found = again([SEARCH, FETCH, ["s", 4900], QUESTION, *TURN, *NEXT], read=2_000, write_5m=4_200)
    assert (found.cause, found.tool, found.message_index) == ("system", None, None)
    assert found.lost_tokens == pytest.approx(5_100 - 2_000 - 1_250, rel=0.1)


def test_an_edit_names_the_piece_and_the_tool_whose_result_was_edited() -> None:
    """The result that was replaced is at place 5; what was taken away is not lost, what follows is."""
    talk = cached()
    talk.ask("c", [*HEAD, *TURN, *NEXT], at=20, base="b", marks=[(7, "5m")], read=5_100, write_5m=1_100)
    edited = [*HEAD, TURN[0], result("fetch", "c1", 20), *NEXT, ["u", 800]]
    talk.ask("d", edited, at=30, base="c", marks=[(8, "5m")], read=4_000, write_5m=1_450)
    found = only(talk.breaks())
    assert (found.cause, found.tool, found.tool_version, found.message_index) == ("edit", "fetch", "v1", 5)
    assert found.lost_tokens == pytest.approx(1_200, rel=0.1)


@pytest.mark.parametrize("unsaid", [(), ("input_tokens", "uncached_tokens")], ids=["whole", "in part"])
def test_what_was_lost_is_found_in_a_prompt_that_is_known_in_part(unsaid: tuple[str, ...]) -> None:
    """What was read and written is its beginning: what lies there was lost, however long the rest is."""
    talk = cached()
    talk.ask("c", [*HEAD, *TURN, *NEXT], at=20, base="b", marks=[(7, "5m")], read=5_100, write_5m=1_100)
    edited = [*HEAD, TURN[0], result("fetch", "c1", 20), *NEXT, ["u", 16_000]]
    said = {"read": 4_000, "write_5m": 1_250, "input": 4_000, "unsaid": frozenset(unsaid)}
    talk.ask("d", edited, at=30, base="c", marks=[(7, "5m")], **said)
    found = only(talk.breaks())
    assert (found.cause, found.tool, found.message_index) == ("edit", "fetch", 5)
    assert found.lost_tokens == pytest.approx(1_200, rel=0.1)


def test_another_model_shares_no_cache() -> None:
    """Nothing was read, and all of what the first model had cached is billed again."""
    found = again([*HEAD, *TURN, *NEXT], model="claude-haiku-4-5", write_5m=6_200)
    assert (found.cause, found.tool) == ("model", None)
    assert found.lost_tokens == pytest.approx(5_100, rel=0.05)


def test_a_pause_lets_the_cache_expire_and_its_cost_is_what_reading_would_have_saved() -> None:
    """5,100 tokens at 3.75 $ per million instead of 0.30 $."""
    found = again([*HEAD, *TURN, *NEXT], at=10 + 6 * MINUTE, write_5m=6_200)
    assert (found.cause, found.base_request_id, found.gap_ms) == ("expiry", "b", 360_000.0)
    assert (found.lost_tokens, found.cost_nano) == (5_100, 5_100 * (3_750 - 300))


def test_lost_tokens_cost_what_they_were_billed_at() -> None:
    """1,000 are read, the next 2,000 written for an hour, the other 2,100 not cached at all."""
    found = again([*HEAD, *TURN, *NEXT], at=10 + 6 * MINUTE, marks=[(7, "1h")], read=1_000, write_1h=2_000, input=3_200)
    assert found.lost_tokens == 4_100
    assert found.cost_nano == 2_000 * (6_000 - 300) + 2_100 * (3_000 - 300)


def test_without_a_price_the_cost_is_unknown_and_the_break_is_not() -> None:
    """Missing is not zero."""
    found = again([*HEAD, *TURN, *NEXT], at=10 + 6 * MINUTE, write_5m=6_200, prices=None)
    assert (found.cause, found.lost_tokens, found.cost_nano) == ("expiry", 5_100, None)


@pytest.mark.parametrize(("minutes", "cause"), [(4, "unknown"), (59, "unknown"), (61, "expiry")])
def test_what_was_cached_for_an_hour_expires_after_an_hour(minutes: int, cause: str) -> None:
    """Within it, the time is not to blame."""
    talk = Talk()
    talk.ask("a", HEAD, at=0, marks=[(3, "1h")], write_1h=4_000)
    talk.ask("b", [*HEAD, *TURN], at=minutes * MINUTE, base="a", marks=[(5, "1h")], write_1h=5_100)
    assert only(talk.breaks()).cause == cause


@pytest.mark.parametrize(("hour", "cause"), [(0, "expiry"), (800, "unknown")], ids=["in vain", "kept"])
def test_a_breakpoint_of_an_hour_that_wrote_nothing_lets_the_cache_expire_sooner(hour: int, cause: str) -> None:
    """The definition before it is too short to be cached: all was written for five minutes, each time."""
    marks = [(0, "1h"), (3, "5m")]
    talk = Talk()
    talk.ask("a", HEAD, at=0, marks=marks, write_1h=hour, write_5m=4_000 - hour)
    talk.ask("b", [*HEAD, *TURN], at=6 * MINUTE, base="a", marks=marks, write_1h=hour, write_5m=5_100 - hour)
    found = only(talk.breaks())
    assert (found.cause, found.lost_tokens) == (cause, 4_000)


def test_an_edit_after_a_long_pause_is_not_to_blame() -> None:
    """The cache had expired: not even what lies before the edit was read."""
    edited = [*HEAD, TURN[0], result("fetch", "c1", 20), *NEXT]
    assert again(edited, at=10 + 6 * MINUTE, write_5m=5_200).cause == "expiry"


def test_a_changed_definition_after_a_long_pause_is_to_blame() -> None:
    """It lies before all that was cached: a longer time to live would have saved nothing."""
    assert again([CHANGED, FETCH, SYSTEM, QUESTION, *TURN], at=10 + 6 * MINUTE, write_5m=5_100).cause == "definitions"


def batch(calls: int) -> list[Piece]:
    """So many calls at once, and their results."""
    return [*(use("fetch", f"n{n}", 100) for n in range(calls)), *(result("fetch", f"n{n}", 400) for n in range(calls))]


@pytest.mark.parametrize(("calls", "cause"), [(9, "unknown"), (10, "lookback")])
def test_the_provider_looks_back_twenty_blocks(calls: int, cause: str) -> None:
    """With 20 blocks and more between the two breakpoints, what was cached is not found."""
    assert again([*HEAD, *TURN, *batch(calls)], write_5m=7_000).cause == cause


def test_a_request_without_a_breakpoint_reads_nothing() -> None:
    """All is billed as input."""
    found = again([*HEAD, *TURN, *NEXT], marks=[], input=6_200)
    assert (found.cause, found.lost_tokens, found.cost_nano) == ("no_breakpoint", 5_100, 5_100 * (3_000 - 300))


def test_requests_sent_before_the_first_is_answered_read_nothing() -> None:
    """What the base writes can be read once its answer begins."""
    talk = Talk()
    talk.ask("a", HEAD, at=0, marks=[(3, "5m")], write_5m=4_000, answered_ms=9_000)
    talk.ask("b", HEAD, at=5, base="a", marks=[(3, "5m")], write_5m=4_000)
    assert only(talk.breaks()).cause == "parallel"


@pytest.mark.parametrize("fresh", [["k", 2400], ["u", 2400]], ids=["compaction", "summary"])
def test_after_a_compaction_only_what_is_still_sent_was_lost(fresh: Piece) -> None:
    """Tools and system prompt are billed again; what was summed up is gone, not lost."""
    found = again([SEARCH, FETCH, SYSTEM, fresh], write_5m=4_500)
    assert found.cause == "compaction"
    assert found.lost_tokens == pytest.approx(3_800, rel=0.1)


def test_a_request_that_failed_is_no_base() -> None:
    """It left nothing behind: the next one goes on from the one before it."""
    talk = cached()
    prompt = [*HEAD, *TURN, *NEXT]
    talk.ask("c", prompt, at=20, base="b", marks=[(7, "5m")], is_usage_known=False)
    talk.ask("d", prompt, at=10 + 6 * MINUTE, base="c", marks=[(7, "5m")], write_5m=6_200)
    found = only(talk.breaks())
    assert (found.base_request_id, found.cause, found.lost_tokens) == ("b", "expiry", 5_100)


def test_a_few_tokens_are_no_break() -> None:
    """Up to a quarter of the shortest prefix that is cached."""
    for read, breaks in ((5_100 - 256, 0), (5_100 - 257, 1)):
        talk = cached()
        prompt = [*HEAD, *TURN, *NEXT]
        talk.ask("c", prompt, at=20, base="b", marks=[(7, "5m")], read=read, write_5m=6_200 - read)
        assert len(talk.breaks()) == breaks


def test_a_branch_that_reads_what_it_shares_is_no_break() -> None:
    """Two go on from one prefix; the second does not owe what the first has added."""
    talk = cached()
    branch = [*HEAD, use("search", "x1", 400), result("search", "x1", 8000)]
    talk.ask("c", branch, at=20, base="b", marks=[(5, "5m")], read=4_000, write_5m=2_100)
    assert talk.breaks() == []


def test_a_branch_where_no_breakpoint_lies_is_no_edit() -> None:
    """The other branch goes on: nothing was changed, but what both share was not cached up to there."""
    talk = cached()
    talk.ask("c", [*HEAD, *TURN, *NEXT], at=20, base="b", marks=[(7, "5m")], read=5_100, write_5m=1_100)
    branch = [*HEAD, use("search", "x1", 400), result("search", "x1", 8000)]
    talk.ask("d", branch, at=30, base="b", marks=[(5, "5m")], write_5m=6_100)
    found = only(talk.breaks())
    assert (found.cause, found.base_request_id) == ("no_breakpoint", "b")
    assert found.lost_tokens == pytest.approx(4_000, rel=0.05)


def test_a_conversation_of_its_own_is_no_break() -> None:
    """A subagent with other tools, or on another model, goes on from nobody."""
    talk = cached()
    talk.ask("c", [SEARCH, ["s", 2000], ["u", 500]], at=20, base="b", marks=[(2, "5m")], write_5m=2_000)
    talk.ask("d", [SEARCH, FETCH, SYSTEM, ["u", 500]], at=20, base="b", model="claude-haiku-4-5", input=4_000)
    talk.ask("e", [definition("other", 9000), ["s", 2000], QUESTION], at=20, base="b", write_5m=3_000)
    talk.ask("f", [definition("other", 9000), ["s", 2000], QUESTION], at=20, write_5m=3_000)
    talk.ask("g", [["s", 2000], QUESTION, ["a", 90], ["u", 70], ["a", 80], ["u", 60]], at=20, write_5m=3_000)
    assert talk.breaks() == []


def test_what_was_never_cached_cannot_break() -> None:
    """Nothing was written, so nothing is missed."""
    talk = Talk()
    talk.ask("a", HEAD, at=0, input=4_000)
    talk.ask("b", [*HEAD, *TURN], at=10 * MINUTE, base="a", input=5_100)
    assert talk.breaks() == []


# --- Sessions whose truth the stand-in knows ------------------------------------------------------------------------


class Lost(NamedTuple):
    """What one attempt had in the cache before, and what it was billed for again."""

    cached: int
    lost: int


def truly_lost(session: Simulated) -> dict[str, Lost]:
    """By response, of sessions of one line: what it sends again of what the one before had in the cache."""
    found: dict[str, Lost] = {}
    base: Record | None = None
    for record in session.records:
        if record.prompt is None or record.response is None:
            continue
        if base is not None and base.prompt is not None:
            end, held = 0, Counter[bytes]()
            for piece in base.pieces:
                end += piece.tokens
                if end <= base.prompt.read + base.prompt.write:
                    held[piece.owner.encode() + piece.digest] += 1
            end = lost = 0
            for piece in record.pieces:
                end += piece.tokens
                if held[piece.owner.encode() + piece.digest] > 0:
                    held[piece.owner.encode() + piece.digest] -= 1
                    lost += piece.tokens if end > record.prompt.read else 0
            found[record.response["id"]] = Lost(base.prompt.read + base.prompt.write, lost)
        base = record
    return found


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with sessions of many shapes."""
    home = tmp_path_factory.mktemp("simulated")
    with Store.open(home / "store.duckdb", prices_file=home / "none.toml") as store:
        for shape, seed in [*BROKEN, *UNBROKEN]:
            SESSIONS[shape, seed] = simulate(shape, seed, home)
            load(SESSIONS[shape, seed], store)
        yield store


BROKEN = {
    ("expiring", 1): {"expiry"},
    ("changing_tools", 1): {"definitions"},
    ("edited", 1): {"edit"},
    ("multi_model", 10): {"model"},
    ("wide_batches", 9): {"lookback"},
    ("context_edits", 1): {"cleared"},
    ("thinking", 4): {"cleared"},
    ("compacted", 4): {"compaction"},
    ("resumed", 5): {"expiry"},
}
UNBROKEN = [("cached", 1), ("cached_1h", 1), ("forked", 3), ("subagents", 4), ("web_search", 1), ("deferred_tools", 2)]
SESSIONS: dict[tuple[str, int], Simulated] = {}


@pytest.mark.parametrize(("shape", "seed"), BROKEN)
def test_the_cause_is_the_shape_of_the_session(simulated: Store, shape: str, seed: int) -> None:
    """Nothing else is to blame in a session that loses its cache in one way."""
    session = SESSIONS[shape, seed].session_id
    found = simulated.cursor().execute("select distinct cause from cache_breaks where session_id = ?", [session])
    assert {row[0] for row in found.fetchall()} == BROKEN[shape, seed]


@pytest.mark.parametrize(("shape", "seed"), UNBROKEN)
def test_a_session_that_reads_its_cache_has_no_breaks(simulated: Store, shape: str, seed: int) -> None:
    """Branches, subagents and tools of the provider are no breaks either."""
    session = SESSIONS[shape, seed].session_id
    row = simulated.cursor().execute(
        "select count(*), (select sum(cache_read_tokens) from llm_requests where session_id = $session) "
        "from cache_breaks where session_id = $session",
        {"session": session},
    ).fetchone()  # fmt: skip
    assert row is not None
    assert row[0] == 0
    assert row[1] > 10_000


@pytest.mark.parametrize("shape", ["expiring", "changing_tools", "edited", "multi_model", "wide_batches", "resumed"])
def test_the_lost_tokens_are_those_that_were_sent_and_cached_before(simulated: Store, shape: str) -> None:
    """Request by request, within 2 % of what the stand-in knows; and no request is missed."""
    session = next(session for (name, _), session in SESSIONS.items() if name == shape)
    rows = simulated.cursor().execute(
        "select response_id, lost_tokens from llm_requests left join cache_breaks using (session_id, request_id) "
        "where session_id = ?",
        [session.session_id],
    )
    found = {response_id: lost or 0 for response_id, lost in rows.fetchall() if response_id is not None}
    true = truly_lost(session)
    assert sum(each.lost > 300 for each in true.values()) >= 1
    for response_id, each in true.items():
        if each.lost > 300 or found[response_id]:
            # Another model counts the same text otherwise.
            assert found[response_id] == pytest.approx(min(each.lost, each.cached), rel=0.02, abs=50), response_id
        assert found[response_id] <= each.cached


def test_a_break_costs_no_more_than_its_request(simulated: Store) -> None:
    """Nor are more tokens lost than the request did not read, and every cause is one that is documented."""
    rows = simulated.cursor().execute(
        "select cause, lost_tokens, cache_breaks.cost_usd, input_tokens - cache_read_tokens, llm_requests.cost_usd "
        "from cache_breaks join llm_requests using (session_id, request_id)"
    ).fetchall()  # fmt: skip
    assert len(rows) > 30
    for cause, lost, cost, most_tokens, most in rows:
        assert cause in CAUSES
        assert 256 < lost <= most_tokens
        assert 0 < cost < most


def test_breaks_are_the_same_when_all_is_computed_anew(simulated: Store) -> None:
    """Loaded span by span, or recomputed in one go: the same rows in the same order."""
    query = "select * from cache_breaks order by session_id, started_at, request_id"
    before = simulated.cursor().execute(query).fetchall()
    simulated.rederive()
    assert simulated.cursor().execute(query).fetchall() == before
    assert len({row[0] for row in before}) == len(before)


def test_every_cause_and_column_is_documented(tmp_path: Path) -> None:
    """The comment on the column names each cause."""
    with Store.open(tmp_path / "store.duckdb") as store:
        rows = store.cursor().execute(
            "select column_name, comment from duckdb_columns() where table_name = 'cache_breaks'"
        )
        said = dict(rows.fetchall())
    assert all(said.values())
    assert [cause for cause in CAUSES if cause not in said["cause"]] == []
