"""One trace as a tree: what a span inherits from those above it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TypeVar

from toolspend import attributes as at

from .rows import Span

SESSION_ATTRIBUTES = (at.SESSION_ID, at.CONVERSATION_ID, at.SESSION_ID_STANDARD)
"""What names a session, the strongest first."""

INHERITED = frozenset((*SESSION_ATTRIBUTES, at.USER_ID, at.AGENT_NAME, at.SESSION_TAGS))
"""What spans have from those above them."""

_SCRUBBED = "[Scrubbed due to"
"""What Logfire writes in place of a value that looks secret, and a session's name does: it names none."""
_T = TypeVar("_T")


def names_in(spans: Collection[Span]) -> dict[str, set[str]]:
    """The sessions that spans name, by the attribute that names them."""
    found: dict[str, set[str]] = {name: set() for name in SESSION_ATTRIBUTES}
    for name, values in found.items():
        for span in spans:
            said = span.attributes.get(name)
            if said is None or (type(said) is str and said in values):
                continue
            if value := _session(span, name):
                values.add(value)
    return found


class Tree:
    """The spans of a trace by their parents; a parent that never arrived is no parent."""

    def __init__(self, spans: Sequence[Span], named: Mapping[str, set[str]] | None = None) -> None:
        self.spans = spans
        self._by_id = {span.span_id: span for span in spans}
        self._sessions = names_in(spans) if named is None else named
        self._said = INHERITED.intersection(set().union(*(span.attributes for span in spans)))

    def ancestors(self, span: Span) -> Iterator[Span]:
        """The spans above this one, the nearest first; a ring of parents ends where it closes."""
        seen = {span.span_id}
        parent = self._by_id.get(span.parent_span_id or "")
        while parent is not None and parent.span_id not in seen:
            seen.add(parent.span_id)
            yield parent
            parent = self._by_id.get(parent.parent_span_id or "")

    def _nearest(self, span: Span, name: str, get: Callable[[Span], _T | None]) -> _T | None:
        """What the span itself has of an attribute, else the nearest above it that has it."""
        if name not in self._said:
            return None
        own = get(span)
        if own is not None:
            return own
        return next((value for each in self.ancestors(span) if (value := get(each)) is not None), None)

    def session_id(self, span: Span) -> str:
        """The session: named by the span or above it, or the only one that its trace names, else the trace."""
        for name in SESSION_ATTRIBUTES:
            if not self._sessions[name]:
                continue
            if (own := _session(span, name)) is not None:
                return own
            inherited = (found for each in self.ancestors(span) if (found := _session(each, name)))
            if (session := next(inherited, None)) is not None:
                return session
            if len(self._sessions[name]) == 1:
                return next(iter(self._sessions[name]))
        return span.trace_id

    def user_id(self, span: Span) -> str | None:
        """Whom the work was for."""
        return self._nearest(span, at.USER_ID, lambda each: each.text(at.USER_ID))

    def agent(self, span: Span) -> str | None:
        """The agent that the span belongs to."""
        return self._nearest(span, at.AGENT_NAME, lambda each: each.text(at.AGENT_NAME))

    def tags(self, span: Span) -> list[str] | None:
        """The tags of the session."""
        return self._nearest(span, at.SESSION_TAGS, _tags)


def _session(span: Span, name: str) -> str | None:
    value = span.text(name)
    return None if not value or value.startswith(_SCRUBBED) else value


def _tags(span: Span) -> list[str] | None:
    value = span.attributes.get(at.SESSION_TAGS)
    return [str(each) for each in value] if isinstance(value, list) else None
