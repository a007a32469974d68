"""What Claude Code says of itself: session files, log events and metrics, each made into spans of a scope of its own;
and spans that it sends itself.

A session is one trace, whoever tells of it, so that what is told twice can be seen to be (`once`). Ids are hashes of
what names a thing there, so that reading it again finds the span that is stored.
"""

from __future__ import annotations

import hashlib
from typing import Final

from toolspend import attributes as at

SERVICE: Final = "claude-code"
TRANSCRIPT_SCOPE: Final = f"{at.SCOPE}.transcript"
EVENT_SCOPE: Final = f"{at.SCOPE}.claude_code.event"
METRIC_SCOPE: Final = f"{at.SCOPE}.claude_code.metric"
TRACE_SCOPE: Final = "com.anthropic.claude_code.tracing"
"""The scope of the spans that it sends itself."""
ONLY_BESIDE: Final = frozenset((TRACE_SCOPE, EVENT_SCOPE, METRIC_SCOPE))
"""Who may tell of what others tell of better: such spans count by what is there beside them."""

SUBAGENT: Final = "subagent"
"""What an agent is called that works for another one, where nothing says more."""
PROVIDER_REQUEST_ID: Final = "anthropic.request.id"
"""The id in the header of the provider's answer, as the anthropic SDK's own spans name it."""


def trace_id_of(session: str) -> str:
    """The trace that a session's spans are in."""
    return _digest("session", session, size=16)


def span_id_of(session: str, *names: str) -> str:
    """The span of what is named so within a session."""
    return _digest(session, *names, size=8)


def _digest(*parts: str, size: int) -> str:
    text = "\0".join(parts)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()
