"""A clock for the cache and small requests for the stand-in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

import standin


@dataclass
class Clock:
    """Seconds that a test moves by hand."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def ask(api: standin.Api, body: dict[str, Any], path: str = "/v1/messages") -> tuple[int, dict[str, Any]]:
    """Status and body of one request, without any SDK."""
    answer = api.answer("POST", path, {"x-api-key": "k"}, json.dumps(body).encode())
    return answer.status, json.loads(b"".join(answer.chunks))


def text(tokens: int, word: str = "word") -> str:
    """A text of exactly so many tokens with a model of the older tokenizer."""
    return " ".join([word] * tokens)
