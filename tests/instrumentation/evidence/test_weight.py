"""The weight of a text is near its tokens, whatever it is made of and however long."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from toolspend.evidence import weight as module
from toolspend.evidence.weight import weigh


def test_kinds_of_text_weigh_what_they_cost() -> None:
    """Tokens a character, as real tokenizers have them: prose 0.2, JSON 0.4, hexadecimal 0.6 to 0.9, base64 0.7."""
    dice = random.Random(1)
    prose = "The quarterly report describes how revenue developed across the regions we serve. " * 10
    rows = "".join(f'{{"id":{dice.randrange(10**6)},"state":"open","total":{dice.random():.4f}}},' for _ in range(20))
    hexadecimal = dice.randbytes(400).hex()
    letters = "".join(dice.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", k=800))
    shares = [weigh(text).tokens / len(text) for text in (prose, rows, hexadecimal, letters)]
    for share, (low, high) in zip(shares, [(0.15, 0.23), (0.3, 0.5), (0.55, 0.9), (0.55, 0.85)], strict=True):
        assert low < share < high


def test_text_beyond_ascii_weighs_more() -> None:
    """A thousand Chinese characters weigh about as many tokens, Russian letters half as many."""
    assert 700 < weigh("汉" * 1000).tokens < 1300
    assert 350 < weigh("привет мир " * 91).tokens < 750


def test_digits_are_counted_apart() -> None:
    """Tokenizers differ most in digits."""
    assert weigh("in 2026 there were 17").digits == 6
    assert abs(weigh("7 apples, " * 2000).digits - 2000) < 100


def test_long_texts_are_weighed_by_samples_of_all_of_them() -> None:
    """A text whose second half is denser weighs what its parts weigh together."""
    prose = "The quarterly report describes how revenue developed across the regions. " * 300
    numbers = "0.1234567,89.01234;" * 1100
    together = weigh(prose).tokens + weigh(numbers).tokens
    assert abs(weigh(prose + numbers).tokens - together) < 0.1 * together


@given(st.text(max_size=400), st.integers(1, 40))
def test_any_text_has_a_weight(text: str, times: int) -> None:
    """Weights and digits are never negative, nothing weighs nothing, and no text breaks it."""
    weight = weigh(text * times)
    assert (weight.tokens > 0) == bool(text)
    assert 0 <= weight.digits <= len(text * times) * 1.01


@given(st.text(st.characters(), max_size=200), st.integers(1, 60))
def test_the_sum_is_that_of_all_pairs(text: str, times: int) -> None:
    """What checksums of a text give is what adding up pair by pair does, on both sides of a checksum's bound."""
    kinds = module.kinds_of(text * times)[:12_000]
    total = sum(module.share_of(kind | after << 4) for kind, after in zip(kinds, [*kinds[1:], 0], strict=False))
    assert module.sum_of(module.pairs_of(kinds)) == total
