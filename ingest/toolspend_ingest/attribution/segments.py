"""What is known of a segment before any bill is looked at: its form, about how many tokens, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from .model import BLANK, D, Flags, Floats, Ints, R

# Forms of segments: the letters, and what costs otherwise than its letter's text.
(IMAGE, DOCUMENT, SIZED_IMAGE, SERVER_DEFINITION, TOOL_SEARCH, SERVER_RESULT) = range(BLANK + 1, BLANK + 7)
FORMS: Final = BLANK + 7
IS_TEXT: Final = ~np.isin(np.arange(FORMS), (IMAGE, DOCUMENT, SIZED_IMAGE, SERVER_RESULT))
"""Whether a form costs what its text does: of what the provider's tools gave much is enciphered."""

_TOKENS_PER_CHAR: Final = 0.25
_TOKENS_PER_EXTRA_BYTE: Final = 0.375
"""For segments of which only the length is known. A Chinese character (2 bytes more) is about one token, a Cyrillic
letter about 0.6."""
_CHARS_PER_IMAGE_TOKEN: Final = 250
"""131,635 base64 characters cost 519 tokens in a recording; an image costs 1,600 tokens at most."""
_IMAGE_TOKENS: Final = (64, 1600)
_CHARS_PER_DOCUMENT_TOKEN: Final = 35
_LEAST_DOCUMENT_TOKENS: Final = 300

_SCRIPTS: Final = (0.3, 1.0)
"""From so many bytes beyond one a character on, a text is in another alphabet (one more a letter), or in ideographs
(two more); below are letters with accents."""
_TEXTURES: Final = np.linspace(-1.8, 0.0, 10)
"""Logarithms of tokens a character: prose, code, JSON, and lists of hashes lie some 0.3 apart."""
_FIGURES: Final = np.linspace(0.0, 0.75, 6)
"""Digits a character."""
_FEW: Final = (3, 12, 20)
"""Tokens, characters, and characters again that stand beside those of a text: short ones are all of about one texture,
and with few digits."""
COUNT_SPREAD: Final = np.array([0.5, 0.02, 0.3, 0.3, 0.3] + [0.15] * (len(_TEXTURES) + len(_FIGURES)))
"""How far tokenizers are from each other: one to three digits a token, long runs of spaces and long words whole or in
pieces, other scripts a token a letter or a token a word, each script for itself; and of all texts of one texture."""

_NOISE: Final = np.full(FORMS, 0.02)
_NOISE[[IMAGE, DOCUMENT, SIZED_IMAGE]] = (0.3, 0.2, 0.005)
"""How far one text is from others of its tool, form and texture."""
_NOISE_PER_TOKEN: Final = 0.1
"""What that is more for short texts: the variance, in tokens, of each token."""
_PAGE: Final = 1000.0
"""How far a document is from what its length says, in tokens: how many pages it has is not known."""


@dataclass(slots=True)
class Segments:
    """One element a segment: its form, its tool (or -1), its prior tokens, and what is counted of it."""

    form: Ints
    tool: Ints
    weight: Floats
    counts: Floats
    """A row a segment: its digits, its characters, its bytes beyond one a character, in a column for its script; and
    its prior tokens, shared by the textures that it lies between, and again by how many digits it has."""
    frames: Ints
    """The frames of results that it has beside what its form has: 1 for a picture that begins a result, -1 for a text
    that does not."""

    def take(self, places: Ints) -> Segments:
        """Some of the segments."""
        return Segments(*(getattr(self, name)[places] for name in Segments.__slots__))


def segments(
    letter: Ints, tool: Ints, chars: Ints, extra_bytes: Ints, weight: Ints, digits: Ints, medium: Ints, is_server: Flags
) -> Segments:
    """Segments with a guess at their tokens: the weight that was sent, else from their length alone.

    `medium` is 1 for an image, 2 for a document, else 0.
    """
    image = np.clip(chars / _CHARS_PER_IMAGE_TOKEN, *_IMAGE_TOKENS)
    document = np.maximum(chars / _CHARS_PER_DOCUMENT_TOKEN, _LEAST_DOCUMENT_TOKENS)
    text = chars * _TOKENS_PER_CHAR + extra_bytes * _TOKENS_PER_EXTRA_BYTE
    tokens = np.where(weight > 0, weight, np.choose(medium, [text, image, document])).astype(np.float64)
    form = np.where(medium > 0, BLANK + medium, np.where((letter == D) & is_server, SERVER_DEFINITION, letter))
    form[(medium == 1) & (weight > 0)] = SIZED_IMAGE
    form[(letter == R) & is_server & (medium == 0)] = SERVER_RESULT
    counts = np.zeros((len(chars), len(COUNT_SPREAD)))
    counts[:, 0], counts[:, 1] = digits, chars
    script = np.digitize(extra_bytes / np.maximum(chars, 1), _SCRIPTS)
    counts[np.arange(len(chars)), 2 + script] = extra_bytes
    texture = np.log((tokens + _FEW[0]) / (chars + _FEW[1]))
    _lay_between(counts[:, 5 : 5 + len(_TEXTURES)], texture, _TEXTURES, tokens)
    _lay_between(counts[:, 5 + len(_TEXTURES) :], digits / (chars + _FEW[2]), _FIGURES, tokens)
    counts[~IS_TEXT[form]] = 0.0
    return Segments(form, tool, tokens, counts, np.zeros_like(letter))


def _lay_between(columns: Floats, values: Floats, knots: Floats, amounts: Floats) -> None:
    """Shares each amount between the columns of the two knots that its value lies between, the nearer one more."""
    place = (np.clip(values, knots[0], knots[-1]) - knots[0]) / (knots[1] - knots[0])
    left = np.minimum(place.astype(np.int64), len(knots) - 2)
    rows = np.arange(len(values))
    columns[rows, left] = amounts * (1 - (place - left))
    columns[rows, left + 1] = amounts * (place - left)


def variances(some: Segments) -> Floats:
    """How far segments are from what is expected of them, squared, in tokens."""
    found: Floats = (_NOISE[some.form] * some.weight) ** 2 + _NOISE_PER_TOKEN * some.weight
    found[some.form == DOCUMENT] += _PAGE**2
    return found


def slack(some: Segments) -> Ints:
    """`variances` in thousandths, as whole numbers: sums of these are exact."""
    found: Ints = np.rint(np.clip(variances(some) * 1000, 1, 2**40)).astype(np.int64)
    return found
