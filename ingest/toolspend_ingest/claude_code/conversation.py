"""A session file as requests and tool runs: which lines are one API response, and what each prompt was made of.

Lines form a tree by their parents. A response is written as several lines, one a block, with the same message id. The
prompt of a request is what lies on the way from its first line up to the response before it, which it goes on from:
so a rewound conversation, a subagent's and one that goes on beside it are each their own. Results of parallel calls lie
on side branches; a call's id finds them.

Everything is decided by the lines before, in the order of the file: a file read in parts gives what it gives at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from toolspend import attributes as at
from toolspend.evidence import segments
from toolspend.evidence.definitions import canonical
from toolspend.evidence.segments import Segment, encoded
from toolspend.evidence.weight import Weight

from . import SUBAGENT
from .head import head_of
from .lines import EPOCH, SYNTHETIC, Line
from .usage import prompt_tokens

NAMELESS: Final = "line "
"""What the key of an answer begins with that has no id of the provider's."""
_MAIN: Final = "main"
_TASK_TOOLS: Final = ("Task", "Agent")
_SILENT_ATTACHMENTS: Final = "hook_"
_SPEAKING_ATTACHMENTS: Final = ("hook_additional_context", "hook_blocking_error")
_CHARS_PER_SIGNED_TOKEN: Final = 6
"""A signature holds the thinking itself, encrypted, in base64: 4/3 characters for each of about 4.5 a token."""
_INTERRUPTED: Final = "[Request interrupted by user"
_REJECTED: Final = "The user doesn't want to "


@dataclass(slots=True, eq=False)
class Request:
    """One API response and the prompt that it answers."""

    key: str
    session: str
    chain: str
    agent: str | None
    started_at: datetime
    ended_at: datetime
    version: str | None
    base: Request | None
    """The request that this one goes on from, where its prompt is given as what it adds to that one's."""
    added: list[Segment]
    """The segments that the prompt has beyond its base's, or all of them."""
    length: int
    """How many segments the messages of the prompt have."""
    chars: int
    known_head: Segment | None = None
    """What stands before the messages, where that was seen before."""
    told_head: tuple[Segment | None] | None = None
    """What stands there by the bills up to its own, once another goes on from it; None where none of these is known."""
    has_followed: bool = False
    """Whether another goes on from it: then its bill is its last."""
    end: int = 0
    """Where in the file its last line ends."""
    output: list[Segment] = field(default_factory=list)
    blocks: set[int] = field(default_factory=set)
    calls: dict[str, str] = field(default_factory=dict)
    """The tool of each call that the response made."""
    has_content: bool = False
    """Whether its lines say what the answer was: some files hold usage alone."""
    message: Mapping[str, Any] = field(default_factory=dict)
    """The message of its last line: its usage is the last word."""
    stop_reason: str | None = None
    provider_request_id: str | None = None
    error: Mapping[str, Any] | None = None
    """The line, where it says that the API refused."""

    @property
    def usage(self) -> Mapping[str, Any]:
        """What was billed, in the provider's words."""
        usage = self.message.get("usage")
        return usage if isinstance(usage, dict) else {}

    @property
    def model(self) -> str | None:
        """The model that answered."""
        model = self.message.get("model")
        return model if isinstance(model, str) and model and model != SYNTHETIC else None

    @property
    def head(self) -> Segment | None:
        """What stands before the messages: only the first bill that is known says how much it is."""
        line: list[Request] = [self]
        while (base := line[-1].base) is not None and not base.has_followed:
            line.append(base)
        known = line[-1].known_head
        told = base.told_head if base is not None else (known,) if known is not None else None
        for each in reversed(line):
            if told is None and prompt_tokens(each.usage) is not None:
                told = (head_of(each.usage, each.prompt),)
            if each is not self:
                each.has_followed, each.told_head = True, told
        return told[0] if told is not None else None

    @property
    def prompt(self) -> list[Segment]:
        """All segments of the prompt but its head."""
        parts: list[list[Segment]] = []
        above: Request | None = self
        while above is not None:
            parts.append(above.added)
            above = above.base
        return [segment for part in reversed(parts) for segment in part]


@dataclass(slots=True, eq=False)
class Call:
    """One run of a tool."""

    call_id: str
    tool: str
    request: Request
    started_at: datetime
    argument_chars: int
    ended_at: datetime = EPOCH
    duration_ms: float | None = None
    """Where it was stated: from call to result the user may have been asked for permission as well."""
    result_chars: int | None = None
    error_type: str | None = None
    end: int = 0
    """Where in the file the line of its result ends."""


@dataclass(slots=True, eq=False)
class _Node:
    """A line, and what it adds to a prompt that it lies on the way of."""

    number: int
    parent: _Node | None
    chain: str
    agent: str | None
    at: datetime
    segments: Sequence[Segment] = ()
    request: Request | None = None
    is_summary: bool = False
    """Whether it stands for what was said before it."""


