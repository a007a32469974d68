"""How long a compression takes: as long as its text is, whatever stands in it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from toolspend.toolkit.compressor import _compress, _json
from toolspend.toolkit.compressor._focus import Focus

SENTENCES = " ".join(f"Station {number} of the coast had {number * 37 % 211} mm of rain." for number in range(6_000))
HOSTILE: dict[str, Callable[[int], str]] = {
    "numbers": lambda count: ",".join(str(number * 7919 % 1000) for number in range(count)),
    "numbers in JSON": lambda count: json.dumps({"values": HOSTILE["numbers"](count)}),
    "errors": lambda count: "error" * count,
    "points": lambda count: "1." * count,
    "fields of one row": lambda count: json.dumps(
        [{"a": 1}] * 4 + [{f"field_{n}": "words" for n in range(count // 8)}]
    ),
}


def cpu_s(work: Callable[[], object]) -> float:
    """The seconds of processor time that `work` takes, the less of two runs."""
    taken = []
    for _ in range(2):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return min(taken)


def shortened_s(text: str) -> float:
    """The seconds that a compression of `text` takes."""
    return cpu_s(lambda: _compress._without_model(text, 450, Focus()))


def test_a_long_text_is_looked_at_once_however_many_lengths_are_tried() -> None:
    """A text within JSON takes a few times as long as finding its facts does, and not once for each of 15 lengths."""
    once_s = cpu_s(lambda: Focus().spans(SENTENCES))
    assert shortened_s(json.dumps({"text": SENTENCES})) < 7 * once_s


def test_what_cannot_fit_is_given_up_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of which each must stay are said once in full, not once for each of 15 lengths."""
    parts = {str(number): [{"error": f"node {number} failed"}, number] for number in range(4_000)}
    text = json.dumps({"all": list(parts.values()), **parts})
    all_s = shortened_s(text)
    monkeypatch.setattr(_json, "_LEVELS", _json._LEVELS[-1:])
    assert all_s < 2 * shortened_s(text)


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_a_longer_text_takes_as_much_longer(make: Callable[[int], str]) -> None:
    """Also without blanks, where every place of it could begin a number, an error or a field of its own."""
    assert shortened_s(make(48_000)) < 9 * shortened_s(make(12_000))
