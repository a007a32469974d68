"""Prose: the sentences that hold facts, then those that are most like the rest."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Final

from ._focus import Focus, facts_in, word_end
from ._pieces import FAIR, GOOD, MUST, Fitted, Piece, fit

_SENTENCE: Final = re.compile(
    r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]?[A-Z0-9ÄÖÜÀ-Þ\u0400-\u9fff])"
    # Chinese and Japanese have no blank between sentences.
    r"|(?<=[。\uff01\uff1f])(?![」』\u201d\u2019\uff09。\uff01\uff1f])\s*|(?<=[。\uff01\uff1f][」』\u201d\u2019\uff09])\s*"
)
_WORD: Final = re.compile(r"[^\W\d_]{3,}")
_LONGEST: Final = 600
_AROUND: Final = 48


def sentences(text: str) -> list[str]:
    """The sentences of a text, line by line."""
    return [each.strip() for line in text.splitlines() for each in _SENTENCE.split(line) if each.strip()]


def pieces_of(text: str, focus: Focus) -> list[Piece]:
    """The sentences of a paragraph."""
    found = []
    for sentence in _SENTENCE.split(text):
        for part in _parts(sentence, focus):
            facts = facts_in(part)
            rank = MUST if focus.must_keep(part) else GOOD if facts else FAIR
            found.append(Piece(part, rank, facts / (1 + len(part) / 120)))
    return found


def compress(text: str, max_tokens: int, focus: Focus) -> Fitted:
    """The sentences that say most, in their order."""
    pieces: list[Piece] = []
    for line in text.splitlines():
        if line.strip():
            pieces += pieces_of(line.strip(), focus)
    words = Counter(word for piece in pieces for word in _words(piece.text))
    for index, piece in enumerate(pieces):
        own = _words(piece.text)
        if piece.rank == FAIR:
            piece.score += 0.2 * sum(math.log1p(words[word]) for word in own) / (len(own) or 1)
        else:
            # A fact among words that are seldom here is no entry of a list.
            piece.score = min(piece.score, 1.5) + 2.0 * sum(1 / words[word] for word in own) / (len(own) or 1)
        if index == 0:  # what it is about
            piece.rank, piece.score = min(piece.rank, GOOD), piece.score + 4.0
        if piece.text.startswith("#") and piece.rank == FAIR:
            piece.rank = GOOD
    return fit(pieces, max_tokens, focus, "sentences")


def _parts(sentence: str, focus: Focus) -> list[str]:
    """A long sentence in parts, cut at blanks where it has some, and never near what must stay."""
    if len(sentence) <= _LONGEST:
        return [sentence]
    spans = focus.must_spans(sentence)
    parts: list[str] = []
    start = number = 0
    while len(sentence) - start > _LONGEST:
        end = sentence.rfind(" ", start + 1, start + _LONGEST + 1)
        end = start + _LONGEST if end < 0 else end
        while number < len(spans) and spans[number][0] - _AROUND < end:
            end = max(end, word_end(sentence, min(len(sentence), spans[number][1] + _AROUND)))
            number += 1
        parts.append(sentence[start:end].strip())
        start = end
    return [part for part in (*parts, sentence[start:].strip()) if part]


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)}