class Conversation:
    """What the lines of one file have said so far."""

    def __init__(self, default_session: str) -> None:
        self.requests: dict[tuple[str, str], Request] = {}
        self.calls: dict[str, Call] = {}
        self._default_session = default_session
        self._nodes: dict[str, _Node] = {}
        self._latest: dict[str, _Node] = {}
        self._heads: dict[str, Segment] = {}
        self._results: dict[str, _Node] = {}
        self._tools: dict[str, str] = {}
        self._agents: dict[str, str] = {}
        """The kind of subagent that a prompt was given to."""
        self._clock = EPOCH

    def add(self, line: Line) -> None:
        """Take the next line."""
        self._clock = line.at or self._clock
        if line.uuid is not None and line.uuid in self._nodes:
            known = self._nodes[line.uuid].request
            if known is not None:
                self._update(known, line)
            return
        node = self._place(line)
        if line.uuid is not None:
            self._nodes[line.uuid] = node
        if line.uuid is not None or line.message:
            self._latest[node.chain] = node
        if line.kind == "assistant":
            self._answer(line, node)
        elif line.kind == "user":
            self._say(line, node)
        elif line.kind == "attachment":
            node.segments = _attached(line)

    def _place(self, line: Line) -> _Node:
        parent = self._nodes.get(line.parent) if line.parent is not None else None
        if parent is not None:
            chain, agent = parent.chain, parent.agent
        else:
            is_side = line.flag("isSidechain") or line.agent is not None
            chain = (line.agent or line.uuid or SUBAGENT) if is_side else _MAIN
            agent = self._agent_of(line) if is_side else None
            if line.parent is None and line.kind == "assistant":
                # An answer has something before it, also where the line does not say what.
                parent = self._latest.get(chain)
        return _Node(line.number, parent, chain, agent, self._clock)

    def _agent_of(self, line: Line) -> str:
        content = line.content
        return self._agents.get(content, SUBAGENT) if isinstance(content, str) else SUBAGENT

    def _say(self, line: Line, node: _Node) -> None:
        if line.flag("isVisibleInTranscriptOnly") and not line.flag("isCompactSummary"):
            return
        content = line.content
        if content is None:
            return
        node.is_summary = line.flag("isCompactSummary")
        if node.is_summary:
            text = content if isinstance(content, str) else segments.result_text(content)
            content = [{"type": "compaction", "content": text}]
        said = _described("user", content, self._tools)
        node.segments = said
        results = [block for block in content if isinstance(block, dict) and block.get("type") == "tool_result"]
        for block in results:
            self._finish(block, line, node, is_alone=len(results) == 1)

    def _finish(self, block: Mapping[str, Any], line: Line, node: _Node, *, is_alone: bool) -> None:
        call_id = block.get("tool_use_id")
        if not isinstance(call_id, str) or call_id in self._results:
            return
        self._results[call_id] = node
        call = self.calls.get(call_id)
        if call is None:
            return
        told = line.raw.get("toolUseResult") if is_alone else None
        call.ended_at, call.end = max(node.at, call.started_at), line.end
        call.duration_ms = _stated_ms(told)
        call.result_chars = sum(chars for _, chars in _described("user", [block], self._tools))
        call.error_type = _error_of(block, told)

    def _answer(self, line: Line, node: _Node) -> None:
        is_synthetic = line.message.get("model") == SYNTHETIC
        is_error = line.flag("isApiErrorMessage")
        if is_synthetic and not is_error:
            node.segments = _described("assistant", line.content or (), self._tools)
            return
        session = line.session or self._default_session
        name = line.message.get("id")
        key = name if isinstance(name, str) else str(line.raw.get("requestId") or "")
        if not key:
            key = _nameless(line, node)
        if is_error:
            key = line.uuid or key
        request = self.requests.get((session, key))
        if request is None:
            request = self.requests[session, key] = self._open(line, node, session, key)
        if not is_error:  # what failed is no part of the conversation
            node.request = request
        self._update(request, line)
        if is_error:
            request.error = line.raw

    def _open(self, line: Line, node: _Node, session: str, key: str) -> Request:
        passed: list[_Node] = []
        above = node.parent
        while above is not None and above.request is None:
            passed.append(above)
            above = above.parent
        base = above.request if above is not None else None
        if base is not None:
            passed.extend(self._results[call_id] for call_id in base.calls if call_id in self._results)
        passed = sorted(set(passed), key=lambda each: each.number)
        said = [segment for each in passed for segment in each.segments]
        if base is not None:
            said = [*base.output, *said]
        known_head = None
        if base is None:
            # After a compaction the same stands before the messages. What else begins anew may be another agent.
            known_head = self._heads.get(node.chain) if any(each.is_summary for each in passed) else None
        elif base.session != session:
            # The attribution knows a request's base within its session only: this prompt is told in full.
            known_head, said, base = base.head, [*base.prompt, *said], None
        added_chars = sum(chars for _, chars in said)
        started_at = max((each.at for each in passed), default=self._clock)
        return Request(
            key=key,
            session=session,
            chain=node.chain,
            agent=node.agent,
            started_at=min(started_at, node.at),
            ended_at=node.at,
            version=_optional(line.raw.get("version")),
            base=base,
            added=said,
            length=len(said) + (base.length if base is not None else 0),
            chars=added_chars + (base.chars if base is not None else 0),
            known_head=known_head,
        )

    def _update(self, request: Request, line: Line) -> None:
        request.end = line.end
        request.ended_at = max(request.ended_at, self._clock)
        request.message = line.message
        request.stop_reason = _optional(line.message.get("stop_reason")) or request.stop_reason
        request.provider_request_id = _optional(line.raw.get("requestId")) or request.provider_request_id
        content, fresh = line.content, []
        request.has_content |= content is not None
        for block in [content] if isinstance(content, str) else content or ():
            print_ = segments.piece_print("assistant", block)
            if print_ not in request.blocks:  # some versions write a block again in the next line
                request.blocks.add(print_)
                fresh.append(block)
        request.output.extend(_described("assistant", fresh, self._tools))
        for block in fresh:
            if isinstance(block, dict) and block.get("type") == "tool_use":
                self._ask(request, block)
        if request.chain not in self._heads and (head := request.head) is not None:
            self._heads[request.chain] = head

    def _ask(self, request: Request, block: Mapping[str, Any]) -> None:
        call_id, tool, arguments = block.get("id"), block.get("name"), block.get("input")
        if not isinstance(call_id, str) or not isinstance(tool, str) or not tool:
            return
        request.calls[call_id] = tool
        self.calls.setdefault(call_id, Call(call_id, tool, request, self._clock, len(canonical(arguments or {}))))
        if tool in _TASK_TOOLS and isinstance(arguments, dict):
            prompt, kind = arguments.get("prompt"), arguments.get("subagent_type")
            if isinstance(prompt, str) and isinstance(kind, str):
                self._agents[prompt] = kind


