"""How much of the error no bill tells of: `python tests/accuracy/bound.py [--seeds 11,12] [--shapes cached,long]`.

For each simulated session in which a tool with over 2 % of the bill is off by more than 5 %, four ledgers beside the
truth: as the product makes it; with the tokens of every definition known; with densities fitted to the true tokens of
every piece, which no learning from bills can better; and with both. What is left in the last two is how far texts
are from the best linear prediction by what is sent of them: characters, weight, digits, bytes, tool and kind.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Final, NamedTuple
from unittest import mock

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("instrumentation", "ingest", "sample_traces", "tests")]

from accuracy.estimators import learned, ledger_with  # noqa: E402
from accuracy.run import MOST_WRONG  # noqa: E402
from simulator import SHAPES, Comparison, Simulated, compare, load, simulate  # noqa: E402
from standin import Piece  # noqa: E402
from toolspend_ingest import Store  # noqa: E402
from toolspend_ingest.attribution import densities as densities_module  # noqa: E402
from toolspend_ingest.attribution import run, shares  # noqa: E402
from toolspend_ingest.attribution.contexts import Contexts, read_contexts  # noqa: E402
from toolspend_ingest.attribution.densities import Densities, learn  # noqa: E402
from toolspend_ingest.attribution.equations import Equations, Measured, equations, joined  # noqa: E402
from toolspend_ingest.attribution.inputs import read  # noqa: E402
from toolspend_ingest.attribution.model import BLANK, LETTERS, MICRO, C, D, Flags, Floats, Ints, R  # noqa: E402
from toolspend_ingest.attribution.segments import Segments  # noqa: E402

_LETTERS: Final = {
    "tool_definition": "d", "system": "s", "user": "u", "assistant": "a", "thinking": "t", "tool_use": "c",
    "tool_result": "r", "compaction": "k",
}  # fmt: skip
Key = tuple[str, str | None]


class Truth(NamedTuple):
    """True tokens of pieces within prompts, one element each."""

    piece: Ints
    prompt: Ints
    tokens: Floats


def main() -> int:
    """Prints a row for each session that is off, and how many are in each way."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--seeds", default="11,12,13,14,15,16", help="numbers, comma between them")
    parser.add_argument("--shapes", default=",".join(SHAPES), help="names, comma between them")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many processes")
    options = parser.parse_args()
    sessions = [(shape, int(seed)) for shape in options.shapes.split(",") for seed in options.seeds.split(",")]
    print("| session | worst tool | as it is | definitions known | best densities | both |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    every: list[list[Comparison]] = []
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        for (shape, seed), compared in zip(sessions, pool.map(_compared, *zip(*sessions, strict=True)), strict=True):
            every.append(compared)
            if compared[0].worst_tool_error > MOST_WRONG:
                print(f"| {shape}-{seed} | {compared[0].worst_tool} | {_cells(compared)} |", flush=True)
    means = [sum(each.misattributed_share for each in way) / len(every) for way in zip(*every, strict=True)]
    off = [sum(each.worst_tool_error > MOST_WRONG for each in way) for way in zip(*every, strict=True)]
    print(f"| **misattributed, of {len(every)}** | | {' | '.join(f'{each:.2%}' for each in means)} |")
    print(f"| **sessions with a tool off by more than {MOST_WRONG:.0%}** | | {' | '.join(map(str, off))} |")
    return 0


def _cells(compared: Sequence[Comparison]) -> str:
    """The error of the tool that is worst as it is, and in brackets that of whichever is worst."""
    tool = compared[0].worst_tool or ""
    errors = [abs(each.by_owner[tool].ledger_usd / each.by_owner[tool].true_usd - 1) for each in compared]
    pairs = zip(errors, compared, strict=True)
    return " | ".join(f"{error:.1%} ({each.worst_tool_error:.1%})" for error, each in pairs)


def _compared(shape: str, seed: int) -> list[Comparison]:
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "store.duckdb") as store:
        simulated = simulate(shape, seed, Path(folder))
        load(simulated, store)
        con = store.cursor()
        found = [compare(simulated.truth, ledger_with(con, simulated.session_id, learned))]
        con.execute(run.query("create_prompts"), {"sessions": [simulated.session_id]})
        responses = dict(
            con.execute(
                "select prompts.p, requests.response_id from attributed_prompts as prompts"
                " inner join llm_requests as requests using (trace_id, request_id)"
            ).fetchall()
        )
        contexts = read_contexts(read(con, run.query, [simulated.session_id]))
        truth = _truth(contexts, simulated, responses)
        for has_definitions, has_densities in ((True, False), (False, True), (True, True)):
            knowing = _Knowing(truth, has_definitions=has_definitions, has_densities=has_densities)
            with mock.patch.object(shares, "learn", knowing.learn):
                found.append(compare(simulated.truth, ledger_with(con, simulated.session_id, learned)))
    return found


