"""Every span name and attribute that this project writes or reads, once.

The names of the OpenTelemetry GenAI conventions come first; what they have no name for is under `toolspend.`.
Ingestion reads the names from here, so that the two ends of the wire cannot drift apart.

Evidence (the `toolspend.context.*` and `toolspend.output.*` attributes) is JSON text made of *segments*. A segment
is one piece of a prompt or of an output, `[kind, chars, tool, id, flags, utf8_bytes, weight, digits]`, with trailing
nulls left out:

- `kind`: one of the `SEGMENT_*` letters below.
- `chars`: its length in characters, taken before any truncation. For an image or a document, of its encoded data.
- `tool`: the tool's name as the model sees it, for a definition, a call or a result.
- `id`: the tool call's id for a call or a result, the version (hash of the definition) for a definition.
- `flags`: letters out of `FLAG_*`, or null.
- `utf8_bytes`: its length in UTF-8, only where that differs from `chars`.
- `weight`: about how many tokens it has, from counts of kinds of characters (`toolspend.evidence.weight`), or from the
  area of an image.
- `digits`: how many digits are in it, or null.

No segment holds content.
"""

from __future__ import annotations

from typing import Final

SCOPE: Final = "toolspend"

# --- OpenTelemetry semantic conventions -----------------------------------------------------------------------------
OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
CONVERSATION_ID: Final = "gen_ai.conversation.id"
AGENT_NAME: Final = "gen_ai.agent.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_STREAM: Final = "gen_ai.request.stream"
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHE_READ_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS: Final = "gen_ai.usage.cache_write.input_tokens"
THINKING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
TOOL_TYPE: Final = "gen_ai.tool.type"
TOOL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
TOOL_RESULT: Final = "gen_ai.tool.call.result"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
ERROR_TYPE: Final = "error.type"
HTTP_STATUS: Final = "http.response.status_code"
SESSION_ID_STANDARD: Final = "session.id"
USER_ID: Final = "user.id"
SERVICE_NAME: Final = "service.name"
MCP_METHOD: Final = "mcp.method.name"
MCP_ERROR_TYPE: Final = "toolspend/error_type"
"""In `_meta` of a result that failed: its `error.type`, one of `CALL_ERRORS`."""

OPERATION_CHAT: Final = "chat"
OPERATION_TOOL: Final = "execute_tool"
OPERATION_AGENT: Final = "invoke_agent"

# --- What anthropic's own spans add (scope `com.anthropic.sdk.python`) ----------------------------------------------
ANTHROPIC_SCOPE: Final = "com.anthropic.sdk.python"
ANTHROPIC_CACHE_WRITE_5M: Final = "anthropic.usage.cache_creation.ephemeral_5m_input_tokens"
ANTHROPIC_CACHE_WRITE_1H: Final = "anthropic.usage.cache_creation.ephemeral_1h_input_tokens"
ANTHROPIC_SERVICE_TIER: Final = "anthropic.response.service_tier"
ANTHROPIC_STOP_REASON: Final = "anthropic.message.stop_reason"
ANTHROPIC_TRUNCATED: Final = "anthropic.content.truncated"
"""True where messages were too long for a span: the oldest parts are missing."""

# --- Spans of this project ------------------------------------------------------------------------------------------
SPAN_EXECUTE_TOOL: Final = "execute_tool"
SPAN_EXECUTE_TOOLS: Final = "execute_tools"
SPAN_SELECT_TOOLS: Final = "select_tools"
SPAN_COMPRESS_RESULT: Final = "compress_result"

# Values of `gen_ai.operation.name` for the three spans that the conventions have no operation for.
OPERATION_BATCH: Final = "execute_tools"
OPERATION_SELECT: Final = "select_tools"
OPERATION_COMPRESS: Final = "compress_result"

# --- Session --------------------------------------------------------------------------------------------------------
SESSION_ID: Final = "toolspend.session.id"
SESSION_TAGS: Final = "toolspend.session.tags"

