"""A session file to spans."""

from __future__ import annotations

from collections.abc import Iterator

from ..otlp_values import BadSpan
from ..spans import SpanRow
from .conversation import Conversation
from .lines import BadLine, lines
from .spans import call_span, request_span

_MISSHAPEN = (TypeError, ValueError, AttributeError, KeyError, OverflowError, RecursionError)


def read(data: bytes, start: int, session: str) -> tuple[list[SpanRow], list[BadSpan], int]:
    """The spans of a file that say something of what it has from `start` on, what of that is bad, and its end.

    The file is read from its beginning: what a line means depends on those before. `session` is for lines that name
    none. A last line that is not whole yet is left: the end is before it.
    """
    conversation = Conversation(session)
    refused: list[BadSpan] = []
    end = 0
    for line in lines(data):
        end = line.end
        if isinstance(line, BadLine):
            if end > start:
                refused.append(BadSpan(line.reason, f"line {line.number}"))
            continue
        try:
            conversation.add(line)
        except _MISSHAPEN as error:
            if end > start:
                refused.append(BadSpan(f"misshapen: {error or type(error).__name__}", f"line {line.number}"))
    return list(_spans(conversation, start)), refused, end


def _spans(conversation: Conversation, start: int) -> Iterator[SpanRow]:
    for request in conversation.requests.values():
        if request.end > start:
            yield request_span(request)
    for call in conversation.calls.values():
        if call.end > start:
            yield call_span(call)
