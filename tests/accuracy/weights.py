"""How well a text's weight tells its tokens, and what coefficients fit best: `python tests/accuracy/weights.py`.

Texts: docstrings and code of the standard library, tool definitions of the recordings where these are there, and random
identifiers and numbers of the usual kinds. Tokenizers: the three that bpe-openai ships. Prints, for each kind of
text and tokenizer, how far texts are from the mean of all by characters and by weight, and the least-squares fit.
"""

from __future__ import annotations

import ast
import json
import random
import statistics
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import bpe_openai
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "instrumentation")]

from toolspend.evidence import weight  # noqa: E402

RECORDINGS = ROOT.parent / "shared" / "recordings"
VOCABULARIES = ("cl100k_base", "o200k_base", "voyage3_base")
COUNTED: Mapping[str, bytes | None] = {
    "bytes": None, "beyond ascii": b"x", "digits": b"0", "digit to letter": b"0a", "capitals": b"A",
    "small to capital": b"aA", "marks": b".", "pairs of marks": b"..", "spaces": b" ", "pairs of spaces": b"  ",
    "lines": b"n",
}  # fmt: skip


def main() -> int:
    """Prints the two tables."""
    dice = random.Random(7)
    texts = {name: dice.sample(found, min(len(found), 250)) for name, found in _texts(dice).items() if found}
    tokens = {name: [[_tokens(text, each) for text in found] for each in VOCABULARIES] for name, found in texts.items()}
    print("| texts | of them | tokenizer | by characters | by weight |\n| --- | ---: | --- | ---: | ---: |")
    for name, found in texts.items():
        for vocabulary, counts in zip(VOCABULARIES, tokens[name], strict=True):
            off = [_off(counts, [measure(text) for text in found]) for measure in (len, _weight)]
            print(f"| {name} | {len(found)} | {vocabulary} | {off[0]:.1%} | {off[1]:.1%} |")
    rows = [
        (text, sum(counts) / len(VOCABULARIES))
        for name in texts
        for text, *counts in zip(texts[name], *tokens[name], strict=True)
    ]
    matrix = np.array([_counts(text) for text, _ in rows], dtype=np.float64)
    wanted = np.array([count for _, count in rows])
    found = np.linalg.lstsq(matrix / (wanted + 10)[:, None], wanted / (wanted + 10), rcond=None)[0]
    print("\nleast squares:", ", ".join(f"{name} {value:.3f}" for name, value in zip(COUNTED, found, strict=True)))
    return 0


def _texts(dice: random.Random) -> dict[str, list[str]]:
    code = [
        path.read_text(encoding="utf-8", errors="replace")
        for path in sorted(Path(json.__file__).parents[1].glob("*.py"))
    ]
    found: dict[str, list[str]] = {
        "prose": [text for source in code for text in _docstrings(source)],
        "code": [source[start : start + 3000] for source in code for start in range(0, len(source), 30_000)],
        "identifiers": [
            make() for _ in range(20) for make in (
                lambda: dice.randbytes(300).hex(),
                lambda: "\n".join(str(uuid.UUID(int=dice.getrandbits(128))) for _ in range(20)),
                lambda: "\n".join(f"{dice.uniform(-999, 999):.3f},{dice.randrange(10**6)}" for _ in range(40)),
            )
        ],
    }  # fmt: skip
    if RECORDINGS.is_dir():
        found["definitions"] = [
            json.dumps(each, separators=(",", ":"), ensure_ascii=False)
            for path in sorted((RECORDINGS / "mcp_tools").rglob("*.json"))
            for each in _definitions(json.loads(path.read_text(encoding="utf-8")))
        ]
    return found


def _docstrings(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            text = ast.get_docstring(node)
            if text and len(text) > 300:
                yield text


def _definitions(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if isinstance(value.get("description"), str) and isinstance(value.get("inputSchema"), dict):
            yield {name: value[name] for name in ("name", "description", "inputSchema") if name in value}
        else:
            for each in value.values():
                yield from _definitions(each)
    elif isinstance(value, list):
        for each in value:
            yield from _definitions(each)


def _tokens(text: str, vocabulary: str) -> int:
    return len(bpe_openai.get_encoding(vocabulary).encode_ordinary(text))


def _weight(text: str) -> int:
    return weight.weigh(text).tokens


def _counts(text: str) -> list[int]:
    classes = text.encode("utf-8", "surrogatepass").translate(weight._CLASSES)
    return [len(classes) if each is None else classes.count(each) for each in COUNTED.values()]


def _off(tokens: Sequence[int], measures: Sequence[int]) -> float:
    """The spread of tokens per unit of a measure, relative to their mean."""
    ratios = [count / max(measure, 1) for count, measure in zip(tokens, measures, strict=True)]
    return statistics.pstdev(ratios) / statistics.mean(ratios)


if __name__ == "__main__":
    sys.exit(main())