def _nameless(line: Line, node: _Node) -> str:
    """What tells an answer apart that has no id: its first line, which those of its other blocks go on from.

    A line that has no id either cannot be told from a repeat: all of those are billed once.
    """
    if line.uuid is None:
        return ""
    above = node.parent.request if node.parent is not None else None
    return above.key if above is not None and above.key.startswith(NAMELESS) else f"{NAMELESS}{line.uuid}"


def _described(role: str, content: str | Iterable[Any], tools: dict[str, str]) -> list[Segment]:
    """The segments of a message's content."""
    found: list[Segment] = []
    for block in [content] if isinstance(content, str) else content:
        if isinstance(block, dict):
            if block.get("type") == "thinking" and not block.get("thinking"):
                found.append(_signed(str(block.get("signature") or "")))
                continue
            if block.get("type") == "tool_result" and isinstance(block.get("content"), list):
                block = {**block, "content": [part for part in block["content"] if isinstance(part, dict)]}
        parts = segments.pieces({"role": role, "content": [block]})
        found += [segments.describe(role, part, tools) for _, part in parts]
    return found


def _signed(signature: str) -> Segment:
    """Thinking of which only the signature was written."""
    return encoded(at.SEGMENT_THINKING, len(signature), weight=Weight(len(signature) // _CHARS_PER_SIGNED_TOKEN, 0))


def _attached(line: Line) -> list[Segment]:
    """What Claude Code added to the prompt by itself: files that changed, reminders, lists of skills."""
    attached = line.raw.get("attachment")
    if not isinstance(attached, dict):
        return []
    kind = str(attached.get("type"))
    if kind.startswith(_SILENT_ATTACHMENTS) and kind not in _SPEAKING_ATTACHMENTS:
        return []
    text = canonical({name: value for name, value in attached.items() if name != "type"})
    return [segments.describe("user", text, {})]


def _stated_ms(told: object) -> float | None:
    if not isinstance(told, dict):
        return None
    for name, scale in (("durationMs", 1.0), ("totalDurationMs", 1.0), ("durationSeconds", 1000.0)):
        value = told.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12:
            return float(value) * scale
    return None


def _error_of(block: Mapping[str, Any], told: object) -> str | None:
    text = segments.result_text(block.get("content"))
    if (isinstance(told, dict) and told.get("interrupted") is True) or text.startswith(_INTERRUPTED):
        return "interrupted"
    if block.get("is_error") is not True:
        return None
    return "rejected" if text.startswith(_REJECTED) else "tool_error"


def _optional(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
