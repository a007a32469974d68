"""What values in a text are."""

from __future__ import annotations

import time

import pytest

from toolspend.toolkit._values import kinds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ping 10.0.4.17 now", ["ip", "address", "host"]),
        ("(see https://example.org/a?b=c)", ["url", "web", "page"]),
        ("write to bob@example.co.uk.", ["email", "address"]),
        ("who has 00:1b:44:11:3a:b7?", ["mac", "address", "device"]),
        ("CVE-2021-44228", ["cve", "vulnerability"]),
        ("rename a/report-final.txt", ["file"]),
        ("example.org is down", ["domain", "url"]),
        ("$5.50, or 49 dollars", ["price", "amount"]),
        ("5% or 20 percent", ["percent"]),
        ("at 3 pm or 15:30", ["time"]),
        ("after 8 hours", ["time", "timeout"]),
        ("md5 d41d8cd98f00b204e9800998ecf8427e", ["hash"]),
        ("version 1.2.3 of node.js, 5 replicas, e.g. this", []),
        ("", []),
    ],
)
def test_a_value_is_known_by_its_form(text: str, expected: list[str]) -> None:
    """Addresses, amounts, times and names of files; a plain number says nothing."""
    assert kinds(text) == expected


@pytest.mark.parametrize("piece", ["a-", "1.", "a.a@ ", "http://", "9"])
def test_a_hostile_text_takes_no_longer_than_its_length(piece: str) -> None:
    """No pattern goes back and forth over a long text."""
    started = time.thread_time()
    kinds(piece * 50_000)
    assert time.thread_time() - started < 5
