"""Inputs that a fuzzer found, and some thousand changes of whole ones, cost nobody but themselves."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from fuzz.seeds import seeds, words
from fuzz.targets import TARGETS

CORPUS = Path(__file__).with_name("corpus")
CHANGES = 200


@pytest.mark.parametrize("target", TARGETS)
def test_what_was_found_is_read(target: str) -> None:
    """Each file once led to code that no other did."""
    found = sorted((CORPUS / target).iterdir())
    assert found
    for path in found:
        TARGETS[target](path.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_changed_inputs_are_read(target: str) -> None:
    """Bytes flipped, cut, doubled and mixed; the dice are the same each time."""
    dice = random.Random(target)
    whole, spoken = seeds(target), [word.encode() for word in words()]
    for seed in whole:
        TARGETS[target](seed)
    for _ in range(CHANGES):
        data = bytearray(dice.choice(whole))
        for _ in range(dice.randint(1, 6)):
            place, end = sorted(dice.randrange(len(data) + 1) for _ in range(2))
            match dice.randrange(5):
                case 0:
                    data[place : place + 1] = bytes((dice.randrange(256),))
                case 1:
                    del data[place : min(end, place + 40)]
                case 2:
                    data[place:place] = dice.choice(spoken)
                case 3:
                    data[place:place] = data[place : min(end, place + 200)]
                case _:
                    del data[place:]
        TARGETS[target](bytes(data))
