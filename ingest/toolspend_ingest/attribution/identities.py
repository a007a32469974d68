"""Which segments of the evidence are the same piece of a conversation.

A call, a result or a definition says by its id who it is, and a keyframe repeats what is known: the n-th segment of a
kind there is the n-th piece like it that the session has. Text that a delta says is new: its base did not have it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from .arrays import running
from .inputs import Calls, Inputs, Items
from .lineage import Lineage
from .model import BLANK, KIND_OF_LETTER, UNATTRIBUTED, C, D, Flags, Ints, K, NotAlone, R

_WIDE: Final = 2**31


@dataclass(slots=True)
class Pieces:
    """One element a piece. `of_item`, `of_restated`, `of_output` are the pieces that the items are; -1 for copies."""

    of_item: Ints
    of_restated: Ints
    of_output: Ints
    session: Ints
    letter: Ints
    kind: Ints
    """Codes of the ledger's kinds."""
    chars: Ints
    extra_bytes: Ints
    weight: Ints
    digits: Ints
    is_server: Flags
    is_deferred: Flags
    """A definition that is not in the prompt until a tool search finds it."""
    medium: Ints
    """1 for an image, 2 for a document, else 0."""
    tool: Ints
    call: Ints
    """Numbers of calls, the same for a call and its result; -1 for none."""
    version: Ints
    code: Ints
    born: Ints
    """The prompt that first had it."""
    calls: Ints
    """Numbers of the calls of `Inputs.calls`, or -1."""
    call_of_output: Ints
    tool_of_call: Ints
    id_of_call: Ints
    """Codes of the sessions and of the ids of calls."""

    @property
    def call_count(self) -> int:
        """How many calls there are."""
        return len(self.tool_of_call)

    def __len__(self) -> int:
        return len(self.letter)


PIECE_COLUMNS: Final = (
    "session", "letter", "kind", "chars", "extra_bytes", "weight", "digits", "is_server", "is_deferred", "medium",
    "tool", "call", "version", "code", "born",
)  # fmt: skip
"""What there is one element of for each piece."""
_NOTHING: Any = np.zeros(0, dtype=np.int64)
_NONE: Final = Pieces(*(_NOTHING for _ in Pieces.__slots__))


def identify(inputs: Inputs, lineage: Lineage, known: Pieces | None = None, first_new: int = 0) -> Pieces:
    """The pieces of the sessions: those that are known, and those of the prompts from `first_new` on."""
    known = _NONE if known is None else known
    items, restated, output = lineage.items, inputs.restated, inputs.output
    every = Items.concatenate([items, restated, output])
    part = np.repeat([0, 1, 2], [len(items), len(restated), len(output)])
    is_asked = ((every.kind == C) & (every.id >= 0)) | (every.kind == R)
    is_tail = (part == 2) & ((is_asked & every.is_server) | (every.kind == K) | (every.kind == D))
    is_listed = ((part == 0) & ~every.is_copy) | (part == 1) | is_tail
    listed = np.flatnonzero(is_listed & (every.p >= first_new))
    is_new = (part[listed] == 0) & (every.id[listed] < 0) & ~lineage.is_keyframe[every.p[listed]]
    # A summary, and a definition that was found, come back as they were given.
    is_new &= (every.kind[listed] != K) & (every.kind[listed] != D)
    session = inputs.prompts.session[every.p[listed]]
    document = (session * (int(lineage.rank.max()) + 1 if len(lineage.rank) else 1) + lineage.rank[every.p[listed]]) * 3
    # What is known of a code repeats it as often as it is known.
    like = np.flatnonzero(np.isin(known.code, every.code[listed]) & (known.letter != BLANK))
    number, first = _identities(
        np.concatenate([known.code[like], every.code[listed]]),
        np.concatenate([known.session[like], session]),
        np.concatenate([np.full(len(like), -1), document + part[listed]]),
        np.concatenate([np.zeros(len(like), dtype=np.bool_), is_new]),
    )
    is_known = first < len(like)
    piece = len(known) + np.cumsum(~is_known) - 1
    piece[is_known] = like[first[is_known]]
    of_every = np.full(len(every), -1, dtype=np.int64)
    of_every[listed] = piece[number[len(like) :]]
    first = first[~is_known] - len(like)
    source = listed[first]
    calls, tool_of_call, id_of_call = _calls(inputs, every, known)
    ends = np.cumsum([len(items), len(restated)])
    letter, tool, call = every.kind[source], every.tool[source], calls[: len(every)][source]
    kind, tool = owners(letter, tool, call, tool_of_call)
    of_item, of_restated, of_output = np.split(of_every, ends)
    found = Pieces(
        of_item, of_restated, of_output, session[first], letter, kind, every.chars[source], every.extra_bytes[source],
        every.weight[source], every.digits[source], every.is_server[source], every.is_deferred[source],
        np.where(every.is_image[source], 1, np.where(every.is_document[source], 2, 0)),
        tool, call, np.where(letter == D, every.id[source], -1), every.code[source], every.p[source],
        calls[len(every) :], calls[ends[1] : len(every)], tool_of_call, id_of_call,
    )  # fmt: skip
    if len(known):
        for name in PIECE_COLUMNS:
            setattr(found, name, np.concatenate([getattr(known, name), getattr(found, name)]))
    _find_definitions(found)
    return found


