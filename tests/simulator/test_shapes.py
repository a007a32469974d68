"""Each shape does what its name says."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest

from evidence_said import apart
from simulator import SHAPES, Simulated
from standin import Record
from toolspend import attributes as at
from toolspend_ingest.decode import decode

Simulate = Callable[[str, int], Simulated]
SEED = 1


def rates(session: Simulated) -> Counter[str]:
    found: Counter[str] = Counter()
    for row in session.truth:
        found[row.rate] += row.tokens
    return found


def prompts(session: Simulated) -> list[int]:
    return [sum(piece.tokens for piece in record.pieces) for record in session.records]


def kinds(session: Simulated, kind: str) -> int:
    return sum(row.tokens for row in session.truth if row.kind == kind)


def calls(record: Record) -> int:
    assert record.output is not None
    return sum(block["type"] == "tool_use" for block in record.output.blocks)


def attribute(session: Simulated, name: str) -> list[object]:
    """An attribute of every model request, in the order of time; None where it is missing."""
    spans = [span for payload in session.payloads for span in decode(payload, "protobuf").spans]
    found = [apart(json.loads(span.attributes)) for span in spans]
    return [attributes.get(name) for attributes in found if at.OUTPUT_SEGMENTS in attributes]


def messages(session: Simulated) -> list[list[object]]:
    """What each request sent, without the breakpoints, which move."""
    return [_unmarked(record.body["messages"]) for record in session.records]


def _unmarked(value: Any) -> Any:
    if isinstance(value, list):
        return [_unmarked(each) for each in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("content"), str) and "role" in value:
        value = {**value, "content": [{"type": "text", "text": value["content"]}]}
    return {key: _unmarked(each) for key, each in value.items() if key != "cache_control"}


def models(session: Simulated) -> Sequence[str]:
    return [record.body["model"] for record in session.records]


def test_there_are_the_shapes_that_the_issue_asks_for() -> None:
    """At least sixteen, one for each case that an attribution can get wrong."""
    asked = "uncached cached expiring forty_tools wide_batches long compacted edited forked resumed multi_model "
    assert set((asked + "non_english images").split()) < set(SHAPES)
    assert len(SHAPES) >= 16


@pytest.mark.parametrize("shape", ["uncached", "forty_tools_uncached"])
def test_uncached_sessions_use_no_cache(shape: str, simulated: Simulate) -> None:
    """Everything is billed at the input and the output rate."""
    assert set(rates(simulated(shape, SEED))) == {"input", "output"}


@pytest.mark.parametrize("shape", ["cached", "cached_1h", "forty_tools", "long", "streamed"])
def test_cached_sessions_read_most_of_their_prompts(shape: str, simulated: Simulate) -> None:
    """More is read from the cache than is written and sent in full together."""
    found = rates(simulated(shape, SEED))
    assert found["cache_read"] > found["input"] + found["cache_write_5m"] + found["cache_write_1h"]


def test_an_hour_is_written_for_an_hour(simulated: Simulate) -> None:
    """Nothing of it for five minutes."""
    found = rates(simulated("cached_1h", SEED))
    assert found["cache_write_1h"] > 0
    assert found["cache_write_5m"] == 0


def test_an_expiring_cache_is_written_again(simulated: Simulate) -> None:
    """Far more is written than the longest prompt holds; without pauses, what is written once stays."""

    def writes(session: Simulated) -> float:
        found = rates(session)
        return (found["cache_write_5m"] + found["cache_write_1h"]) / max(prompts(session))

    assert writes(simulated("expiring", SEED)) > 1.5
    assert writes(simulated("cached", SEED)) < 1.2


@pytest.mark.parametrize("shape", ["forty_tools", "forty_tools_uncached"])
def test_forty_tools_are_offered_and_most_are_not_called(shape: str, simulated: Simulate) -> None:
    """Every definition is billed with every request."""
    session = simulated(shape, SEED)
    assert all(len(record.body["tools"]) == 40 for record in session.records)
    called = {row.tool for row in session.truth if row.kind == "tool_use"}
    assert 0 < len(called) < 40


def test_batches_are_wide(simulated: Simulate) -> None:
    """Whenever tools are called, eight or more are, and never more than twenty."""
    found = {calls(record) for record in simulated("wide_batches", SEED).records} - {0}
    assert found
    assert found <= set(range(8, 21))


def test_long_sessions_are_long_and_typical_ones_typical(simulated: Simulate) -> None:
    """150 requests and more; 20 to 40; two or three; one."""
    assert len(simulated("long", SEED).records) >= 150
    assert 20 <= len(simulated("cached", SEED).records) <= 40
    assert len(simulated("short", SEED).records) in (2, 3)
    assert len(simulated("one_request", SEED).records) == 1


def test_the_client_compacts(simulated: Simulate) -> None:
    """The prompt shrinks several times, without a word from the provider."""
    found = prompts(simulated("compacted", SEED))
    assert sum(after < before for before, after in pairwise(found)) >= 2
    assert kinds(simulated("compacted", SEED), "compaction") == 0


def test_the_provider_compacts(simulated: Simulate) -> None:
    """A compaction iteration is billed, its summary is carried, and what came before it is not."""
    session = simulated("server_compaction", SEED)
    compactions = [record.bill.compaction for record in session.records if record.bill and record.bill.compaction]
    assert compactions
    carried = [piece for record in session.records for piece in record.pieces if piece.owner == "compaction"]
    assert carried
    assert len(session.records[-1].body["messages"]) > sum(
        piece.owner == "overhead" for piece in session.records[-1].pieces
    )


def test_edits_change_what_was_sent_before(simulated: Simulate) -> None:
    """Some request does not go on from the one before it."""
    bodies = messages(simulated("edited", SEED))
    assert any(after[: len(before)] != before for before, after in pairwise(bodies))


def test_the_provider_edits_while_the_list_stays(simulated: Simulate) -> None:
    """Results are cleared from the bill; each request still sends all that the one before it sent."""
    session = simulated("context_edits", SEED)
    cleared = [
        each for r in session.records if r.response for each in r.response["context_management"]["applied_edits"]
    ]
    assert cleared
    assert all(each["cleared_input_tokens"] > 0 for each in cleared)
    lengths = [len(record.body["messages"]) for record in session.records]
    assert lengths == sorted(lengths)
    found = prompts(session)
    assert any(after < before for before, after in pairwise(found))


def test_branches_share_a_prefix(simulated: Simulate) -> None:
    """Both go on from one prefix, and take turns."""
    bodies = messages(simulated("forked", SEED))
    steps = [after[: len(before)] == before for before, after in pairwise(bodies)]
    assert steps.count(False) >= 2
    assert len({str(body[0]) for body in bodies}) == 1


def test_subagents_have_prompts_of_their_own(simulated: Simulate) -> None:
    """Another system prompt and other tools, within the same session."""
    systems = Counter(str(record.body["system"]) for record in simulated("subagents", SEED).records)
    assert len(systems) > 1


def test_a_resumed_session_begins_with_the_whole_prompt(simulated: Simulate) -> None:
    """Two keyframes, of which the second describes a long prompt."""
    session = simulated("resumed", SEED)
    bases = attribute(session, at.CONTEXT_BASE)
    assert bases.count(None) == 2
    second = [i for i, base in enumerate(bases) if base is None][1]
    assert 10 <= second < len(bases) - 5


def test_models_change(simulated: Simulate) -> None:
    """In the middle of one list of messages."""
    found = models(simulated("multi_model", SEED))
    assert len(set(found)) == 2
    assert any(a != b for a, b in pairwise(found))


def test_other_languages_are_spoken(simulated: Simulate) -> None:
    """Most messages hold more than ASCII."""
    record = simulated("non_english", SEED).records[-1]
    foreign = [message for message in record.body["messages"] if not str(message["content"]).isascii()]
    assert len(foreign) > len(record.body["messages"]) / 3


def test_pictures_and_documents_are_sent(simulated: Simulate) -> None:
    """In results, and in what the user says."""
    sent = str(simulated("images", SEED).records[-1].body["messages"])
    assert "image/png" in sent
    assert "application/pdf" in sent


def test_thinking_leaves_the_context(simulated: Simulate) -> None:
    """Every answer is thought about; with some seeds' models, thinking leaves when the user speaks again."""
    session = simulated("thinking", SEED)
    assert all(record.output and record.output.thinking_tokens for record in session.records)
    carried = [record.prompt_tokens("thinking") for record in session.records]
    assert max(carried) > 0


