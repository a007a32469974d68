"""How well each tool fits a task's text: words, what people say for them, topics; vectors where there is a model."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from . import _topics, _words
from .tool import Tool, parameters_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Column: TypeAlias = NDArray[np.float32]

Embed: TypeAlias = Callable[[Sequence[str]], Any]
"""Texts to vectors, one row a text."""

# Chosen on tasks.tsv and further.tsv in tests/toolkit_selection; `make selection` shows the others beside them.
_NAME_WEIGHT: Final = 3
_DESCRIPTION_TERMS: Final = 60
_SYNONYM_WEIGHT: Final = 0.7
_MEANT_WEIGHT: Final = 0.5
_TOPIC_WEIGHT: Final = 1.0
_UNKNOWN: Final = 0.1
_TOPIC_OF_CATEGORY: Final = 1.5
_CATEGORY_WEIGHT: Final = 0.8
_COMMON_WEIGHT: Final = 0.5
_UNASKED: Final = 0.75
_VECTOR_WEIGHT: Final = 0.7
_SUCCESS_WEIGHT: Final = 0.1
_SATURATION: Final = 1.5
_LENGTH: Final = 0.75
_EMBEDDED_CHARS: Final = 200
_REMEMBERED_TERMS: Final = 2_000
_NEAR: Final = 0.55
_NEAR_OF_VECTORS: Final = 0.4
_NEARER: Final = 0.25
_WRITES: Final = frozenset({"create", "delete", "update", "block", "send", "upload"})
_READS: Final = frozenset({"read", "list", "search"})


class Ranked(NamedTuple):
    """Positions of tools, the best first, and how well each of these fits, the best at 1.

    `near` is how well a tool fits that may as well be meant; None where nothing of the text was recognised.
    """

    order: list[int]
    fits: Sequence[float] | Column
    near: float | None

    def is_unsure(self, kept: int) -> bool:
        """Whether a tool that the task needs may lie beyond the first `kept`."""
        return self.near is None or (kept < len(self.fits) and float(self.fits[kept]) > self.near)


class Ranking:
    """An index over `tools`, built once; a task is ranked in under a millisecond."""

    def __init__(self, tools: Sequence[Tool], embed: Embed | None = None) -> None:
        import numpy as np

        documents = [_document(tool) for tool in tools]
        categories = sorted({tool.category for tool in tools})
        places = {category: place for place, category in enumerate(categories)}
        merged: list[list[str]] = [[] for _ in categories]
        for tool, document in zip(tools, documents, strict=True):
            merged[places[tool.category]] += document
        self._tools = _Index(documents)
        self._categories = _Index(merged)
        self._category_of = np.array([places[tool.category] for tool in tools], dtype=np.intp)
        of_category: Column = _topics.shares(merged)[self._category_of] * np.float32(_TOPIC_OF_CATEGORY)
        self._topics = _topics.unit(_topics.shares(documents) + of_category)
        does = [_words.actions(_words.terms(tool.name)) for tool in tools]
        self._writes = np.array([bool(each & _WRITES) and not each & _READS for each in does], dtype=bool)
        self._reads = np.array([bool(each & _READS) and not each & _WRITES for each in does], dtype=bool)
        self._doing = {action: np.array([action in each for each in does]) for action in frozenset().union(*does)}
        self._embed = embed
        self._vectors = None if embed is None else _vectors(embed, [_passage(tool) for tool in tools])

    def rank(self, text: str, successes: Mapping[int, float]) -> Ranked:
        """The tools by how well they fit `text`; ties as the tools were given.

        `successes` are shares of calls that succeeded, by the tool's position, where any are known.
        """
        import numpy as np

        asked = _words.asked(text)
        scores, possible = self._tools.scores(asked)
        scores += _CATEGORY_WEIGHT * self._categories.scores(asked)[0][self._category_of]
        recognised = min(1.0, float(scores.max(initial=0.0)) / possible) if possible else 0.0
        # A share of the best, so that a topic decides where words do not. Where nothing does, what suits comes first.
        similar = self._topics @ _topics.shares([asked])[0] + (_UNKNOWN if self._vectors is None else 0)
        scores += _TOPIC_WEIGHT * (float(scores.max(initial=0.0)) or 1.0) * similar
        scores *= self._suited(text, asked)
        for place, share in successes.items():
            scores[place] *= 1 + _SUCCESS_WEIGHT * (2 * share - 1)
        if self._embed is not None and self._vectors is not None:
            scores = _scaled(scores) + _VECTOR_WEIGHT * _scaled(self._vectors @ _vectors(self._embed, [text])[0])
        # Rounded, so that a last bit that differs between machines decides no tie.
        order = np.argsort(-np.round(scores, 5), kind="stable")
        fits = (scores[order] / max(float(scores.max(initial=0.0)), 1e-9)).astype(np.float32)
        # The less was recognised, the sooner the next tool is as near.
        near = (_NEAR if self._vectors is None else _NEAR_OF_VECTORS) + _NEARER * recognised
        return Ranked(order.tolist(), fits, near if recognised else None)

    def _suited(self, text: str, asked: Sequence[str]) -> Column:
        """Less than 1 where a tool would change what the text only asks about, or only read what it wants changed."""
        import numpy as np

        actions = _words.actions(asked)
        if _words.is_question(text):
            unasked = self._writes.copy()
        elif not actions & _READS:
            unasked = self._reads.copy()
        else:
            return np.ones(len(self._writes), dtype=np.float32)
        for action in actions & self._doing.keys():
            unasked &= ~self._doing[action]
        return np.where(unasked, np.float32(_UNASKED), np.float32(1))


def _bm25s() -> Any:
    """The library. It sets its logger to DEBUG, whose lines then go to every handler of the application's: not here."""
    log = logging.getLogger("bm25s")
    level = log.level
    try:
        return importlib.import_module("bm25s")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"get_tools_for_task(query=...): bm25s is not installed: {_words.INSTALL}") from error
    finally:
        log.setLevel(level)


