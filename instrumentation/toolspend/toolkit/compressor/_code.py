"""Source code: its outline, and of bodies the lines that hold facts: ids, figures, addresses, what is raised."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from ...evidence.weight import weigh
from ._focus import Focus, is_error
from ._pieces import FAIR, GOOD, MUST, POOR, Fitted, Piece, fit

_DEFINITION: Final = re.compile(
    r"^\s*(?:@\w|export |public |private |protected |static |abstract |async |pub |func |fn |def |cdef |cpdef |class "
    r"|interface |trait |impl |struct |enum |type |function |namespace |module |package |CREATE "
    r"|create (?:or replace )?(?:table|view|function))"
    # Functions and methods that no word introduces.
    r"|^ {0,4}(?!if\b|for\b|while\b|switch\b|catch\b|else\b|return\b|[})\]])[\w~].{0,200}\)[^;]{0,80}\{\s*$"
)
_IMPORT: Final = re.compile(r"^\s*(?:import|from|use|using|#include|require|package)\b")
_CONSTANT: Final = re.compile(
    r"^\s*(?:(?:export |public |static |final |pub )*(?:const|let|var|val|static)\b.*[=:].*[\d\"']"
    r"|[A-Z][A-Z0-9_]{2,}\b.*[=:]|#define\s+\w+)"
)
_MARK: Final = re.compile(r"\b(?:FIXME|BUG|XXX|HACK|TODO|ERROR|DEPRECATED|WARNING)\b")
_SAYS: Final = re.compile(r"([\"'`])(.*?)\1")
_RAISES: Final = re.compile(r"\b(?:raise|throw|panic!?|errors\.New|fatal)\b")
_STRONG: Final = re.compile(
    r"^\s*(?:def \w+\(|class \w+[(:{ ]|import \w|from \w+ import|function \w+\(|const \w+ =|func \w|fn \w+\(|#include|"
    r"public (?:class|static|void)|return\b.*[;)]|if \(.*\) \{|package \w+;?$|use \w+::|async def|export )"
)
_ENDS: Final = re.compile(r"[;{}]\s*$|^\s*[})\]]+[;,]?\s*$|:\s*$")
_FACT: Final = re.compile(
    r"https?://[^\s\"'`<>)\]]+|(?<![\w.+-])[\w.+-]{1,64}@[\w-]+\.\w+"
    r"|\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"
    # Hashes, tickets, numbers of things.
    r"|\b(?=[0-9a-f]*\d)(?=\d*[a-f])[0-9a-f]{7,64}\b|\b[A-Z][A-Z0-9]{0,9}-\d+(?:-\w+)*\b|\b[A-Z]{1,10}_?\d{3,}\b"
    r"|#\d{3,}\b|\b\d{4}-\d\d-\d\d\b|(?<![\w.])v?\d+(?:\.\d+){2,}(?![\w.])"
    # Figures that are more than a small count or a share.
    r"|(?<![\w.])(?:0x[0-9a-fA-F]{3,}|\d[\d_]*\.\d+(?<=[\d._]{4})|\d[\d_]{3,}|\d+e[+-]?\d+)(?=[a-zA-Z]{0,3}\d{0,2}\b)"
)
_SMALLER: Final = re.compile(r"(?<![\w.])\d{3}(?![\w.])")
_TEXT: Final = re.compile(r"([\"'`])(.+?)\1|(?://|#|--|/\*)\s(.+)")
_CODED: Final = re.compile(r"(?<![\w-])(?=[\w-]{5})(?=[\w-]*\d)(?=[\d-]*[A-Za-z_])[\w-]+")
_NAME: Final = re.compile(r"\b[A-Za-z][^\W_]*(?:[-_./:][^\W_]+)+|\b[a-z]+[A-Z]\w*")
_SAID: Final = re.compile(r"\s*(?:return|yield|assert)\b")
# What a program or a compiler said, among source: at the start of a line, and in words.
_TOLD: Final = re.compile(
    r"^(?:\w[\w .]*(?:Error|Exception)|[\w./\\-]+:\d+(?::\d+)?: (?:fatal )?error|(?i:error|fatal|panic))(?:\[\w+\])?"
    r": \w+\W+\w"
    r"|^[A-Z][a-z]+(?: [\w'./:-]+){3,}[.!]?$"
)
_OUTLINE: Final = 0.85
"""What is worth as much goes before definitions: a text that is raised in one place alone is."""
_FACTS_SHARE: Final = 0.4
"""Of the budget, what lines with facts and constants may take before the outline."""


def is_code(lines: list[str]) -> bool:
    """Whether `lines` look like a program."""
    if len(lines) < 8:
        return False
    strong = sum(1 for line in lines if _STRONG.match(line))
    ends = sum(1 for line in lines if _ENDS.search(line))
    indented = sum(1 for line in lines if line[:1] in " \t")
    return strong >= 3 and (strong + ends + 0.3 * indented) >= 0.3 * len(lines)


def compress(text: str, max_tokens: int, focus: Focus) -> Fitted:
    """Definitions, constants, marks, what is raised, and each id and figure once; the rest as far as there is room."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    worths = _worths(lines)
    pieces: list[Piece] = []
    after_definition = False
    for line, worth in zip(lines, worths, strict=True):
        indent = len(line) - len(line.lstrip())
        if focus.is_named(line) or re.search(r"\b(?:FIXME|BUG|ERROR)\b", line) or _says_error(line):
            piece = Piece(line, MUST)
        elif worth >= _OUTLINE:
            piece = Piece(line, GOOD, worth)
        elif _CONSTANT.match(line) and indent <= 4:
            piece = Piece(line, GOOD, 1.0)
        elif _MARK.search(line):
            piece = Piece(line, GOOD, 0.9)
        elif _DEFINITION.match(line):
            piece = Piece(line, GOOD, 0.8 - 0.02 * indent)
        elif _RAISES.search(line):
            piece = Piece(line, FAIR, 1.0)
        elif _IMPORT.match(line):
            piece = Piece(line, FAIR, 0.2)
        elif after_definition and line.strip().startswith(('"""', "'''", "//", "/*", "*", "#")):
            piece = Piece(line, FAIR, 0.8)
        elif worth:
            piece = Piece(line, FAIR, worth)
        elif indent <= 2:
            piece = Piece(line, FAIR, 0.1)
        else:
            piece = Piece(line, POOR)
        after_definition = bool(_DEFINITION.match(line))
        pieces.append(piece)
    _leave_room(pieces, _FACTS_SHARE * max_tokens)
    return fit(pieces, max_tokens, focus, "lines")


