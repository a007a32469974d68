"""A real byte-pair tokenizer in the place of the provider's, and the framing that a seed draws."""

from __future__ import annotations

import random
import warnings
from functools import lru_cache
from typing import Final

from standin import Rules

with warnings.catch_warnings():
    # It reads its data by a function of the standard library that is out of favour.
    warnings.simplefilter("ignore", DeprecationWarning)
    import bpe_openai

# Models by age: of the same text, the second costs as much as the first in English and half of it in Russian; the third
# costs 3 % more for prose, a third more for logs and twice as much for numbers.
_VOCABULARIES: Final = (
    (("claude-sonnet-4-5", "claude-haiku-4-5"), "cl100k_base"),
    (("claude-opus-4-5", "claude-opus-4-7"), "o200k_base"),
    (("claude-opus-4-8", "claude-opus-5", "claude-sonnet-5"), "voyage3_base"),
)
# For tool_choice auto: the figures of `toolspend_ingest.attribution.overhead`, which says where they are from. The two
# lists agree on purpose, so the simulator does not test them.
HIDDEN_PROMPT_TOKENS: Final = {
    "claude-sonnet-4-5": 496,
    "claude-haiku-4-5": 496,
    "claude-opus-4-5": 496,
    "claude-opus-4-7": 675,
    "claude-opus-4-8": 290,
    "claude-opus-5": 286,
    "claude-sonnet-5": 354,
}


def tokens_of_text(text: str, model: str) -> int:
    """The tokens of `text`."""
    return _count(text, vocabulary(model))


@lru_cache
def vocabulary(model: str) -> str:
    """The vocabulary that stands for the one of a model."""
    return next(name for models, name in _VOCABULARIES if model in models)


def tool_prompt_tokens(model: str, tool_choice: str) -> int:
    """The hidden prompt of a model; no agent here forces the choice."""
    return HIDDEN_PROMPT_TOKENS[model]


def rules(dice: random.Random) -> Rules:
    """The rules of one simulated provider: its framing is nobody's to know."""
    return Rules(
        tokens_of_text,
        tool_prompt_tokens,
        message_tokens=dice.randint(3, 6),
        definition_tokens=dice.randint(5, 15),
        tool_use_tokens=dice.randint(8, 40),
        tool_result_tokens=dice.randint(6, 16),
        request_tokens=dice.randint(2, 4),
        # A recorded request with a tool search cost some 240 tokens that no part of its body explains; for web search
        # no recording tells.
        server_tool_tokens={
            "web_search_20250305": dice.randint(600, 2_400),
            "tool_search_tool_regex_20251119": dice.randint(150, 350),
        },
    )


@lru_cache(maxsize=65_536)
def _count(text: str, encoding: str) -> int:
    return len(_encoding(encoding).encode_ordinary(text))


@lru_cache
def _encoding(name: str) -> bpe_openai.Encoding:
    return bpe_openai.get_encoding(name)
