"""How many tokens a text costs: a stand-in for the provider's tokenizer, in pure Python and without a vocabulary.

It is not the real tokenizer, but it has the properties that make characters a mere proxy for tokens: English prose has
about 4.5 characters a token, code about 3, JSON about 2.5, digits and hashes about 1.5, Chinese and Japanese less than
one. Newer models cut words finer: the same text costs more with them, and by a factor that depends on the text.
"""

from __future__ import annotations

import base64
import re
import struct
from functools import lru_cache
from typing import Final

_PIECE: Final = re.compile(
    r"""(?P<word>[ _"./]?[A-Z]?[a-z]+(?:'[a-z]{1,2})?)"""
    r"""|(?P<upper>[ _]?[A-Z]+)"""
    r"""|(?P<digits>\d{1,3})"""
    r"""|(?P<space>\n\s*|\s+)"""
    r"""|(?P<wide>[^\x00-\x7f])"""
    r"""|(?P<marks>[^\sA-Za-z\d\x80-\U0010ffff]{1,3})"""
)

FINE_MODELS: Final = ("claude-opus-4-7", "claude-opus-4-8", "claude-opus-5", "claude-sonnet-5", "claude-haiku-5")
"""Models of the newer tokenizer, which cuts words at 5 letters where the older one cuts at 8."""

FIRST_EAST_ASIAN: Final = 0x2E80
IMAGE_PIXELS_PER_TOKEN: Final = 750
IMAGE_DEFAULT_TOKENS: Final = 1_568
DOCUMENT_PAGE_TOKENS: Final = 2_000
DOCUMENT_PAGE_BYTES: Final = 60_000


def tokens_of_text(text: str, model: str) -> int:
    """The tokens that `text` costs with `model`."""
    return _count(text, 5 if model.startswith(FINE_MODELS) else 8)


@lru_cache(maxsize=8_192)
def _count(text: str, letters_per_piece: int) -> int:
    total: int = 0
    for match in _PIECE.finditer(text):
        kind = match.lastgroup
        length = match.end() - match.start()
        if kind == "word":
            total += 1 + (length - 1) // letters_per_piece
        elif kind == "upper":
            total += 1 + (length - 1) // 3
        elif kind == "wide":
            # Kana and ideographs are often two tokens; accented letters and typographic marks are one.
            point = ord(match.group())
            total += 2 if point >= FIRST_EAST_ASIAN and point % 3 == 0 else 1
        else:
            total += 1
    return total


def tokens_of_image(media_type: str, data: str) -> int:
    """The tokens of an image with base64 `data`: its area, not its bytes. Formats other than PNG cost the maximum."""
    if media_type == "image/png":
        head = base64.b64decode(data[:32])
        if head[:8] == b"\x89PNG\r\n\x1a\n" and len(head) == 24:
            width, height = struct.unpack(">II", head[16:24])
            return max(1, min(IMAGE_DEFAULT_TOKENS, int(width * height) // IMAGE_PIXELS_PER_TOKEN))
    return IMAGE_DEFAULT_TOKENS


def tokens_of_document(data: str) -> int:
    """The tokens of a PDF with base64 `data`, at one page for every 60 kB."""
    return DOCUMENT_PAGE_TOKENS * (1 + len(data) * 3 // 4 // DOCUMENT_PAGE_BYTES)