class _Index:
    """BM25 over documents given as terms, where a term's synonyms count too, but only as far as the best of them."""

    def __init__(self, documents: Sequence[Sequence[str]]) -> None:
        model = _bm25s().BM25(k1=_SATURATION, b=_LENGTH)
        model.index([list(document) for document in documents], show_progress=False)
        self._places: dict[str, int] = model.vocab_dict
        self._data, self._rows, self._starts = (model.scores[key] for key in ("data", "indices", "indptr"))
        self._count = len(documents)
        self._columns: dict[str, tuple[Column, float]] = {}

    def scores(self, asked: Sequence[str]) -> tuple[Column, float]:
        """Each document's score for the terms `asked`, and what a document that has them all would get."""
        import numpy as np

        total = np.zeros(self._count, dtype=np.float32)
        best: list[float] = []
        for term in asked:
            known = self._columns.get(term)
            if known is None:
                known = self._column(term)
                if len(self._columns) < _REMEMBERED_TERMS:
                    self._columns[term] = known
            total += known[0]
            best.append(known[1])
        # A word that no tool knows is worth as much as the best known one: it was said, and nothing answers it.
        return total, sum(each or max(best) for each in best)

    def _column(self, term: str) -> tuple[Column, float]:
        """Each document's score for one term, and the best of them."""
        import numpy as np

        column = np.zeros(self._count, dtype=np.float32)
        for synonym in _words.said_for(term):
            self._raise_to(column, synonym, _SYNONYM_WEIGHT)
        for meant in _words.meant_by(term):
            self._raise_to(column, meant, _MEANT_WEIGHT)
        self._raise_to(column, term, 1.0)
        if _words.is_common(term):
            column *= _COMMON_WEIGHT
        return column, float(column.max(initial=0.0))

    def _raise_to(self, column: Column, term: str, weight: float) -> None:
        place = self._places.get(term)
        if place is not None:
            span = slice(self._starts[place], self._starts[place + 1])
            rows = self._rows[span]
            column[rows] = column[rows].clip(min=weight * self._data[span])


def _document(tool: Tool) -> list[str]:
    name = _words.terms(tool.name)
    parameters = [term for each in parameters_of(tool.schema) for term in _words.terms(each)]
    where = _words.terms(f"{tool.category} {tool.server or ''}" if tool.server != tool.category else tool.category)
    return name * _NAME_WEIGHT + _words.terms(tool.description)[:_DESCRIPTION_TERMS] + parameters + where


def _passage(tool: Tool) -> str:
    words = f"{tool.category} {tool.name}".replace("_", " ").replace("-", " ")
    return f"{words}: {tool.description[:_EMBEDDED_CHARS]}"


def _scaled(scores: Column) -> Column:
    """From 0 for the mean, or less, to 1 for the best."""
    low, high = float(scores.mean()), float(scores.max())
    return scores * 0 if high <= low else (scores - low) / (high - low)


def _vectors(embed: Embed, texts: Sequence[str]) -> Column:
    """A unit vector for each text, one a row. Raises TypeError where `embed` gives none."""
    import numpy as np

    given = embed(texts)
    try:
        vectors = np.asarray(given, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise TypeError(f"embed: {type(given).__qualname__} is no table of numbers, one row a text") from error
    if vectors.ndim != 2 or len(vectors) != len(texts):
        raise TypeError(f"embed: {len(texts)} texts gave an array of {vectors.shape}, not one row of numbers a text")
    return _topics.unit(vectors)
