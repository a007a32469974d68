"""What texts speak of: payments, browsers, files... A task and a tool that share no word may still share a topic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import _words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def shares(texts: Sequence[Sequence[str]]) -> NDArray[np.float32]:
    """How much each text, given as its terms, speaks of each topic: a row a text, of length 1; 0 where no word tells.

    A word that tells of several topics counts less for each.
    """
    import numpy as np

    found = np.zeros((len(texts), _words.topic_count()), dtype=np.float32)
    for row, terms in zip(found, texts, strict=True):
        for term in terms:
            topics = _words.topics(term)
            for topic in topics:
                row[topic] += 1 / len(topics)
    return unit(found)


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each row at length 1; one of nothing stays so."""
    import numpy as np

    scaled: NDArray[np.float32] = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return scaled
