"""Context evidence: what a prompt and its answer were made of, in sizes, kinds, tool names and ids. No content."""

from __future__ import annotations

from . import content
from .chains import conversations
from .line import Tip
from .outputs import StreamedOutput, describe_output, describe_usage

__all__ = [
    "StreamedOutput",
    "Tip",
    "content",
    "conversation_of_call",
    "conversations",
    "describe_output",
    "describe_usage",
]


def conversation_of_call(tool_call_id: str) -> str | None:
    """The conversation id of the request whose response made the tool call, or None when it was not seen here."""
    return conversations.conversation_of_call(tool_call_id)
