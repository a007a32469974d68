"""The committed traces are what the stories give, every time."""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import generate

FOLDER = Path(generate.__file__).parent
MAX_BYTES = 6_000_000


def spans(name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The spans of a committed file with their attributes as a dict."""
    for line in (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").split("\n"):
        for resource in json.loads(line)["resourceSpans"] if line else []:
            for scope in resource["scopeSpans"]:
                for span in scope["spans"]:
                    attributes = {each["key"]: next(iter(each["value"].values())) for each in span["attributes"]}
                    yield span | {"scope": scope["scope"]}, attributes


@pytest.fixture
def same_sdk() -> None:
    """Skips where a package is not the one that the files were made with: its spans may say other things."""
    recorded = tomllib.loads(generate.MADE_WITH.read_text(encoding="utf-8"))
    if (installed := generate.installed()) != recorded:
        pytest.skip(f"the files were made with {recorded}, and {installed} is installed")


@pytest.mark.usefixtures("same_sdk")
def test_the_stories_give_their_files_again(tmp_path: Path) -> None:
    """Byte for byte; and the truth about every response adds up to what it was billed."""
    assert generate.main(["--check", "--truth", str(tmp_path)]) == 0
    responses = [r for name in generate.STORIES for r in json.loads(_truth(tmp_path, name)).values()]
    assert len(responses) > 300
    for response in responses:
        usage = response["usage"]
        prompt = sum(tokens for *_, tokens in response["prompt"])
        billed = usage["input_tokens"] + usage["cache_creation_input_tokens"] + usage["cache_read_input_tokens"]
        assert prompt == billed
        assert sum(tokens for *_, tokens in response["output"]) + 3 == usage["output_tokens"]


def _truth(folder: Path, name: str) -> str:
    return (folder / f"{name}.truth.json").read_text(encoding="utf-8")


@pytest.mark.usefixtures("same_sdk")
def test_a_changed_file_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The check fails and names the file."""
    (tmp_path / "failures.jsonl").write_text("{}\n", encoding="utf-8")
    assert generate.main(["--check", "--to", str(tmp_path), "failures"]) == 1
    assert "failures.jsonl is not what its story gives" in capsys.readouterr().err


def test_the_files_are_small_and_whole_otlp() -> None:
    """Together under 6 MB; ids are hexadecimal, and no span id occurs twice."""
    assert sum((FOLDER / f"{name}.jsonl").stat().st_size for name in generate.STORIES) < MAX_BYTES
    ids = [(span["traceId"], span["spanId"]) for name in generate.STORIES for span, _ in spans(name)]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch("[0-9a-f]{32}", trace) and re.fullmatch("[0-9a-f]{16}", span) for trace, span in ids)


def test_the_files_look_like_a_teams_month() -> None:
    """Enough sessions, requests and tools, a few of which dominate, over several days and models."""
    tools: Counter[str] = Counter()
    sessions, days, models, requests = set(), set(), set(), 0
    for name in generate.STORIES:
        for span, attributes in spans(name):
            sessions.add(attributes.get("toolspend.session.id"))
            days.add(int(span["startTimeUnixNano"]) // 86_400_000_000_000)
            if attributes.get("gen_ai.operation.name") == "chat":
                requests += 1
                models.add(attributes["gen_ai.request.model"])
            if attributes.get("gen_ai.operation.name") == "execute_tool":
                tools[attributes["gen_ai.tool.name"]] += 1
    assert 25 <= len(sessions - {None}) <= 60
    assert 300 <= requests <= 900
    assert len(days) >= 12
    assert len(models) >= 5
    assert len(tools) >= 17
    assert sum(count for _, count in tools.most_common(4)) > tools.total() / 3


def test_content_stays_out_of_the_traces() -> None:
    """What the tools returned and the users asked is not in any file."""
    for name in generate.STORIES:
        text = (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8")
        assert "according to the filing" not in text
        assert "Please prepare a brief" not in text


def test_nothing_names_the_machine() -> None:
    """No path, host name or process id of where the files were made."""
    for name in generate.STORIES:
        text = (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8")
        assert not re.search(r"/(home|root|tmp|Users|work)/|process\.pid|host\.name", text)
