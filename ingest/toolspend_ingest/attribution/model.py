"""Codes and columns of the attribution: requests as billed, what their prompts were made of, whose tokens they are.

Money is in integer nano-dollars; prices are in nano-dollars per million tokens; sizes of pieces are in millionths of
a token, integers, so that sums of them are exact and depend on no order.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

KINDS: Final = (
    "tool_definition",
    "tool_use",
    "tool_result",
    "compression",
    "fee",
    "system",
    "user",
    "assistant",
    "thinking",
    "compaction",
    "overhead",
    "unattributed",
)
(DEFINITION, USE, RESULT, COMPRESSION, FEE, SYSTEM, USER, ASSISTANT, THINKING, COMPACTION, OVERHEAD, UNATTRIBUTED) = (
    range(len(KINDS))
)
"""Codes of the ledger's kinds: positions in `KINDS`."""

PROMPT_RATES: Final = ("cache_read", "cache_write_1h", "cache_write_5m", "input")
"""In the order of the prompt: what was read from the cache, then the writes (breakpoints of the longer time to live
must come first), then the rest."""
RATES: Final = (*PROMPT_RATES, "output", "fee")
OUTPUT_RATE: Final = RATES.index("output")
FEE_RATE: Final = RATES.index("fee")

BASES: Final = ("exact", "reconciled", "inferred", "unattributed")
(EXACT, RECONCILED, INFERRED, UNKNOWN) = range(len(BASES))
"""Codes of the ledger's bases: positions in `BASES`."""

MICRO: Final = 1_000_000

# Kinds of segments, as `attributes` of the instrumentation letters them and `items.sql` numbers them.
LETTERS: Final = "dsuatcrko"
(D, S, U, A, T, C, R, K, OTHER) = range(len(LETTERS))
BLANK: Final = len(LETTERS)
"""A piece of which nothing is known."""
KIND_OF_LETTER: Final = np.array(
    [DEFINITION, SYSTEM, USER, ASSISTANT, THINKING, USE, RESULT, COMPACTION, UNATTRIBUTED, UNATTRIBUTED], dtype=np.int64
)
IS_WRITTEN: Final = np.isin(np.arange(BLANK + 1), (A, T, C, K))
"""What the model wrote: first sent as output, so that in a prompt it is always a re-sending."""


class NotAlone(Exception):
    """A request that cannot be worked out without the rest of its session."""
