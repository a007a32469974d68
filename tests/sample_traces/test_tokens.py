"""The stand-in's tokenizer: characters are only a proxy."""

from __future__ import annotations

import base64
import struct

import pytest

import standin
from standin.tokens import tokens_of_image

SAMPLES = {
    "prose": (
        "The operator reported that demand in the north had grown, although the sample was small. " * 9,
        4.0,
        5.5,
    ),
    "code": ("    def load_invoice(self, name: str) -> None:\n        return self.items[name]\n" * 9, 2.6, 3.8),
    "json": ('{"order_id": 771204, "sku": "GEAR-1003", "items": [{"qty": 3, "price": 12.50}]}' * 9, 1.6, 2.9),
    "digits": ("2026-11-23 19:44:02.123 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", 1.2, 2.0),
    "Japanese": ("新しいエージェントの費用を工具ごとに表示する。" * 9, 0.5, 1.0),
}


@pytest.mark.parametrize("kind", SAMPLES)
def test_density_depends_on_the_kind_of_content(kind: str) -> None:
    """Characters per token lie in a range of their own for each kind."""
    sample, low, high = SAMPLES[kind]
    assert low < len(sample) / standin.tokens_of_text(sample, "claude-sonnet-4-5") < high


def test_a_newer_model_counts_more_by_a_factor_that_depends_on_the_text() -> None:
    """So that the densities of one model say little about another's."""
    factors = [
        standin.tokens_of_text(sample, "claude-opus-4-8") / standin.tokens_of_text(sample, "claude-sonnet-4-5")
        for sample, _, _ in SAMPLES.values()
    ]
    assert factors[0] > 1.15
    assert factors[-1] == 1.0


def test_an_image_costs_its_area() -> None:
    """Two pictures of one size cost the same, whatever their bytes."""
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 1_000, 600)
    for size in (100, 100_000):
        assert tokens_of_image("image/png", base64.b64encode(head + b"\0" * size).decode()) == 800
