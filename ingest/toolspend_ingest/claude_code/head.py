"""What stands before the messages of a prompt, and is in no session file: system prompt and tool definitions.

Only the bill tells how much it is: the first prompt of a conversation has so many tokens, and its messages about so
many. The rest is stated as one segment of no known kind with that weight, so that it is nobody's, and neither the
messages beside it nor what is learned from later prompts has to account for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from toolspend import attributes as at
from toolspend.evidence.segments import Segment, encoded
from toolspend.evidence.weight import Weight

from .usage import prompt_tokens

_TOKENS_PER_CHAR: Final = 0.25
_TOKENS_PER_DOCUMENT_CHAR: Final = 1 / 35
_PER_BLOCK: Final = {at.SEGMENT_CALL: 28, at.SEGMENT_RESULT: 13}
_PER_PROMPT: Final = 7
"""What a request and its first message cost beyond their text."""


def head_of(usage: Mapping[str, Any], messages: Iterable[Segment]) -> Segment | None:
    """The segment for what a prompt was billed for beyond its messages; None where nothing is left, or known."""
    billed = prompt_tokens(usage)
    if billed is None:
        return None
    tokens = round(billed - _PER_PROMPT - sum(_tokens(text) for text, _ in messages))
    return encoded(at.SEGMENT_OTHER, 0, weight=Weight(tokens, 0)) if tokens > 0 else None


def _tokens(text: str) -> float:
    kind, chars, *rest = json.loads(text)
    flags, weight = (rest[2] if len(rest) > 2 else None) or "", rest[4] if len(rest) > 4 else 0
    per_char = _TOKENS_PER_DOCUMENT_CHAR if at.FLAG_DOCUMENT in flags else _TOKENS_PER_CHAR
    return float(weight or chars * per_char) + _PER_BLOCK.get(kind, 0)
