"""Words of the simulated world, by kind."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final

_WORDS: Final[dict[str, tuple[str, ...]]] = {
    name: tuple(words.split())
    for name, words in tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8")).items()
}
PLAIN: Final = _WORDS["plain"]
NOUNS: Final = _WORDS["nouns"]
VERBS: Final = _WORDS["verbs"]
ADJECTIVES: Final = _WORDS["adjectives"]
IDENTIFIERS: Final = _WORDS["identifiers"]
CHINESE: Final = _WORDS["chinese"]
RUSSIAN: Final = _WORDS["russian"]
ARABIC: Final = _WORDS["arabic"]
ACCENTED: Final = _WORDS["accented"]
HOSTS: Final = ("example.org", "example.com", "example.net", "internal.example", "cdn.example.com", "api.example.org")
EMOJI: Final = ("✅", "🚀", "⚠️", "🔥", "👍", "📦", "🛠️", "❌")
