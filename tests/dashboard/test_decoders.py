"""Payloads of several requests, decoded together: each gets what it holds."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import traffic
from otlp_requests import Made, protobuf
from toolspend_dashboard import decoders
from toolspend_dashboard.decoders import Decoders
from toolspend_ingest.decode import Decoded, decode, decode_together

BODIES = [body for body, _ in traffic.batches(0, 1, 6_000)]


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many payloads were decoded together, each time."""
    found: list[int] = []

    def counted(payloads: Sequence[bytes]) -> list[Decoded]:
        found.append(len(payloads))
        return decode_together(payloads)

    monkeypatch.setattr(decoders, "decode_together", counted)
    return found


def decoded_at_once(payloads: Sequence[bytes], made: Decoders) -> list[Any]:
    """What threads that all wait for a decoder are given; an exception in place of what was raised."""

    def run(payload: bytes) -> Any:
        try:
            return made.spans(payload)
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(payloads)) as pool:
        with made.slots:
            waiting = [pool.submit(run, payload) for payload in payloads]
            while len(made._waiting) < len(payloads):
                threading.Event().wait(0.001)
        return [each.result(60) for each in waiting]


def test_requests_that_wait_are_decoded_together(groups: list[int]) -> None:
    """And each is told of its own spans."""
    found = decoded_at_once(BODIES[:4], Decoders(1))
    assert groups == [4]
    assert [list(each.spans) for each in found] == [list(decode(body, "protobuf").spans) for body in BODIES[:4]]


def test_no_more_is_decoded_together_than_is_set(groups: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits behind much is decoded all the same."""
    monkeypatch.setattr(decoders, "MOST_TOGETHER_BYTES", 2 * max(map(len, BODIES)))
    found = decoded_at_once(BODIES, Decoders(1))
    assert max(groups) <= 3 and sum(groups) == len(BODIES)
    assert sum(len(each.spans) for each in found) == sum(len(decode(body, "protobuf").spans) for body in BODIES)


def test_a_damaged_request_costs_its_neighbours_nothing() -> None:
    """What is refused is refused to whom sent it."""
    good = protobuf([Made(1, 1, "one")])
    found = decoded_at_once([BODIES[0], b"\xff" * 40, good], Decoders(1))
    assert [bool(each.refused) for each in found] == [False, True, False]
    assert [len(each.spans) > 0 for each in found] == [True, False, True]


def test_what_decoding_raises_is_told_to_all_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for ever, and the next is decoded."""
    made = Decoders(1)
    with monkeypatch.context() as patched:
        patched.setattr(decoders, "decode_together", lambda _: 1 / 0)
        assert all(isinstance(each, ZeroDivisionError) for each in decoded_at_once(BODIES[:3], made))
    assert len(made.spans(BODIES[0]).spans)