def _worths(lines: Sequence[str]) -> list[float]:
    """What each line's facts are worth, the rarer the more. A fact counts where it first stands."""
    found = [_facts(line) for line in lines]
    counts = Counter(fact for facts in found for fact in facts)
    seen: set[str] = set()
    worths = []
    for facts in found:
        new = facts.keys() - seen
        seen |= new
        worths.append(max((facts[fact] * (1 + 1 / counts[fact]) for fact in new), default=0.0))
    return worths


def _facts(line: str) -> dict[str, float]:
    """The facts of a line, each with its worth: ids and figures, codes, what is raised, names."""
    texts = [match.group(2) or match.group(3) for match in _TEXT.finditer(line)]
    found = {name: 0.3 for text in texts for name in _NAME.findall(text)}
    if texts and _RAISES.search(line):
        found |= dict.fromkeys(texts, 0.45)
    elif texts and _SAID.match(line):
        found |= dict.fromkeys(texts, 0.4)
    found |= dict.fromkeys(_SMALLER.findall(line), 0.6)
    found |= {code: 0.8 for text in texts for code in _CODED.findall(text)}
    return found | {match.group(): 1.0 for match in _FACT.finditer(line)}


def _leave_room(pieces: Sequence[Piece], max_tokens: float) -> None:
    """Puts facts and constants that take more than `max_tokens` behind the outline, the least first."""
    for piece in sorted((each for each in pieces if each.rank == GOOD), key=lambda each: -each.score):
        max_tokens -= weigh(piece.text).tokens
        if max_tokens < 0 and piece.score >= _OUTLINE:
            piece.score *= 0.1


def _says_error(line: str) -> bool:
    """Whether `line` has a text about an error, or is one; the names of exceptions and of functions are none."""
    if not is_error(line):
        return False
    return any(is_error(match.group(2)) for match in _SAYS.finditer(line)) or _TOLD.search(line) is not None
