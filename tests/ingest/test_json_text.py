"""JSON text: the same values as the standard library's, whatever the text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolspend_ingest import json_text

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_values_are_read_as_they_were_written(value: Any) -> None:
    """Any value comes back the same, and `json` reads the same from the text."""
    text = json_text.write(value)
    assert json_text.read(text) == value
    assert json.loads(text) == value


@given(st.text(alphabet='"\\/bfnrtud8c0{}[],:. -+eE1truefalsn\ud83d\ude00\x00\x1f\n', max_size=12))
def test_any_text_is_read_as_by_the_standard_library(text: str) -> None:
    """What is JSON to `json` gives the same value, escaped halves of characters too; what is not raises ValueError."""
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError):
            json_text.read(text)
    else:
        found = json_text.read(text)
        assert (found, type(found)) == (expected, type(expected)) or expected != expected


@pytest.mark.parametrize(
    "text", ['"\\ud83d"', '"\\ud83d\\ude00"', '"\\ude00x"', "1e400", "NaN", '{"a":1,"a":2}', "9" * 30]
)
def test_odd_texts_are_read_as_by_the_standard_library(text: str) -> None:
    """Lone halves, numbers out of range, names given twice."""
    assert repr(json_text.read(text)) == repr(json.loads(text))


def test_halves_of_characters_are_replaced() -> None:
    """A store takes UTF-8 only."""
    assert json_text.write({"a\ud83d": ["\ude00"]}) == '{"a?":["?"]}'


def test_what_is_no_number_is_null() -> None:
    """JSON has no such figures: it is unknown."""
    assert json_text.write([float("nan"), float("inf")]) == "[null,null]"