# --- Context evidence, on the span of a model request ---------------------------------------------------------------
CONTEXT_EVIDENCE: Final = "toolspend.context.evidence"
"""What the attributes of these names say, in one: a JSON object of `base`, `delta`, `restated`, `segments`, `chars`,
`cache_marks` and, where the answer came whole, `output` (`OUTPUT_SEGMENTS`), as far as there are any. An attribute
costs the agent 2 us, whatever it says."""
CONTEXT_BASE: Final = "toolspend.context.base"
"""Span id (16 hex digits) of the earlier request of the same session that `CONTEXT_DELTA` builds on; absent on a
keyframe, whose delta is the whole prompt."""
CONTEXT_DELTA: Final = "toolspend.context.delta"
"""The prompt in its order (tools, system, messages), as a JSON array. An item `[from, count]` of two integers repeats
`count` segments of the base from index `from`; any other item is a segment that the base did not have there."""
CONTEXT_RESTATED: Final = "toolspend.context.restated"
"""JSON array of `[index, segment, ...]`: consecutive segments of this prompt from `index` on, said again although
the base had them, so that the loss of a span is made good within a few requests."""
CONTEXT_SEGMENTS: Final = "toolspend.context.segments"
"""How many segments the prompt has."""
CONTEXT_CHARS: Final = "toolspend.context.chars"
"""How many characters the prompt's segments have together."""
CONTEXT_CACHE_MARKS: Final = "toolspend.context.cache_marks"
"""JSON array of `[index, ttl]`: the segments that carry a cache breakpoint, with `"5m"` or `"1h"`."""
CONTEXT_EDITS: Final = "toolspend.context.edits"
"""JSON array: what the provider took out of the prompt, `context_management.applied_edits` of the response as it was
received, when there is any."""
OUTPUT_SEGMENTS: Final = "toolspend.output.segments"
"""What the response was made of, as a JSON array of segments."""
TOOL_DEFINITIONS: Final = "toolspend.tool.definitions"
"""JSON array of `{name, version, declared_version, description, input_schema}`: the definitions first sent by this
process with this request. Left out with `capture_definitions=False`."""

SEGMENT_DEFINITION: Final = "d"
SEGMENT_SYSTEM: Final = "s"
SEGMENT_USER: Final = "u"
SEGMENT_ASSISTANT: Final = "a"
SEGMENT_THINKING: Final = "t"
SEGMENT_CALL: Final = "c"
SEGMENT_RESULT: Final = "r"
SEGMENT_COMPACTION: Final = "k"
SEGMENT_OTHER: Final = "o"

FLAG_ERROR: Final = "e"
FLAG_IMAGE: Final = "i"
FLAG_DOCUMENT: Final = "p"
FLAG_DEFERRED: Final = "l"
"""A definition that is not in the prompt until a tool search finds it; among messages, without id and with no length of
its own, the place where it was found."""
FLAG_UNSAID: Final = "u"
"""In the store, on a first segment without length of prompts that others tell of: stands for what they leave unsaid."""
FLAG_CUT: Final = "x"
"""Beside `FLAG_UNSAID`: the oldest messages were cut off."""
FLAG_SERVER: Final = "s"
"""A tool that the provider runs inside the request (web search, code execution)."""

# --- Messages that came as log records, in the store ----------------------------------------------------------------
LOG_RECORDS: Final = "toolspend.log.records"
"""Array of `{id, name, time_ns, attributes, body}`: the log records about one span that came together, as sent."""
LOG_EVIDENCE: Final = "toolspend.log.evidence"
"""Array of `{id, name, time_ns, said, is_told}`: what these records say, in the words of spans, without content."""

# --- Usage that the conventions have no name for --------------------------------------------------------------------
USAGE_CACHE_WRITE_5M: Final = "toolspend.usage.cache_write_5m_tokens"
USAGE_CACHE_WRITE_1H: Final = "toolspend.usage.cache_write_1h_tokens"
USAGE_WEB_SEARCHES: Final = "toolspend.usage.web_search_requests"
USAGE_WEB_FETCHES: Final = "toolspend.usage.web_fetch_requests"
USAGE_ITERATIONS: Final = "toolspend.usage.iterations"
"""JSON array: `usage.iterations` of the response as received, when the response has it."""
USAGE_SPEED: Final = "toolspend.usage.speed"
USAGE_INFERENCE_GEO: Final = "toolspend.usage.inference_geo"
"""Where the provider ran the model, when it says a place that has a price of its own."""
ORDINARY_GEOS: Final = frozenset({"", "global", "not_available"})
"""What the provider says of requests that may run anywhere, at the ordinary price."""
SERVICE_TIER: Final = "toolspend.service_tier"

