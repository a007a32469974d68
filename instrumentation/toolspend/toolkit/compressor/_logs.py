"""Logs: lines of one form once, with how often; errors all, each with what differs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from ._focus import Focus, is_error
from ._pieces import FAIR, GOOD, MUST, POOR, Fitted, Piece, fit

_STAMP: Final = re.compile(
    r"^\W{0,2}(?:\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d|\d\d:\d\d:\d\d|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{10,13}\b)"
)
_LEVEL: Final = re.compile(r"\b(?:TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|FATAL|CRITICAL|SEVERE)\b")
_WARNING: Final = re.compile(r"\bwarn(?:ing)?\b", re.IGNORECASE)
_VARIABLE: Final = re.compile(r"\b(?=[\w.:/-]*\d)[\w.:/@-]+|0x[0-9a-f]+", re.IGNORECASE)
_QUIET: Final = re.compile(r"\b(?:DEBUG|TRACE)\b")
_MOST_DIFFERING: Final = 24
_RARE: Final = 2
_FEW: Final = 12
"""Of a form of as many lines, all that differs is said."""


@dataclass(slots=True)
class _Group:
    """Lines of one form."""

    first: int
    text: str
    count: int = 0
    others: list[str] = field(default_factory=list)
    is_error: bool = False
    more: list[str] = field(default_factory=list)
    """What belongs to its first line: a stack trace."""


def is_log(lines: list[str]) -> bool:
    """Whether most of `lines` start as log lines do."""
    if len(lines) < 6:
        return False
    heads = [line for line in lines if not line[:1].isspace()]
    marked = sum(1 for line in heads if _STAMP.match(line) or _LEVEL.search(line[:60]))
    return bool(heads) and marked >= 0.5 * len(heads)


def compress(text: str, max_tokens: int, focus: Focus) -> Fitted:
    """Each form of line once, errors with all that differs between them."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    groups: dict[str, _Group] = {}
    pieces: list[tuple[int, Piece]] = []
    last: _Group | None = None
    last_count = 0
    for index, line in enumerate(lines):
        is_more = last is not None and (line[:1].isspace() or line.startswith(("Traceback", "Caused by", "at ")))
        if last is not None and is_more:
            if last.count == 1 and last_count == 1 and len(last.more) < 40:
                last.more.append(line)
                continue
            if not focus.must_keep(line):
                continue
        form = _VARIABLE.sub("0", line)
        group = groups.get(form)
        if group is None:
            group = groups[form] = _Group(index, line, is_error=is_error(line) and not _QUIET.search(line[:60]))
        else:
            group.others += _differing(group.text, line)
        group.count += 1
        if not is_more:
            last, last_count = group, group.count
        if group.count > 1 and focus.is_named(line):
            pieces.append((index, Piece(line, MUST)))
    for group in groups.values():
        said = group.text
        if group.count > 1:
            said += f"  (\u00d7{group.count}"
            if group.is_error or group.count <= _FEW:
                differing = list(dict.fromkeys(group.others))
                more = f", {len(differing) - _MOST_DIFFERING} more" if len(differing) > _MOST_DIFFERING else ""
                said += (": also " + ", ".join(differing[:_MOST_DIFFERING]) + more) if differing else ""
            said += ")"
        if group.more:
            said += "\n" + "\n".join(_trace(group.more, focus))
        rank = (
            MUST if group.is_error or focus.is_named(group.text) or any(map(focus.must_keep, group.more))
            else GOOD if group.count <= max(_RARE, 0.02 * len(lines)) or _WARNING.search(group.text[:80])
            else POOR if _QUIET.search(group.text[:60]) else FAIR
        )  # fmt: skip
        pieces.append((group.first, Piece(said, rank, 1 / group.count)))
    ordered = [piece for _, piece in sorted(pieces, key=lambda item: item[0])]
    found = fit(ordered, max_tokens, focus, "forms of line")
    left = f"{len(lines) - len(ordered):,} of {len(lines):,} lines that repeat others"
    return Fitted(found.text, ", ".join(filter(None, (left, found.left_out))), found.is_lossy)


def _differing(first: str, line: str) -> list[str]:
    """What `line` has in the places where lines of its form differ, but for the time at its start."""
    ours, theirs = _VARIABLE.findall(first), _VARIABLE.findall(line)
    skip = 1 if _STAMP.match(line) else 0
    return [new for old, new in list(zip(ours, theirs, strict=False))[skip:] if new != old and len(new) <= 80]


def _trace(lines: list[str], focus: Focus) -> list[str]:
    """The first two and the last three lines of a stack trace, and those between that must stay."""
    if len(lines) <= 6:
        return lines
    between = [line for line in lines[2:-3] if focus.must_keep(line)]
    return [*lines[:2], f"    […{len(lines) - 5 - len(between)}]", *between, *lines[-3:]]
