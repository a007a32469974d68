"""What a text weighs: about how many tokens it has, from which kinds of characters follow on which.

Characters alone are a poor measure: prose has about 4.5 to a token, code 3, JSON 2.5, random letters 1.3. What follows
on what says more: digits after digits, letters after marks, capitals after small letters, runs of letters, of spaces
and of lines. So every character adds a share of a token that depends on its kind and on that of the next one.

The shares are a least-squares fit over the mean of four tokenizers (of Claude 2, DeepSeek, and two of Mistral) and
eleven kinds of text in which each kind counted alike, printed by `tests/accuracy/weights.py`. Three other tokenizers
are 8 % off it over all kinds of English text. Tokenizers differ most in digits (one to three of them a token), so these
are counted apart as well.

Every text of every prompt passes here, so the sum takes no step of Python for a character: a text is made one integer,
of one byte a character, which shifted and laid over itself has a pair in each byte; and the lower half of an Adler-32
checksum is a sum of bytes.
"""

from __future__ import annotations

from typing import Final, NamedTuple
from zlib import adler32

_LONGEST: Final = 12_288
"""Longer texts are weighed by as much of them, in slices from all over: 40 us at most."""
_SLICES: Final = 48
_SLICE: Final = _LONGEST // _SLICES
KINDS: Final = " n0Aa.wioclx"
"""Spaces, ends of lines, digits, capitals, small letters, marks, and the bytes of all that is not ASCII."""
_SHARES: Final = (
    (1, 85, 66, 6, 4, 36, 50, 85, 0, 80, 152, 13),
    (36, 24, 59, 0, 40, 0, 33, 45, 48, 24, 178, 13),
    (47, 91, 42, 100, 29, 37, 35, 42, 46, 24, 178, 13),
    (0, 48, 184, 21, 40, 81, 32, 13, 45, 29, 238, 13),
    (52, 82, 99, 19, 3, 57, 32, 51, 101, 24, 165, 13),
    (46, 64, 74, 1, 66, 7, 36, 100, 34, 30, 173, 13),
    (2, 81, 66, 28, 14, 32, 33, 48, 46, 24, 178, 24),
    (2, 81, 66, 28, 14, 32, 33, 48, 46, 24, 178, 41),
    (2, 81, 66, 28, 14, 32, 33, 48, 46, 24, 178, 0),
    (2, 81, 66, 28, 14, 32, 33, 48, 46, 24, 178, 17),
    (2, 81, 66, 28, 14, 32, 33, 48, 46, 24, 178, 0),
    (20, 81, 61, 10, 11, 94, 22, 9, 65, 0, 110, 7),
)
"""64ths of a token that a character of one kind (row) adds before one of another (column), both as in `KINDS`."""
_UNIT: Final = 64
_LONGEST_SUM: Final = 4_096
"""Bytes of up to 15 of which the checksum has the very sum: it is taken modulo 65,521."""


class Weight(NamedTuple):
    """About how many tokens a text has, and how many digits."""

    tokens: int
    digits: int


def _kind_of(byte: int) -> int:
    character = chr(byte)
    if byte >= 0x80:
        # Bytes that go on with a character, and those that begin one: of Latin with accents, Cyrillic, scripts of India
        # and typographic marks, East Asia, all others.
        firsts = ((0xC0, "x"), (0xC6, "l"), (0xD0, "o"), (0xD4, "c"), (0xE0, "o"), (0xE3, "i"), (0xEA, "w"))
        return KINDS.index(next((kind for end, kind in firsts if byte < end), "o"))
    if character.isalpha():
        return KINDS.index("A" if character.isupper() else "a")
    if character.isdigit():
        return _DIGIT
    if character in " \t":
        return KINDS.index(" ")
    return KINDS.index("n" if character in "\r\n" else ".")


def share_of(pair: int) -> int:
    """64ths of a token that a byte of `pairs_of` adds."""
    after, kind = divmod(pair, 16)
    return _SHARES[kind][after] if max(kind, after) < len(KINDS) else 0


_DIGIT: Final = KINDS.index("0")
_DIGITS: Final = bytes((_DIGIT,))
_KIND: Final = bytes(map(_kind_of, range(256)))
_SIXTEENS: Final = bytes(share_of(pair) // 16 for pair in range(256))
_ONES: Final = bytes(share_of(pair) % 16 for pair in range(256))


def weigh(text: str) -> Weight:
    """The weight of `text`; of any text but an empty one at least 1 token."""
    return Weight(*weighed(text))


def weighed(text: str) -> tuple[int, int]:
    """`weigh(text)`, for where every microsecond counts."""
    length = len(text)
    if length > _LONGEST:
        step = length / _SLICES
        places = [int(step * each) for each in range(_SLICES)]
        kinds = kinds_of("".join([text[place : place + _SLICE] for place in places]))
        scale = length / _LONGEST
        return int(sum_of(pairs_of(kinds)) / _UNIT * scale) or 1, int(kinds.count(_DIGITS) * scale)
    kinds = kinds_of(text)
    return (sum_of(pairs_of(kinds)) + _UNIT // 2) // _UNIT or (1 if text else 0), kinds.count(_DIGITS)


def kinds_of(text: str) -> bytes:
    """A byte for each of `text` in UTF-8: its kind, a place in `KINDS`."""
    return text.encode("utf-8", "surrogatepass").translate(_KIND)


def pairs_of(kinds: bytes) -> bytes:
    """A byte for each of `kinds`: itself, and in the upper half the next one. The last is followed by a space."""
    number = int.from_bytes(kinds, "little")
    return (number | number >> 4).to_bytes(len(kinds), "little")


def sum_of(pairs: bytes) -> int:
    """What `pairs` add, in 64ths of a token."""
    if len(pairs) > _LONGEST_SUM:
        return sum([sum_of(pairs[start : start + _LONGEST_SUM]) for start in range(0, len(pairs), _LONGEST_SUM)])
    return 16 * (adler32(pairs.translate(_SIXTEENS), 0) & 0xFFFF) + (adler32(pairs.translate(_ONES), 0) & 0xFFFF)
