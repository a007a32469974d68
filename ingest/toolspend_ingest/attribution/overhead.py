"""The hidden prompt that the provider adds when tools are offered, in tokens by model."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

# "Tool use system prompt token count" for tool_choice auto, from the provider's page on pricing tool use. The first
# that a model's name contains holds.
_PUBLISHED: Final = (
    ("opus-5", 286),
    ("sonnet-5", 354),
    ("opus-4-8", 290),
    ("opus-4-7", 675),
    ("opus-4-6", 497),
    ("opus-4-5", 496),
    ("opus-4", 313),
    ("sonnet-4-6", 497),
    ("sonnet-4-5", 496),
    ("sonnet-4", 313),
    ("haiku-4-5", 496),
    ("3-7-sonnet", 346),
    ("3-5-sonnet-20240620", 294),
    ("3-5-sonnet", 346),
    ("3-5-haiku", 264),
    ("3-opus", 530),
    ("3-sonnet", 159),
    ("3-haiku", 264),
)
_LATER: Final = 346
"""For a model of the family that the page does not list: the figure that most of its models had."""


@lru_cache(maxsize=1024)
def hidden_prompt_tokens(model: str | None) -> int:
    """Tokens that offering any tool adds to a prompt; 0 for models whose provider publishes none."""
    name = re.sub(r"[._@]", "-", (model or "").lower())
    if "claude" not in name:
        return 0
    return next((tokens for part, tokens in _PUBLISHED if part in name), _LATER)
