"""pydantic-ai: the conventions since its first format; before its second, messages are one list of events.

Its agents' spans add up what their requests used (`gen_ai.aggregated_usage`, before that under the usual names): they
are no requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toolspend import attributes as at

from ..rows import Span
from . import content, conventions, genai
from .messages import loads


def translate(span: Span) -> Span:
    """The span in the conventions' words."""
    said = genai.older_names(span)
    if at.OPERATION not in span.attributes:
        if at.TOOL_NAME in span.attributes:
            said[at.OPERATION] = at.OPERATION_TOOL
        elif "agent_name" in span.attributes:
            said[at.OPERATION] = at.OPERATION_AGENT
    if at.AGENT_NAME not in span.attributes and (agent := span.text("agent_name")) is not None:
        said[at.AGENT_NAME] = agent
    return span.saying(said)


def read_content(span: Span) -> dict[str, Any]:
    """What the content of a request or a tool's run says."""
    operation = span.text(at.OPERATION)
    if operation == at.OPERATION_TOOL:
        arguments = span.attributes.get(at.TOOL_ARGUMENTS, span.attributes.get("tool_arguments"))
        result = span.attributes.get(at.TOOL_RESULT, span.attributes.get("tool_response"))
        return content.of_call(span, arguments, result)
    if operation not in conventions.REQUESTS:
        return {}
    tools = content.tools_of(span.attributes.get(content.TOOL_DEFINITIONS))
    if tools is None:
        tools = _offered(span)
    if "events" in span.attributes:
        prompt, output = content.read_events(span.attributes["events"])
        return content.of_request(span, messages=prompt, output=output, tools=tools)
    found = genai.read_content(span.saying({content.TOOL_DEFINITIONS: tools}) if tools is not None else span)
    return found


def _offered(span: Span) -> list[dict[str, Any]] | None:
    """The tools of a request's parameters, in the order that they are sent."""
    parameters = loads(span.attributes.get("model_request_parameters"))
    if not isinstance(parameters, Mapping):
        return None
    listed = [each for name in ("function_tools", "output_tools") for each in parameters.get(name) or ()]
    return content.tools_of(listed)