# --- Tool calls -----------------------------------------------------------------------------------------------------
TOOL_VERSION: Final = "toolspend.tool.version"
"""First 12 hex digits of the SHA-256 of the definition's canonical JSON (name, description, input_schema)."""
TOOL_DECLARED_VERSION: Final = "toolspend.tool.declared_version"
TOOL_SERVER: Final = "toolspend.tool.server"
TOOL_HAS_SIDE_EFFECTS: Final = "toolspend.tool.has_side_effects"
TOOL_IS_KNOWN: Final = "toolspend.tool.is_known"
"""False on a call of a tool that the registry does not have; absent otherwise."""
TOOL_ARGUMENT_CHARS: Final = "toolspend.tool.argument_chars"
TOOL_RAW_RESULT_CHARS: Final = "toolspend.tool.raw_result_chars"
"""Length of what the handler returned."""
TOOL_RESULT_SHAPE: Final = "toolspend.tool.result_shape"
"""What kind of value the handler returned: `array` or `object`, and where that has few keys, after a colon, eight bits
of a checksum of each: enough to tell shapes apart, and too little to tell a key. Absent where it is a text; in the
store `text`, where the span is another emitter's."""
TOOL_ERROR_WORDS: Final = "toolspend.tool.error_words"
"""How many words a failure told the model, at most `guidance.MOST_WORDS`; 0 where none of them says what failed."""
TOOL_RESULT_CHARS: Final = "toolspend.tool.result_chars"
"""Length of what goes back to the model, after compression and formatting."""
TOOL_ATTEMPT: Final = "toolspend.tool.attempt"
# Values of `error.type`, where a call failed of something else than an exception of its handler's, which is told by its
# class. Instrumentation writes them, the toolkit's executor and its audit share them.
ERROR_UNKNOWN_TOOL: Final = "unknown_tool"
"""The registry has no such tool."""
ERROR_INVALID_ARGUMENTS: Final = "invalid_arguments"
"""The arguments do not fit the tool's schema: it was not run."""
ERROR_INVALID_SCHEMA: Final = "invalid_schema"
"""The tool's own schema is none, so that no arguments can be checked: it was not run."""
ERROR_NO_HANDLER: Final = "no_handler"
"""The tool is known, and nothing runs it here."""
ERROR_TIMEOUT: Final = "timeout"
"""No result within the time that the call had."""
ERROR_CANCELLED: Final = "cancelled"
"""Cancelled from outside, or by its own handler."""
ERROR_UNRESPONSIVE: Final = "unresponsive"
"""As many earlier runs of the tool still hang as may run at once: it was not run."""
ERROR_BUDGET: Final = "budget_exceeded"
"""A budget is used up: it was not run."""
ERROR_DEPENDENCY: Final = "dependency_failed"
"""A step of a plan that it depends on failed, or gave nothing to make its arguments from: it was not run."""
ERROR_TOOL: Final = "tool_error"
"""The tool answered that it failed, and gave no other name to it."""
WRONG_CALL_ERRORS: Final = frozenset({ERROR_UNKNOWN_TOOL, ERROR_INVALID_ARGUMENTS})
"""Those for which the call is to blame and not the tool."""
CALL_ERRORS: Final = WRONG_CALL_ERRORS | {
    ERROR_INVALID_SCHEMA, ERROR_NO_HANDLER, ERROR_TIMEOUT, ERROR_CANCELLED, ERROR_UNRESPONSIVE, ERROR_BUDGET,
    ERROR_DEPENDENCY, ERROR_TOOL,
}  # fmt: skip
BATCH_ID: Final = "toolspend.batch.id"
BATCH_CALLS: Final = "toolspend.batch.calls"
BATCH_FAILED: Final = "toolspend.batch.failed"
BATCH_WALL_MS: Final = "toolspend.batch.wall_ms"
BATCH_CONCURRENCY_LIMIT: Final = "toolspend.batch.concurrency_limit"

# --- Selection and compression --------------------------------------------------------------------------------------
SELECTION_TASK_TYPE: Final = "toolspend.selection.task_type"
SELECTION_CANDIDATES: Final = "toolspend.selection.candidates"
SELECTION_SELECTED: Final = "toolspend.selection.selected"
SELECTION_TOOLS: Final = "toolspend.selection.tools"
SELECTION_IS_UNSURE: Final = "toolspend.selection.is_unsure"
"""Whether the selection says that a needed tool may be missing from it; absent where it says neither."""
SELECTION_OFFERED_CHARS: Final = "toolspend.selection.offered_chars"
SELECTION_AVOIDED_CHARS: Final = "toolspend.selection.avoided_chars"
COMPRESSION_CHARS_BEFORE: Final = "toolspend.compression.chars_before"
COMPRESSION_CHARS_AFTER: Final = "toolspend.compression.chars_after"
COMPRESSION_STRATEGY: Final = "toolspend.compression.strategy"
COMPRESSION_HAS_MODEL_CALL: Final = "toolspend.compression.has_model_call"
