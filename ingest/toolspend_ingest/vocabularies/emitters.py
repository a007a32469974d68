"""How each emitter counts, by its scope and version: what its figures include, and what it leaves unsaid.

Providers differ: the Messages API and Bedrock leave the cache out of `input_tokens`, all others count it in. Emitters
differ again: some add, some pass on, some changed their minds. So this is a table of what their sources do, read at
the versions named, and not a rule. What is not here is not known, but for providers whose own figure can only mean
one thing.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple


class Input(Enum):
    """What a figure of input tokens counts."""

    INCLUDES = "the whole prompt, cache included"
    EXCLUDES = "what was neither read from the cache nor written to it"
    UNKNOWN = "one or the other"


class Counting(NamedTuple):
    """How an emitter counts a request's tokens."""

    input: Input
    says_cache: bool
    """Whether a cache figure that is missing means none: it is said wherever there was any."""
    is_streamed_output_wrong: bool = False
    """Whether the output of a stream has the placeholder of its start added to it."""


UNKNOWN: Final = Counting(Input.UNKNOWN, says_cache=False)
_WHOLE: Final = Counting(Input.INCLUDES, says_cache=True)
_WHOLE_IF_SAID: Final = Counting(Input.INCLUDES, says_cache=False)
_PASSED_ON: Final = Counting(Input.EXCLUDES, says_cache=False)
_INCLUSIVE_PROVIDERS: Final = (
    "openai", "azure", "az.ai", "google", "gcp", "gemini", "vertex", "deepseek", "x_ai", "xai", "groq", "mistral",
    "fireworks", "together", "openrouter", "perplexity",
)  # fmt: skip
"""Their own figure is of the whole prompt, and no emitter is known that subtracts from it."""


class _Row(NamedTuple):
    scope: str
    """The scope; with `.*` also those below it."""
    since: tuple[int, ...]
    counting: Counting
    providers: tuple[str, ...] = ()
    """The beginnings of the providers' names that this is true of; none is all."""


# Of the rows that apply, the last is true: they go from the general to the special and from the old to the new.
_TABLE: Final = (
    _Row("toolspend", (), _WHOLE),
    _Row("toolspend.*", (), _WHOLE),
    # The anthropic SDKs of all languages, with the platform of a cloud's client behind, and the API's own spans: one
    # reference describes them, and the Python SDK (2.14) adds up the same way for every platform.
    _Row("com.anthropic.sdk.*", (), _WHOLE),
    _Row("com.anthropic.claude_code.*", (), _WHOLE),
    _Row("com.anthropic.claude-platform", (), _WHOLE_IF_SAID),
    # opentelemetry-instrumentation-genai-anthropic 1.3b0 and openai-v2 2.4b0; older ones of the latter say no cache.
    _Row("opentelemetry.instrumentation.genai.*", (), _WHOLE),
    _Row("opentelemetry.instrumentation.openai_v2", (), _WHOLE_IF_SAID),
    # OpenLLMetry: 0.38 to 0.62 add the cache and say it, zeros too; their streams add `message_start` to the output.
    _Row("opentelemetry.instrumentation.anthropic", (), _WHOLE_IF_SAID._replace(is_streamed_output_wrong=True)),
    _Row("opentelemetry.instrumentation.openai", (), _WHOLE_IF_SAID),
    # The usage of LangChain's messages, which is of the whole prompt but for Bedrock.
    _Row("opentelemetry.instrumentation.langchain", (), _WHOLE_IF_SAID),
    _Row("opentelemetry.instrumentation.langchain", (), UNKNOWN, ("aws", "bedrock")),
    # OpenInference: before 0.1.15 no cache is said; up to 2 its streams say none, and before 1 they count without it.
    _Row("openinference.instrumentation.anthropic", (), UNKNOWN),
    _Row("openinference.instrumentation.anthropic", (1,), _WHOLE_IF_SAID),
    _Row("openinference.instrumentation.anthropic", (2,), _WHOLE),
    _Row("openinference.instrumentation.openai", (), _WHOLE_IF_SAID),
    _Row("openinference.instrumentation.openai", (0, 1, 60), _WHOLE),
    _Row("openinference.instrumentation.langchain", (), UNKNOWN),
    _Row("openinference.instrumentation.langchain", (0, 1, 60), _WHOLE),
    # logfire 5.2: the cache is in the provider's own usage beside it.
    _Row("logfire.anthropic", (), UNKNOWN),
    _Row("logfire.anthropic", (4,), _WHOLE_IF_SAID),
    _Row("logfire.openai", (), _WHOLE_IF_SAID),
    # pydantic-ai 0.2.15, 1.0.10 and 2.68 add the cache, and say what is not zero.
    _Row("pydantic-ai", (), UNKNOWN),
    _Row("pydantic-ai", (0, 2), _WHOLE),
    _Row("pydantic-ai", (0, 2), UNKNOWN, ("aws", "bedrock")),
    # Vercel's AI SDK passes on the provider's figure up to version 5, and counts the whole prompt from 6 on.
    _Row("ai", (), _WHOLE_IF_SAID, _INCLUSIVE_PROVIDERS),
    _Row("ai", (), _PASSED_ON, ("anthropic", "amazon-bedrock", "bedrock", "aws", "vertex.anthropic")),
    _Row("ai", (6,), _WHOLE_IF_SAID),
    # LangSmith's usage metadata is of the whole prompt; without details it may be a figure passed on.
    _Row("langsmith", (), UNKNOWN),
)  # fmt: skip

_SAY_DEFINITIONS: Final = (
    "opentelemetry.instrumentation.genai.",
    "opentelemetry.instrumentation.anthropic",
    "opentelemetry.instrumentation.openai",
    "opentelemetry.instrumentation.langchain",
    "openinference.instrumentation.",
    "logfire.",
    "pydantic-ai",
)
"""The beginnings of the scopes whose recordings have the definitions wherever tools were offered."""


def says_definitions(scope: str | None) -> bool:
    """Whether an emitter that sends a prompt without definitions says that no tool was offered."""
    return scope is not None and scope.startswith(_SAY_DEFINITIONS)


@lru_cache(maxsize=4096)
def counting(scope: str | None, version: str | None, provider: str | None) -> Counting:
    """How the emitter of this scope and version counts the tokens of this provider."""
    scope, provider = scope or "", (provider or "").lower()
    numbers = _numbers(version)
    found: Counting | None = None
    for row in _TABLE:
        below = row.scope.removesuffix("*")
        is_scope = scope == row.scope or (below != row.scope and scope.startswith(below))
        if is_scope and numbers >= row.since and (not row.providers or provider.startswith(row.providers)):
            found = row.counting
    if found is None or found is UNKNOWN:
        return _WHOLE_IF_SAID if provider.startswith(_INCLUSIVE_PROVIDERS) else UNKNOWN
    return found


def _numbers(version: str | None) -> tuple[int, ...]:
    """A version as numbers; one that is not said is older than all."""
    found = re.match(r"\d+(?:\.\d+)*", version or "")
    return tuple(int(part[:9]) for part in found.group().split(".")) if found else ()
