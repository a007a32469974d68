"""What calls come to that are only sent again, kept once for a session that goes on instead of with each call.

Such a call is billed the same tokens at the same price by every request, so its row of `seen_calls` stays as it is: it
says how many tokens those are, and the view `tool_calls` adds them at what the session's row of `session_carries` says.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple

import numpy as np

from . import model as m
from .arrays import sums
from .calls import UNKNOWN, CallColumns
from .costs import PER
from .ledger import Ledger
from .model import Ints

_MOST: Final = 10**9
"""Of tokens, and of nano-dollars for each: beyond it every row has all that its call came to."""
_NANO: Final = Decimal(1).scaleb(-9)


class Carry(NamedTuple):
    """What a session sent again since it was attributed whole."""

    requests: int
    nano: int
    """Nano-dollars that each token was billed by them."""
    tokens: Ints
    """One element a call, in the order of the calls: what such a request bills of it; `UNKNOWN` where its row has all
    that it came to."""

    @property
    def usd(self) -> Decimal:
        """What each token was billed, in dollars."""
        return self.nano * _NANO

    def after(self, columns: CallColumns, since: Carry) -> CallColumns:
        """What the view says once this has grown, of rows that stayed as they were."""
        is_carried = self.tokens != UNKNOWN
        sent = np.where(is_carried & (columns.times_sent != UNKNOWN), self.requests - since.requests, 0)
        billed = np.where(is_carried & (columns.cost_nano != UNKNOWN), self.tokens * (self.nano - since.nano), 0)
        return columns._replace(times_sent=columns.times_sent + sent, cost_nano=columns.cost_nano + billed)

    def rows(self, columns: CallColumns) -> tuple[CallColumns, Ints]:
        """What rows have to hold so that the view says this of them; and the tokens that they carry."""
        is_held = self.tokens != UNKNOWN
        cost = columns.cost_nano - np.where(is_held, self.tokens, 0) * self.nano
        sent = np.where(is_held, columns.times_sent - self.requests, columns.times_sent)
        return columns._replace(times_sent=sent, cost_nano=np.where(is_held, cost, columns.cost_nano)), self.tokens

    def of(self, columns: CallColumns) -> Carry:
        """Without calls to which nothing can be added: what they came to is not known, or too much."""
        is_held = (self.tokens != UNKNOWN) & (columns.cost_nano != UNKNOWN) & (columns.times_sent != UNKNOWN)
        is_held &= (self.tokens < _MOST) & (self.nano < _MOST)
        return self._replace(tokens=np.where(is_held, self.tokens, UNKNOWN))

    def grown(self, ledger: Ledger, first_new: int) -> Carry:
        """With the requests of a ledger, at the rate at which each was billed most of its prompt, or read it."""
        prompts = ledger.contexts.inputs.prompts
        new = np.arange(first_new, len(prompts))
        new = new[prompts.is_billed[new] & ledger.is_priced[new] & (prompts.compressed_tool[new] < 0)]
        billed = prompts.billed[new]
        rate = np.where(billed[:, 0] > 0, 0, np.argmax(billed, axis=1))
        prices = np.clip(prompts.prices[new, rate] // PER, 0, _MOST)
        return self._replace(requests=self.requests + len(new), nano=self.nano + int(prices.sum()))


def tokens_of_last(ledger: Ledger, numbers: Ints) -> Ints:
    """What the last prompt was billed of each call, by the number of the call; `UNKNOWN` where it had none of it."""
    entries = ledger.entries
    last = len(ledger.contexts.inputs.prompts) - 1
    found = np.flatnonzero((entries.p == last) & (entries.call >= 0) & (entries.rate < len(m.PROMPT_RATES)))
    tokens = sums(entries.tokens[found], entries.call[found], ledger.contexts.pieces.call_count + 1)
    of_call: Ints = tokens[numbers]  # the last for -1
    return np.where(of_call > 0, of_call, UNKNOWN)