def test_searches_cost_a_pass_and_a_fee(simulated: Simulate) -> None:
    """A request with a search is billed more than its prompt, and a fee."""
    session = simulated("web_search", SEED)
    searching = [record for record in session.records if record.output and record.output.web_searches]
    assert len(searching) >= 6
    assert rates(session)["fee"] == len(searching)
    for record in searching:
        assert record.bill is not None
        assert record.bill.prompt.total > 2 * sum(piece.tokens for piece in record.pieces)


def test_deferred_definitions_come_with_the_search(simulated: Simulate) -> None:
    """The first prompt holds three definitions and the search's; later ones hold those that were found."""
    records = simulated("deferred_tools", SEED).records
    offered = [sum(piece.owner == "tool_definition" for piece in record.pieces) for record in records]
    assert offered[0] == 4
    assert offered[-1] > offered[0]
    assert len(records[0].body["tools"]) == 31


def test_the_offered_tools_change(simulated: Simulate) -> None:
    """Several different lists of tools within one session."""
    assert len({str(record.body["tools"]) for record in simulated("changing_tools", SEED).records}) >= 3


def test_compressing_has_a_cost_of_its_own(simulated: Simulate) -> None:
    """Requests to another model, all of whose tokens are their tool's."""
    session = simulated("compressed", SEED)
    spent = {row.response_id for row in session.truth if row.kind == "compression"}
    assert spent
    assert all(row.kind == "compression" and row.tool for row in session.truth if row.response_id in spent)


def test_failed_attempts_are_not_billed(simulated: Simulate) -> None:
    """Some fail; the truth has the others alone."""
    session = simulated("flaky", SEED)
    assert any(record.status >= 429 for record in session.records)
    billed = [record for record in session.records if record.bill is not None]
    assert len({row.response_id for row in session.truth}) == len(billed) < len(session.records)
