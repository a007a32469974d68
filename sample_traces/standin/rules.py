"""What costs how many tokens: the tokenizer, and what the provider puts around the pieces of a prompt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from standin.tokens import tokens_of_text

TOOL_PROMPT_TOKENS: Final = {"auto": 346, "none": 346, "any": 313, "tool": 313}
"""The hidden prompt that explains tool use to the model, by tool_choice; once a request, however many tools."""


def tool_prompt_tokens(model: str, tool_choice: str) -> int:
    """The hidden prompt of most models."""
    return TOOL_PROMPT_TOKENS.get(tool_choice, 346)


@dataclass(frozen=True)
class Rules:
    """How an `Api` counts. `tokens_of_text` takes a text and a model, `tool_prompt_tokens` a model and a tool_choice.

    The others are the tokens around one message, definition, tool_use, tool_result, request and output;
    `server_tool_tokens` is what a tool of the provider's own costs beyond the definition that is sent, by its type.
    """

    tokens_of_text: Callable[[str, str], int] = tokens_of_text
    tool_prompt_tokens: Callable[[str, str], int] = tool_prompt_tokens
    message_tokens: int = 4
    definition_tokens: int = 9
    tool_use_tokens: int = 12
    tool_result_tokens: int = 10
    request_tokens: int = 3
    end_tokens: int = 3
    server_tool_tokens: Mapping[str, int] = field(default_factory=dict)


STANDARD: Final = Rules()
