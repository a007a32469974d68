"""What is said of a response's usage beside the conventions."""

from __future__ import annotations

import pytest

from toolspend import attributes as at
from toolspend.evidence import describe_usage


@pytest.mark.parametrize(("said", "told"), [("us", "us"), ("global", None), ("not_available", None), ("", None)])
def test_a_place_is_said_where_it_has_a_price(said: str, told: str | None) -> None:
    """Most requests run anywhere, which costs no bytes."""
    attributes = describe_usage({"input_tokens": 9, "output_tokens": 9, "inference_geo": said})
    assert attributes.get(at.USAGE_INFERENCE_GEO) == told
    assert len(attributes) == (told is not None)
