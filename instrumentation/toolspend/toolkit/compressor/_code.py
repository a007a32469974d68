"""Source code: its outline, its constants, and the lines that the task named."""

from __future__ import annotations

import re
from typing import Final

from ._focus import Focus, is_error
from ._pieces import FAIR, GOOD, MUST, POOR, Fitted, Piece, fit

_DEFINITION: Final = re.compile(
    r"^\s*(?:@\w|export |public |private |protected |static |abstract |async |pub |func |fn |def |class "
    r"|interface |trait |impl |struct |enum |type |function |namespace |module |package |CREATE "
    r"|create (?:or replace )?(?:table|view|function))"
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


def is_code(lines: list[str]) -> bool:
    """Whether `lines` look like a program."""
    if len(lines) < 8:
        return False
    strong = sum(1 for line in lines if _STRONG.match(line))
    ends = sum(1 for line in lines if _ENDS.search(line))
    indented = sum(1 for line in lines if line[:1] in " \t")
    return strong >= 3 and (strong + ends + 0.3 * indented) >= 0.3 * len(lines)


def compress(text: str, max_tokens: int, focus: Focus) -> Fitted:
    """Definitions, constants, marks and what is raised; bodies as far as there is room."""
    lines = [line.rstrip() for line in text.splitlines()]
    pieces: list[Piece] = []
    after_definition = False
    for line in lines:
        if not line.strip():
            continue
        indent = len(line) - len(line.lstrip())
        if focus.is_named(line) or re.search(r"\b(?:FIXME|BUG|ERROR)\b", line) or _says_error(line):
            piece = Piece(line, MUST)
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
        elif indent <= 2:
            piece = Piece(line, FAIR, 0.1)
        else:
            piece = Piece(line, POOR)
        after_definition = bool(_DEFINITION.match(line))
        pieces.append(piece)
    return fit(pieces, max_tokens, focus, "lines")


def _says_error(line: str) -> bool:
    """Whether `line` has a text about an error; the names of exceptions and of functions are none."""
    return is_error(line) and any(is_error(match.group(2)) for match in _SAYS.finditer(line))
