"""How much a failure tells the model: enough to see that no next step follows from it, and nothing of what it says."""

from __future__ import annotations

import re
from typing import Final

MOST_WORDS: Final = 50
"""More are not counted: who writes so many says something."""
FEW_WORDS: Final = 4
"""So few leave no room for what failed and what to do about it."""

_MOST_CHARS: Final = 1_000
_WORD: Final = re.compile(r"[^\W_]+")
_UNSPACED: Final = re.compile("[\u3040-\u30ff\u3400-\u9fff]{2}")
"""Where no blanks stand between words, two characters count as one."""
_EMPTY: Final = frozenset(
    _WORD.findall(
        "a an and the this that your you we it is was has have been be to of in on with while for please sorry oops "
        "error errors exception failure failed fail fails internal server unknown unexpected occurred happened "
        "something anything went wrong bad invalid request operation call tool process processing completed complete "
        "could cannot can not unable try again later code status null none undefined"
    )
)


def error_words(text: str) -> int:
    """The words of a failure's text, as `attributes.TOOL_ERROR_WORDS` has them."""
    text = text[:_MOST_CHARS].lower()
    if all(word in _EMPTY or word.isdigit() for word in _WORD.findall(text)):
        return 0
    return min(len(text.split()) + len(_UNSPACED.findall(text)), MOST_WORDS)
