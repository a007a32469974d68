"""Bills that `instrument()` sees: the spans of model requests, read for densities when somebody asks for these.

Spans are noted where they are exported, in a thread of its own and a reference each, and only in processes that have a
compressor to tell.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import format_span_id

from .. import _provider
from .. import attributes as at
from .._guard import guarded
from .._scrub import plain
from ._bill import FRAMES
from ._density import Densities

_MOST_WAITING: Final = 128
_MOST_KNOWN: Final = 1_000
_CHARS_A_TOKEN: Final = 4
_UNSIZED: Final = frozenset({at.FLAG_IMAGE, at.FLAG_DOCUMENT, at.FLAG_DEFERRED, at.FLAG_SERVER})
_UNKEPT: Final = frozenset({at.SEGMENT_THINKING, at.SEGMENT_COMPACTION})


class _Bill(NamedTuple):
    span_id: str
    model: str
    tokens: int
    evidence: str


class SeenBills:
    """The latest spans of model requests, and of those that were read how long each prompt was."""

    def __init__(self) -> None:
        self._waiting: deque[_Bill] = deque(maxlen=_MOST_WAITING)
        self._known: OrderedDict[str, tuple[str, int, int]] = OrderedDict()
        self._lock = threading.Lock()

    @guarded("densities")
    def note(self, spans: Sequence[ReadableSpan]) -> None:
        """Keeps what the spans of model requests among `spans` say."""
        for span in spans:
            said = plain(span.attributes)
            evidence, tokens = said.get(at.CONTEXT_EVIDENCE), said.get(at.INPUT_TOKENS)
            model = said.get(at.RESPONSE_MODEL) or said.get(at.REQUEST_MODEL)
            if isinstance(evidence, str) and isinstance(tokens, int) and isinstance(model, str) and span.context:
                self._waiting.append(_Bill(format_span_id(span.context.span_id), model, tokens, evidence))

    @guarded("densities")
    def teach(self, densities: Densities) -> None:
        """Tells `densities` what was noted since, unless another thread does just now."""
        if self._lock.acquire(blocking=False):
            try:
                while self._waiting:
                    self._read(self._waiting.popleft(), densities)
            finally:
                self._lock.release()

    def clear(self) -> None:
        """Forgets all of it."""
        self._waiting.clear()
        self._known.clear()

    def _read(self, bill: _Bill, densities: Densities) -> None:
        if bill.span_id in self._known:  # exported twice
            return
        said = json.loads(bill.evidence)
        base = self._known.get(said.get("base", ""))
        self._known[bill.span_id] = (bill.model, said["segments"], bill.tokens)
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        if base is not None and base[0] == bill.model:
            grown = _grown(said["delta"], base[1])
            if grown:
                densities.learn(bill.model, grown, bill.tokens - base[2])


def _grown(delta: Sequence[Sequence[Any]], base: int) -> dict[str | None, int] | None:
    """What a prompt has beyond all the `base` segments that it repeats, by tool; None where that is not all of it."""
    if not delta or list(delta[0]) != [0, base]:
        return None
    grown: dict[str | None, int] = {}
    for segment in delta[1:]:
        kind, chars, tool, _, flags, _, weight = [*segment, *[None] * 7][:7]
        if not isinstance(kind, str) or kind in _UNKEPT or _UNSIZED.intersection(flags or ""):
            return None
        frame, owner = FRAMES.get(kind, FRAMES[None]), tool or None
        size = round(chars / _CHARS_A_TOKEN) if weight is None else weight
        grown[owner] = grown.get(owner, 0) + size + frame
    return grown


seen: Final = SeenBills()
_provider.exporting.append(seen.note)
