"""What stands before the messages of a prompt, and is in no session file: system prompt and tool definitions.

Only the bill tells how much it is: the first prompt of a conversation has so many tokens, and its messages about so
many. The rest is stated as one segment of no known kind with that weight, so that it is nobody's, and neither the
messages beside it nor what is learned from later prompts has to account for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from toolspend.evidence.segments import Segment

from .. import unsaid
from .usage import prompt_tokens


def head_of(usage: Mapping[str, Any], messages: Iterable[Segment]) -> Segment | None:
    """The segment for what a prompt was billed for beyond its messages; None where nothing is left, or known."""
    text = unsaid.head_of(prompt_tokens(usage), (json.loads(text) for text, _ in messages))
    return (text, 0) if text is not None else None
