"""Sessions whose true owners are known: real agent loops through the real SDK against a provider that says all.

simulated = simulate("cached", seed=1, home=tmp_path)
load(simulated, store)
compare(simulated.truth, ledger_rows(store, simulated.session_id)).misattributed_share

The provider is the stand-in of `sample_traces/standin` with a real byte-pair tokenizer and framing that a seed draws.
"""

from __future__ import annotations

from simulator.comparison import Comparison, Difference, compare, ledger_rows, load
from simulator.shapes import SHAPES, Shape
from simulator.simulation import Simulated, simulate
from simulator.truth import TruthRow

__all__ = [
    "SHAPES",
    "Comparison",
    "Difference",
    "Shape",
    "Simulated",
    "TruthRow",
    "compare",
    "ledger_rows",
    "load",
    "simulate",
]
