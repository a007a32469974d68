"""Files of OTLP (protobuf, JSON, JSON lines, spool frames) and transcripts, told apart by what they hold."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from toolspend._frames import MAGIC

from ..claude_code.folders import is_session_path, is_side_file
from ..claude_code.lines import is_transcript
from ..decode import Decoded, Refusal, decode_json, decode_lines, decode_protobuf
from ..errors import SourceUnreadable, first_line
from . import CHUNK_BYTES, Chunk, as_text, compressed, foreign
from .framed import framed_chunks
from .transcripts import transcript_chunks

_BINARY_SUFFIXES = {".pb", ".bin", ".otlp", ".binpb"}
_LINES_SUFFIXES = {".jsonl", ".ndjson"}
_JSON_SUFFIXES = {".json", *_LINES_SUFFIXES}
_SUFFIXES = {*_BINARY_SUFFIXES, *_JSON_SUFFIXES, ".spool"}
_COMPRESSED_SUFFIXES = {".gz", ".zst"}
_BOM = b"\xef\xbb\xbf"
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_SNIFFED = 4096

_Format = Literal["frames", "json", "jsonl", "protobuf", "transcript"]


class OtlpFile:
    """One file; its identity is the hash of what was read of it: one that grew is continued."""

    def __init__(self, path: Path, was_read: Callable[[str, int], bool]) -> None:
        self._path = path
        self._was_read = was_read

    @property
    def name(self) -> str:
        """The file's full path."""
        return as_text(str(self._path.resolve()))

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self._path.stat().st_size

    def chunks(self, stored: tuple[str, int] | None) -> Iterator[Chunk]:
        """What the file has that is not stored; nothing, where another file of the same content was loaded."""
        try:
            data, damage = compressed.read(self._path)
        except OSError as error:
            yield Chunk(Decoded(refused=[Refusal("", f"cannot be read: {error.strerror}")]), "", 0)
            return
        start = 0
        if stored is not None and 0 < stored[1] <= len(data) and _identity(data, stored[1]) == stored[0]:
            start = stored[1]
        elif self._was_read(_identity(data, len(data)), len(data)):
            return
        for chunk in _chunks(data, start, _format(data, self._path), as_text(self._path.stem)):
            chunk.decoded.refused.extend(damage)
            damage = []
            yield chunk
        if damage:
            yield Chunk(Decoded(refused=damage), _identity(data, start), start)

    def finish(self) -> None:
        """Nothing: what the user gave stays."""


def otlp_files(path: Path, was_read: Callable[[str, int], bool]) -> tuple[list[OtlpFile], int]:
    """The file, or the files that look like OTLP by their names in the folder and below it, in order of their names;
    and how many others lie there.

    Raises `SourceUnreadable` where there is none at the path. `was_read` tells whether a content was loaded before.
    """
    try:
        if path.is_dir():
            found = sorted(each for each in path.rglob("*") if each.is_file())
            read = [each for each in found if _suffix(each) in _SUFFIXES and not is_side_file(each)]
            return [OtlpFile(each, was_read) for each in read], len(found) - len(read)
        with path.open("rb"):
            return [OtlpFile(path, was_read)], 0
    except OSError as error:
        raise SourceUnreadable(path, first_line(error.strerror or str(error))) from error


def _chunks(data: bytes, start: int, format_: _Format, name: str) -> Iterator[Chunk]:
    if format_ == "frames":
        rest = data[start:]
        yield from framed_chunks(rest, start, is_final=True, identify=lambda position: _identity(data, position))
    elif format_ == "transcript":
        yield from transcript_chunks(data, start, name, lambda position: _identity(data, position))
    elif format_ in ("json", "jsonl") and start < len(data) and (known := foreign.read(data)) is not None:
        yield Chunk(known, _identity(data, len(data)), len(data))
    elif format_ == "jsonl":
        yield from _line_chunks(data, start)
    elif start < len(data):
        decoded = decode_json(data) if format_ == "json" else decode_protobuf(data)
        yield Chunk(decoded, _identity(data, len(data)), len(data))


def _line_chunks(data: bytes, start: int) -> Iterator[Chunk]:
    """Whole lines; one that is cut off at the end is refused, and read again once the file has grown."""
    line = data.count(b"\n", 0, start) + 1
    while start < len(data):
        end = len(data)
        if end - start > CHUNK_BYTES:
            newline = data.find(b"\n", start + CHUNK_BYTES)
            end = newline + 1 if newline >= 0 else end
        block = data[start:end]
        decoded = decode_lines(block, line)
        if not block.endswith(b"\n"):
            last = block.rfind(b"\n") + 1
            if not _is_json(block[last:]):
                end = start + last
        yield Chunk(decoded, _identity(data, end), end, share=end / len(data))
        if end < start + len(block):
            return
        line += block.count(b"\n")
        start = end


def _format(data: bytes, path: Path) -> _Format:
    suffix = _suffix(path)
    if data.startswith(MAGIC) or (suffix == ".spool" and MAGIC in data):
        return "frames"
    head = data.removeprefix(_BOM)
    # A protobuf request begins with a byte that is also a line feed, and may go on with one that is a brace.
    is_binary = head.startswith(b"\n") and _CONTROL.search(head, 0, _SNIFFED) is not None
    is_json = not is_binary and (head.lstrip()[:1] in (b"{", b"[", b"") or suffix in _JSON_SUFFIXES)
    if not is_json:
        return "protobuf"
    if is_transcript(head) or (b"\n" not in head and is_session_path(path)):
        return "transcript"
    return "jsonl" if suffix in _LINES_SUFFIXES or _has_lines(head) else "json"


def _has_lines(data: bytes) -> bool:
    first, newline, rest = data.lstrip().partition(b"\n")
    if not newline or not rest.strip() or not first.startswith(b"{"):
        return False
    return _is_json(first) or (rest.lstrip().startswith(b'{"') and not _is_json(data))


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    return path.with_suffix("").suffix.lower() if suffix in _COMPRESSED_SUFFIXES else suffix


def _identity(data: bytes, position: int) -> str:
    return hashlib.sha256(memoryview(data)[:position]).hexdigest()
