"""The prompt cache: exact prefixes of earlier requests, until they expire."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from standin.prompt import Piece, Ttl

TTL_SECONDS: Final[dict[Ttl, float]] = {"5m": 300.0, "1h": 3_600.0}
LOOKBACK_BLOCKS: Final = 20
MAX_BREAKPOINTS: Final = 4

_MINIMUM_TOKENS: Final = (
    ("claude-haiku-4-5", 4_096),
    ("claude-opus-4-5", 4_096),
    ("claude-opus-4-6", 4_096),
    ("claude-opus-4-7", 4_096),
    ("claude-opus-4-8", 4_096),
    ("claude-3-5-haiku", 2_048),
)


def minimum_tokens(model: str) -> int:
    """The shortest prefix, in tokens, that `model` caches."""
    return next((tokens for prefix, tokens in _MINIMUM_TOKENS if model.startswith(prefix)), 1_024)


@dataclass(frozen=True)
class Split:
    """A prompt's tokens by the rate they are billed at, in the order in which they lie."""

    read: int
    write_1h: int
    write_5m: int
    uncached: int

    @property
    def write(self) -> int:
        return self.write_1h + self.write_5m

    @property
    def total(self) -> int:
        return self.read + self.write + self.uncached


@dataclass(frozen=True)
class _Entry:
    available_at: float
    expires_at: float
    ttl: Ttl


@dataclass(frozen=True)
class _Position:
    """The end of a block: how many tokens lie before it, what they hash to, and the breakpoint on it."""

    key: bytes
    tokens: int
    ttl: Ttl | None


class PrefixCache:
    """Remembers the prefixes that end at a breakpoint, per model. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._entries: dict[bytes, _Entry] = {}

    def bill(self, model: str, pieces: Sequence[Piece], *, first_token_after_s: float = 0.0) -> Split:
        """Reads the longest cached prefix of `pieces` and writes the others; an entry is readable from the first token.

        As with the provider, each breakpoint looks for an entry at its own place and at the 19 blocks before it.
        """
        positions = _positions(model, pieces)
        total = sum(piece.tokens for piece in pieces)
        marked = [i for i, position in enumerate(positions) if position.ttl is not None]
        if not marked:
            return Split(0, 0, 0, total)
        now = self._clock()
        hit = max((self._found(positions, i, now) for i in marked), default=-1)
        read = positions[hit].tokens if hit >= 0 else 0

        written = [i for i in marked if i > hit and positions[i].tokens >= minimum_tokens(model)]
        end = positions[written[-1]].tokens if written else read
        end_1h = max((positions[i].tokens for i in written if positions[i].ttl == "1h"), default=read)

        for i in {*(i for i in marked if i <= hit), *([hit] if hit >= 0 else [])}:
            self._refresh(positions[i].key, now)
        for i in written:
            ttl = positions[i].ttl or "5m"
            available_at = now + first_token_after_s
            self._entries[positions[i].key] = _Entry(available_at, available_at + TTL_SECONDS[ttl], ttl)
        return Split(read, end_1h - read, end - end_1h, total - end)

    def _found(self, positions: Sequence[_Position], breakpoint: int, now: float) -> int:
        for index in range(breakpoint, max(breakpoint - LOOKBACK_BLOCKS, -1), -1):
            if self._is_readable(positions[index].key, now):
                return index
        return -1

    def _is_readable(self, key: bytes, now: float) -> bool:
        entry = self._entries.get(key)
        return entry is not None and entry.available_at <= now < entry.expires_at

    def _refresh(self, key: bytes, now: float) -> None:
        if self._is_readable(key, now):
            entry = self._entries[key]
            self._entries[key] = replace(entry, expires_at=now + TTL_SECONDS[entry.ttl])


def _positions(model: str, pieces: Sequence[Piece]) -> list[_Position]:
    positions: list[_Position] = []
    digest = hashlib.sha256(model.encode())
    tokens = 0
    for piece in pieces:
        digest.update(piece.owner.encode())
        digest.update(piece.digest)
        tokens += piece.tokens
        if piece.is_block:
            positions.append(_Position(digest.digest(), tokens, piece.ttl))
    return positions
