"""What the commands say where several spans tell of one request."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import otlp_requests
import served
from otlp_requests import Made
from toolspend._frames import encode
from toolspend_dashboard import health, queries
from toolspend_dashboard.queries import Filters
from toolspend_ingest import Store
from toolspend_ingest.decode import decode

REQUEST = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.request.model": "claude-sonnet-4-5",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 100,
}


def loaded(home: Path, response_ids: list[str]) -> Path:
    """A home with a request a response id, a minute apart, each in a trace of its own."""
    spool = home / "spool"
    spool.mkdir(parents=True)
    made = [
        Made(number, 1, "chat claude-sonnet-4-5", {**REQUEST, "gen_ai.response.id": id}, at_s=60.0 * number)
        for number, id in enumerate(response_ids, start=1)
    ]
    (spool / "agent-1.spool").write_bytes(encode(otlp_requests.protobuf(made)))
    assert served.run(home, "ingest").returncode == 0
    return home


def test_a_request_told_again_for_several_reasons_is_one(tmp_path: Path) -> None:
    """Of a stream's half and another emitter's span alike it is billed once."""
    with Store.open(tmp_path / "toolspend.duckdb") as store, store.cursor() as cursor:
        made = [
            Made(number, number, "chat claude-sonnet-4-5", {**REQUEST, "gen_ai.response.id": "msg_1"}, at_s=number)
            for number in (1, 2)
        ]
        store.append(decode(otlp_requests.protobuf(made), "protobuf").spans, "test", "test", None)
        cursor.execute("insert into request_copies by name select * replace ('twin' as reason) from request_copies")
        copies = queries.run(cursor, "copies", **Filters().parameters())
    assert copies["requests"].tolist() == [1, 1]
    assert health.told_again(copies) == "2 spans tell again of 1 request, billed once each"


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (["msg_1", "msg_2", "msg_3"], None),
        (["msg_1", "msg_2", "msg_1"], "1 span tells again of 1 request, billed once each"),
        (
            ["msg_1"] * 5,
            "4 spans tell again of 1 request, billed once each. One response id came 5 times: a stand-in for the API "
            "that answers with one id has all its calls counted as one, unless each answer has an id of its own",
        ),
    ],
    ids=["none", "a second emitter", "a stand-in"],
)
def test_spans_that_tell_again_are_said(tmp_path: Path, ids: list[str], said: str | None) -> None:
    """By `report`, as JSON and as text, and by `doctor`: a bill of one request of five would puzzle without."""
    home = loaded(tmp_path / "home", ids)
    report = json.loads(served.run(home, "report", "--json").stdout)
    assert report["totals"]["requests"] == len({*ids})
    assert report["told_again"] == said
    text, doctor = served.run(home, "report").stdout, served.run(home, "doctor").stdout
    if said is None:
        assert "Copies" not in text
        assert "again of" not in doctor
    else:
        assert f"Copies   {said.partition('. ')[0]}" in text
        assert said in doctor