def _truth(contexts: Contexts, simulated: Simulated, responses: dict[int, str]) -> Truth:
    """What the stand-in counted of each piece; results of several parts, of which it counts the whole, are left out."""
    records = {str(each.response["id"]): each for each in simulated.records if each.bill and each.response}
    rows = [
        (piece, prompt, tokens)
        for prompt, response in responses.items()
        if response in records
        for piece, tokens in _matched(contexts, prompt, records[response].pieces)
    ]
    columns = np.array(rows, dtype=np.float64).reshape(len(rows), 3)
    return Truth(columns[:, 0].astype(np.int64), columns[:, 1].astype(np.int64), columns[:, 2])


def _matched(contexts: Contexts, prompt: int, rendered: Sequence[Piece]) -> Iterator[tuple[int, int]]:
    """Pieces of a prompt with their tokens: the n-th of a kind, name or id is the n-th of these."""
    wanted: dict[Key, deque[int]] = defaultdict(deque)
    for each in rendered:
        if each.owner in _LETTERS:
            letter = _LETTERS[each.owner]
            wanted[letter, each.tool if letter == "d" else each.call_id if letter in "cr" else None].append(each.tokens)
    here: dict[Key, list[int]] = defaultdict(list)
    place, _ = contexts.elements(np.array([prompt]))
    for piece in contexts.pool[place[~contexts.is_dropped[place]]].tolist():
        here[_key(contexts, piece)].append(piece)
    for key, pieces in here.items():
        if len(wanted[key]) == len(pieces):
            yield from zip(pieces, wanted[key], strict=True)


def _key(contexts: Contexts, piece: int) -> Key:
    pieces, inputs = contexts.pieces, contexts.inputs
    letter = int(pieces.letter[piece])
    if letter == D:
        return "d", inputs.tools[pieces.tool[piece]]
    if letter in (C, R) and pieces.call[piece] >= 0:
        return LETTERS[letter], inputs.ids[int(pieces.id_of_call[pieces.call[piece]] % 2**31)]
    return LETTERS[letter] if letter < BLANK else "?", None


class _Knowing:
    """Learns as the product does, knowing the tokens of definitions, or of every piece one by one."""

    def __init__(self, truth: Truth, *, has_definitions: bool, has_densities: bool) -> None:
        self.truth, self.has_definitions, self.has_densities = truth, has_definitions, has_densities

    def learn(self, contexts: Contexts, measured: Measured) -> Densities:
        """In the place of `densities.learn`."""
        with ExitStack() as stack:
            stack.enter_context(mock.patch.object(densities_module, "equations", self._equations))
            found = learn(contexts, measured)
        if not self.has_definitions:
            return found
        piece, group, tokens = self._known(found.group_of, contexts.pieces.letter == D)
        key = piece * len(found.session) + group
        weight = found.pieces.weight.copy()
        weight[piece] = 0.0  # what is known gives way to no bill
        return replace(
            found,
            pieces=replace(found.pieces, weight=weight),
            settled_keys=key,
            settled_sizes=np.rint(tokens * MICRO).astype(np.int64),
        )

    def _known(self, group_of: Ints, is_wanted: Flags) -> tuple[Ints, Ints, Floats]:
        """Pieces in the groups of the prompts that have them, each once, in the order of both."""
        groups = int(group_of.max()) + 1
        some = np.flatnonzero(is_wanted[self.truth.piece])
        key = self.truth.piece[some] * groups + group_of[self.truth.prompt[some]]
        key, first = np.unique(key, return_index=True)
        return key // groups, key % groups, self.truth.tokens[some[first]]

    def _equations(
        self, contexts: Contexts, group_of: Ints, pieces: Segments, measured: Measured, is_early: Flags
    ) -> Equations:
        """In the place of `equations.equations`."""
        every = equations(contexts, group_of, pieces, measured, is_early)
        if self.has_densities:
            every = joined([every, self._one_by_one(group_of, pieces)])
        return self._without_definitions(contexts, group_of, every) if self.has_definitions else every

    def _one_by_one(self, group_of: Ints, pieces: Segments) -> Equations:
        """An equation for each piece."""
        piece, group, tokens = self._known(group_of, np.ones(len(pieces.form), dtype=np.bool_))
        none, no = np.zeros(len(piece), dtype=np.int64), np.zeros(len(piece), dtype=np.bool_)
        return Equations(
            group, np.rint(tokens).astype(np.int64), none, no, no, no, none, np.zeros(len(piece)),
            np.arange(len(piece)), piece, none + 1, pieces.take(piece),
        )  # fmt: skip

    def _without_definitions(self, contexts: Contexts, group_of: Ints, every: Equations) -> Equations:
        """The equations with the definitions taken out, and their tokens."""
        piece, group, tokens = self._known(group_of, contexts.pieces.letter == D)
        groups = int(group_of.max()) + 1
        key = np.where(every.piece >= 0, every.piece * groups + every.group[every.of], -1)
        is_known = np.isin(key, piece * groups + group)
        place = np.searchsorted(piece * groups + group, key[is_known])
        known = np.bincount(every.of[is_known], every.sign[is_known] * tokens[place], minlength=len(every.group))
        rest = np.flatnonzero(~is_known)
        return replace(
            every,
            tokens=every.tokens - np.rint(known).astype(np.int64),
            of=every.of[rest],
            piece=every.piece[rest],
            sign=every.sign[rest],
            parts=every.parts.take(rest),
        )


if __name__ == "__main__":
    sys.exit(main())
