"""HTML as text: what a reader of the page reads, block by block."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from typing import Final

from ._focus import Focus
from ._pieces import FAIR, GOOD, MUST, Fitted, Piece, fit
from ._text import pieces_of

_UNREAD: Final = frozenset({"script", "style", "noscript", "svg", "template", "iframe", "canvas", "select"})
_NO_BLOCKS: Final = frozenset({"select", "svg"})
_AROUND: Final = frozenset({"nav", "footer", "aside", "header", "form", "button"})
_HEADINGS: Final = {"title": "# ", **{f"h{level}": "#" * level + " " for level in range(1, 7)}}
_NAME_AROUND: Final = 60
_CHUNK: Final = 1 << 16
_LONGEST_END: Final = 2_000
_DEEPEST: Final = 100
_TAG: Final = re.compile(r"<[^<>]*>")
_BLOCKS: Final = frozenset({
    "p", "div", "section", "article", "main", "li", "ul", "ol", "tr", "table", "pre", "blockquote", "dt", "dd", "br",
    "body", "figcaption", *_AROUND, *_HEADINGS,
})  # fmt: skip


class _Reader(HTMLParser):
    def __init__(self, focus: Focus) -> None:
        super().__init__(convert_charrefs=True)
        self._focus = focus
        self.blocks: list[tuple[str, bool]] = []
        """Text, and whether it stands around the page's matter."""
        self.links = 0
        self.unread_chars = 0
        self._text: list[str] = []
        self._prefix = ""
        self._unread: list[str] = []
        self._around = 0

    def read(self, text: str) -> None:
        """Reads a whole page, in time that grows with its length.

        What the parser holds back, as a tag or comment may still end, it looks at again with every piece: so pieces
        grow. At the end it would look for the end of each anew: of what is long, whole tags are taken out instead.
        """
        start = 0
        while start < len(text):
            end = start + max(_CHUNK, 2 * len(self.rawdata))
            if end < len(text):
                end = text.rfind(">", start, end) + 1 or end  # within no text: what the task named is not cut in two
            self.feed(text[start:end])
            start = end
        if len(self.rawdata) > _LONGEST_END:
            rest, self.rawdata = self.rawdata, ""
            self.handle_data(unescape(_TAG.sub(" ", rest)))
        self.close()
        self.flush()

    def parse_html_declaration(self, i: int) -> int:
        """As a comment where it is none that the parser knows, as browsers do: it raises."""
        try:
            return super().parse_html_declaration(i)
        except AssertionError:
            return self.parse_bogus_comment(i)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS and tag != "title" and self._unread and self._unread[-1] in _NO_BLOCKS:
            self._unread.pop()  # it was not closed
        if tag in _UNREAD:
            if len(self._unread) < _DEEPEST:
                self._unread.append(tag)
        elif tag in _BLOCKS and not self._unread:
            self.flush()
            self._prefix = _HEADINGS.get(tag, "- " if tag == "li" else "")
        elif tag in ("td", "th") and self._text:
            self._text.append(" | ")
        if tag in _AROUND:
            self._around += 1
        said = dict(attrs)
        self.links += tag == "a" and bool(said.get("href"))
        alt = said.get("alt")
        if tag == "img" and alt and not self._unread:
            self._text.append(f"[{alt}]")
        for _, value in attrs if self._focus.names else ():
            if value and value != alt:
                self._put_named(value)

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNREAD:
            while tag in self._unread and self._unread.pop() != tag:
                pass
        elif tag in _BLOCKS:
            self.flush()
        if tag in _AROUND:
            self._around = max(0, self._around - 1)

    def handle_data(self, data: str) -> None:
        if not self._unread:
            self._text.append(data)
        else:
            self.unread_chars += len(data)
            if self._focus.names:
                self._put_named(data)

    def handle_comment(self, data: str) -> None:
        self._put_named(data)

    def _put_named(self, unread: str) -> None:
        """What the task named stays, though no reader sees it: in links, values, options and scripts."""
        if named := self._focus.around_names(unread, _NAME_AROUND):
            self._text.append(f" [{named}] ")

    def flush(self) -> None:
        text = " ".join("".join(self._text).split())
        self._text = []
        if text.strip("| "):
            self.blocks.append((self._prefix + text, self._around > 0))
            self._prefix = ""


def is_html(text: str) -> bool:
    """Whether `text` looks like a page or a part of one."""
    start = text[:500].lstrip().lower()
    if start.startswith(("<!doctype html", "<html")):
        return True
    # A program that writes HTML has tags too, but fewer of them.
    tags = sum(
        text.lower().count(f"<{tag}") for tag in ("p>", "p ", "div", "li", "td", "tr", "span", "a href", "h2", "dd")
    )
    return tags >= 5 and tags * (120 if start.startswith("<") else 60) > len(text)


def compress(text: str, max_tokens: int, focus: Focus) -> Fitted:
    """The page's text; of what is too long, the blocks and sentences that say most."""
    reader = _Reader(focus)
    reader.read(text)
    pieces: list[Piece] = []
    seen: set[str] = set()
    menus = 0
    for block, is_around in reader.blocks:
        if block in seen:
            continue  # menus say everything twice
        seen.add(block)
        if is_around:
            pieces += [piece for piece in pieces_of(block, focus) if piece.rank == MUST]
            menus += 1
        elif block.startswith("#"):
            rank = MUST if focus.must_keep(block) else GOOD if len(block) < 80 else FAIR
            pieces.append(Piece(block, rank, 3.0 if block.startswith("# ") else 0.5))
        else:
            pieces += pieces_of(block, focus)
    found = fit(pieces, max_tokens, focus, "sentences")
    left = [
        f"{count:,} {unit}"
        for count, unit in (
            (menus, "menu blocks"),
            (reader.links, "link addresses"),
            (reader.unread_chars, "characters of scripts"),
        )
        if count
    ]
    return Fitted(found.text, ", ".join(filter(None, (found.left_out, *left))), found.is_lossy)