def _find_definitions(pieces: Pieces) -> None:
    """Gives the place where a deferred definition was found the definition's size and version."""
    is_definition = (pieces.letter == D) & pieces.is_deferred
    is_place = is_definition & (pieces.version < 0)
    if not is_place.any():
        return
    tools = int(pieces.tool.max()) + 2
    key = pieces.session * tools + pieces.tool + 1
    known = np.flatnonzero(is_definition & ~is_place)
    known = known[np.argsort(key[known], kind="stable")]
    places = np.flatnonzero(is_place)
    at = np.searchsorted(key[known], key[places], side="right") - 1
    places, at = places[at >= 0], at[at >= 0]
    is_same = key[known][at] == key[places]
    places, source = places[is_same], known[at[is_same]]
    for name in ("chars", "extra_bytes", "weight", "digits", "version"):
        getattr(pieces, name)[places] = getattr(pieces, name)[source]
    pieces.is_deferred[places] = False


def owners(letter: Ints, tool: Ints, call: Ints, tool_of_call: Ints) -> tuple[Ints, Ints]:
    """Kinds of the ledger and tools; a result that does not name its tool has that of its call."""
    is_paired = ((letter == C) | (letter == R)) & (call >= 0)
    tool = np.where(is_paired & (tool < 0), tool_of_call[np.maximum(call, 0)] if len(tool_of_call) else -1, tool)
    is_tools = (letter == D) | (letter == C) | (letter == R)
    kind = np.where(is_tools & (tool < 0), UNATTRIBUTED, KIND_OF_LETTER[letter])
    return kind, np.where(is_tools, tool, -1)


def _identities(code: Ints, session: Ints, document: Ints, is_new: np.ndarray) -> tuple[Ints, Ints]:
    """A number for every segment, in the order in which the pieces first appear, and the first segment of each.

    With c pieces like it known, the j-th segment of a document that repeats is piece j (and c becomes at least j + 1);
    of one that says what is new it is piece c + j. Running sums and running maxima give every c at once.
    """
    if not len(code):
        return code, code
    _, like = np.unique(np.stack([session, code], axis=1), axis=0, return_inverse=True)
    order = np.lexsort((np.arange(len(code)), document, like.ravel()))
    group, doc, new = like.ravel()[order], document[order], is_new[order]
    is_first = np.concatenate([[True], group[1:] != group[:-1]])
    is_run = is_first | np.concatenate([[True], doc[1:] != doc[:-1]])
    runs = np.flatnonzero(is_run)
    length = np.diff(np.append(runs, len(order)))
    within = np.arange(len(order)) - np.repeat(runs, length)
    starts, grows = is_first[runs], new[runs]
    grown = running(np.where(grows, length, 0), starts)
    above = np.where(grows, 0, np.maximum(length - grown, 0))
    offset = np.cumsum(starts) * _WIDE
    known = grown + np.maximum.accumulate(above + offset) - offset
    before = np.where(starts, 0, np.concatenate([[0], known[:-1]]))
    index = within + np.repeat(np.where(grows, before, 0), length)
    key = np.empty(len(order), dtype=np.int64)
    key[order] = group * _WIDE + index
    _, first, number = np.unique(key, return_index=True, return_inverse=True)
    # Numbered as they appear: by document, not by key.
    by_appearance = np.lexsort((first, document[first]))
    place = np.empty(len(first), dtype=np.int64)
    place[by_appearance] = np.arange(len(first))
    earliest = _earliest(number.ravel(), document, len(first))
    return place[number.ravel()], earliest[by_appearance]


def _earliest(number: Ints, document: Ints, count: int) -> Ints:
    """The first segment of each piece, in the order of documents."""
    order = np.lexsort((np.arange(len(number)), document))
    found = np.full(count, -1, dtype=np.int64)
    found[number[order][::-1]] = order[::-1]
    return found


def _calls(inputs: Inputs, items: Items, known: Pieces) -> tuple[Ints, Ints, Ints]:
    """Numbers of calls for items and for the rows of calls, the tool of each, and what identifies it."""
    calls: Calls = inputs.calls
    is_call = ((items.kind == C) | (items.kind == R)) & (items.id >= 0) & ~items.is_copy
    id_ = np.concatenate([np.where(is_call, items.id, -1), calls.id])
    session = np.concatenate([inputs.prompts.session[items.p], calls.session])
    key = np.concatenate([known.id_of_call, np.where(id_ >= 0, session * _WIDE + id_, -1)])
    keys, first, place = np.unique(key, return_index=True, return_inverse=True)
    order = np.argsort(np.where(keys >= 0, first, len(key)), kind="stable")  # those that are known keep their numbers
    of_key = np.empty(len(keys), dtype=np.int64)
    of_key[order] = np.arange(len(keys))
    of_key[keys < 0] = -1
    number = of_key[place.ravel()][len(known.id_of_call) :]
    count = int(np.count_nonzero(keys >= 0))
    tool = np.full(count, -1, dtype=np.int64)
    said = np.flatnonzero(is_call & (items.kind == C) & (items.tool >= 0))[::-1]
    tool[number[said]] = items.tool[said]
    ran = np.flatnonzero(calls.id >= 0)[::-1]
    tool[number[len(items) + ran]] = calls.tool[ran]
    held = tool[: known.call_count]
    if ((held >= 0) & (held != known.tool_of_call)).any():
        raise NotAlone("a call is of another tool than was known")
    held[:] = known.tool_of_call
    return number, tool, keys[order][:count]
